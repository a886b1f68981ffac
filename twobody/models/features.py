"""What models read of samples, as arrays of float32: nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.descriptors import NAMES
from twobody.benchmark.task import Samples

_Float = NDArray[np.float64]

FIELDS = fields(Samples)

_L_OF_COLUMN = np.repeat(np.arange(4), [1, 3, 5, 7])
"""Angular momentum l of the 16 columns of ``orbital_populations``: s, p, d, f."""


def labels_of(samples: Samples) -> dict[str, _Float]:
    """Return the targets of samples that have them: training and validation, never the test."""
    if samples.targets is None:
        raise ValueError("the samples have no targets: they are a test part")
    return samples.targets


def joined(train: Samples, validation: Samples) -> Samples:
    """Put both parts together, for models that need no validation."""

    def both(one: Any, other: Any) -> Any:
        if isinstance(one, dict):
            return {key: both(one[key], other[key]) for key in one}
        return np.concatenate([one, other]) if isinstance(one, np.ndarray) else one

    values = {f.name: both(getattr(train, f.name), getattr(validation, f.name)) for f in FIELDS}
    return Samples(**values)


def atom_columns(samples: Samples) -> _Float:
    """Return the descriptors of each atom and, on the track ``density``, its populations.

    Returns
    -------
    float64 [n, 2, D] or [n, 2, D + 6]
        Descriptors of the element; population of each l = 0 ... 3 [e], charge [e], and valence
        charge, which is the population plus the charge [e].
    """
    charges, populations = samples.charges, samples.populations
    if samples.orbital_populations is None or charges is None or populations is None:
        return samples.descriptors
    orbitals = np.nan_to_num(samples.orbital_populations)
    by_l = [orbitals[..., _L_OF_COLUMN == l].sum(axis=-1) for l in range(4)]
    density = np.stack([*by_l, charges, populations + charges], axis=-1)
    return np.concatenate([samples.descriptors, density], axis=-1)


def bond_columns(samples: Samples) -> _Float:
    """Return the bond length [Å], alone and less both covalent radii, where the track shows it.

    Returns
    -------
    float64 [n, 2] or [n, 0]
    """
    if samples.bond_lengths is None:
        return np.empty((len(samples), 0))
    radii = samples.descriptors[..., NAMES.index("covalent_radius")].sum(axis=1)
    return np.stack([samples.bond_lengths, samples.bond_lengths - radii], axis=1)


@dataclass(frozen=True)
class Features:
    """Columns of each atom on one scale, that of the training part.

    Attributes
    ----------
    elements : [n_elements] str
        The elements that have a column of their own; none where the test part is cold.
    mean, scale : float64 [D]
    """

    elements: NDArray[np.str_]
    mean: _Float
    scale: _Float

    @classmethod
    def fit(cls, train: Samples, *, named: bool) -> Features:
        """Learn the scale from the training part; ``named`` gives each element its column."""
        columns = atom_columns(train).reshape(2 * len(train), -1)
        spread = columns.std(axis=0)
        elements = np.unique(train.elements) if named else np.empty(0, train.elements.dtype)
        return cls(elements, columns.mean(axis=0), np.where(spread > 1e-8, spread, 1.0))

    def nodes(self, samples: Samples) -> _Float:
        """Return the columns of each atom: one of each element, then those of `atom_columns`.

        Returns
        -------
        float64 [n, 2, n_elements + D]
        """
        one_hot = samples.elements[..., None] == self.elements
        scaled = (atom_columns(samples) - self.mean) / self.scale
        return np.concatenate([one_hot, scaled], axis=-1)


ENERGIES = ("total_energy_ev", "mermin_free_energy_ev", "band_energy_ev")
LOGARITHMIC = ("softness_evinv", "electrophilicity_ev")
"""Inverse gaps, which span two orders of magnitude."""


@dataclass(frozen=True)
class Scaler:
    """Brings the targets to one scale and back, with numbers of the training part.

    Energies are what is left of them after a linear fit of the atoms' columns (ridge), which is
    the additive model where elements have columns of their own.
    """

    targets: tuple[str, ...]
    weights: dict[str, _Float]
    mean: _Float
    scale: _Float

    @classmethod
    def fit(cls, targets: Sequence[str], labels: dict[str, _Float], nodes: _Float) -> Scaler:
        """Fit the ridge and the scale on the training part."""
        design = _design(nodes)
        weights = {name: _ridge(design, labels[name]) for name in targets if name in ENERGIES}
        bare = cls(tuple(targets), weights, np.zeros(len(targets)), np.ones(len(targets)))
        rows = bare.scaled(labels, nodes)
        center = np.nanmedian(rows, axis=0)
        spread = np.nanmean(np.abs(rows - center), axis=0)
        return cls(bare.targets, weights, center, np.where(spread > 0, spread, 1.0))

    def scaled(self, labels: dict[str, _Float], nodes: _Float) -> _Float:
        """Return float64 [n, n_targets], NaN where a label is missing."""
        columns = []
        for name in self.targets:
            column = labels[name]
            if name in LOGARITHMIC:
                column = np.log(column)
            if name in self.weights:
                column = column - _design(nodes) @ self.weights[name]
            columns.append(column)
        return (np.stack(columns, axis=1) - self.mean) / self.scale

    def labels(self, scaled: _Float, nodes: _Float) -> dict[str, _Float]:
        """Return predictions under the labels' names, in their units."""
        result = {}
        for name, column in zip(self.targets, (scaled * self.scale + self.mean).T, strict=True):
            if name in self.weights:
                column = column + _design(nodes) @ self.weights[name]
            result[name] = np.exp(column) if name in LOGARITHMIC else column
        return result


def _design(nodes: _Float) -> _Float:
    return np.concatenate([nodes.sum(axis=1), np.ones((len(nodes), 1))], axis=1)


def _ridge(design: _Float, y: _Float, strength: float = 1e-3) -> _Float:
    penalty = strength * np.eye(design.shape[1])
    penalty[-1, -1] = 0.0
    return np.linalg.solve(design.T @ design + penalty, design.T @ y)
