"""The repulsive energy as a formula with one unknown number per element.

It is the Coulomb energy of two nuclei, cut off by smeared charges of widths s_A and s_B ::

    E = Z_A Z_B e^2 / (4 pi eps0 R) erfc(R / sqrt(s_A^2 + s_B^2))

Fits with two free numbers per element, a charge and a width, find the nuclear charge to six digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import erfc

from twobody.benchmark.task import Samples
from twobody.models.features import joined, labels_of

_Float = NDArray[np.float64]
TARGET = "repulsive_energy_ev"

COULOMB = 14.399645
"""e^2 / (4 pi eps0) [eV Å], CODATA 2018."""


def repulsive_energy(charges: _Float, widths: _Float, bond_lengths: _Float) -> _Float:
    """Evaluate the formula.

    Parameters
    ----------
    charges : float64 [n, 2]
        Nuclear charges [e].
    widths : float64 [n, 2]
        s of both atoms [Å].
    bond_lengths : float64 [n]
        [Å]

    Returns
    -------
    float64 [n]
        [eV]
    """
    coulomb = COULOMB * charges.prod(axis=1) / bond_lengths
    return np.asarray(coulomb * erfc(bond_lengths / np.hypot(*widths.T)), np.float64)


class Repulsion:
    """Fits the width of each element by least squares; predicts the repulsive energy alone.

    An element without any pair in training gets the width that a ridge regression of logarithms of
    the others' on their descriptors, and the squares of these, gives it.
    """

    _START = 0.6
    """Width [Å] at which the fit starts."""
    _STRENGTH = 10.0

    def __init__(self, *, quick: bool, **_: object) -> None:
        self._evaluations = 10 if quick else 200

    def fit(self, train: Samples, validation: Samples) -> None:
        """Fit the widths, to square roots of energies, which span twelve orders of magnitude."""
        both = joined(train, validation)
        self._elements, first, index = np.unique(
            both.elements, return_index=True, return_inverse=True
        )
        atoms = index.reshape(both.elements.shape)
        roots = np.sqrt(labels_of(both)[TARGET])

        def residuals(logarithms: _Float) -> _Float:
            energies = _energies(both, np.exp(logarithms[atoms]))
            return np.asarray(np.sqrt(energies) - roots, np.float64)

        def jacobian(logarithms: _Float) -> _Float:
            slopes = _slopes(both, np.exp(logarithms[atoms]))
            one_hot = atoms[..., None] == np.arange(len(self._elements))
            return np.asarray((slopes[..., None] * one_hot).sum(axis=1), np.float64)

        start = np.full(len(self._elements), np.log(self._START))
        fit = least_squares(residuals, start, jacobian, method="lm", max_nfev=self._evaluations)
        self._logarithms = fit.x
        # Elements whose energies hardly depend on their widths say little of these.
        weights = (jacobian(fit.x) ** 2).sum(axis=0)
        weights /= weights + 0.1 * np.median(weights)
        known = both.descriptors.reshape(len(both) * 2, -1)[first]
        self._regression = _Regression.fit(known, fit.x, weights, self._STRENGTH)
        self.n_parameters = len(fit.x)

    def predict(self, test: Samples) -> dict[str, _Float]:
        """Evaluate the formula."""
        logarithms = self._regression(test.descriptors)
        for element, logarithm in zip(self._elements, self._logarithms, strict=True):
            logarithms[test.elements == element] = logarithm
        return {TARGET: _energies(test, np.exp(logarithms))}


def _energies(samples: Samples, widths: _Float) -> _Float:
    if samples.bond_lengths is None:
        raise ValueError("the repulsion needs bond lengths")
    return repulsive_energy(samples.atomic_numbers.astype(np.float64), widths, samples.bond_lengths)


def _slopes(samples: Samples, widths: _Float) -> _Float:
    """Differentiate the square roots of the energies by the logarithms of the widths, [n, 2]."""
    energies = _energies(samples, widths)
    squares = (widths**2).sum(axis=1)
    ratio = np.asarray(samples.bond_lengths) ** 2 / squares
    slope = COULOMB * samples.atomic_numbers.prod(axis=1) * np.exp(-ratio)
    slope *= 2 / np.sqrt(np.pi * squares) / (2 * np.sqrt(np.maximum(energies, _TINY)))
    return np.asarray(slope[:, None] * widths**2 / squares[:, None], np.float64)


_TINY = 1e-14
"""Energies [eV] below which the slope of the square root is no longer resolved."""


@dataclass(frozen=True)
class _Regression:
    """Weighted ridge regression on standardized columns and their squares."""

    mean: _Float
    scale: _Float
    center: float
    weights: _Float

    @classmethod
    def fit(cls, x: _Float, y: _Float, weights: _Float, strength: float) -> _Regression:
        spread = x.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        bare = cls(x.mean(axis=0), scale, float(np.average(y, weights=weights)), np.zeros(0))
        design = bare._design(x)
        matrix = design.T @ (design * weights[:, None]) + strength * np.eye(design.shape[1])
        solution = np.linalg.solve(matrix, design.T @ ((y - bare.center) * weights))
        return replace(bare, weights=np.asarray(solution, np.float64))

    def __call__(self, x: _Float) -> _Float:
        return np.asarray(self._design(x) @ self.weights + self.center, np.float64)

    def _design(self, x: _Float) -> _Float:
        scaled = (x - self.mean) / self.scale
        return np.concatenate([scaled, scaled**2], axis=-1)
