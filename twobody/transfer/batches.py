"""Structures on a device, cut into batches without waiting for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twobody.elements import SYMBOLS
from twobody.errors import ParseError
from twobody.models.graphs import CUTOFF, Graph
from twobody.transfer.neighbours import neighbours, triplets
from twobody.transfer.structures import Structures

_Indices = NDArray[np.int64]


FARTHEST = 1000.0
"""How far from the origin an atom may be [Å]: float32 rounds by 0.00003 Å there."""
CLOSEST = 0.1
"""How near two atoms may be [Å]: at one place they have no direction, and networks give NaN."""


@dataclass(frozen=True)
class Batch:
    """Some structures as one graph.

    Attributes
    ----------
    graph : Graph
    owner : int64 [n_atoms]
        The structure of each atom, counted in the batch.
    sizes : int64 [n]
        Atoms of each structure.
    rows : int64 [n]
        The structures, counted among all.
    atoms : int64 [n_atoms]
        The atoms, counted among all.
    """

    graph: Graph
    owner: Tensor
    sizes: Tensor
    rows: Tensor
    atoms: Tensor


class Packed:
    """Structures with their edges on a device, from which batches are cut.

    Parameters
    ----------
    structures : Structures
    columns : float32 [n_elements + 1, F]
        What is known of an atom, by atomic number; on the device.
    with_triplets : bool
        Whether the network reads triplets of atoms.
    cutoff : float
        The longest edge [Å].

    Raises
    ------
    ParseError
        Of an element nothing is known, an atom is farther out than float32 tells places apart, or
        two atoms of a structure are at one place.
    """

    def __init__(
        self,
        structures: Structures,
        columns: Tensor,
        *,
        with_triplets: bool,
        cutoff: float = CUTOFF,
    ) -> None:
        _check_atoms(structures, columns)
        edges, edge_offsets = neighbours(structures, cutoff)
        _check_edges(structures, edges)
        found = triplets(edges) if with_triplets else edges[:, :0]
        triplet_offsets = np.searchsorted(found[1], edge_offsets)
        self._offsets = (structures.offsets, edge_offsets, triplet_offsets)
        self._columns, self.device = columns, columns.device
        self._numbers = self._there(structures.atomic_numbers)
        self._positions = self._there(structures.positions.astype(np.float32))
        self._edges, self._triplets = self._there(edges), self._there(found)

    def batches(self, rows: _Indices, size: int) -> Iterator[Batch]:
        """Cut the structures at these rows, in this order, into batches of a size."""
        sizes = [np.diff(offsets)[rows] for offsets in self._offsets]
        ends = [np.concatenate([[0], np.cumsum(n)]) for n in sizes]
        # All rows at once, and sizes known here: cutting batch by batch would wait for the device.
        shifts = [end[:-1] - o[:-1][rows] for end, o in zip(ends, self._offsets, strict=True)]
        atoms, edge, triplet = (
            torch.arange(int(n.sum()), device=self.device) - self._repeated(shift, n)
            for shift, n in zip(shifts, sizes, strict=True)
        )
        nodes, positions = self._columns[self._numbers[atoms]], self._positions[atoms]
        edges = self._edges[:, edge] + self._repeated(shifts[0], sizes[1])
        triplet = self._triplets[:, triplet] + self._repeated(shifts[1], sizes[2])
        owner = self._repeated(np.arange(len(rows)), sizes[0])
        counts, of_all = self._there(sizes[0]), self._there(rows)
        for i in range(0, len(rows), size):
            k = min(i + size, len(rows))
            (a, b), (c, d), (e, f) = ((int(end[i]), int(end[k])) for end in ends)
            graph = Graph(nodes[a:b], positions[a:b], edges[:, c:d] - a, triplet[:, e:f] - c)
            yield Batch(graph, owner[a:b] - i, counts[i:k], of_all[i:k], atoms[a:b])

    def _repeated(self, values: _Indices, times: _Indices) -> Tensor:
        return torch.repeat_interleave(
            self._there(values), self._there(times), output_size=int(times.sum())
        )

    def _there(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _check_atoms(structures: Structures, columns: Tensor) -> None:
    known = torch.isfinite(columns).all(dim=1).cpu().numpy()
    numbers = structures.atomic_numbers
    inside = (numbers > 0) & (numbers < len(known))
    for atom in np.flatnonzero(~(inside & known[np.where(inside, numbers, 0)]))[:1]:
        z = int(numbers[atom])
        found = SYMBOLS[z - 1] if 0 < z <= len(SYMBOLS) else f"the atomic number {z}"
        raise ParseError(_named(structures, atom), None, "elements that the network knows", found)
    positions = structures.positions
    for atom in np.flatnonzero(~(np.abs(positions) <= FARTHEST).all(axis=1))[:1]:
        expected = f"coordinates within {FARTHEST:g} Å of the origin"
        found = ", ".join(f"{x:g}" for x in positions[atom])
        raise ParseError(_named(structures, atom), None, expected, found)


def _check_edges(structures: Structures, edges: _Indices) -> None:
    source, target = edges
    lengths = np.linalg.norm(structures.positions[target] - structures.positions[source], axis=1)
    for edge in np.flatnonzero(lengths < CLOSEST)[:1]:
        found = f"{lengths[edge]:.3g} Å between two"
        expected = f"atoms at least {CLOSEST:g} Å apart"
        raise ParseError(_named(structures, target[edge]), None, expected, found)


def _named(structures: Structures, atom: int) -> str:
    """Name the structure of an atom."""
    owner = np.searchsorted(structures.offsets, atom, side="right") - 1
    return f"structure {structures.names[owner]}"
