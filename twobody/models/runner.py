"""Run models: fold by fold, in one process or several, never what results already hold.

Each training leaves a small file in ``results/partial``, so that a run that was killed is taken up
where it ended. The last training of a row turns these into its file of predictions.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from twobody.archive import read
from twobody.benchmark.predictions import Predictions, rounded
from twobody.benchmark.results import CURVE, Result, Run, prediction_file, read_result, write_result
from twobody.benchmark.splits import FOLDS
from twobody.benchmark.targets import METAL_LIKE
from twobody.benchmark.task import Samples, Task
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.models import MODELS
from twobody.pairs import Pairs
from twobody.progress import n_cores
from twobody.text import read_text

PARTIAL = "partial"

Item = TypeVar("Item")
Output = TypeVar("Output")


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard, or of a learning curve: `train_pairs` with those of validation."""

    model: str
    split: str
    track: str
    train_pairs: int | None = None

    @property
    def name(self) -> str:
        """The name in files."""
        return self.model if self.train_pairs is None else f"{self.model}_{self.train_pairs}"


@dataclass(frozen=True)
class Training:
    """One model trained on one fold with one seed."""

    row: Row
    fold: int
    seed: int

    def __str__(self) -> str:
        row = self.row
        return f"{row.name} on {row.split}-{row.track}, fold {self.fold}, seed {self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What a training gave: predictions of the fold's test part, and what is said of them."""

    predictions: dict[str, list[float]]
    seconds: float
    parameters: int
    device: str
    labels: str


@dataclass(frozen=True)
class Settings:
    """How to train: `archive`, `device` ("cpu", "cuda", ...), and `quick` for a few epochs only."""

    archive: Path
    device: str = "cpu"
    quick: bool = False


def train(training: Training, settings: Settings) -> Outcome:
    """Train a model on a fold and predict its test part."""
    row, info = training.row, MODELS[training.row.model]
    task = _task(settings.archive, row.split, row.track, info.encoding)
    fold = task.fold(training.fold)
    labels = (*task.targets, METAL_LIKE)
    model = info.factory(training.seed, labels, settings.device, settings.quick, row.split)
    n, train_part, validation = row.train_pairs, fold.train, fold.validation
    if n is not None:  # shared as a whole fold of `pair` is: nine to one
        train_part, validation = smaller(train_part, n - n // 10), smaller(validation, n // 10)
    start = time.perf_counter()  # not before: the first model of a process imports its library
    model.fit(train_part, validation)
    predictions = model.predict(fold.test)
    seconds = time.perf_counter() - start
    task.record(fold, predictions, training.seed)
    return Outcome(
        {label: rounded(np.asarray(v, np.float64)).tolist() for label, v in predictions.items()},
        round(seconds, 2),
        int(getattr(model, "n_parameters", 0)),
        device_name(str(getattr(model, "device", "cpu"))),
        task.digest,
    )


def smaller(samples: Samples, n: int) -> Samples:
    """Return n of the samples, the same every time; those of a smaller n are among them."""
    names = samples.names.tolist()
    order = sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).digest())
    return samples.take(np.sort(order[:n]))


@cache
def pairs_of(archive: Path) -> Pairs:
    """Read an archive, once in each process."""
    return read(archive)


@cache
def _task(archive: Path, split: str, track: str, encoding: str | None) -> Task:
    encoding = encoding if track == "density" else None
    return Task(split, track, archive, encoding, pairs=pairs_of(archive))


def device_name(device: str) -> str:
    """Return the name of the card, or "cpu"."""
    if not device.startswith("cuda"):
        return device
    import torch  # noqa: PLC0415 - only a model that runs there has imported it

    return str(torch.cuda.get_device_name(device))


