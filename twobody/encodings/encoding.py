"""What an image encoding is: its channels, how they are drawn, and what has to hold for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.errors import Finding
from twobody.pairs import Float, Image, Images, Index, Pairs

Blocks = Callable[[], Iterable[tuple[int, Image]]]
"""Yields the pixels that a file holds, block after block, each with the row of its first pair."""

EncodingCheck = Callable[[Pairs, Blocks], Iterator[Finding]]


@dataclass(frozen=True)
class Channel:
    """One image channel."""

    name: str
    unit: str  # of its pixels
    formula: str  # how a pixel is worked out, for people
    non_negative: bool  # whether no pixel can be below 0
    # Whether rows and columns are orbitals of both atoms: no picture of space; swapping the atoms
    # mirrors both axes.
    matrix: bool = False


Shape = tuple[str | int, ...]  # a letter stands for a size that is the same all over an archive


class Member(NamedTuple):
    """An array of an archive."""

    dtype: str  # as NumPy writes it; "U" for text of any length, "O" for pickled dicts
    shape: Shape
    meaning: str  # what it holds, for people


@dataclass(frozen=True, eq=False)
class Drawn:
    """Images that are drawn from the numbers of the pairs when they are asked for."""

    encoding: Encoding
    pairs: Pairs

    @property
    def shape(self) -> tuple[int, ...]:
        """N, channels, height, width."""
        size = self.encoding.size
        return len(self.pairs), len(self.encoding.channels), size, size

    def __getitem__(self, index: Index) -> Image:
        return self.encoding.draw(self.pairs.take(index))

    def take(self, index: Index) -> Drawn:
        """Return those at `index`."""
        return Drawn(self.encoding, self.pairs.take(index))


class Encoding(ABC):
    """An image encoding.

    A new one says its `name` and `channels` and how to `draw`. What is drawn may depend on nothing
    but `Pairs.atomic_numbers` and `Pairs.rows` (positions and populations are rounded to float32 in
    archives, all other numbers are exact), and a pair's pixels not on the pairs beside it: then raw
    files and archives of any encoding give the same images.
    """

    name: str
    channels: tuple[Channel, ...]
    size: int = 32  # pixels of a side
    legend: str = ""  # what the letters in the formulas of the channels stand for
    members: Mapping[str, Member] = {}  # what archives of it hold beside the pixels
    mirrored: bool = False  # whether swapping the atoms mirrors the images; see `flip`

    @abstractmethod
    def draw(self, pairs: Pairs) -> Image:
        """Draw the images of `pairs`, float32 [n, channels, size, size].

        Raises
        ------
        ParseError
            The pairs lack numbers that the images are drawn from.
        """

    def encode(self, pairs: Pairs) -> Images:
        """Return the images of `pairs`, to be drawn when they are asked for."""
        return Drawn(self, pairs)

    def arrays(self, _images: Images) -> Mapping[str, NDArray[Any]]:
        """Return the arrays `members` of images that `encode` made."""
        return {}

    def stored(self, read: Callable[[str], NDArray[Any]]) -> Images:
        """Return the images of an archive; `read` gives its arrays by name."""
        return read("images")

    def numbers_in(self, _images: Images) -> Mapping[str, Float]:
        """Return columns of `ROW` that archives of format 1 hold in their images only."""
        return {}

    def atom_pixels(self, _channel: Channel, _pair: Pairs) -> Float:
        """Return column and row of the atoms of a pair, [n, 2]; [0, 2] where no space is shown."""
        return np.empty((0, 2))

    def products(self, _images: Images) -> tuple[Float, Image] | None:
        """Return amplitudes [N, C, n] and basis [C, n, size, size] that images are the products of.

        None where the images of the encoding are no such products.
        """
        return None

    def flip(self, images: Image) -> Image:
        """Swap the atoms in images [..., channels, size, size]; twice makes them what they were.

        Pictures of space are mirrored in x, matrices in both axes.

        Raises
        ------
        ValueError
            The encoding has no such mirror.
        """
        if not self.mirrored:
            raise ValueError(f"swapping the atoms mirrors no image of the encoding {self.name}")
        matrices = np.array([channel.matrix for channel in self.channels])
        flipped = images[..., ::-1].copy()
        flipped[..., matrices, :, :] = flipped[..., matrices, ::-1, :]
        return flipped

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(channel.name for channel in self.channels)

    @property
    def checks(self) -> tuple[EncodingCheck, ...]:
        """What has to hold for archives of this encoding; see `twobody.check.laws`."""
        return (self.pixels, self.drawn_again)

    @property
    def warnings(self) -> tuple[EncodingCheck, ...]:
        """What is legal in archives of this encoding, but suspicious."""
        return (self.zero_channels,)

    def pixels(self, pairs: Pairs, blocks: Blocks) -> Iterator[Finding]:
        """Images are finite, and not negative where they cannot be."""
        bounded = np.array([channel.non_negative for channel in self.channels])
        for start, block in blocks():
            yield from self.where(~np.isfinite(block), "is not finite", pairs, start)
            negative = (block < 0) & bounded[:, None, None]
            yield from self.where(negative, "is negative", pairs, start)

    def drawn_again(self, pairs: Pairs, blocks: Blocks) -> Iterator[Finding]:
        """Images are those that the encoding draws from the numbers beside them."""
        for start, block in blocks():
            drawn = self.draw(pairs.take(slice(start, start + len(block))))
            wrong = np.abs(block - drawn) > 1e-3 * np.abs(drawn) + 1e-6  # twice float16's precision
            yield from self.where(wrong, "is not drawn from these numbers", pairs, start)

    def zero_channels(self, _: Pairs, blocks: Blocks) -> Iterator[Finding]:
        """No channel is zero in every pair."""
        used = np.array([block.any((0, 2, 3)) for _start, block in blocks()]).any(axis=0)
        for k in np.flatnonzero(~used):
            yield Finding(None, f"{self.channel_names[k]} is zero in every pair")

    def where(
        self, wrong: NDArray[np.bool_], message: str, pairs: Pairs, start: int
    ) -> Iterator[Finding]:
        """Yield the channels with a pixel where `wrong` is true; its first row is pair `start`."""
        for i, k in np.argwhere(wrong.any((2, 3))):
            yield Finding(str(pairs.names[start + i]), f"{self.channel_names[k]} {message}")
