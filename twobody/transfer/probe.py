"""A probe: how well a quantity follows from vectors that are not trained for it.

It is a ridge regression or the mean of a Gaussian process, with a constant that is not penalised.
Strength and kernel are chosen by the exact leave-one-out residuals of the samples that it is fitted
to (D. M. Allen, Technometrics 16, 125 (1974), doi:10.1080/00401706.1974.10489157), so that a tested
sample has no part in the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]

STRENGTHS = tuple(10.0 ** (k / 2) for k in range(-10, 7))
"""Penalties to choose from, for kernels of about 1 on the diagonal."""

LINEAR = 0.0
WIDTHS = (1.0, 2.0, 4.0)
"""Of Gaussian kernels, in units of the root of the number of columns, each of spread 1."""
RIDGE, RIDGE_OR_GP = (LINEAR,), (LINEAR, *WIDTHS)


@dataclass(frozen=True, eq=False)
class Probe:
    """A fitted probe; `fit` makes it.

    Attributes
    ----------
    width : float
        Of the kernel; 0 for the linear one.
    strength : float
        Of the penalty.
    loo : float
        Mean absolute leave-one-out residual of the fit.
    """

    width: float
    strength: float
    loo: float
    _mean: _Float
    _scale: _Float
    _fitted: _Float  # [n, D] scaled
    _weights: _Float  # [n]
    _constant: float

    @classmethod
    def fit(
        cls, x: _Float, y: _Float, widths: Sequence[float] = RIDGE, *, scaled: bool = True
    ) -> Probe:
        """Fit the probe of the least mean absolute leave-one-out residual.

        Parameters
        ----------
        x : float64 [n, D]
            NaN where missing, which counts as the mean of its column.
        y : float64 [n]
        widths : sequence of float
            The kernels to choose from; 0 is the linear one.
        scaled : bool
            Whether each column is brought to mean 0 and spread 1.
        """
        known = np.isfinite(x)
        counts = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, x, 0.0).sum(axis=0) / counts
        spread = np.sqrt((np.where(known, x - mean, 0.0) ** 2).sum(axis=0) / counts)
        scale = np.where(spread > 1e-9, spread, 1.0) if scaled else np.ones(x.shape[1])
        z = _scaled(x, mean, scale)
        fits = (_best(width, *_leave_one_out(_kernel(z, z, width), y)) for width in widths)
        loo, width, strength, weights = min(fits, key=lambda fit: fit[0])
        return cls(width, strength, loo, mean, scale, z, weights, float(y.mean()))

    def predict(self, x: _Float) -> _Float:
        """Predict y for x, float64 [m, D]."""
        z = _scaled(x, self._mean, self._scale)
        inner = _kernel(self._fitted, self._fitted, self.width)
        cross = _kernel(z, self._fitted, self.width) - inner.mean(axis=0)
        return np.asarray(self._constant + cross @ self._weights)


def leave_one_out(
    x: _Float, y: _Float, widths: Sequence[float] = RIDGE, *, scaled: bool = True
) -> _Float:
    """Predict each sample by the probe that is fitted to all others, its choices included.

    Returns
    -------
    float64 [n]
    """
    rows = np.arange(len(y))
    return np.array(
        [
            Probe.fit(x[rows != i], y[rows != i], widths, scaled=scaled).predict(x[[i]])[0]
            for i in rows
        ]
    )


def _scaled(x: _Float, mean: _Float, scale: _Float) -> _Float:
    return np.asarray(np.where(np.isfinite(x), (x - mean) / scale, 0.0))


def _kernel(a: _Float, b: _Float, width: float) -> _Float:
    """Return the kernel of vectors [n, D] and [m, D]: float64 [n, m]."""
    columns = max(1, a.shape[1])
    if width == LINEAR:
        return np.asarray(a @ b.T / columns)
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.exp(-squares.clip(0.0) / (2 * columns * width**2)))


def _leave_one_out(kernel: _Float, y: _Float) -> tuple[_Float, _Float]:
    """Return the residuals [S, n] and the weights [S, n] of each strength.

    With the centred kernel K = U diag(e) U^T the smoother is 1/n + K / (K + s), and the residual
    of a sample that is left out is its residual over one less the smoother's diagonal.
    """
    n = len(y)
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    values, vectors = np.linalg.eigh(centred)
    values, rotated = values.clip(0.0), vectors.T @ (y - y.mean())
    strengths = np.array(STRENGTHS)[:, None]
    weights = (rotated / (values + strengths)) @ vectors.T
    diagonal = 1 / n + (values / (values + strengths)) @ (vectors.T**2)
    residuals = strengths * weights / (1 - diagonal).clip(1e-12)
    # The centred weights: a test sample's kernel needs no centring over its own row then.
    return residuals, weights - weights.mean(axis=1, keepdims=True)


def _best(width: float, residuals: _Float, weights: _Float) -> tuple[float, float, float, _Float]:
    errors = np.abs(residuals).mean(axis=1)
    best = int(np.argmin(errors))
    return float(errors[best]), width, STRENGTHS[best], weights[best]
