"""Targets on one scale, on which networks and processes learn them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.targets import METAL_LIKE

_Float = NDArray[np.float64]

ENERGIES = ("total_energy_ev", "mermin_free_energy_ev", "band_energy_ev")
"""Learned as what the fit of elements leaves of them: `Features.sums` with a ridge."""
LOGARITHMS = ("softness_evinv", "electrophilicity_ev")
"""Learned as their logarithms: they are inverse gaps and span two orders of magnitude."""
ROOTS = ("repulsive_energy_ev",)
"""Learned as its square root: it falls by twelve orders of magnitude with the bond length."""
NON_NEGATIVE = ("e_g_ev", "dipole_mag_d", "q_absmean")
STRENGTH = 0.3
"""Of the ridge."""


@dataclass(frozen=True)
class Scaler:
    """Brings the targets to one scale and back, with numbers of the training part.

    The scale is the mean absolute deviation from the median. Energies are what a ridge on the sums
    over both atoms leaves of them, which is the additive model where elements are named.
    """

    targets: tuple[str, ...]
    weights: dict[str, _Float]
    center: _Float
    spread: _Float

    @classmethod
    def fit(cls, targets: Sequence[str], labels: Mapping[str, _Float], sums: _Float) -> Scaler:
        """Fit the ridge and the scale on the training part."""
        design = _design(sums)
        weights = {name: _ridge(design, labels[name]) for name in targets if name in ENERGIES}
        bare = cls(tuple(targets), weights, np.zeros(len(targets)), np.ones(len(targets)))
        rows = bare.scaled(labels, sums)
        center = np.nanmedian(rows, axis=0)
        deviation = np.nanmean(np.abs(rows - center), axis=0)
        return cls(bare.targets, weights, center, np.where(deviation > 0, deviation, 1.0))

    @classmethod
    def of(cls, targets: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> Scaler:
        """Make it of what `arrays` gave."""
        weights = {name: arrays[name] for name in targets if name in ENERGIES}
        return cls(tuple(targets), weights, arrays["center"], arrays["spread"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the numbers by name."""
        return {**self.weights, "center": self.center, "spread": self.spread}

    def scaled(self, labels: Mapping[str, _Float], sums: _Float) -> _Float:
        """Return float64 [n, n_targets], NaN where a label is missing."""
        columns = [self._learned(name, labels[name], sums) for name in self.targets]
        return (np.stack(columns, axis=1) - self.center) / self.spread

    def labels(self, scaled: _Float, sums: _Float) -> dict[str, _Float]:
        """Return predictions under the labels' names, in their units."""
        columns = (scaled * self.spread + self.center).T
        return {
            name: self._label(name, column, sums)
            for name, column in zip(self.targets, columns, strict=True)
        }

    def _learned(self, name: str, label: _Float, sums: _Float) -> _Float:
        if name in self.weights:
            return label - _design(sums) @ self.weights[name]
        if name in LOGARITHMS:
            return np.log(label)
        return np.sqrt(label) if name in ROOTS else label

    def _label(self, name: str, learned: _Float, sums: _Float) -> _Float:
        if name in self.weights:
            return learned + _design(sums) @ self.weights[name]
        if name in LOGARITHMS:
            return np.exp(learned)
        return learned.clip(0.0) ** 2 if name in ROOTS else learned


def consistent(predictions: Mapping[str, _Float], metal: _Float) -> dict[str, _Float]:
    """Bring predictions together: what is rather a metal has no gap, and magnitudes are >= 0.

    Parameters
    ----------
    predictions : dict of str to float64 [n]
    metal : float64 [n]
        Probability of ``metal_like``, which comes into what is returned.
    """
    result = {**predictions, METAL_LIKE: metal.clip(0.0, 1.0)}
    for name in NON_NEGATIVE:
        if name in result:
            result[name] = result[name].clip(0.0)
    # The median of a gap that is 0 with a probability above one half.
    result["e_g_ev"] = np.where(metal > 0.5, 0.0, result["e_g_ev"])
    return result


def _design(sums: _Float) -> _Float:
    return np.concatenate([sums, np.ones((len(sums), 1))], axis=1)


def _ridge(design: _Float, y: _Float) -> _Float:
    penalty = STRENGTH * np.eye(design.shape[1])
    penalty[-1, -1] = 0.0  # not of the constant
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ y)
    return np.asarray(solution, np.float64)
