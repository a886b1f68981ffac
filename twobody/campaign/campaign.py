"""Compute many pairs: plan, resume, progress, run log, and an account of what came of it."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from twobody.campaign.hsd_input import Settings, describe, input_text, ladder
from twobody.campaign.pools import CLUSTER_LOST, Compute
from twobody.campaign.run import CONVERGED, DFTB_IN, OUTPUTS, RUN_LOG, Attempt, Job, Rung, is_done
from twobody.campaign.slater_koster import SlaterKosterFiles
from twobody.elements import COVALENT_RADII
from twobody.errors import ParseError
from twobody.files import lock, naming
from twobody.text import counted, quote

_OURS = " x the sum of covalent radii; settings: "  # in the first line of every input


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

    def add(self, job: Job, attempts: Sequence[Attempt]) -> None:
        """Take in the attempts of one pair."""
        chosen = next((attempt for attempt in attempts if attempt.chosen), None)
        last = {attempt.start_factor: attempt for attempt in attempts}  # of each start
        lost = [a for a in last.values() if a.outcome != CONVERGED]
        reasons = "; ".join(f"start {a.start_factor:g} {a.outcome} ({a.reason})" for a in lost)
        if chosen is None:
            if job.folder.exists():
                reasons += f"; {job.folder} holds no result of these settings"
            self.failed[job.pair] = reasons
            return
        self.done.append(job.pair)
        if chosen.rung:
            self.retried[job.pair] = chosen.settings
        if lost:
            self.lost_starts[job.pair] = reasons
        if not chosen.physical:
            self.unphysical.append(job.pair)


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

    A `ParseError` tells of an element without covalent radius, of a Slater-Koster file that is
    missing or damaged, and of what no campaign made in the place of a pair, such as the shipped
    data, which have no inputs: it is never replaced.
    """
    output = output.resolve()
    files = SlaterKosterFiles(skf)
    jobs = []
    chosen = all_pairs(files.elements()) if pairs is None else list(pairs)
    for elements in tqdm(chosen, "planning", unit="pair", disable=None, leave=False):
        for symbol in elements:
            if symbol not in COVALENT_RADII:
                expected = "elements with a covalent radius (H to Cm)"
                raise ParseError(files.folder, None, expected, symbol)
        asked = {factor: replace(settings, start_factor=factor) for factor in starts}
        rungs = {f: _rungs(output, files, elements, asked[f], starts) for f in starts}
        jobs.append(Job("_".join(elements), output, rungs, command, time_limit))
    foreign = {job.folder: what for job in jobs if (what := _foreign(job.folder)) is not None}
    if foreign:
        folder, what = next(iter(foreign.items()))
        expected = f"a folder made by this command (with its {DFTB_IN}), or another --output"
        raise ParseError(folder, None, expected, f"{what} ({counted(len(foreign), 'such pair')})")
    return jobs


def _rungs(
    output: Path,
    files: SlaterKosterFiles,
    elements: tuple[str, str],
    settings: Settings,
    starts: Sequence[float],
) -> tuple[Rung, ...]:
    """Make the rungs of a start; one that `settings.extra` makes equal to another is left out.

    The comments name what the settings below them do not: two inputs are equal only where the same
    would be computed, from the same parameters, and compared with the same other starts.
    """
    shells = (files.highest_shell(elements[0]), files.highest_shell(elements[1]))
    prefix = Path(os.path.relpath(files.folder, output / "_".join(elements))).as_posix() + "/"
    all_starts = ", ".join(f"{factor:g}" for factor in starts)
    rungs: dict[str, Rung] = {}
    for name, rung_settings in ladder(settings).items():
        text = input_text(elements, shells, prefix, rung_settings)
        comment = (
            f"# Start {settings.start_factor:g} of {all_starts}{_OURS}{name}.\n"
            f"# SHA-256 of the Slater-Koster files: {files.digest(elements)}\n"
        )
        words = f"{name}: {describe(elements, rung_settings)}"
        rungs.setdefault(text, Rung(words, rung_settings.temperature, comment + text))
    return tuple(rungs.values())


