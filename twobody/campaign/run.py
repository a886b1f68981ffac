"""Compute one pair with DFTB+: scratch folder, process and its limits, judgement, retries.

Everything here can be sent to another process or machine that sees the same folders.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

from twobody.elements import COVALENT_RADII, SHORTEST_PHYSICAL_BOND
from twobody.files import publish_folder, staging
from twobody.raw_data.derive import collect_pair
from twobody.raw_data.folders import BAND_OUT, DETAILED_OUT, GEO_END_XYZ

DFTB_IN = "dftb_in.hsd"
OUTPUTS = (DETAILED_OUT, GEO_END_XYZ, BAND_OUT)
RUN_LOG = "run_log.csv"
CONVERGED = "converged"

_SCC_FAILED = "SCC is NOT converged"
_POLL = 0.02  # s between two looks at the program
_TAIL = 4096  # bytes of the program's output that are looked at
_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS")
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in _THREADS} | {"VECLIB_MAXIMUM_THREADS": "1"}


class Stopped(Exception):  # noqa: N818  not an error: the user asked for it
    """The campaign was stopped while this pair was being computed."""


class Rung(NamedTuple):
    """One way to try: settings in words, electronic temperature [K], and ``dftb_in.hsd``."""

    settings: str
    temperature: float
    text: str


@dataclass(frozen=True)
class Job:
    """All that is needed to compute a pair."""

    pair: str
    output: Path  # the absolute folder that gets the folder of the pair
    starts: dict[float, tuple[Rung, ...]]  # by distance / the sum of the covalent radii
    command: tuple[str, ...]  # the program and its arguments
    time_limit: float  # longest time of one run [s]

    @property
    def folder(self) -> Path:
        """The folder of the pair."""
        return self.output / self.pair


class Result(NamedTuple):
    """What came of one run: `CONVERGED` or what went wrong, the details of that, and the well."""

    outcome: str
    reason: str = ""
    energy_ev: float | None = None
    bond_length_ang: float | None = None
    physical: bool | None = None


class Attempt(NamedTuple):
    """One run of DFTB+; the fields are the columns of the run log. What is missing is None."""

    pair: str
    start_factor: float  # the start asked for, in units of the sum of the covalent radii
    rung: int  # place on the ladder of settings, counted from 0
    settings: str  # name of the rung, and the settings that rungs change
    outcome: str  # `CONVERGED` or what went wrong
    reason: str  # details of what went wrong
    energy_ev: float | None = None  # Mermin free energy; the total energy if there is no other
    bond_length_ang: float | None = None
    physical: bool | None = None  # see `is_physical`
    chosen: bool = False  # whether this is the well that was kept
    seconds: float = 0.0


def is_physical(elements: Sequence[str], bond_length: float) -> bool:
    """Tell whether a well is physical: see `twobody.elements.SHORTEST_PHYSICAL_BOND`."""
    radii = sum(COVALENT_RADII[element] for element in elements)
    return bond_length >= SHORTEST_PHYSICAL_BOND * radii


def is_done(job: Job) -> bool:
    """Tell whether the pair's outputs are complete and its input is one that `job` would write.

    An input names its starts, its rung and a digest of its Slater-Koster files, so a result of
    whichever rung is recognised, and one of other starts, settings or parameters is not.
    """
    try:
        text = (job.folder / DFTB_IN).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    known = any(text == rung.text for rungs in job.starts.values() for rung in rungs)
    return known and _judge(job.folder).outcome == CONVERGED


def compute_pair(job: Job, stop: threading.Event | None = None) -> list[Attempt]:
    """Compute a pair from every start, and move the lowest physical well into place.

    From each start the rungs are tried until one converges. Where no well is physical the lowest is
    kept. Nothing is moved where nothing converged, where `stop` was set meanwhile (`Stopped`), or
    the program cannot be started or files not be written (an OSError).
    """
    attempts: list[Attempt] = []
    wells: list[tuple[bool, float, float, int, Path]] = []  # best first when sorted
    with staging(job.output) as kept:
        for factor, rungs in job.starts.items():
            results = kept / str(factor) / job.pair
            for number, rung in enumerate(rungs):
                results.mkdir(parents=True)
                begin = time.monotonic()
                result = _attempt(job, rung.text, results, stop)
                seconds = round(time.monotonic() - begin, 2)
                log = (job.pair, factor, number, rung.settings, *result)
                attempts.append(Attempt(*log, seconds=seconds))
                if result.energy_ev is not None:
                    # Free energies of different temperatures do not compare.
                    rank = (not result.physical, rung.temperature, result.energy_ev)
                    wells.append((*rank, len(attempts) - 1, results))
                    break
                shutil.rmtree(results)
        if wells:
            *_, best, results = min(wells)
            attempts[best] = attempts[best]._replace(chosen=True)
            publish_folder(results, job.folder)
    return attempts


def _attempt(job: Job, text: str, results: Path, stop: threading.Event | None) -> Result:
    """Run DFTB+ once; where it ends well, its input and its outputs are then in `results`."""
    # The scratch folder lies beside the pair's, so that the relative path of the Slater-Koster
    # files in the input holds in both.
    with staging(job.output) as scratch:
        for folder in (scratch, results):  # whatever the program does to its own copy
            (folder / DFTB_IN).write_text(text, encoding="utf-8")
        failure = _run(job, scratch, stop)
        if failure is not None:
            return failure
        for path in (scratch / name for name in OUTPUTS):
            if path.is_file() and not path.is_symlink():
                path.rename(results / path.name)
            elif os.path.lexists(path):
                return Result("output incomplete", f"{path.name}: not a regular file")
    return _judge(results)


def _run(job: Job, folder: Path, stop: threading.Event | None) -> Result | None:
    """Run the program in `folder`; return what went wrong, or None where it ended well."""
    with (folder / "dftb.out").open("w+b") as output:
        process = subprocess.Popen(  # noqa: S603  the user names the program
            job.command,
            cwd=folder,
            env=os.environ | _ONE_THREAD,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, which can be killed whole
        )
        deadline = time.monotonic() + job.time_limit
        try:
            while process.poll() is None:
                if stop is not None and stop.is_set():
                    raise Stopped
                if time.monotonic() > deadline:
                    return Result("timed out", f"more than {job.time_limit:g} s")
                time.sleep(_POLL)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # nothing is left of the group
                os.killpg(process.pid, signal.SIGKILL)  # children may outlive the program
            process.wait()
        output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL))
        tail = output.read().decode(errors="replace")
    status = process.returncode
    if status == 0:
        return None
    words = " ".join("".join(c if c.isprintable() else " " for c in tail[-300:]).split())
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    outcome = "SCC not converged" if _SCC_FAILED in tail else "crashed"
    return Result(outcome, f"{how}: {words or 'no output'}")


def _judge(folder: Path) -> Result:
    """Read the outputs in `folder`."""
    pair, errors = collect_pair(folder)
    if pair is None:
        return Result("output incomplete", f"{Path(errors[0].path).name}: {errors[0].reason}")
    labels = pair.labels
    if labels["scc_converged"] == 0.0:  # missing in a run without SCC
        return Result("SCC not converged", _SCC_FAILED)
    if labels["geom_converged"] != 1.0:
        return Result("geometry not converged", "the steps ran out")
    # The optimiser minimises the Mermin free energy; an output without it has no entropy.
    mermin = labels["mermin_free_energy_ev"]
    energy = cast(float, labels["total_energy_ev"] if mermin is None else mermin)
    length = cast(float, labels["distance_ang"])
    return Result(CONVERGED, "", energy, length, is_physical(pair.geometry.symbols, length))
