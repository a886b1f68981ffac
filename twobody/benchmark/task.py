"""A task: a split, what may be seen, and labels of which the test part is kept back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from twobody.archive import read
from twobody.archive.layout import SHIPPED
from twobody.benchmark.descriptors import descriptors
from twobody.benchmark.evaluate import Evaluator
from twobody.benchmark.predictions import (
    Predictions,
    check_labels,
    check_values,
    format_predictions,
    rounded,
    scored_rows,
)
from twobody.benchmark.results import Run, format_card
from twobody.benchmark.splits import FOLDS, read_splits
from twobody.benchmark.targets import METAL_LIKE, TRACKS, targets
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.pairs import Pairs
from twobody.text import PathLike

_Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Samples:
    """n pairs as a track shows them; what it does not show is None.

    Attributes
    ----------
    names : str [n]
    elements : str [n, 2]
    atomic_numbers : int64 [n, 2]
    descriptors : float64 [n, 2, D]
        Of each element, known for any; see `twobody.benchmark.descriptors.NAMES`.
    positions : float64 [n, 2, 3]
        [Å]; geometry, density.
    bond_lengths : float64 [n]
        [Å]; geometry, density.
    populations, charges : float64 [n, 2]
        [e]; density.
    orbital_populations : float64 [n, 2, 16]
        [e], orbital (l, m) at l l + l + m, NaN where an atom has no such orbital; density.
    images : float32 [n, C, 32, 32]
        In the task's encoding, if it has one; density.
    encoding : str
    targets : dict of str to float64 [n]
        The targets of the track and `metal_like`, NaN where missing. None for the test part.
    """

    names: NDArray[np.str_]
    elements: NDArray[np.str_]
    atomic_numbers: NDArray[np.int64]
    descriptors: _Float
    positions: _Float | None = None
    bond_lengths: _Float | None = None
    populations: _Float | None = None
    charges: _Float | None = None
    orbital_populations: _Float | None = None
    images: NDArray[np.float32] | None = None
    encoding: str | None = None
    targets: dict[str, _Float] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def take(self, index: ArrayLike) -> Samples:
        """Return the pairs at an index or mask, as copies that lead to no other pair."""
        rows = np.asarray(index)
        taken: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                taken[field.name] = value[rows].copy()
        if self.targets is not None:
            taken["targets"] = {name: values[rows].copy() for name, values in self.targets.items()}
        return replace(self, **taken)


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold: what to train on, what to validate on, and what to predict.

    Attributes
    ----------
    number : int
    train, validation : Samples
        With targets.
    test : Samples
        Without.
    """

    number: int
    train: Samples
    validation: Samples
    test: Samples


