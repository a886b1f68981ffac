"""The samples of a dataset: what both PyTorch datasets have in common, without PyTorch."""

from __future__ import annotations

import math
import multiprocessing
import operator
from collections.abc import Callable, Iterable, MutableSequence, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from twobody.archive.reader import read
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.pairs import Image, Images, Pairs, pair_index
from twobody.text import PathLike, counted

T = TypeVar("T")
Missing = Literal["drop", "nan", "error"]
Labels = str | Sequence[str]  # one label, or several

MOST_KEPT = 1 << 30  # bytes of images kept once made; a larger set is drawn every time


class LazySequence(MutableSequence[T]):
    """The n samples of a batch, which `make` makes when somebody looks at them.

    A data loader asks a dataset for the samples of a batch, and then makes one batch of them. A
    dataset that can make the batch at once needs the samples only where other code wants to see
    them. Copies, pickles and sums are plain lists.
    """

    def __init__(self, n: int, make: Callable[[], list[T]]) -> None:
        self._n, self._make = n, make

    @cached_property
    def _samples(self) -> list[T]:
        return self._make()

    @property
    def seen(self) -> bool:
        """Whether the samples have been made, and may have been changed."""
        return "_samples" in vars(self)

    def __len__(self) -> int:
        return len(self._samples) if self.seen else self._n

    def __getitem__(self, index: Any) -> Any:
        """Return a sample, or a list of some."""
        return self._samples[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._samples[index] = value

    def __delitem__(self, index: Any) -> None:
        del self._samples[index]

    def insert(self, index: int, value: T) -> None:
        """Put a sample before `index`."""
        self._samples.insert(index, value)

    def __add__(self, other: Iterable[T]) -> list[T]:
        return [*self, *other]

    def __radd__(self, other: Iterable[T]) -> list[T]:
        return [*other, *self]

    def __reduce__(self) -> tuple[type[list[T]], tuple[list[T]]]:
        return list, (list(self),)


class ImageCache:
    """Images of `source` that are drawn when they are first asked for, and kept.

    Workers of a data loader share what was kept when they were forked and keep nothing themselves,
    so that memory does not grow with their number. Copies and pickles start anew.
    """

    def __init__(self, source: Images) -> None:
        self._source = source
        self._kept = np.empty(source.shape, np.float32)  # takes memory as it is written to
        self._made = np.zeros(len(self._kept), np.bool_)

    def __reduce__(self) -> tuple[type[ImageCache], tuple[Images]]:
        return type(self), (self._source,)

    def __getitem__(self, rows: NDArray[np.int64]) -> Image:
        """Return the images at `rows`, float32 [n, C, size, size], as an array of their own."""
        made = self._made[rows]
        if made.all():
            return self._kept[rows]
        if multiprocessing.current_process().daemon:
            return self._source[rows]
        new = rows[~made]
        self._kept[new] = self._source[new]
        self._made[new] = True
        return self._kept[rows]


def one_of(target_label: Labels | None, target_labels: Labels | None) -> Labels:
    """Return the labels that either argument gives, not both; by default the gap."""
    if target_label is not None and target_labels is not None:
        raise TypeError("target_label and target_labels are two names of one argument: give one")
    return next((given for given in (target_label, target_labels) if given is not None), "e_g_ev")


class Statistics(NamedTuple):
    """Of targets, each a number or, where a sample has several, one number per target."""

    mean: Any
    std: Any  # of the population: divided by n
    min: Any
    max: Any


class PairSamples:
    """Pairs with targets; parameters and errors are those of `TwoBodyDataset`.

    Attributes
    ----------
    dropped : str [n]
        Names of the pairs that were left out because they lack a label.
    channels : tuple of str
        Names of the image channels.
    label_units : dict of str to str
        Unit of each target; empty where the archive does not say it.
    """

    def __init__(
        self, path: PathLike, labels: Labels, missing: Missing, encoding: str | None
    ) -> None:
        labels = [labels] if isinstance(labels, str) else list(labels)
        if missing not in ("drop", "nan", "error"):
            raise ValueError(f"missing must be 'drop', 'nan' or 'error', not {missing!r}")
        pairs = read(path)
        drawn = get_encoding(pairs.encoding if encoding is None else encoding)
        if drawn.name != pairs.encoding:
            pairs = replace(pairs, encoding=drawn.name, images=drawn.encode(pairs))
        if not labels:
            raise ValueError("at least one target label is needed")
        chosen = [_label_index(pairs, name) for name in labels]
        values = pairs.label_values[:, chosen]
        lacking = np.asarray(np.isnan(values).any(axis=1))
        what = " and ".join(labels)
        if missing == "error" and lacking.any():
            without = pairs.names[lacking]
            found = f"{counted(len(without), 'pair')} without, the first {without[0]}"
            raise ParseError(path, None, f"{what} for every pair", found)
        keep = ~lacking if missing == "drop" else np.ones_like(lacking)
        if not keep.any():
            raise ParseError(path, None, f"pairs that have {what}", "none")
        self.dropped: NDArray[np.str_] = pairs.names[~keep]
        self.channels: tuple[str, ...] = drawn.channel_names
        units = pairs.label_units[chosen].tolist()
        self.label_units: dict[str, str] = dict(zip(labels, units, strict=True))
        self._pairs, self._values, self._kept = pairs, values, np.flatnonzero(keep)
        self._source = pairs.encoded
        draws = not isinstance(self._source, np.ndarray)
        is_small = math.prod(self._source.shape) * 4 <= MOST_KEPT
        self._images = ImageCache(self._source) if draws and is_small else self._source

    def __len__(self) -> int:
        return len(self._rows())

    def __repr__(self) -> str:
        targets = ", ".join(f"{name} [{unit}]" for name, unit in self.label_units.items())
        what = f"{counted(len(self), 'pair')}, targets {targets}"
        return f"{type(self).__name__}({what}, encoding {self._pairs.encoding})"

    def _rows(self) -> NDArray[np.int64]:
        """Return which of the pairs in the archive the samples are, in their order."""
        return self._kept

    def _place(self, index: Any) -> int:
        """Return the place, from 0, of a sample given by its number or the name of its pair."""
        rows = self._rows()
        if not isinstance(index, str):
            return range(len(rows))[operator.index(index)]
        places = np.flatnonzero(rows == pair_index(self._pairs.names.tolist(), index))
        if not places.size:
            raise KeyError(f"{index!r} is in another part, or in `dropped` for want of a target")
        return int(places[0])

    @property
    def pair_names(self) -> NDArray[np.str_]:
        """Name of each sample, A_B: str [N]."""
        return self._pairs.names[self._rows()]

    @property
    def elements(self) -> NDArray[np.str_]:
        """Symbols of the two atoms: str [N, 2]."""
        return self._pairs.elements[self._rows()]

    @property
    def atomic_numbers(self) -> NDArray[np.int64]:
        """Z of the two atoms: int64 [N, 2]."""
        return self._pairs.atomic_numbers[self._rows()]

    @property
    def geometries(self) -> NDArray[np.float32]:
        """x, y, z [Å] and Mulliken population [e] of the two atoms: float32 [N, 2, 4]."""
        return self._pairs.geometries[self._rows()]

    def _shaped(self, values: NDArray[np.float64]) -> Any:
        """Make of float64 [..., T] what the targets of a dataset are."""
        raise NotImplementedError

    def statistics(self, indices: Any) -> Statistics:
        """Return mean, std, min and max of the targets of samples.

        They are given by index, int [n] or bool [N], or as a part of this dataset, a ``Subset`` of
        PyTorch among others.

        Meant for a training split: statistics over all samples would tell of the test split too.
        Missing values do not count. They are worked out in float64, and come as float32 tensors of
        the shape of one target.

        Raises
        ------
        ValueError
            A target has no value among these samples, or they are neither indices nor a part.
        """
        values = self._values[self._rows_of(indices)]
        if np.isnan(values).all(axis=0).any():
            raise ValueError("no statistics: a target has no value among these samples")
        of_all = (np.nanmean, np.nanstd, np.nanmin, np.nanmax)
        return Statistics(*(self._shaped(function(values, axis=0)) for function in of_all))

    def _rows_of(self, samples: Any) -> NDArray[np.int64]:
        """Return which of the pairs in the archive a part of the samples is."""
        if isinstance(samples, PairSamples):
            if samples._values is not self._values:  # noqa: SLF001 - of this class
                raise ValueError(f"indices or a part of this dataset are needed, not {samples!r}")
            return samples._rows()  # noqa: SLF001
        rows = self._rows()
        if hasattr(samples, "dataset") and hasattr(samples, "indices"):  # a Subset
            rows, samples = self._rows_of(samples.dataset), samples.indices
        index = np.asarray(samples)
        if index.ndim != 1:
            raise ValueError(f"indices [n] are needed, not of shape {list(index.shape)}")
        return rows[index if index.size else []]

    def indices_with(self, elements: str | Iterable[str]) -> NDArray[np.int64]:
        """Return the indices, in order, of samples that contain the element or any of several.

        Raises
        ------
        ValueError
            A symbol is no element.
        """
        return np.flatnonzero(self._contain(elements))

    def indices_without(self, elements: str | Iterable[str]) -> NDArray[np.int64]:
        """Return the indices of samples that contain none of the elements; see `indices_with`."""
        return np.flatnonzero(~self._contain(elements))

    def _contain(self, elements: str | Iterable[str]) -> NDArray[np.bool_]:
        symbols = [elements] if isinstance(elements, str) else list(elements)
        for symbol in symbols:
            if symbol not in ATOMIC_NUMBERS:
                raise ValueError(f"{symbol!r} is not the symbol of an element")
        return np.asarray(np.isin(self.elements, symbols).any(axis=1))


def whole(indices: Sequence[int]) -> NDArray[np.int64]:
    """Return indices as an array; a TypeError where NumPy's conversion would round one."""
    return np.array([*map(operator.index, indices)], np.int64)


def _label_index(pairs: Pairs, name: str) -> int:
    """Return the column of a numeric label."""
    names: list[str] = pairs.label_names.tolist()
    if name in names:
        return names.index(name)
    if name in pairs.text_label_names.tolist():
        raise ValueError(f"label {name!r} is text and cannot be a target")
    from twobody.labels import nearest_labels  # noqa: PLC0415 - who knows the labels does without

    known = f"known: {', '.join(map(repr, names)) or 'none'}"
    if nearest := nearest_labels(str(name), names):
        known = f"did you mean {', '.join(map(repr, nearest))}?"
    raise ValueError(f"unknown label {name!r}; {known}")
