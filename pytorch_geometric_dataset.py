"""`TwoBodyGraphDataset`: pairs as graphs of two nodes, for PyTorch Geometric."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from torch_geometric.data import Data, InMemoryDataset
except ImportError as error:
    message = 'graphs need PyTorch Geometric: python -m pip install "twobody-dataset[torch]"'
    raise ImportError(message) from error
import torch
from torch import Tensor
from torch_geometric.data.collate import collate
from torch_geometric.data.separate import separate

from twobody.archive.layout import SHIPPED
from twobody.encodings.means import channel_means, means_of
from twobody.graphs import Graphs, store
from twobody.samples import Labels, Missing, PairSamples, one_of
from twobody.text import PathLike


class TwoBodyGraphDataset(PairSamples, InMemoryDataset):  # type: ignore[misc]
    """Pairs as graphs: an ``InMemoryDataset`` of `twobody.graphs.PairGraph`.

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
    length and vector come from the positions in the same way. Transforms that move atoms change
    `pos` alone, and ``ToUndirected`` copies the vector where `bidirectional` negates it.

    ``torch_geometric.loader.DataLoader`` gets whole batches, any other loader the graphs one by
    one. PyG lets no dataset make its own batches (its collater calls ``Batch.from_data_list`` for
    whatever begins with a graph), so importing this module wraps ``Collater.__call__`` for the
    whole process. Samples of other datasets pass it unchanged.

    Parameters
    ----------
    path : path, optional
        ``dataset_combined.npz``, ours or the original project's; by default the 2,850 pairs that
        come with the package.
    target_labels, target_label : sequence of str or str
        Two names of one argument; by default "e_g_ev".
    transform : callable, optional
        Applied to a graph each time it is taken.
    pre_transform, pre_filter : callable, optional
        Applied to every graph once, now: the filter first, which says whether it stays.
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
        target_labels: Labels | None = None,
        *,
        target_label: Labels | None = None,
        transform: Callable[[Data], Any] | None = None,
        pre_transform: Callable[[Data], Any] | None = None,
        pre_filter: Callable[[Data], bool] | None = None,
        bidirectional: bool = False,
        with_images: bool = False,
        missing: Missing = "drop",
        encoding: str | None = None,
    ) -> None:
        PairSamples.__init__(self, path, one_of(target_label, target_labels), missing, encoding)
        InMemoryDataset.__init__(self, None, transform, pre_transform, pre_filter)
        images = self._source[self._kept] if with_images else None
        if images is None:
            means = means_of(self._pairs, self._source, self._kept)
        else:
            means = channel_means(images, np.arange(len(self)))
        edges = [(0, 1), (1, 0)] if bidirectional else [(0, 1)]
        self._data, self.slices = store(self, self.targets, means, images, edges)
        if pre_filter is not None or pre_transform is not None:
            graphs = [self.get(i) for i in range(len(self))]
            kept = [pre_filter is None or pre_filter(graph) for graph in graphs]
            if not any(kept):
                raise ValueError("pre_filter keeps no pair")
            self._kept, there = self._kept[kept], compress(graphs, kept)
            graphs = [*(there if pre_transform is None else map(pre_transform, there))]
            self._data, self.slices = self.collate(graphs)

    def _shaped(self, values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values.astype(np.float32))

    def _rows(self) -> NDArray[np.int64]:
        return self._kept[np.asarray(self.indices(), np.int64)]

    @property
    def targets(self) -> Tensor:
        """Targets of the samples, float32 [N, T]."""
        return self._shaped(self._values[self._rows()])

    def len(self) -> int:
        """Return the number of pairs in the whole dataset."""
        return len(self._kept)

    def get(self, idx: int) -> Data:
        """Return the graph of a pair of the whole dataset, without `transform`."""
        own, at = type(self._data), operator.index(idx)
        return separate(own, self._data, at, self.slices, decrement=False).clone()  # not a view

    def copy(self, idx: Any = None) -> TwoBodyGraphDataset:
        """Return a dataset of its own of these samples, or of those at `idx`."""
        part = self if idx is None else self.index_select(idx)
        dataset: TwoBodyGraphDataset = InMemoryDataset.copy(part)
        dataset._kept = part._rows()  # noqa: SLF001 - of this class
        return dataset

    @staticmethod
    def collate(data_list: Sequence[Data]) -> tuple[Data, dict[str, Tensor]]:
        """Store graphs as PyG does, a single one too."""
        data, slices, _ = collate(type(data_list[0]), data_list, increment=False, add_batch=False)
        return data, slices

    def __getitem__(self, idx: Any) -> Any:
        """Return a graph, given by its number or the name of its pair, or a part of the dataset."""
        return super().__getitem__(self._place(idx) if isinstance(idx, str) else idx)

    def __getitems__(self, indices: Sequence[int]) -> Sequence[Any]:
        """Return graphs; a ``DataLoader`` calls this once a batch."""
        own, ours = type(self), TwoBodyGraphDataset
        changed = own.get is not ours.get or own.__getitem__ is not ours.__getitem__
        if changed or self.transform is not None or self.pre_transform is not None:
            return [self[i] for i in indices]
        part = self.indices()
        return Graphs(self._data, self.slices, [part[i] for i in indices], self.get)