def _foreign(folder: Path) -> str | None:
    """Say what is in the place of a pair that no campaign made; None where all may be replaced."""
    if not folder.is_dir():
        return "something that is not a folder" if os.path.lexists(folder) else None
    files = {path.name: path for path in sorted(folder.iterdir())}
    for name, path in files.items():
        if name not in (DFTB_IN, *OUTPUTS) or not path.is_file():
            return quote(name)
    if DFTB_IN not in files:
        return f"outputs without {DFTB_IN}" if files else None
    text = files[DFTB_IN].read_bytes()  # none where a full disk ended a dry run
    ours = not text or _OURS.encode() in text.partition(b"\n")[0]
    return None if ours else f"another {DFTB_IN}"


def write_inputs(output: Path, jobs: Sequence[Job]) -> tuple[int, int]:
    """Write the first input of each pair into its folder; return how many were written, and kept.

    Folders that hold outputs are kept as they are: a new input beside them would be a lie.
    """
    with _only_campaign(output):
        new = [job for job in jobs if not any((job.folder / name).exists() for name in OUTPUTS)]
        for job in new:
            job.folder.mkdir(exist_ok=True)
            first, *_ = job.starts.values()
            (job.folder / DFTB_IN).write_text(first[0].text, encoding="utf-8")
    return len(new), len(jobs) - len(new)


def run_campaign(output: Path, jobs: Sequence[Job], workers: Executor, compute: Compute) -> Account:
    """Compute the pairs that are not done, and log their attempts; the others are resumed.

    An OSError tells why no pair can be computed: another campaign is at work in `output`, files
    cannot be written, the program not started, or the cluster not reached. Ctrl-C, SIGTERM and
    SIGHUP are a KeyboardInterrupt.
    """
    account = Account()
    futures: dict[Future[list[Attempt]], Job] = {}
    with _signals(), _only_campaign(output) as log:
        end = (output / RUN_LOG).read_bytes().rfind(b"\n") + 1
        log.truncate(end)  # a row that a kill cut off
        rows = csv.writer(log, lineterminator="\n")
        if end == 0:
            rows.writerow(Attempt._fields)
        try:
            for job in tqdm(jobs, "looking for done pairs", unit="pair", disable=None, leave=False):
                if is_done(job):
                    account.resumed.append(job.pair)
                else:
                    futures[workers.submit(compute, job)] = job
            with tqdm(total=len(futures), desc="computing", unit="pair", disable=None) as bar:
                for future in as_completed(futures):
                    attempts = _attempts(futures[future], future)
                    account.add(futures[future], attempts)
                    for attempt in attempts:
                        rows.writerow(int(v) if isinstance(v, bool) else v for v in attempt)
                    log.flush()
                    bar.set_postfix(account.counts(), refresh=False)
                    bar.update()
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return account


def _attempts(job: Job, future: Future[list[Attempt]]) -> list[Attempt]:
    """Return what came of a pair; an error that nobody foresaw fails this pair and no other."""
    if future.cancelled():
        raise ConnectionError(CLUSTER_LOST)
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, OSError):
        raise error
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    factor, rungs = next(iter(job.starts.items()))
    return [Attempt(job.pair, factor, 0, rungs[0].settings, "lost", reason)]


@contextmanager
def _only_campaign(output: Path) -> Iterator[TextIO]:
    """Open the run log, and keep other campaigns out of the folder until it is closed."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / RUN_LOG
    if os.path.lexists(path) and not path.is_file():
        raise ParseError(path, None, "a regular file, or nothing", "something else")
    try:
        log_file = path.open("a", newline="", encoding="utf-8")
        with naming(output), log_file as log:
            lock(log.fileno(), wait=False)
            yield log
    except BlockingIOError as error:
        raise BlockingIOError(f"{output}: another campaign is at work in this folder") from error


@contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, of batch systems and lost terminals, do what Ctrl-C does."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # nohup
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
