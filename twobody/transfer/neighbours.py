"""Neighbours within a radius, and triplets of them, for structures without periodic images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from twobody.transfer.structures import Structures

_Indices = NDArray[np.int64]


def neighbours(structures: Structures, cutoff: float) -> tuple[_Indices, _Indices]:
    """Find the edges between atoms of the same structure, in both directions.

    Parameters
    ----------
    structures : Structures
    cutoff : float
        The longest distance of an edge [Å].

    Returns
    -------
    edges : int64 [2, E]
        Source and target among all atoms, ordered by target, then source.
    offsets : int64 [n + 1]
        The edges of structure i are those from ``offsets[i]`` to before ``offsets[i + 1]``.
    """
    n = len(structures)
    if n == 0:
        return np.empty((2, 0), np.int64), np.zeros(1, np.int64)
    owner = np.repeat(np.arange(n), np.diff(structures.offsets))
    # One tree for all: side by side along x, structures are too far apart to be neighbours.
    x = structures.positions[:, 0]
    first = structures.offsets[:-1]
    start, end = np.minimum.reduceat(x, first), np.maximum.reduceat(x, first)
    room = np.concatenate([[0.0], np.cumsum(end - start + 2 * cutoff)[:-1]])
    apart = structures.positions.copy()
    apart[:, 0] += (room - start)[owner]
    pairs = cKDTree(apart).query_pairs(cutoff, output_type="ndarray")
    edges = np.concatenate([pairs, pairs[:, ::-1]]).T.astype(np.int64)
    edges = edges[:, np.lexsort(edges)]
    counts = np.bincount(owner[edges[1]], minlength=n)
    return edges, np.concatenate([[0], np.cumsum(counts)])


def triplets(edges: _Indices) -> _Indices:
    """Find the pairs of edges k -> j and j -> i with k other than i.

    Parameters
    ----------
    edges : int64 [2, E]
        Source and target, ordered by target, as `neighbours` gives them.

    Returns
    -------
    int64 [2, T]
        The number of the edge k -> j, and of j -> i.
    """
    source, target = edges
    first, behind = (np.searchsorted(target, source, side) for side in ("left", "right"))
    n_inward = behind - first  # of the edges into the source of each edge
    onward = np.repeat(np.arange(len(source)), n_inward)
    begin = np.repeat(np.cumsum(n_inward) - n_inward, n_inward)
    inward = np.arange(len(onward)) - begin + np.repeat(first, n_inward)
    back = source[inward] == target[onward]
    return np.stack([inward, onward])[:, ~back]
