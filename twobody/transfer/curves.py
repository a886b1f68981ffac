"""Learning curves: every arm at every number of structures, with rates that are chosen alike."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from twobody.benchmark.task import Samples, all_samples
from twobody.errors import ParseError
from twobody.models.runner import in_processes, pairs_of
from twobody.transfer import QM9
from twobody.transfer.crysmtm import crysmtm
from twobody.transfer.finetune import RATES, Learner, n_steps
from twobody.transfer.pretrain import weights_sha256
from twobody.transfer.qm9 import qm9
from twobody.transfer.records import (
    Outcome,
    Run,
    read_outcome,
    run_file,
    write_outcome,
    write_values,
)
from twobody.transfer.structures import Source

QUICK_STEPS = 20


@dataclass(frozen=True)
class Origin:
    """Where structures come from: one of `twobody.transfer.DATA`, a folder, a molecule of MD17."""

    data: str
    root: Path | None = None
    molecule: str | None = None

    def source(self, n_train: int | None) -> Source:
        """Read the structures, with as many to train on as are asked for, or with all.

        Raises
        ------
        ParseError
            They are not there, or not what they have to be.
        ValueError
            A folder or a molecule is not named, or there are too few structures.
        """
        if self.data in QM9:
            return qm9(self.data, 10_000 if n_train is None else n_train, self.root)
        if self.root is None:
            raise ValueError(f"{self.data} needs --root, the folder where its files lie")
        if self.data == "md17":
            from twobody.transfer.md17 import md17  # noqa: PLC0415 - loads torch_geometric

            if self.molecule is None:
                raise ValueError("md17 needs --molecule, ethanol for instance")
            source = md17(self.root, self.molecule)
        else:
            source = crysmtm(self.root, self.data.removeprefix("crysmtm-"))
        return source if n_train is None else source.limited(n_train)


@dataclass(frozen=True)
class Settings:
    """What all trainings share; `most` is the largest number of structures."""

    origin: Origin
    most: int
    archive: Path
    device: str


def train(run: Run, settings: Settings) -> Outcome:
    """Do one training."""
    source = _source(settings.origin, settings.most).limited(run.n_train)
    with same_every_time():
        learner = Learner(run, source, _pairs(settings.archive), settings.device)
        return learner.train(n_steps(run.n_train))


@contextmanager
def same_every_time() -> Iterator[None]:
    """Let a card add up over neighbours in one order: slower by a tenth."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@cache
def _source(origin: Origin, most: int) -> Source:
    return origin.source(most)


@cache
def _pairs(archive: Path) -> Samples:
    return all_samples(pairs_of(archive), "geometry")


def train_missing(
    runs: Iterable[Run], folder: Path, settings: Settings, jobs: int
) -> dict[Run, Outcome | Exception]:
    """Read what the folder holds of some runs, train the others, and keep each as it comes.

    Raises
    ------
    ParseError
        What is held is damaged, or began with other weights.
    """
    found: dict[Run, Outcome | Exception] = {}
    missing = []
    for run in runs:
        path = run_file(folder, run)
        if not path.exists():
            missing.append(run)
            continue
        held = found[run] = read_outcome(path)[1]
        if held.weights != (weights := weights_sha256(run.model)):
            expected = f"weights of SHA-256 {weights[:12]}…"
            raise ParseError(path, 1, expected, f"{held.weights[:12]}…; move it away")
    with tqdm(total=len(missing), unit="training", disable=None) as bar:
        for run, outcome in in_processes(partial(train, settings=settings), missing, jobs):
            bar.update(1)
            if isinstance(outcome, Exception):
                bar.write(f"{run}: {outcome}")
            else:
                write_outcome(folder, run, outcome)
            found[run] = outcome
    return found


def learning_curves(
    models: Sequence[str],
    arms: Sequence[str],
    sizes: Sequence[int],
    n_seeds: int,
    folder: Path,
    settings: Settings,
    jobs: int,
    source: Source,
) -> int:
    """Train what the folder lacks; return how many trainings failed.

    The rate of each model and arm is tried at the size in the middle, with the first seed, and
    chosen on validation: an arm of which a trial failed is not trained further.
    """
    write_values(folder, source)
    middle = sorted(sizes)[(len(sizes) - 1) // 2]
    cells = list(product(models, arms))
    tried = [
        Run(source.name, model, arm, middle, rate, 0)
        for model, arm in cells
        for rate in RATES[model]
    ]
    outcomes = train_missing(tried, folder, settings, jobs)
    runs = []
    for model, arm in cells:
        errors = {
            run.rate: outcome.validation_error
            for run, outcome in outcomes.items()
            if (run.model, run.arm) == (model, arm) and isinstance(outcome, Outcome)
        }
        if len(errors) == len(RATES[model]):  # or else the next call tries again what failed
            rate = min(errors, key=errors.__getitem__)
            runs += [
                Run(source.name, model, arm, size, rate, seed)
                for size in sizes
                for seed in range(n_seeds)
            ]
    runs.sort(key=lambda run: -run.n_train)  # the longest first: none is waited for at the end
    outcomes |= train_missing(runs, folder, settings, jobs)
    return sum(isinstance(outcome, Exception) for outcome in outcomes.values())


def try_out(
    models: Sequence[str], arms: Sequence[str], size: int, settings: Settings, source: Source
) -> Iterator[str]:
    """Train each arm for a few steps; yield its errors in a line."""
    source = source.limited(size)
    truth = source.structures.take(source.test).targets
    for model, arm in product(models, arms):
        run = Run(source.name, model, arm, size, RATES[model][1], 0)
        learner = Learner(run, source, _pairs(settings.archive), settings.device)
        outcome = learner.train(QUICK_STEPS)
        errors = [
            f"{name} {np.nanmean(np.abs(values - truth[name])):.3g}"
            for name, values in outcome.predictions.items()
        ]
        yield f"{run}: {outcome.seconds:.1f} s, MAE {', '.join(errors)}"