def in_processes(
    function: Callable[[Item], Output], items: Sequence[Item], jobs: int
) -> Iterator[tuple[Item, Output | Exception]]:
    """Call a function in this process, or in several; yield what comes out, or the error."""
    if jobs == 1:
        for item in items:
            yield item, _result_or_error(function, item)
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, n_cores() // jobs)))  # the workers inherit
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    with ProcessPoolExecutor(jobs, context, _die_with_parent) as pool:
        futures = {pool.submit(_result_or_error, function, item): item for item in items}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _result_or_error(function: Callable[[Item], Output], item: Item) -> Output | Exception:
    try:
        return function(item)
    except Exception as error:  # noqa: BLE001 - a model may fail in any way; others go on
        # Not the error itself, which may not survive the way from another process.
        kept = isinstance(error, (ParseError, OSError))
        return error if kept else RuntimeError(_one_line(error))


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _die_with_parent() -> None:
    """End this worker when the process that started it is gone, killed for instance."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class Ledger:
    """What results hold of a row, and what they lack.

    Parameters
    ----------
    results : Path
    row : Row
    n_seeds : int
        Seeds 0 to `n_seeds` - 1 are wanted; 0 alone of a model that is not seeded.
    labels : str
        The digest of the archive's labels.

    Raises
    ------
    ParseError
        What is held is damaged, or of another archive.
    """

    def __init__(self, results: Path, row: Row, n_seeds: int, labels: str) -> None:
        root = results if row.train_pairs is None else results / CURVE
        self._root, self._row, self._labels = root, row, labels
        self.file = prediction_file(root, row.name, row.split, row.track)
        self._stored = read_result(self.file, labels) if self.file.exists() else None
        stored = self._stored.run.seeds if self._stored else ()
        wanted = range(n_seeds if MODELS[row.model].seeded else 1)
        self._new_seeds = tuple(seed for seed in wanted if seed not in stored)
        new = [Training(row, fold, seed) for seed in self._new_seeds for fold in FOLDS[row.split]]
        self._outcomes = {training: self._read(training) for training in new}

    @property
    def pending(self) -> list[Training]:
        """The trainings that are wanted and not held."""
        return [training for training, outcome in self._outcomes.items() if outcome is None]

    def keep(self, training: Training, outcome: Outcome) -> None:
        """Write what came out of a training to ``partial``."""
        path = self._partial(training)
        path.parent.mkdir(parents=True, exist_ok=True)
        with staging(path.parent) as staged:
            (staged / "outcome").write_text(json.dumps(asdict(outcome)), encoding="utf-8")
            publish([(staged / "outcome", path)], path.parent)
        self._outcomes[training] = outcome

    def finish(self, settings: Settings) -> bool:
        """Turn what was kept into the file of predictions, if it is whole; tell whether it was."""
        outcomes = [outcome for outcome in self._outcomes.values() if outcome is not None]
        if not outcomes or self.pending:
            return False
        row, info = self._row, MODELS[self._row.model]
        labels = outcomes[0].predictions
        columns = {  # of each seed the folds in their order
            label: np.concatenate([np.array(o.predictions[label]) for o in outcomes])
            for label in labels
        }
        columns = {label: c.reshape(len(self._new_seeds), -1) for label, c in columns.items()}
        predictions = Predictions(
            self.file, row.split, row.track, FOLDS[row.split], self._new_seeds, columns
        )
        seconds = sum(outcome.seconds for outcome in outcomes)
        if self._stored:
            predictions = predictions.joined(self._stored.predictions)
            seconds += self._stored.run.seconds
        run = Run(
            row.split,
            row.track,
            predictions.seeds,
            self._labels,
            encoding=(info.encoding or "") if row.track == "density" else "",
            train_pairs=row.train_pairs or 0,
            parameters=max(outcome.parameters for outcome in outcomes),
            seconds=round(seconds, 2),
            device=", ".join(dict.fromkeys(outcome.device for outcome in outcomes)),
            command=_command(row, len(predictions.seeds), settings),
        )
        write_result(self._root, Result(row.name, info.sees, run, predictions))
        for training in self._outcomes:
            self._partial(training).unlink()
        self._partial_folder.rmdir()
        with suppress(OSError):  # other rows have trainings there
            self._partial_folder.parent.rmdir()
        return True

    @property
    def _partial_folder(self) -> Path:
        return self._root / PARTIAL / f"{self._row.name}-{self._row.split}-{self._row.track}"

    def _partial(self, training: Training) -> Path:
        return self._partial_folder / f"{training.fold}-{training.seed}.json"

    def _read(self, training: Training) -> Outcome | None:
        path = self._partial(training)
        if not path.exists():
            return None
        try:
            outcome = Outcome(**json.loads(read_text(path)))
        except (ValueError, TypeError) as error:
            raise ParseError(path, None, "the outcome of a training", str(error)) from error
        if outcome.labels != self._labels:
            expected = f"labels of SHA-256 {self._labels[:12]}…"
            raise ParseError(path, None, expected, f"{outcome.labels[:12]}…")
        return outcome


def _command(row: Row, n_seeds: int, settings: Settings) -> str:
    words = ["python benchmark.py run", row.model, "--split", row.split, "--track", row.track]
    words += ["--seeds", str(n_seeds), "--device", settings.device]
    words += [] if row.train_pairs is None else ["--train-pairs", str(row.train_pairs)]
    return " ".join(words)
