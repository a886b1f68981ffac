"""Quantities of pairs as two sources have them: how far apart, and what rounding explains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.layout import PAIR_NUMBERS
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.pairs import METADATA_NAMES, Columns, Float, Pairs

VALUE_TOLERANCE = 1e-12  # of the value: text read by another parser may differ in the last bit
SINGLE_TOLERANCE = 1e-6  # of the value, or of the largest pixel: ten roundings to float32
_BLOCK = 64  # pairs whose images are compared at a time: 5 MB in float64


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of N pairs, as two sources have it.

    Attributes
    ----------
    name : str
    first, second : [N]
        Its values, numbers or texts; of several numbers per pair those that differ most.
    distance : float64 [N]
        How far they are from each other; infinite where texts differ or one number is missing.
    beyond_rounding : bool [N]
        Whether that is more than rounding explains.
    """

    name: str
    first: NDArray[Any]
    second: NDArray[Any]
    distance: Float
    beyond_rounding: NDArray[np.bool_]


def compared(name: str, first: NDArray[Any], second: NDArray[Any], tolerance: float) -> Quantity:
    """Compare two arrays [N, ...] of numbers or texts, pair by pair.

    `tolerance` is in units of the largest number of the pair.
    """
    width = math.prod(first.shape[1:])  # not -1, which there is none of without a pair
    first, second = (values.reshape(len(values), width) for values in (first, second))
    if first.dtype.kind == second.dtype.kind == "f":
        first, second = first.astype(np.float64), second.astype(np.float64)
        distance = np.nan_to_num(np.abs(first - second), nan=np.inf, posinf=np.inf)
        distance[(first == second) | (np.isnan(first) & np.isnan(second))] = 0
        size = np.nan_to_num(np.fmax(np.abs(first), np.abs(second))).max(axis=1)
    else:
        distance = np.where(first.astype(object) == second.astype(object), 0.0, np.inf)
        size = np.zeros(len(first))
    worst = distance.argmax(axis=1)[:, None]
    first, second, distance = (
        np.take_along_axis(values, worst, axis=1)[:, 0] for values in (first, second, distance)
    )
    return Quantity(name, first, second, distance, distance > tolerance * size)


def shared_quantities(first: Pairs, second: Pairs) -> Iterator[Quantity]:
    """Yield every quantity that two tables of the same pairs have, in the order of the first.

    Raises
    ------
    ParseError
        The images of one encoding are of different sizes.
    """
    original = first.provenance is None or second.provenance is None
    of_metadata = SINGLE_TOLERANCE if original else VALUE_TOLERANCE
    tolerances = (SINGLE_TOLERANCE, of_metadata, VALUE_TOLERANCE, VALUE_TOLERANCE)
    for here, there, tolerance in zip(_groups(first), _groups(second), tolerances, strict=True):
        for name in here:
            if name in there:
                yield compared(name, here[name], there[name], tolerance)
    if first.encoding == second.encoding:
        yield from _channels(first, second)


def _groups(pairs: Pairs) -> tuple[Columns, Columns, Columns, Columns]:
    """Return geometry, metadata, what format 2 has beside them, and labels.

    Apart, as a label of an unknown archive may have the name of anything.
    """
    geometry = pairs.geometry_columns()
    del geometry["bond_length_ang"]  # is that of the metadata
    values = zip(METADATA_NAMES, pairs.metadata.T, strict=True)
    metadata = {f"metadata {name}": column for name, column in values}
    held = pairs.provenance is not None and pairs.provenance["format_version"] >= 2
    numbers = {name: pairs.rows[name] for name in PAIR_NUMBERS} if held else {}
    return geometry, metadata, numbers, pairs.label_columns()


def _channels(first: Pairs, second: Pairs) -> Iterator[Quantity]:
    """Compare images channel by channel, at the pixels that differ most."""
    here, there = first.images, second.images
    if here is None or there is None:
        return
    if (shape := here.shape[1:]) != there.shape[1:]:
        expected = f"images of shape {list(shape)}"
        raise ParseError(second.path, None, expected, f"{list(there.shape[1:])}")
    parts: list[tuple[NDArray[Any], ...]] = []
    for start in range(0, len(first), _BLOCK):
        rows = slice(start, start + _BLOCK)
        a, b = (images[rows].reshape(-1, shape[1] * shape[2]) for images in (here, there))
        q = compared("images", a, b, SINGLE_TOLERANCE)
        parts.append((q.first, q.second, q.distance, q.beyond_rounding))
    channels = get_encoding(first.encoding).channel_names
    if not parts:
        return
    columns = [
        np.concatenate(part).reshape(-1, len(channels)).T for part in zip(*parts, strict=True)
    ]
    for name, *values in zip(channels, *columns, strict=True):
        yield Quantity(f"channel {name}", *values)
