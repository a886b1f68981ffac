"""Scores of predictions: errors, the constant's, and intervals by a bootstrap over elements.

Pairs share elements, so their errors are not independent: a draw takes as many elements as there
are, with replacement, and weighs a pair by the product of how often its elements were drawn. This
is the two-way bootstrap of A. B. Owen, Ann. Appl. Stat. 1, 386 (2007), doi:10.1214/07-AOAS122, with
the same elements for rows and columns. The weight of a homonuclear pair is how often its one
element was drawn: on average 1, as (but for 1/75) that of any other pair, where the square would
weigh it twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twobody.benchmark.predictions import Predictions, ScoredRows
from twobody.benchmark.splits import PARTS, read_splits
from twobody.benchmark.targets import (
    ABS_DIPOLE_Z,
    DERIVED,
    METAL_LIKE,
    TARGETS,
    UNITS,
    with_derived,
)
from twobody.errors import ParseError
from twobody.labels import AU_TO_DEBYE, HARTREE_TO_EV
from twobody.pairs import Pairs

N_DRAWS = 1000
COVERAGE = 0.95

_OTHER_UNITS: dict[str, dict[str, float]] = {
    "eV": {"hartree": HARTREE_TO_EV, "kcal/mol": 0.0433641, "kJ/mol": 0.0103643, "meV": 1e-3},
    "1/eV": {"1/hartree": 1 / HARTREE_TO_EV},
    "Å": {"bohr": 0.529177210903, "pm": 0.01, "nm": 10.0},  # CODATA 2018
    "D": {"e bohr": AU_TO_DEBYE, "e Å": 4.80320471},
}
"""For the units of the targets: others, and what their numbers have to be multiplied by."""

_Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of predictions of a label in a part.

    Attributes
    ----------
    mae, rmse : float
        In the label's unit.
    draws : float64 [B]
        The MAE in each draw of the bootstrap.
    """

    mae: float
    rmse: float
    draws: _Float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the MAE."""
        return _interval(self.draws)


@dataclass(frozen=True, eq=False)
class Score:
    """How well a label is predicted in a part.

    Attributes
    ----------
    n : int
        Predictions that have a true value; a pair counts once per fold that tests it.
    constant : float
        MAE of the median over the pairs that the fold does not test.
    single, ensemble : Errors
        Of single models (the mean over seeds), and of the mean of their predictions.
    """

    n: int
    constant: float
    single: Errors
    ensemble: Errors


@dataclass(frozen=True)
class Classification:
    """How well a flag is predicted: 0.5 is chance, 1 is perfect.

    Attributes
    ----------
    balanced_accuracy : float
        The mean of the shares of both classes that are found, with a threshold of 0.5.
    auroc : float
        The area under the receiver operating characteristic.
    """

    balanced_accuracy: float
    auroc: float


def separable(errors: Errors, best: Errors) -> bool:
    """Tell whether errors differ from the best under the same draws: 0 is not in the interval."""
    low, _ = _interval(errors.draws - best.draws)
    return low > 0


def element_draws(atomic_numbers: NDArray[np.int64], n_draws: int = N_DRAWS) -> _Float:
    """Draw elements with replacement; return the weight of each pair in each draw.

    Parameters
    ----------
    atomic_numbers : int64 [N, 2]
    n_draws : int

    Returns
    -------
    float64 [n_draws, N]
        The same every time.
    """
    elements, index = np.unique(atomic_numbers, return_inverse=True)
    n = len(elements)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=n_draws).astype(float)
    first, second = index.reshape(-1, 2).T
    return np.where(first == second, counts[:, first], counts[:, first] * counts[:, second])


class Evaluator:
    """Scores predictions against the labels of an archive.

    Parameters
    ----------
    pairs : Pairs
        Those of the splits, in their order.

    Attributes
    ----------
    labels : dict of str to float64 [N]
        The truth: targets, derived ones and the flag; NaN where missing.
    digest : str
        SHA-256 of names and labels: with that of the splits the identity of a result.
    """

    def __init__(self, pairs: Pairs) -> None:
        names, cells = read_splits()
        if not np.array_equal(pairs.names, names):
            different = set(names.tolist()) ^ set(pairs.names.tolist())
            found = f"{len(pairs.names)} pairs, {min(different, default='in another order')}"
            found += " in one of both only" if different else ""
            raise ParseError(pairs.path, None, f"the {len(names)} pairs of the benchmark", found)
        self.labels = {name: pairs.label(name) for name in UNITS if name != ABS_DIPOLE_Z}
        self.labels[ABS_DIPOLE_Z] = np.abs(pairs.label("dipole_z_d"))
        self.digest = labels_digest(pairs.names, self.labels)
        self._weights = element_draws(pairs.atomic_numbers)
        tested = {fold: np.char.startswith(role, "C") for fold, role in cells.items()}
        self._medians = {
            name: {fold: np.nanmedian(values[~held]) for fold, held in tested.items()}
            for name, values in self.labels.items()
        }

    def scores(self, predictions: Predictions) -> dict[tuple[str, str], Score]:
        """Score every predicted and derived target in every part, under (part, label).

        Raises
        ------
        ParseError
            Values are those of another unit.
        """
        self.check_units(predictions)
        rows, values = predictions.rows, with_derived(predictions.columns)
        parts = {}
        errors = []  # of single models and of the ensemble, for the draws of all at once
        for label in (name for name in (*TARGETS, *DERIVED) if name in values):
            constant = self._constant(predictions.split, label, rows)
            truth = self.labels[label][rows.pairs]
            for part in PARTS[predictions.split]:
                scored = (rows.parts == part) & ~np.isnan(truth)
                single = np.abs(values[label] - truth)[:, scored]
                ensemble = np.abs(values[label].mean(axis=0) - truth)[None, scored]
                parts[part, label] = single, ensemble, np.abs(constant - truth)[scored]
                errors += [
                    (rows.pairs[scored], single.mean(axis=0)),
                    (rows.pairs[scored], ensemble[0]),
                ]
        draws = iter(self._draws(errors))
        return {
            key: Score(
                n=len(constant),
                constant=_mean(constant),
                single=Errors(_mean(single), _rmse(single), next(draws)),
                ensemble=Errors(_mean(ensemble), _rmse(ensemble), next(draws)),
            )
            for key, (single, ensemble, constant) in parts.items()
        }

    def classifications(
        self, predictions: Predictions
    ) -> dict[str, tuple[Classification, Classification]]:
        """Score the flag `metal_like`, if it was predicted, in every part: single, ensemble."""
        if METAL_LIKE not in predictions.columns:
            return {}
        rows, values = predictions.rows, predictions.columns[METAL_LIKE]
        results = {}
        for part in PARTS[predictions.split]:
            inside = rows.parts == part
            truth = self.labels[METAL_LIKE][rows.pairs[inside]] == 1
            of_seeds = [_classification(truth, seed[inside]) for seed in values]
            single = Classification(
                float(np.mean([one.balanced_accuracy for one in of_seeds])),
                float(np.mean([one.auroc for one in of_seeds])),
            )
            results[part] = single, _classification(truth, values.mean(axis=0)[inside])
        return results

    def frame(self, predictions: Predictions) -> pd.DataFrame:
        """Return the scores as a table, a row per part and label."""
        records = []
        for (part, label), score in self.scores(predictions).items():
            record = {"part": part, "label": label, "unit": UNITS[label], "n": score.n}
            record |= {"derived": label in DERIVED}
            for prefix, errors in (("", score.single), ("ensemble_", score.ensemble)):
                low, high = errors.interval
                record |= {f"{prefix}mae": errors.mae, f"{prefix}low": low, f"{prefix}high": high}
                record |= {f"{prefix}rmse": errors.rmse}
                record |= {f"{prefix}ratio": errors.mae / score.constant}
            records.append(record)
        for part, classes in self.classifications(predictions).items():
            record = {"part": part, "label": METAL_LIKE, "unit": UNITS[METAL_LIKE]}
            record |= {"n": int((predictions.rows.parts == part).sum()), "derived": False}
            for prefix, one in zip(("", "ensemble_"), classes, strict=True):
                record[f"{prefix}balanced_accuracy"] = one.balanced_accuracy
                record[f"{prefix}auroc"] = one.auroc
            records.append(record)
        return pd.DataFrame(records).set_index(["part", "label"])

    def check_units(self, predictions: Predictions) -> None:
        """Refuse values that are right in another unit and worse than a constant in theirs."""
        rows = predictions.rows
        for label, values in predictions.columns.items():
            truth = self.labels[label][rows.pairs]
            error = float(np.nanmean(np.abs(values - truth)))
            medians = self._constant(predictions.split, label, rows)
            constant = float(np.nanmean(np.abs(medians - truth)))
            for unit, factor in _OTHER_UNITS.get(UNITS[label], {}).items():
                converted = float(np.nanmean(np.abs(values * factor - truth)))
                if converted < min(error / 4, constant / 2) and error > constant:
                    expected = f"{label} in {UNITS[label]}"
                    raise ParseError(predictions.path, None, expected, f"values in {unit}")

    def _draws(self, errors: Sequence[tuple[NDArray[np.int64], _Float]]) -> _Float:
        """Return the mean of errors of pairs in every draw, NaN where a draw has none of the pairs.

        Parameters
        ----------
        errors : K times int64 [n], float64 [n]

        Returns
        -------
        float64 [K, B]
        """
        n = self._weights.shape[1]
        sums = [np.bincount(pairs, values, n) for pairs, values in errors]
        counts = [np.bincount(pairs, minlength=n) for pairs, _ in errors]
        total, weight = (self._weights @ np.array(each, float).T for each in (sums, counts))
        with np.errstate(invalid="ignore"):
            return np.asarray((total / weight).T)

    def _constant(self, split: str, label: str, rows: ScoredRows) -> _Float:
        """Return, for each test row, the median over the pairs that its fold does not test."""
        folds, row = np.unique(rows.folds, return_inverse=True)
        medians = [self._medians[label][f"{split}-{fold}"] for fold in folds.tolist()]
        return np.array(medians)[row]


def labels_digest(names: NDArray[np.str_], labels: dict[str, _Float]) -> str:
    """Return the SHA-256 of names and labels, whatever else the archive holds."""
    digest = hashlib.sha256("\n".join(names.tolist()).encode())
    for name in sorted(labels):
        # One bit pattern for zero and one for a missing value.
        values = np.where(np.isnan(labels[name]), np.nan, labels[name] + 0.0)
        digest.update(f"\0{name}\0".encode() + values.astype("<f8").tobytes())
    return digest.hexdigest()


def _mean(errors: _Float) -> float:
    return float(errors.mean()) if errors.size else np.nan


def _rmse(errors: _Float) -> float:
    """Return the mean over models of their root mean square errors, of float64 [S, n]."""
    return float(np.sqrt((errors**2).mean(axis=1)).mean()) if errors.size else np.nan


def _interval(draws: _Float) -> tuple[float, float]:
    if np.isnan(draws).all():
        return np.nan, np.nan
    tail = (1 - COVERAGE) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def _classification(truth: NDArray[np.bool_], probability: _Float) -> Classification:
    positive, negative = probability[truth], probability[~truth]
    if not len(positive) or not len(negative):
        return Classification(np.nan, np.nan)
    accuracy = ((positive >= 0.5).mean() + (negative < 0.5).mean()) / 2
    # The share of pairs of a positive and a negative that are in order (Mann and Whitney's U).
    ranks = pd.Series(probability).rank().to_numpy()[truth]
    above = ranks.sum() - len(positive) * (len(positive) + 1) / 2
    return Classification(float(accuracy), float(above / len(positive) / len(negative)))
