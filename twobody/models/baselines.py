"""Models that a network has to beat: the median, a number per element, boosted trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.targets import METAL_LIKE
from twobody.benchmark.task import Samples
from twobody.models.features import Features, atom_columns, bond_columns, joined, labels_of
from twobody.models.scaling import Scaler, consistent

_Float = NDArray[np.float64]


class Median:
    """Predicts the median of the training part, which minimizes the mean absolute error."""

    n_parameters = 0

    def __init__(self, *, targets: tuple[str, ...], **_: object) -> None:
        self._targets = targets

    def fit(self, train: Samples, validation: Samples) -> None:
        """Take the median of each target, and the share of metals."""
        labels = labels_of(joined(train, validation))
        self._values = {name: float(np.nanmedian(labels[name])) for name in self._targets}
        self._values[METAL_LIKE] = float(labels[METAL_LIKE].mean())

    def predict(self, test: Samples) -> dict[str, _Float]:
        """Return the same number for every pair."""
        return {name: np.full(len(test), value) for name, value in self._values.items()}


class Additive:
    """A number per element and target: a pair is the sum of its two, and a constant (ridge).

    An element without any pair in training adds nothing.
    """

    _STRENGTH = 1.0

    def __init__(self, *, targets: tuple[str, ...], **_: object) -> None:
        self._targets = targets

    def fit(self, train: Samples, validation: Samples) -> None:
        """Solve one ridge regression per target."""
        both = joined(train, validation)
        self._elements = np.unique(both.elements)
        counts = self._counts(both)
        self._fits = {
            name: _ridge_around_mean(counts, values, self._STRENGTH)
            for name, values in labels_of(both).items()
            if name in self._targets
        }
        self.n_parameters = len(self._fits) * (len(self._elements) + 1)

    def predict(self, test: Samples) -> dict[str, _Float]:
        """Return the sums."""
        counts = self._counts(test)
        sums = {name: counts @ numbers + mean for name, (numbers, mean) in self._fits.items()}
        sums[METAL_LIKE] = sums[METAL_LIKE].clip(0.0, 1.0)
        return sums

    def _counts(self, samples: Samples) -> _Float:
        one_hot = samples.elements[..., None] == self._elements
        return np.asarray(one_hot.sum(axis=1), np.float64)


def _ridge_around_mean(counts: _Float, values: _Float, strength: float) -> tuple[_Float, float]:
    known = np.isfinite(values)
    counts, values = counts[known], values[known]
    mean = float(values.mean())
    matrix = counts.T @ counts + strength * np.eye(counts.shape[1])
    numbers = np.linalg.solve(matrix, counts.T @ (values - mean))
    return np.asarray(numbers, np.float64), mean


class Boosting:
    """Histogram gradient boosting of scikit-learn, one model per target, for squared errors.

    For absolute ones, trees could not leave the gap of 0 that most pairs have. Reads the sum, the
    absolute difference and the product of the atoms' columns, which a swap of the atoms does not
    change, and the bond length.
    """

    def __init__(self, *, seed: int, targets: tuple[str, ...], quick: bool, **_: object) -> None:
        self._seed = seed
        self._targets = tuple(name for name in targets if name != METAL_LIKE)
        self._iterations = 5 if quick else 300

    def fit(self, train: Samples, validation: Samples) -> None:
        """Fit the trees."""
        # Imported here so that the models beside it work without scikit-learn.
        from sklearn.ensemble import (  # noqa: PLC0415
            HistGradientBoostingClassifier,
            HistGradientBoostingRegressor,
        )

        both = joined(train, validation)
        labels, self._features = labels_of(both), Features.fit(both, named=False)
        sums = self._features.sums(both)
        self._scaler = Scaler.fit(self._targets, labels, sums)
        settings = {
            "max_iter": self._iterations,
            "learning_rate": 0.1,
            "max_leaf_nodes": 15,
            "min_samples_leaf": 10,
            "l2_regularization": 1.0,
            "early_stopping": False,
            "max_features": 0.5,
            "random_state": self._seed,
        }
        x, y = self._columns(both), self._scaler.scaled(labels, sums)
        self._trees = [
            HistGradientBoostingRegressor(loss="squared_error", **settings).fit(x[known], t[known])
            for t, known in zip(y.T, np.isfinite(y.T), strict=True)
        ]
        self._metal = HistGradientBoostingClassifier(**settings).fit(x, labels[METAL_LIKE])

    def predict(self, test: Samples) -> dict[str, _Float]:
        """Return what the trees say."""
        x = self._columns(test)
        scaled = np.stack([trees.predict(x) for trees in self._trees], axis=1)
        metal = self._metal.predict_proba(x)[:, 1]
        return consistent(self._scaler.labels(scaled, self._features.sums(test)), metal)

    def _columns(self, samples: Samples) -> _Float:
        a, b = atom_columns(samples).swapaxes(0, 1)
        return np.concatenate([a + b, np.abs(a - b), a * b, bond_columns(samples)], axis=1)