class Task:
    """A split of the benchmark on a track.

    Parameters
    ----------
    split : "pair", "element" or "period"
    track : "elements", "geometry" or "density"
    archive : path
        ``dataset_combined.npz``; without it, the same pairs as they come with the package.
    encoding : str, optional
        The images that the track `density` shows.
    pairs : Pairs, optional
        The content of the archive, if it was read before.

    Attributes
    ----------
    targets : tuple of str
        The labels to predict; others follow from them.

    Raises
    ------
    ParseError
        The archive cannot be read, or its pairs are not those of the benchmark.
    ValueError
        There is no such split or track, or it shows no images.

    Examples
    --------
    ::

        task = Task("element", track="geometry")
        for fold in task.folds:
            model.fit(fold.train, fold.validation)
            task.record(fold, model.predict(fold.test))
        task.score()
    """

    def __init__(
        self,
        split: str,
        track: str = "elements",
        archive: PathLike = SHIPPED,
        encoding: str | None = None,
        *,
        pairs: Pairs | None = None,
    ) -> None:
        if split not in FOLDS:
            raise ValueError(f"split {split!r}; known: {', '.join(FOLDS)}")
        if track not in TRACKS:
            raise ValueError(f"track {track!r}; known: {', '.join(TRACKS)}")
        if encoding is not None and track != "density":
            raise ValueError(f"the track {track} shows no images")
        self.split, self.track, self.encoding = split, track, encoding
        self.targets = targets(track)
        pairs = read(archive) if pairs is None else pairs
        self._evaluator = Evaluator(pairs)
        self._samples = all_samples(pairs, track, encoding)
        self._recorded: dict[tuple[int, int], dict[str, _Float]] = {}  # under (fold, seed)

    @property
    def digest(self) -> str:
        """SHA-256 of the names and labels of the archive."""
        return self._evaluator.digest

    @property
    def folds(self) -> Iterator[Fold]:
        """The folds, each made when it is asked for."""
        return map(self.fold, FOLDS[self.split])

    def fold(self, number: int) -> Fold:
        """Return a fold by its number."""
        role = read_splits()[1][f"{self.split}-{number}"].astype("U1")
        test = self._samples.take(role == "C")
        return Fold(
            number,
            train=self._samples.take(role == "T"),
            validation=self._samples.take(role == "V"),
            test=replace(test, targets=None),
        )

    def record(self, fold: Fold | int, predictions: Mapping[str, ArrayLike], seed: int = 0) -> None:
        """Keep the predictions of a fold's test part, rounded to five significant digits.

        Parameters
        ----------
        fold : Fold or int
        predictions : dict of str to float64 [n]
            Some or all of `targets` and, if wanted, the probability of `metal_like`, in the order
            of ``fold.test`` and the units of the labels.
        seed : int
            Tells apart models that are trained on the same fold.

        Raises
        ------
        ParseError
            A label is unknown or leaks, or values are not n finite numbers.
        """
        number = fold if isinstance(fold, int) else fold.number
        rows = scored_rows(self.split, (number,))
        place = f"predictions of fold {number}"
        check_labels(place, None, predictions, self.track)
        values = {label: np.asarray(array, np.float64) for label, array in predictions.items()}
        for label, array in values.items():
            if array.shape != rows.names.shape:
                expected = f"shape {list(rows.names.shape)} for {label}"
                raise ParseError(place, None, expected, f"{list(array.shape)}")
        check_values(place, values, rows.names)
        self._recorded[number, seed] = {label: rounded(array) for label, array in values.items()}

    def predictions(self) -> Predictions:
        """Return what was recorded.

        Raises
        ------
        ParseError
            Nothing was, or folds have other seeds or labels than others.
        """
        place = f"predictions of {self.split}, {self.track}"
        if not self._recorded:
            raise ParseError(place, None, "recorded folds", "none")
        folds = tuple(sorted({fold for fold, _ in self._recorded}))
        seeds = tuple(sorted({seed for _, seed in self._recorded}))
        labels = next(iter(self._recorded.values())).keys()
        for fold in folds:
            for seed in seeds:
                if (fold, seed) not in self._recorded:
                    raise ParseError(place, None, f"fold {fold} with seed {seed}", "none")
                if self._recorded[fold, seed].keys() != labels:
                    found = ", ".join(self._recorded[fold, seed])
                    expected = f"the labels {', '.join(labels)} in fold {fold}"
                    raise ParseError(place, None, expected, found)
        values = {
            label: np.array(
                [np.concatenate([self._recorded[f, seed][label] for f in folds]) for seed in seeds]
            )
            for label in labels
        }
        return Predictions(place, self.split, self.track, folds, seeds, values)

    def score(self) -> pd.DataFrame:
        """Score what was recorded; see `twobody.benchmark.evaluate.Evaluator.frame`."""
        return self._evaluator.frame(self.predictions())

    def save(self, path: PathLike, sees: str = "") -> None:
        """Write the recorded predictions of all folds, and a card beside them.

        Parameters
        ----------
        path : path
            ``NAME.csv.gz``; the card becomes ``NAME.toml``.
        sees : str
            What the model is and sees, in a line.

        Raises
        ------
        ParseError
            A fold is missing.
        """
        path, predictions = Path(path), self.predictions()
        if predictions.folds != FOLDS[self.split]:
            missing = min(set(FOLDS[self.split]) - set(predictions.folds))
            raise ParseError(path, None, f"all folds of {self.split}", f"none of {missing}")
        name = path.name.removesuffix(".csv.gz")
        run = Run(self.split, self.track, predictions.seeds, labels=self.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with staging(path.parent) as staged:
            (staged / "predictions").write_bytes(format_predictions(predictions))
            (staged / "card").write_bytes(format_card(name, sees, [run]))
            moves = [
                (staged / "predictions", path),
                (staged / "card", path.with_name(f"{name}.toml")),
            ]
            publish(moves, path.parent)


def all_samples(pairs: Pairs, track: str, encoding: str | None = None) -> Samples:
    """Return all pairs as a track shows them, with their targets: nothing is kept back."""
    seen: dict[str, Any] = {}
    if track != "elements":
        seen = {"positions": pairs.rows["positions"], "bond_lengths": pairs.rows["bond_length"]}
    if track == "density":
        names = ("populations", "charges", "orbital_populations")
        seen |= {name: pairs.rows[name] for name in names}
    if encoding is not None:
        seen |= {"images": _images(pairs, encoding), "encoding": encoding}
    return Samples(
        names=pairs.names,
        elements=pairs.elements,
        atomic_numbers=pairs.atomic_numbers,
        descriptors=descriptors(pairs.atomic_numbers),
        targets={name: pairs.label(name) for name in (*targets(track), METAL_LIKE)},
        **seen,
    )


@cache
def _images(pairs: Pairs, encoding: str) -> NDArray[np.float32]:
    """Return the images of all pairs; in each process they are made once."""
    stored = pairs.images if encoding == pairs.encoding else None
    images = get_encoding(encoding).encode(pairs) if stored is None else stored
    return images[:]
