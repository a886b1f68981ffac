"""Structures of any number of atoms with what is known of them: one container for all sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Structures:
    """Molecules or clusters, their atoms one behind the other.

    Attributes
    ----------
    names : str [n]
        Of the structures, as the source counts or calls them.
    offsets : int64 [n + 1]
        The atoms of structure i are those from ``offsets[i]`` to before ``offsets[i + 1]``.
    atomic_numbers : int64 [n_atoms]
    positions : float64 [n_atoms, 3]
        In Å.
    targets : dict of str to float64 [n]
        By name, with the unit in the name.
    forces : float64 [n_atoms, 3], optional
        In eV/Å, of the energy that is the first of the targets.
    """

    names: NDArray[np.str_]
    offsets: NDArray[np.int64]
    atomic_numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    targets: Mapping[str, NDArray[np.float64]]
    forces: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: NDArray[np.int64]) -> Structures:
        """Return the structures of these rows, in this order."""
        sizes = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        starts = np.repeat(self.offsets[:-1][rows] - offsets[:-1], sizes)
        atoms = starts + np.arange(offsets[-1])
        return Structures(
            self.names[rows],
            offsets,
            self.atomic_numbers[atoms],
            self.positions[atoms],
            {name: values[rows] for name, values in self.targets.items()},
            None if self.forces is None else self.forces[atoms],
        )


@dataclass(frozen=True)
class Source:
    """Structures of one origin, with the parts in which they are trained on and tested.

    Attributes
    ----------
    name : str
        Of the data and, where there are several, of the split.
    structures : Structures
    extensive : frozenset of str
        The targets that are sums over atoms; others are learned as means.
    train, validation, test : int64
        Rows of the structures; no row is in two parts.
    """

    name: str
    structures: Structures
    extensive: frozenset[str]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    def limited(self, n_train: int) -> Source:
        """Return what is needed to train on the first structures of the training part.

        Raises
        ------
        ValueError
            There are not so many.
        """
        if n_train > len(self.train):
            raise ValueError(
                f"{self.name} has {len(self.train)} structures to train on, not {n_train}"
            )
        parts = (self.train[:n_train], self.validation, self.test)
        ends = np.cumsum([len(rows) for rows in parts])
        structures = self.structures.take(np.concatenate(parts))
        return Source(
            self.name, structures, self.extensive, *np.split(np.arange(ends[-1]), ends[:-1])
        )
