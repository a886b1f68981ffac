"""Structures on a device, cut into batches without waiting for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twobody.models.graphs import CUTOFF, Graph
from twobody.transfer.neighbours import neighbours, triplets
from twobody.transfer.structures import Structures

_Indices = NDArray[np.int64]


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
    """

    def __init__(
        self,
        structures: Structures,
        columns: Tensor,
        *,
        with_triplets: bool,
        cutoff: float = CUTOFF,
    ) -> None:
        edges, edge_offsets = neighbours(structures, cutoff)
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
