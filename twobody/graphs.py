"""Pairs as graphs of PyTorch Geometric: what is stored of all, and batches made at one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Batch, Data
from torch_geometric.data.storage import GlobalStorage
from torch_geometric.loader.dataloader import Collater

from twobody.elements import SYMBOLS
from twobody.pairs import Float, Image
from twobody.samples import LazySequence, PairSamples, whole

Slices = dict[str, Tensor]  # of each field, where the rows of each graph begin: int64 [N + 1]
Edges = list[tuple[int, int]]


class _Fields(GlobalStorage):  # type: ignore[misc]  # PyG has no types
    """The fields of a graph; those of its edges say so in their names."""

    def is_edge_attr(self, key: str) -> bool:
        """Tell whether a field has a row for each edge.

        PyG takes any field for one whose first size is the number of edges. A pair has one edge,
        and `y`, as all that belongs to the pair as a whole, has a first size of 1.
        """
        return "edge" in key and super().is_edge_attr(key)


class PairGraph(Data):  # type: ignore[misc]
    """The graph of a pair: ``Data`` of which transforms know what belongs to edges.

    It is what has "edge" in its name, whether it comes with the graph or you add it.
    """

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        object.__setattr__(self._store, "__class__", _Fields)  # else it would be a field


def store(
    pairs: PairSamples, targets: Tensor, means: Float, images: Image | None, edges: Edges
) -> tuple[PairGraph, Slices]:
    """Make what an ``InMemoryDataset`` stores of N pairs; the fields are those of its graphs.

    Of two edges the second goes back, with the bond vector negated.
    """
    n, positions = len(pairs), pairs.geometries[:, :, :3].astype(np.float64)
    vectors = positions[:, 1] - positions[:, 0]
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    features = np.concatenate([means, lengths, vectors], axis=1)[:, None].repeat(len(edges), axis=1)
    features[:, 1:, -3:] *= -1
    numbers, atoms = torch.from_numpy(pairs.atomic_numbers), torch.from_numpy(pairs.geometries)
    x = torch.zeros(n, 2, len(SYMBOLS) + 1).scatter_(2, numbers[:, :, None] - 1, 1)
    x[:, :, -1] = atoms[:, :, 3]
    fields = {
        "x": x,
        "edge_index": torch.tensor(edges).expand(n, -1, -1),
        "edge_attr": torch.from_numpy(features.astype(np.float32)),
        "y": targets[:, None],
        "pos": atoms[:, :, :3],
        "z": numbers,
    }
    if images is not None:
        fields["image"] = torch.from_numpy(images)[:, None]
    one = torch.arange(n + 1)
    slices = {name: values.shape[1] * one for name, values in fields.items()} | {"pair_name": one}
    stored = {name: values.flatten(0, 1) for name, values in fields.items()}
    stored["edge_index"] = stored["edge_index"].T.contiguous()
    return PairGraph(**stored, pair_name=pairs.pair_names.tolist()), slices


# The class of all batches; calling Batch itself would look for it, and at its signature, each time.
_PairBatch = type(Batch(_base_cls=PairGraph))


class Graphs(LazySequence[Data]):
    """The graphs of a batch, each of as many rows as the others: those at `indices` of `stored`."""

    def __init__(
        self, stored: Data, slices: Slices, indices: Sequence[int], get: Callable[[int], Data]
    ) -> None:
        super().__init__(len(indices), lambda: [get(i) for i in indices])
        self._stored, self._slices = stored, slices
        self._indices = whole(indices)
        self._device = stored.edge_index.device

    def batch(self) -> Batch:
        """Make what ``Batch.from_data_list`` makes."""
        index, n = torch.from_numpy(self._indices).to(self._device), len(self._slices["y"]) - 1
        fields: dict[str, Any] = {}
        for name, value in self._stored:
            if isinstance(value, Tensor):
                dim = int(name == "edge_index")
                shape = (*value.shape[:dim], n, -1, *value.shape[dim + 1 :])
                fields[name] = value.reshape(shape).index_select(dim, index).flatten(dim, dim + 1)
            else:
                fields[name] = [value[i] for i in self._indices]
        one = torch.arange(len(self._indices) + 1)
        nodes, none = 2 * one, torch.zeros(len(self._indices), dtype=torch.int64)
        slices = {name: int(self._slices[name][1]) * one for name in fields}
        n_edges = int(slices["edge_index"][1])
        fields["edge_index"] += nodes[:-1].repeat_interleave(n_edges).to(self._device)
        batch = type.__call__(_PairBatch, **fields)
        batch.batch = one[:-1].repeat_interleave(2).to(self._device)
        batch.ptr = nodes.to(self._device)
        steps = dict.fromkeys(fields, none) | {"edge_index": nodes[:-1], "pair_name": None}
        batch._num_graphs, batch._slice_dict, batch._inc_dict = len(one) - 1, slices, steps  # noqa: SLF001 - as PyG does
        return batch


# PyG's loader drops `collate_fn`, and its collater calls Batch.from_data_list for whatever begins
# with a graph: there is no place for a dataset's own way to make batches. So this wraps the
# collater for the whole process; samples of other datasets pass unchanged. A module that is loaded
# again wraps PyG's own, not what the first wrapped.
_collate_one_by_one = getattr(Collater.__call__, "__wrapped__", Collater.__call__)


@wraps(_collate_one_by_one)
def _collate(collater: Collater, graphs: Any) -> Any:
    """Collate as PyG does, but at one go where nothing keeps from it."""
    asked_for_more = collater.follow_batch or collater.exclude_keys
    if isinstance(graphs, Graphs) and not graphs.seen and not asked_for_more:
        return graphs.batch()
    return _collate_one_by_one(collater, graphs)


Collater.__call__ = _collate
