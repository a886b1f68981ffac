"""Compute many pairs: plan, executor, resume, progress, and an account of what came of it."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path

from tqdm import tqdm

from twobody.campaign.hsd_input import Settings, describe, input_text, ladder
from twobody.campaign.run import (
    CONVERGED,
    DFTB_IN,
    OUTPUTS,
    Job,
    Rung,
    Start,
    compute_pair,
    is_done,
)
from twobody.campaign.run_log import RUN_LOG, Attempt, append
from twobody.campaign.slater_koster import SlaterKosterFiles
from twobody.elements import COVALENT_RADII
from twobody.errors import ParseError
from twobody.text import counted, quote

Compute = Callable[[Job], list[Attempt]]

_OURS = " x the sum of covalent radii; settings: "  # in the first line of every input

_CLUSTER_TIMEOUT = 30  # s to wait for the scheduler, and for its first worker


@dataclass
class Account:
    """What came of a campaign: names of pairs, and the reason where there is one."""

    resumed: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    retried: dict[str, str] = field(default_factory=dict)  # done with other settings than asked for
    lost_starts: dict[str, str] = field(default_factory=dict)  # done, but not from every start
    unphysical: list[str] = field(default_factory=list)  # done, but no well is physical
    failed: dict[str, str] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Return the numbers that the progress bar shows."""
        names = ("done", "resumed", "retried", "failed")
        return {name: len(getattr(self, name)) for name in names}

    def add(self, attempts: Sequence[Attempt]) -> None:
        """Take in the attempts of one pair."""
        pair = attempts[0].pair
        chosen = next((attempt for attempt in attempts if attempt.chosen), None)
        last = {attempt.start_factor: attempt for attempt in attempts}  # of each start
        lost = [a for a in last.values() if a.outcome != CONVERGED]
        reasons = "; ".join(f"start {a.start_factor:g} {a.outcome} ({a.reason})" for a in lost)
        if chosen is None:
            self.failed[pair] = reasons
            return
        self.done.append(pair)
        if chosen.rung:
            self.retried[pair] = chosen.settings
        if lost:
            self.lost_starts[pair] = reasons
        if not chosen.physical:
            self.unphysical.append(pair)


def all_pairs(elements: Iterable[str]) -> list[tuple[str, str]]:
    """Return every unordered pair, homonuclear ones too, each in alphabetical order."""
    return list(combinations_with_replacement(sorted(set(elements)), 2))


def plan(
    output: Path,
    skf: Path,
    pairs: Iterable[tuple[str, str]] | None,
    settings: Settings,
    starts: Sequence[float],
    time_limit: float,
    command: tuple[str, ...],
) -> list[Job]:
    """Make the jobs of `pairs`, or of all pairs of the elements in `skf`.

    Raises
    ------
    ParseError
        An element has no covalent radius, a Slater-Koster file is missing or damaged, or at the
        place of a pair stands what no campaign made, such as the shipped data, which have no
        inputs: none replaces it.
    """
    output = output.resolve()
    files = SlaterKosterFiles(skf)
    jobs = []
    for elements in all_pairs(files.elements()) if pairs is None else pairs:
        for symbol in elements:
            if symbol not in COVALENT_RADII:
                expected = "elements with a covalent radius (H to Cm)"
                raise ParseError(files.folder, None, expected, symbol)
        job_starts = tuple(
            _start(output, files, elements, replace(settings, start_factor=factor), starts)
            for factor in starts
        )
        jobs.append(Job("_".join(elements), output, job_starts, command, time_limit))
    foreign = [(job.folder, what) for job in jobs if (what := _foreign(job.folder)) is not None]
    if foreign:
        folder, what = foreign[0]
        expected = f"a folder made by this command (with its {DFTB_IN}), or another --output"
        raise ParseError(folder, None, expected, f"{what} ({counted(len(foreign), 'such pair')})")
    return jobs


def _foreign(folder: Path) -> str | None:
    """Say what at the place of a pair no campaign made; None where all may be replaced."""
    if not folder.is_dir():
        return "something that is no folder" if os.path.lexists(folder) else None
    files = {path.name: path for path in sorted(folder.iterdir())}
    for name, path in files.items():
        if name not in (DFTB_IN, *OUTPUTS) or not path.is_file():
            return quote(name)
    if DFTB_IN not in files:
        return f"outputs without {DFTB_IN}" if files else None
    text = files[DFTB_IN].read_bytes()  # none where a full disk ended a dry run
    ours = not text or _OURS.encode() in text.partition(b"\n")[0]
    return None if ours else f"another {DFTB_IN}"


def _has_outputs(job: Job) -> bool:
    return any((job.folder / name).exists() for name in OUTPUTS)


