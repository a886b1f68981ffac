"""The content of an archive as one object: every array once; images made when asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.encodings.published import Image, render

_Float = NDArray[np.float64]
_Text = NDArray[np.str_]
_Index = NDArray[np.int64] | NDArray[np.bool_] | slice


@dataclass(frozen=True, eq=False)
class RenderedImages:
    """Images that are made when they are asked for; indexed like an array by an array or a slice.

    Attributes
    ----------
    amplitudes : float64 [N, 10, 2]
    basis : float32 [10, 2, size, size]
    """

    amplitudes: _Float
    basis: Image

    @property
    def shape(self) -> tuple[int, ...]:
        """N, 10, size, size."""
        return (*self.amplitudes.shape[:2], *self.basis.shape[2:])

    def __getitem__(self, index: _Index) -> Image:
        return render(self.amplitudes[index], self.basis)


@dataclass(frozen=True, eq=False)
class Columns:
    """The content of an archive of N pairs, except what the same content is written as twice.

    Attributes
    ----------
    path : Path
    pair_names : str [N]
    elements : str [N, 2]
    atomic_numbers : int64 [N, 2]
        Those of `elements`.
    geometries : float32 [N, 2, 4]
        x, y, z [Å], Mulliken population [e].
    label_names, label_units : str [L]
        Of the numeric labels. The units of a foreign archive are those of `twobody.labels`; empty
        for a label that is not there.
    label_values : float64 [N, L]
        NaN where missing.
    text_label_names : str [T]
    text_label_values : str [N, T]
        Empty where missing.
    metadata_names : str [M]
    metadata_values : float64 [N, M]
        NaN where missing.
    channels : str [10]
    images : RenderedImages or float32 [N, 10, size, size]
        Indexed by an array or a slice, both give float32 arrays. An array only in foreign archives.
    provenance : str
        JSON; empty in foreign archives.
    """

    path: Path
    pair_names: _Text
    elements: _Text
    atomic_numbers: NDArray[np.int64]
    geometries: NDArray[np.float32]
    label_names: _Text
    label_units: _Text
    label_values: _Float
    text_label_names: _Text
    text_label_values: _Text
    metadata_names: _Text
    metadata_values: _Float
    channels: _Text
    images: RenderedImages | Image
    provenance: str

    def take(self, index: _Index) -> Columns:
        """Return the pairs at `index`."""
        images = self.images
        if isinstance(images, RenderedImages):
            images = RenderedImages(images.amplitudes[index], images.basis)
        else:
            images = images[index]
        return replace(
            self,
            pair_names=self.pair_names[index],
            elements=self.elements[index],
            atomic_numbers=self.atomic_numbers[index],
            geometries=self.geometries[index],
            label_values=self.label_values[index],
            text_label_values=self.text_label_values[index],
            metadata_values=self.metadata_values[index],
            images=images,
        )
