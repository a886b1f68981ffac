"""Compute one pair with DFTB+: scratch folder, process and its limits, judgement, retries.

Everything here can be sent to another process or machine that sees the same folders.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twobody.campaign.run_log import RUN_LOG, Attempt, append
from twobody.elements import COVALENT_RADII, SHORTEST_PHYSICAL_BOND
from twobody.files import publish_folder, staging
from twobody.raw_data.derive import collect_pair
from twobody.raw_data.folders import BAND_OUT, DETAILED_OUT, GEO_END_XYZ
from twobody.raw_data.label_csv import PairLabels

DFTB_IN = "dftb_in.hsd"
OUTPUTS = (DETAILED_OUT, GEO_END_XYZ, BAND_OUT)
CONVERGED = "converged"

_PROGRAM_OUTPUT = "dftb.out"
_SCC_FAILED = "SCC is NOT converged"
_POLL = 0.1  # s between two looks at whether to stop
_TAIL = 4096  # bytes of the program's output that are looked at
_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)


class Stopped(Exception):  # noqa: N818  not an error: the user asked for it
    """The campaign was stopped while this pair was being computed."""


@dataclass(frozen=True)
class Rung:
    """One way to try: settings in words, electronic temperature [K], and ``dftb_in.hsd``."""

    settings: str
    temperature: float
    text: str


@dataclass(frozen=True)
class Start:
    """One starting distance, and the rungs to try from there, in order."""

    factor: float
    rungs: tuple[Rung, ...]


@dataclass(frozen=True)
class Job:
    """All that is needed to compute a pair.

    Attributes
    ----------
    pair : str
        Its name, ``A_B``.
    output : Path
        The absolute folder that gets the folder of the pair.
    starts : tuple of Start
    command : tuple of str
        The program and its arguments.
    time_limit : float
        Longest time of one run [s].
    """

    pair: str
    output: Path
    starts: tuple[Start, ...]
    command: tuple[str, ...]
    time_limit: float

    @property
    def folder(self) -> Path:
        """The folder of the pair."""
        return self.output / self.pair


def is_physical(labels: PairLabels) -> bool:
    """Tell whether a well is physical: its bond has at least 0.75 x the sum of covalent radii.

    Why, see `twobody.elements.SHORTEST_PHYSICAL_BOND`.
    """
    radii = sum(COVALENT_RADII[symbol] for symbol in labels.geometry.symbols)
    return _number(labels, "distance_ang") >= SHORTEST_PHYSICAL_BOND * radii


def is_done(job: Job) -> bool:
    """Tell whether the pair's outputs are complete and its input is one that `job` would write.

    An input names its starts, its rung and a digest of its Slater-Koster files, so a result of
    whichever rung is recognised, and one of other starts, settings or parameters is not.
    """
    try:
        text = (job.folder / DFTB_IN).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    known = any(text == rung.text for start in job.starts for rung in start.rungs)
    return known and _judge(job.folder)[0] == CONVERGED


def compute_pair(job: Job, stop: threading.Event | None = None) -> list[Attempt]:
    """Compute a pair, log every attempt, and move the lowest physical well into place.

    Where no well is physical it is the lowest; where nothing converged, nothing is moved.

    Raises
    ------
    Stopped
        `stop` was set meanwhile; nothing is logged or moved.
    OSError
        The program cannot be started, or files cannot be written (a full disk).
    """
    with staging(job.output) as kept:
        attempts: list[Attempt] = []
        wells: list[tuple[bool, float, float, int, Path]] = []  # best first when sorted
        for i, start in enumerate(job.starts):
            results = kept / str(i) / job.pair
            attempts += _climb(job, start, results, stop)
            last = attempts[-1]
            if last.energy_ev is not None:
                # Free energies of different temperatures do not compare.
                temperature = start.rungs[last.rung].temperature
                rank = (not last.physical, temperature, last.energy_ev)
                wells.append((*rank, len(attempts) - 1, results))
        if wells:
            *_, best, results = min(wells)
            attempts[best] = replace(attempts[best], chosen=True)
        append(job.output / RUN_LOG, attempts)
        if wells:
            publish_folder(results, job.folder)
    return attempts


def _climb(job: Job, start: Start, results: Path, stop: threading.Event | None) -> list[Attempt]:
    """Try the rungs until one converges, whose files are then in `results`."""
    attempts: list[Attempt] = []
    for i, rung in enumerate(start.rungs):
        results.mkdir(parents=True)
        begin = time.monotonic()
        outcome, reason, labels = _attempt(job, rung.text, results, stop)
        attempts.append(
            Attempt(
                pair=job.pair,
                start_factor=start.factor,
                rung=i,
                settings=rung.settings,
                outcome=outcome,
                reason=reason,
                energy_ev=None if labels is None else _energy(labels),
                bond_length_ang=None if labels is None else _number(labels, "distance_ang"),
                physical=None if labels is None else is_physical(labels),
                chosen=False,
                seconds=round(time.monotonic() - begin, 2),
            )
        )
        if outcome == CONVERGED:
            break
        for path in results.iterdir():
            path.unlink()
        results.rmdir()
    return attempts


def _attempt(
    job: Job, text: str, results: Path, stop: threading.Event | None
) -> tuple[str, str, PairLabels | None]:
    """Run DFTB+ once; return outcome, reason, and the labels of a run that converged."""
    # The scratch folder lies beside the pair's, so that the relative path of the Slater-Koster
    # files in the input holds in both.
    with staging(job.output) as scratch:
        (scratch / DFTB_IN).write_text(text, encoding="utf-8")
        exit_status = _run(job.command, scratch, job.time_limit, stop)
        if exit_status is None:
            return "timed out", f"more than {job.time_limit:g} s", None
        if exit_status != 0:
            return *_failure(exit_status, scratch / _PROGRAM_OUTPUT), None
        for name in (DFTB_IN, *OUTPUTS):
            if (scratch / name).exists():
                (scratch / name).rename(results / name)
    return _judge(results)


def _run(
    command: Sequence[str], folder: Path, time_limit: float, stop: threading.Event | None
) -> int | None:
    """Run the program in `folder`; return its exit status, or None where time ran out."""
    with (folder / _PROGRAM_OUTPUT).open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  the user names the program
            command,
            cwd=folder,
            env=os.environ | _ONE_THREAD,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, which can be killed whole
        )
    deadline = time.monotonic() + time_limit
    try:
        while (left := deadline - time.monotonic()) > 0:
            try:
                return process.wait(min(left, _POLL))
            except subprocess.TimeoutExpired:
                if stop is not None and stop.is_set():
                    raise Stopped from None
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _failure(exit_status: int, output: Path) -> tuple[str, str]:
    """Return outcome and reason of a run that ended with an error."""
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - _TAIL))
        tail = file.read().decode(errors="replace")
    words = " ".join("".join(c if c.isprintable() else " " for c in tail[-300:]).split())
    how = f"signal {-exit_status}" if exit_status < 0 else f"exit status {exit_status}"
    outcome = "SCC not converged" if _SCC_FAILED in tail else "crashed"
    return outcome, f"{how}: {words or 'no output'}"


def _judge(folder: Path) -> tuple[str, str, PairLabels | None]:
    """Read the outputs in `folder`; return outcome, reason, and the labels where all is well."""
    labels, errors = collect_pair(folder)
    if labels is None:
        return "output incomplete", f"{Path(errors[0].path).name}: {errors[0].reason}", None
    if labels.labels["scc_converged"] == 0.0:  # missing in a run without SCC
        return "SCC not converged", _SCC_FAILED, None
    if labels.labels["geom_converged"] != 1.0:
        return "geometry not converged", "the steps ran out", None
    return CONVERGED, "", labels


def _energy(labels: PairLabels) -> float:
    """Return what the optimiser minimises [eV]: the Mermin free energy, if the output has one."""
    mermin = labels.labels["mermin_free_energy_ev"]
    return _number(labels, "total_energy_ev" if mermin is None else "mermin_free_energy_ev")


def _number(labels: PairLabels, name: str) -> float:
    value = labels.labels[name]
    if not isinstance(value, float):
        raise TypeError(f"{name} is {value!r}, no number")
    return value