def _start(
    output: Path,
    files: SlaterKosterFiles,
    elements: tuple[str, str],
    settings: Settings,
    starts: Sequence[float],
) -> Start:
    """Make the rungs of one start; a rung that `settings.extra` makes equal to another is left out.

    The comments name what the settings below them do not: two inputs are equal only where the same
    would be computed, from the same parameters, and compared with the same other starts.
    """
    shells = (files.highest_shell(elements[0]), files.highest_shell(elements[1]))
    folder = output / "_".join(elements)
    prefix = Path(os.path.relpath(files.folder, folder)).as_posix() + "/"
    rungs: dict[str, Rung] = {}
    for name, rung_settings in ladder(settings).items():
        text = input_text(elements, shells, prefix, rung_settings)
        comment = (
            f"# Start {settings.start_factor:g} of {', '.join(f'{s:g}' for s in starts)}"
            f"{_OURS}{name}.\n"
            f"# SHA-256 of the Slater-Koster files: {files.digest(elements)}\n"
        )
        words = f"{name}: {describe(elements, rung_settings)}"
        rungs.setdefault(text, Rung(words, rung_settings.temperature, comment + text))
    return Start(settings.start_factor, tuple(rungs.values()))


def write_inputs(jobs: Iterable[Job]) -> tuple[int, int]:
    """Write the first input of each pair into its folder; return how many were written, and kept.

    Folders that hold outputs are kept as they are: a new input beside them would be a lie.
    """
    written = kept = 0
    for job in jobs:
        if _has_outputs(job):
            kept += 1
            continue
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / DFTB_IN).write_text(job.starts[0].rungs[0].text, encoding="utf-8")
        written += 1
    return written, kept


def executor(scheduler: str | None, jobs: int) -> AbstractContextManager[tuple[Executor, Compute]]:
    """Return what runs `jobs` at a time on this machine, or on the Dask cluster of `scheduler`."""
    return _local_executor(jobs) if scheduler is None else _cluster_executor(scheduler)


@contextmanager
def _local_executor(jobs: int) -> Iterator[tuple[Executor, Compute]]:
    """Run `jobs` DFTB+ processes at a time on this machine.

    Threads watch them. The work is done in processes anyway, one a run; a Python process around
    each would only be one more thing to be killed, and one that breaks the whole pool if it is.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as executor:
        try:
            yield executor, partial(compute_pair, stop=stop)
        except BaseException:
            stop.set()
            raise


@contextmanager
def _cluster_executor(address: str) -> Iterator[tuple[Executor, Compute]]:
    """Run DFTB+ on the workers of a Dask cluster, which see the same folders as this machine.

    A pair whose worker is lost is given to another; one that loses several (Dask's setting
    ``distributed.scheduler.allowed-failures``) fails.

    Raises
    ------
    OSError
        The address is none, or no scheduler or no worker answers.
    """
    from distributed import Client  # noqa: PLC0415  an extra; nothing else needs it
    from distributed.comm.addressing import resolve_address  # noqa: PLC0415

    try:
        resolve_address(address)
    except ValueError as error:
        expected = "the address of a scheduler, such as tcp://localhost:8786"
        raise ConnectionError(f"--scheduler: expected {expected}, found {address!r}") from error
    # distributed has types, but not of these two
    client = Client(address, timeout=_CLUSTER_TIMEOUT)  # type: ignore[no-untyped-call]
    with client:
        client.wait_for_workers(1, timeout=_CLUSTER_TIMEOUT)
        executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        try:
            yield executor, compute_pair
        finally:
            executor.shutdown(wait=False)


def find_program(executor: Executor, command: Sequence[str]) -> tuple[str, ...] | None:
    """Return `command` with the full path of its program, found where it will run, or None."""
    path = executor.submit(_which, command[0]).result()
    return None if path is None else (path, *command[1:])


def _which(program: str) -> str | None:
    path = shutil.which(program)
    return None if path is None else str(Path(path).absolute())  # runs have folders of their own


def run_campaign(jobs: Sequence[Job], executor: Executor, compute: Compute) -> Account:
    """Compute the pairs that are not done; the others are resumed.

    Raises
    ------
    OSError
        Files cannot be written, the program not started, or the cluster not reached: then no pair
        can be computed.
    KeyboardInterrupt
        Ctrl-C or SIGTERM.
    """
    account = Account()
    futures: dict[Future[list[Attempt]], Job] = {}
    with _sigterm():
        try:
            for job in tqdm(jobs, "looking for done pairs", unit="pair", disable=None, leave=False):
                if is_done(job):
                    account.resumed.append(job.pair)
                else:
                    futures[executor.submit(compute, job)] = job
            with tqdm(total=len(futures), desc="computing", unit="pair", disable=None) as bar:
                for future in as_completed(futures):
                    _settle(futures[future], future, account)
                    bar.set_postfix(account.counts(), refresh=False)
                    bar.update()
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return account


def _settle(job: Job, future: Future[list[Attempt]], account: Account) -> None:
    """Take the result of a pair into the account."""
    try:
        error = future.exception()
    except CancelledError as cancelled:
        raise ConnectionError("the scheduler of the cluster was lost") from cancelled
    if isinstance(error, OSError):
        raise error
    if error is None:
        account.add(future.result())
    else:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        first = job.starts[0]
        lost = Attempt(
            job.pair, first.factor, 0, first.rungs[0].settings, "lost", reason,
            None, None, None, chosen=False, seconds=0.0,
        )  # fmt: skip
        append(job.output / RUN_LOG, [lost])
        account.add([lost])
    if job.pair in account.failed and job.folder.exists():
        account.failed[job.pair] += f"; {job.folder} holds no result of these settings"


@contextmanager
def _sigterm() -> Iterator[None]:
    """Let SIGTERM, which batch systems send, do what Ctrl-C does."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
