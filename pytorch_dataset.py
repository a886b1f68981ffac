"""`TwoBodyDataset`: the images of pairs, and labels as targets, for PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

try:
    import torch
except ImportError as error:
    raise ImportError(
        'the loaders need PyTorch: python -m pip install "twobody-dataset[torch]"'
    ) from error
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data._utils.collate import collate, default_collate_fn_map

from twobody.archive.layout import SHIPPED
from twobody.encodings import get_encoding
from twobody.samples import Labels, LazySequence, Missing, PairSamples, one_of, whole
from twobody.text import PathLike


class TwoBodyDataset(PairSamples, Dataset[tuple[Any, Any]]):
    """Images and targets; sample i is ``(image, target)``.

    The image is float32 [C, 32, 32], with C = 10 channels in the encodings there are. The target is
    float32, a number for one label and [T] for a list of T labels, in the labels' own units.

    Images that the archive holds as a few numbers are made when they are first needed. A
    ``DataLoader`` with the default ``collate_fn`` gets whole batches, any other the samples one by
    one.

    Parameters
    ----------
    path : path, optional
        ``dataset_combined.npz``, ours or the original project's; by default the 2,850 pairs that
        come with the package.
    target_label, target_labels : str or sequence of str
        Two names of one argument; by default "e_g_ev".
    transform, target_transform : callable, optional
        Applied to the image and to the target of each sample.
    missing : {'drop', 'nan', 'error'}
        What becomes of pairs that lack a label: left out (`dropped` names them), kept with NaN, or
        refused.
    encoding : str, optional
        Of the images, "published" or another one of `twobody.encodings`; by default the archive's.

    Attributes
    ----------
    targets : float32 tensor [N] or [N, T]
    pair_names, elements, atomic_numbers, geometries, channels, label_units, dropped
        See `twobody.samples.PairSamples`, also for what is raised.

    Examples
    --------
    ::

        dataset = TwoBodyDataset("dataset_combined.npz", target_label="e_g_ev")
        for images, targets in DataLoader(dataset, batch_size=32, shuffle=True):
            ...  # [32, 10, 32, 32] float32, [32] float32
    """

    def __init__(
        self,
        path: PathLike = SHIPPED,
        target_label: Labels | None = None,
        *,
        target_labels: Labels | None = None,
        transform: Callable[[Tensor], Any] | None = None,
        target_transform: Callable[[Tensor], Any] | None = None,
        missing: Missing = "drop",
        encoding: str | None = None,
    ) -> None:
        labels = one_of(target_label, target_labels)
        self._is_scalar = isinstance(labels, str)
        super().__init__(path, labels, missing, encoding)
        self.transform = transform
        self.target_transform = target_transform
        self.targets = self._shaped(self._values[self._kept])

    def _shaped(self, values: Any) -> Tensor:
        """Make targets of float64 [..., T]: float32, without the last axis for a single label."""
        tensor = torch.from_numpy(np.asarray(values, np.float32))
        return tensor[..., 0] if self._is_scalar else tensor

    def __getitem__(self, index: int | str) -> tuple[Any, Any]:
        """Return image and target of one sample, given by its number or the name of its pair."""
        images, targets = self._batch([self._place(index)])
        return self._transformed(images[0], targets[0])

    def __getitems__(self, indices: Sequence[int]) -> Sequence[tuple[Any, Any]]:
        """Return samples; a ``DataLoader`` calls this once a batch."""
        if type(self).__getitem__ is not TwoBodyDataset.__getitem__:  # a subclass has its own way
            return [self[i] for i in indices]
        images, targets = self._batch(indices)
        if self.transform is None and self.target_transform is None:
            return _Samples(images, targets)
        return [self._transformed(*sample) for sample in zip(images, targets, strict=True)]

    def _batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        index = whole(indices)
        return torch.from_numpy(self._images[self._kept[index]]), self.targets[index]

    def _transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target


class FlipAtoms:
    """A `transform` that swaps the atoms of an image: augmentation for encodings with that mirror.

    Parameters
    ----------
    encoding : str
    p : float
        How often; torch's random numbers decide.

    Raises
    ------
    ValueError
        The encoding is unknown or has no such mirror.
    """

    def __init__(self, encoding: str = "field", p: float = 0.5) -> None:
        self._encoding = get_encoding(encoding)
        self._encoding.flip(np.empty((len(self._encoding.channels), 1, 1), np.float32))
        self.p = p

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image [..., C, S, S], or the one with its atoms swapped."""
        if torch.rand(()) >= self.p:
            return image
        return torch.from_numpy(self._encoding.flip(image.numpy()))


class _Sample(tuple[Tensor, Tensor]):
    """Image and target out of a batch; its type is what tells the default collate function so."""

    __slots__ = ()


class _Samples(LazySequence[tuple[Any, Any]]):
    """The samples of a batch: views of `batch`, images and targets."""

    def __init__(self, images: Tensor, targets: Tensor) -> None:
        super().__init__(len(images), lambda: list(map(_Sample, zip(images, targets, strict=True))))
        self.batch = [images, targets]

    def __getitem__(self, index: Any) -> Any:
        """Return a sample; the first, at whose type collate functions look, without the others."""
        if index == 0 and not self.seen:
            return _Sample(stacked[0] for stacked in self.batch)
        return super().__getitem__(index)


def _collate(samples: Sequence[_Sample], *, collate_fn_map: Any = None) -> Any:
    """Hand out a batch whose samples nobody has looked at; stack any others."""
    if isinstance(samples, _Samples) and not samples.seen:
        return samples.batch
    return collate([tuple(sample) for sample in samples], collate_fn_map=collate_fn_map)


# PyTorch's way to teach its default collate function a type; this one occurs nowhere else.
default_collate_fn_map[_Sample] = _collate
