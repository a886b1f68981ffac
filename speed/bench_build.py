"""Measure the build: time and peak memory, beside the plain way of doing the same job.

    python -m speed.bench_build

Whole builds are processes, from the start of Python to the last file, in turn (A B C A B C), so
that all see the same machine; ratios are those of the medians. Memory is the peak that the
operating system counts for the process. A first round, which does not count, compiles the modules
and brings the files into memory.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import click

_ROOT = Path(__file__).parents[1]
_BUILD = "from build_dataset import main; main()"
_ARCHIVE = "dataset_combined.npz"
_PLAIN = "plain"
# Modules are compiled once, as everywhere where nothing forbids it.
_ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured, and how often as fast as the plain way it was."""

    what: str
    how: str
    seconds: list[float]
    peak_mb: float | None = None
    size_mb: float | None = None
    ratio: float | None = None

    def __str__(self) -> str:
        """Return the line."""
        cells = [
            f"{self.what:18}",
            f"{self.how:18}",
            f"{statistics.median(self.seconds):8.3f}",
            f"{min(self.seconds):8.3f} - {max(self.seconds):7.3f}",
            f"{self.peak_mb:8.0f}" if self.peak_mb else " " * 8,
            f"{self.size_mb:8.1f}" if self.size_mb else " " * 8,
            f"{self.ratio:7.1f} x" if self.ratio else "",
        ]
        return "  ".join(cells).rstrip()


_HEADING = (
    f"{'':18}  {'':18}  {'median s':>8}  {'min - max s':>18}  {'peak MB':>8}  {'size MB':>8}"
    f"  {'ratio':>9}"
)


@click.command(context_settings={"show_default": True})
@click.argument("raw_data", default="raw_data", type=click.Path(path_type=Path, exists=True))
@click.option("--repetitions", default=5, type=click.IntRange(1))
@click.option(
    "--factor",
    "factors",
    multiple=True,
    default=(1, 10, 100),
    type=click.IntRange(1),
    help="Also build so many times the pairs (may be given many times).",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the rows here.")
def main(
    raw_data: Path, repetitions: int, factors: tuple[int, ...], json_file: Path | None
) -> None:
    """Measure the build of RAW_DATA and print a table."""
    raw_data = raw_data.resolve()
    rows: list[Row] = []
    click.echo(_HEADING)
    for row in chain(
        whole_builds(raw_data, repetitions),
        phases(raw_data, repetitions),
        scales(raw_data, factors),
    ):
        click.echo(row)
        rows.append(row)
    if json_file is not None:
        machine = {"python": platform.python_version(), "cores": os.cpu_count()}
        result = {"machine": machine, "rows": [asdict(row) for row in rows]}
        json_file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def whole_builds(raw_data: Path, repetitions: int) -> Iterator[Row]:
    """Measure the plain builder, and the build with and without ISA-L, as processes."""
    commands = {
        _PLAIN: ["-m", "speed.plain_builder"],
        "twobody, zlib": ["-c", f"import sys; sys.modules['isal'] = None; {_BUILD}"],
    }
    if find_spec("isal"):
        commands["twobody, ISA-L"] = ["-c", _BUILD]
    runs: dict[str, list[Run]] = {how: [] for how in commands}
    for repetition in range(1 + repetitions):
        for how, command in commands.items():
            with tempfile.TemporaryDirectory() as folder:
                measured = run([*command, str(raw_data), folder], Path(folder))
            if repetition > 0:
                runs[how].append(measured)
    plain = statistics.median(run.seconds for run in runs[_PLAIN])
    for how, of_one in runs.items():
        seconds = [run.seconds for run in of_one]
        yield Row(
            "whole build",
            how,
            seconds,
            peak_mb=max(run.peak_mb for run in of_one),
            size_mb=of_one[0].size_mb,
            ratio=plain / statistics.median(seconds),
        )


def phases(raw_data: Path, repetitions: int) -> Iterator[Row]:
    """Measure parsing and rendering, both builders in one process."""
    command = [sys.executable, "-m", "speed.phases", str(raw_data), str(repetitions)]
    result = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)
    for phase, by_builder in json.loads(result.stdout).items():
        plain = statistics.median(by_builder[_PLAIN])
        for how, seconds in by_builder.items():
            yield Row(phase, how, seconds, ratio=plain / statistics.median(seconds))


def scales(raw_data: Path, factors: Sequence[int]) -> Iterator[Row]:
    """Measure builds of many times the pairs, once each."""
    for factor in factors:
        with tempfile.TemporaryDirectory() as folder:
            command = ["-m", "speed.scale", str(raw_data), folder, str(factor)]
            measured = run(command, Path(folder))
        yield Row(
            "scale",
            f"{factor} x the pairs",
            [measured.seconds],
            peak_mb=measured.peak_mb,
            size_mb=measured.size_mb,
        )


class Run(NamedTuple):
    """What a build took: wall time, peak memory, and the size of its archive."""

    seconds: float
    peak_mb: float
    size_mb: float


def run(arguments: Sequence[str], folder: Path) -> Run:
    """Run Python with `arguments`, which builds an archive in `folder`."""
    start = time.perf_counter()
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, cwd=_ROOT, env=_ENVIRONMENT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes of ru_maxrss
    size = (folder / _ARCHIVE).stat().st_size
    return Run(seconds, usage.ru_maxrss * unit / 1e6, size / 1e6)


if __name__ == "__main__":
    main()
