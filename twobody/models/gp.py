"""Exact Gaussian process regression with a kernel that a swap of the atoms leaves as it is.

The covariance of two pairs (a, b) and (c, d) with bond lengths R and R' is ::

    v1 [k(a, c) k(b, d) + k(a, d) k(b, c)] kappa(R, R')
        + v2 [k'(a, c) + k'(a, d) + k'(b, c) + k'(b, d)] + noise

where k, k' and kappa are Gaussians with a length scale per column, and k and k' get a term more
where both atoms are the same element. The scales maximize the marginal likelihood on a part of the
training pairs (C. E. Rasmussen & C. K. I. Williams, Gaussian Processes for Machine Learning, 2006,
equation 5.8); symmetric products of kernels: A. P. Bartok et al., Phys. Rev. B 87, 184115 (2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twobody.benchmark.targets import METAL_LIKE
from twobody.benchmark.task import Samples
from twobody.models.features import Features, bond_columns, joined, labels_of
from twobody.models.scaling import Scaler, consistent

_Float = NDArray[np.float64]
_JITTER = 1e-7


@dataclass(frozen=True)
class _Points:
    """Pairs as the kernel reads them: float64 [n, 2, D], int64 [n, 2], float64 [n, B]."""

    atoms: Tensor
    elements: Tensor
    bonds: Tensor

    def take(self, index: Tensor) -> _Points:
        return _Points(self.atoms[index], self.elements[index], self.bonds[index])

    def __len__(self) -> int:
        return len(self.elements)


class PairKernel(nn.Module):
    """The covariance of pairs; its parameters are logarithms of scales and variances."""

    def __init__(self, n_columns: int, n_bonds: int) -> None:
        super().__init__()
        wide = math.log(n_columns) / 2  # points of D columns lie about sqrt(D) apart
        self.product_scales = nn.Parameter(torch.full((n_columns,), wide))
        self.sum_scales = nn.Parameter(torch.full((n_columns,), wide))
        self.bond_scales = nn.Parameter(torch.zeros(n_bonds))
        # Of the product and the sum, of the same element in each, and of the noise.
        self.variances = nn.Parameter(torch.tensor([0.0, 0.0, -1.0, -1.0, -4.0]))

    def forward(self, x: _Points, y: _Points) -> Tensor:
        """Return the covariance without noise, float64 [len(x), len(y)]."""
        product, total, same_product, same_sum, _ = self.variances.exp()
        same = (x.elements.reshape(-1, 1) == y.elements.reshape(1, -1)).double()
        a, b = x.atoms.flatten(0, 1), y.atoms.flatten(0, 1)
        shape = (len(x), 2, len(y), 2)
        k = (_gaussian(a, b, self.product_scales) + same_product * same).view(shape)
        pairs = k[:, 0, :, 0] * k[:, 1, :, 1] + k[:, 0, :, 1] * k[:, 1, :, 0]
        if x.bonds.shape[1]:
            pairs = pairs * _gaussian(x.bonds, y.bonds, self.bond_scales)
        sums = (_gaussian(a, b, self.sum_scales) + same_sum * same).view(shape).sum(dim=(1, 3))
        return torch.as_tensor(product * pairs + total * sums)

    def factor(self, x: _Points) -> Tensor:
        """Return the Cholesky factor of the covariance with noise."""
        noise = self.variances[-1].exp() + _JITTER
        covariance = self(x, x) + noise * torch.eye(len(x)).to(noise)
        return torch.as_tensor(torch.linalg.cholesky(covariance))


def _gaussian(a: Tensor, b: Tensor, scales: Tensor) -> Tensor:
    a, b = a / scales.exp(), b / scales.exp()
    squares = (a * a).sum(dim=1)[:, None] + (b * b).sum(dim=1) - 2 * a @ b.T
    return torch.exp(-squares.clamp(min=0.0) / 2)


class GaussianProcess:
    """One process per target, with scales of its own."""

    _STEPS = 60
    _SUBSET = 800
    """Pairs on which scales are learned: time goes with the third power of their number."""
    _LEARNING_RATE = 0.1

    def __init__(
        self, *, targets: tuple[str, ...], device: str, quick: bool, split: str, **_: object
    ) -> None:
        self._targets = targets
        self.device = torch.device(device)
        self._named = split == "pair"
        self._quick = quick
        self._steps = 3 if quick else self._STEPS

    def fit(self, train: Samples, validation: Samples) -> None:
        """Learn scales and weights from both parts: nothing is left to be validated."""
        both = joined(train, validation)
        if self._quick:
            both = both.take(np.arange(0, len(both), 10))
        self._features = Features.fit(both, named=self._named)
        nodes = self._features.nodes(both)
        bonds = bond_columns(both)
        self._bond_mean, self._bond_scale = bonds.mean(axis=0), bonds.std(axis=0)
        sums = self._features.sums(both)
        self._scaler = Scaler.fit(self._targets, labels_of(both), sums)
        points = self._points(both, nodes)
        scaled = self._scaler.scaled(labels_of(both), sums)
        self._processes = [self._process(points, column) for column in scaled.T]
        self.n_parameters = sum(
            parameter.numel() for kernel, *_ in self._processes for parameter in kernel.parameters()
        )

    def predict(self, test: Samples) -> dict[str, _Float]:
        """Return the means."""
        points = self._points(test, self._features.nodes(test))
        with torch.no_grad():
            columns = [
                kernel(points, known) @ weights for kernel, known, weights in self._processes
            ]
        scaled = torch.stack(columns, dim=1).cpu().numpy()
        predictions = self._scaler.labels(scaled, self._features.sums(test))
        return consistent(predictions, predictions[METAL_LIKE])

    def _points(self, samples: Samples, nodes: _Float) -> _Points:
        n_named = len(self._features.elements)
        bonds = (bond_columns(samples) - self._bond_mean) / self._bond_scale
        arrays = (nodes[..., n_named:], samples.atomic_numbers, bonds)
        return _Points(*(torch.from_numpy(array).to(self.device) for array in arrays))

    def _process(self, points: _Points, column: _Float) -> tuple[PairKernel, _Points, Tensor]:
        rows = torch.from_numpy(np.flatnonzero(np.isfinite(column))).to(self.device)
        points, y = points.take(rows), torch.from_numpy(column).to(self.device)[rows]
        kernel = PairKernel(points.atoms.shape[-1], points.bonds.shape[-1])
        kernel = kernel.double().to(self.device)
        order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
        some = order[: self._SUBSET].to(self.device)
        self._learn(kernel, points.take(some), y[some])
        with torch.no_grad():
            weights = torch.cholesky_solve(y[:, None], kernel.factor(points))[:, 0]
        return kernel, points, weights

    def _learn(self, kernel: PairKernel, points: _Points, y: Tensor) -> None:
        optimizer = torch.optim.Adam(kernel.parameters(), lr=self._LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._steps)
        for _ in range(self._steps):
            optimizer.zero_grad()
            factor = kernel.factor(points)
            weights = torch.cholesky_solve(y[:, None], factor)[:, 0]
            loss = y @ weights / 2 + factor.diagonal().log().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
