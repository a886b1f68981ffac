"""`TwoBodyGraphDataset`: pairs as graphs of two nodes, for PyTorch Geometric."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch, Data, Dataset, InMemoryDataset
from torch_geometric.data.separate import separate
from torch_geometric.loader.dataloader import Collater

from twobody.archive.layout import SHIPPED
from twobody.elements import SYMBOLS
from twobody.samples import LazySequence, Missing, PairSamples, whole
from twobody.text import PathLike

_DRAWN = 64  # pairs whose images are averaged at a time: 2.6 MB


class TwoBodyGraphDataset(PairSamples, Dataset):  # type: ignore[misc]  # PyG has no types
    """Pairs as graphs: a ``torch_geometric`` dataset of ``Data`` objects.

    ==========  =====================  ===========================================================
    field       shape                  content
    ==========  =====================  ===========================================================
    x           float32 [2, 119]       one-hot of Z = 1 ... 118, then the Mulliken population [e]
    edge_index  int64 [2, E]           the edge 0 -> 1; with `bidirectional` also 1 -> 0
    edge_attr   float32 [E, C + 4]     mean over each of the C = 10 image channels, bond length [Å],
                                       bond vector [Å], from the edge's first node to its second
    y           float32 [1, T]         the targets, in the labels' own units
    pos         float32 [2, 3]         [Å]
    z           int64 [2]              atomic numbers
    pair_name   str
    image       float32 [1, C, S, S]   with `with_images` only; S is 32
    ==========  =====================  ===========================================================

    Channel means are sums of the float32 pixels in float64, divided and rounded to float32 once;
    length and vector come from the positions in the same way.

    ``torch_geometric.loader.DataLoader`` gets whole batches, any other loader the graphs one by
    one; for that, importing this module wraps ``Collater.__call__`` of PyG (samples of other
    datasets pass it unchanged).

    Parameters
    ----------
    path : path, optional
        ``dataset_combined.npz``, ours or the original project's; by default the 2,850 pairs that
        come with the package.
    target_labels : sequence of str
    transform : callable, optional
        Applied to a graph each time it is taken.
    pre_transform : callable, optional
        Applied to every graph once, now.
    bidirectional : bool
        Give both directions of the bond, the vector negated on the way back.
    with_images : bool
        Give the images too.
    missing : {'drop', 'nan', 'error'}
        What becomes of pairs that lack a label: left out (`dropped` names them), kept with NaN, or
        refused.
    encoding : str, optional
        Of the images, "published" or another one of `twobody.encodings`; by default the archive's.

    Attributes
    ----------
    targets : float32 tensor [N, T]
    pair_names, elements, atomic_numbers, geometries, channels, label_units, dropped
        See `twobody.samples.PairSamples`, also for what is raised; of a part of the dataset, its
        own.

    Examples
    --------
    ::

        dataset = TwoBodyGraphDataset("dataset_combined.npz", target_labels=["e_g_ev"])
        for batch in DataLoader(dataset, batch_size=32, shuffle=True):
            model(batch.x, batch.edge_index, batch.edge_attr)
    """

    def __init__(
        self,
        path: PathLike = SHIPPED,
        target_labels: Sequence[str] = ("e_g_ev",),
        *,
        transform: Callable[[Data], Any] | None = None,
        pre_transform: Callable[[Data], Any] | None = None,
        bidirectional: bool = False,
        with_images: bool = False,
        missing: Missing = "drop",
        encoding: str | None = None,
    ) -> None:
        if isinstance(target_labels, str):
            target_labels = [target_labels]
        PairSamples.__init__(self, path, list(target_labels), missing, encoding)
        Dataset.__init__(self, transform=transform, pre_transform=pre_transform)
        geometries = self._pairs.geometries
        self._with_images = with_images
        self._edges = torch.tensor([[0, 1], [1, 0]] if bidirectional else [[0], [1]])
        self._edge_attr = torch.from_numpy(self._edge_features(bidirectional))
        self._positions = torch.tensor(geometries[:, :, :3])
        self._populations = torch.tensor(geometries[:, :, 3])
        self._numbers = torch.from_numpy(self._pairs.atomic_numbers)
        self._y = self._shaped(self._values)
        self._stored: tuple[Data, dict[str, Any]] | None = None
        if pre_transform is not None:
            graphs = [pre_transform(self.get(i)) for i in range(self.len())]
            self._stored = InMemoryDataset.collate(graphs)

    def _shaped(self, values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    def _edge_features(self, bidirectional: bool) -> NDArray[np.float32]:
        """Work out `edge_attr` of all pairs, float32 [N, E, C + 4]."""
        positions = self._pairs.geometries[:, :, :3]
        n, n_channels = len(positions), len(self.channels)
        features = np.empty((n, n_channels + 4))
        images = self._images if self._with_images else self._source
        for start in range(0, n, _DRAWN):
            rows = np.arange(start, min(start + _DRAWN, n))
            features[rows, :n_channels] = images[rows].mean(axis=(2, 3), dtype=np.float64)
        vectors = positions[:, 1].astype(np.float64) - positions[:, 0]
        features[:, n_channels] = np.sqrt((vectors**2).sum(axis=1))
        features[:, n_channels + 1 :] = vectors
        edges = features[:, None].repeat(2 if bidirectional else 1, axis=1)
        edges[:, 1:, n_channels + 1 :] *= -1
        return edges.astype(np.float32)

    def _rows(self) -> NDArray[np.int64]:
        return self._kept[np.asarray(self.indices(), np.int64)]

    @property
    def targets(self) -> Tensor:
        """Targets of the samples, float32 [N, T]."""
        return self._y[torch.from_numpy(self._rows())]

    def len(self) -> int:
        """Return the number of pairs in the whole dataset."""
        return len(self._kept)

    def get(self, idx: int) -> Data:
        """Return the graph of a pair of the whole dataset, without `transform`."""
        if self._stored is not None:
            graphs, slices = self._stored
            graph = separate(type(graphs), graphs, operator.index(idx), slices, decrement=False)
            return graph.clone()  # it would be a view of what is stored
        fields = self.gather([idx])
        return Data(**fields | {"pair_name": fields["pair_name"][0]})

    def gather(self, indices: Sequence[int]) -> dict[str, Any]:
        """Gather the fields of pairs, one after the other; node numbers begin anew in each.

        `indices` are of the whole dataset. All fields are tensors but `pair_name`, a list of str.
        """
        rows = self._kept[whole(indices)]
        index = torch.from_numpy(rows)
        n = len(rows)
        z = self._numbers[index].reshape(-1)
        x = torch.zeros(2 * n, len(SYMBOLS) + 1)
        x[torch.arange(2 * n), z - 1] = 1
        x[:, -1] = self._populations[index].reshape(-1)
        fields = {
            "x": x,
            "edge_index": self._edges.repeat(1, n),
            "edge_attr": self._edge_attr[index].flatten(0, 1),
            "y": self._y[index],
            "pos": self._positions[index].flatten(0, 1),
            "z": z,
            "pair_name": self._pairs.names[rows].tolist(),
        }
        if self._with_images:
            fields["image"] = torch.from_numpy(self._images[rows])
        return fields

    def __getitems__(self, indices: Sequence[int]) -> Sequence[Any]:
        """Return graphs; a ``DataLoader`` calls this once a batch."""
        own = type(self)
        changed = (
            own.get is not TwoBodyGraphDataset.get or own.__getitem__ is not Dataset.__getitem__
        )
        if changed or self.transform is not None or self._stored is not None:
            return [self[i] for i in indices]
        part = self.indices()
        return _Graphs(self, [part[i] for i in indices])


# The class of all batches; calling Batch itself would look for it, and at its signature, each time.
_DataBatch = type(Batch(_base_cls=Data))


class _Graphs(LazySequence[Data]):
    """The graphs of a batch: those at `indices` of the whole dataset."""

    def __init__(self, dataset: TwoBodyGraphDataset, indices: list[int]) -> None:
        super().__init__(len(indices), lambda: [dataset.get(i) for i in indices])
        self._dataset = dataset
        self._indices = indices

    def batch(self) -> Batch:
        """Make what ``Batch.from_data_list`` makes: every pair has two nodes and as many edges."""
        fields = self._dataset.gather(self._indices)
        n, n_edges = len(self._indices), len(fields["edge_attr"]) // len(self._indices)
        one = torch.arange(n + 1)
        nodes, edges, none = 2 * one, n_edges * one, torch.zeros(n, dtype=torch.int64)
        fields["edge_index"] += nodes[:-1].repeat_interleave(n_edges)
        batch = type.__call__(_DataBatch, **fields)
        batch.batch = one[:-1].repeat_interleave(2)
        batch.ptr = nodes
        per_pair = {"x": nodes, "pos": nodes, "z": nodes, "edge_index": edges, "edge_attr": edges}
        steps = dict.fromkeys(fields, none) | {"edge_index": nodes[:-1], "pair_name": None}
        slices = {name: per_pair.get(name, one) for name in fields}
        taken_apart_by = {"_num_graphs": n, "_slice_dict": slices, "_inc_dict": steps}
        for name, value in taken_apart_by.items():
            setattr(batch, name, value)
        return batch


# PyG's loader drops `collate_fn` and has no other place for a dataset's own way to make batches, so
# this wraps its collater for the whole process; samples of other datasets pass unchanged. A module
# that is loaded again wraps PyG's own, not what the first wrapped.
_collate_one_by_one = getattr(Collater.__call__, "__wrapped__", Collater.__call__)


@wraps(_collate_one_by_one)
def _collate(collater: Collater, graphs: Any) -> Any:
    """Collate as PyG does, but at one go where nothing keeps from it."""
    asked_for_more = collater.follow_batch or collater.exclude_keys
    if isinstance(graphs, _Graphs) and not graphs.seen and not asked_for_more:
        return graphs.batch()
    return _collate_one_by_one(collater, graphs)


Collater.__call__ = _collate
