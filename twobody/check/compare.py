"""What two archives have in common, and where they differ most."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.columns import Columns, RenderedImages
from twobody.encodings.published import CHANNEL_NAMES, Image
from twobody.errors import ParseError
from twobody.tables import aligned, number, plain, wrapped

VALUE_TOLERANCE = 1e-12  # of the value: text read by another parser may differ in the last bit
SINGLE_TOLERANCE = 1e-6  # of the value, or of the largest pixel: ten roundings to float32
_BLOCK = 256  # pairs whose images are in memory at a time: 10 MB

_Float = NDArray[np.float64]
_Rows = NDArray[np.intp]
_Images = RenderedImages | Image


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of the N pairs that two archives share.

    Attributes
    ----------
    name : str
    first, second : [N]
        Its values, numbers or texts; of an image channel the pixels that differ most.
    distance : float64 [N]
        How far they are from each other; infinite where texts differ or one number is missing.
    allowed : float64 [N]
        How far rounding explains.
    """

    name: str
    first: NDArray[Any]
    second: NDArray[Any]
    distance: _Float
    allowed: _Float

    @property
    def beyond_rounding(self) -> NDArray[np.bool_]:
        """Where the two differ by more than rounding, [N]."""
        return self.distance > self.allowed


def compare(first: Columns, second: Columns) -> dict[str, Any]:
    """Compare the pairs and labels that two archives share.

    Returns
    -------
    dict
        What JSON can hold: equal; pairs and labels, each with only_in_first and only_in_second;
        stated, the names of channels and units of labels that differ: what, first, second;
        differences, one for every quantity that is not the same to the last bit: quantity, pairs
        (how many differ), beyond_rounding (how many by more than rounding), and of the pair with
        the largest difference pair, first, second (None is missing), difference.

    Raises
    ------
    ParseError
        The images are of different sizes.
    """
    pairs = only_in_one(first.pair_names, second.pair_names)
    labels = only_in_one(*(np.append(c.label_names, c.text_label_names) for c in (first, second)))
    names = np.intersect1d(first.pair_names, second.pair_names)
    stated = _other_texts(first, second)
    differences = [
        _largest(names, quantity)
        for quantity in shared_quantities(first, second)
        if quantity.distance.any()
    ]
    complete = not any((*pairs.values(), *labels.values()))
    return {
        "first": str(first.path),
        "second": str(second.path),
        "equal": complete and not stated and not any(d["beyond_rounding"] for d in differences),
        "shared_pairs": len(names),
        "pairs": pairs,
        "labels": labels,
        "stated": stated,
        "differences": differences,
    }


def only_in_one(first: NDArray[np.str_], second: NDArray[np.str_]) -> dict[str, list[str]]:
    """Return the names that only one of the two has."""
    return {
        "only_in_first": np.setdiff1d(first, second).tolist(),
        "only_in_second": np.setdiff1d(second, first).tolist(),
    }


def _other_texts(first: Columns, second: Columns) -> list[dict[str, str]]:
    """Return what the two call the channels, and the units of labels that both have, if not so."""
    here, there = (
        {f"channel {k}": name for k, name in enumerate(columns.channels.tolist())}
        | {
            f"unit of {label}": unit
            for label, unit in zip(
                columns.label_names.tolist(), columns.label_units.tolist(), strict=True
            )
        }
        for columns in (first, second)
    )
    return [
        {"what": what, "first": here[what], "second": there[what]}
        for what in here
        if what in there and here[what] != there[what]
    ]


def shared_quantities(first: Columns, second: Columns) -> Iterator[Quantity]:
    """Yield every quantity that both have, of the pairs that both have, sorted by name."""
    if (shape := first.images.shape[1:]) != second.images.shape[1:]:
        found = f"{list(second.images.shape[1:])}"
        raise ParseError(second.path, None, f"images of shape {list(shape)}", found)
    _, rows, others = np.intersect1d(first.pair_names, second.pair_names, return_indices=True)
    here, there = _texts(first, rows), _texts(second, others)
    for name in here.keys() & there.keys():
        distance = np.where(here[name] == there[name], 0.0, np.inf)
        yield Quantity(name, here[name], there[name], distance, np.zeros(len(rows)))
    here, there = _numbers(first, rows), _numbers(second, others)
    ours = all(isinstance(columns.images, RenderedImages) for columns in (first, second))
    for name in here:
        if name in there:
            single = here[name].dtype == np.float32 or (name.startswith("metadata") and not ours)
            yield _compared(name, here[name], there[name], single=single)
    yield from _compared_images(first.images, rows, second.images, others)


def _texts(columns: Columns, rows: _Rows) -> Mapping[str, NDArray[Any]]:
    elements = {f"element {atom + 1}": columns.elements[rows, atom] for atom in range(2)}
    texts = zip(columns.text_label_names.tolist(), columns.text_label_values[rows].T, strict=True)
    return {**elements, **dict(texts)}


def _numbers(columns: Columns, rows: _Rows) -> Mapping[str, NDArray[Any]]:
    """Return every number of the pairs `rows` by name, but for the pixels."""
    numbers = dict(zip(columns.label_names.tolist(), columns.label_values[rows].T, strict=True))
    for name, values in zip(
        columns.metadata_names.tolist(), columns.metadata_values.T, strict=True
    ):
        numbers[f"metadata {name}"] = values[rows]
    for atom in range(2):
        for k, name in enumerate(("x", "y", "z", "population")):
            numbers[f"{name} of atom {atom + 1}"] = columns.geometries[rows, atom, k]
        if isinstance(columns.images, RenderedImages):
            for k, channel in enumerate(CHANNEL_NAMES):
                values = columns.images.amplitudes[rows, k, atom]
                numbers[f"amplitude {atom + 1} of {channel}"] = values
    return numbers


def _compared(name: str, first: NDArray[Any], second: NDArray[Any], *, single: bool) -> Quantity:
    tolerance = SINGLE_TOLERANCE if single else VALUE_TOLERANCE
    first, second = first.astype(np.float64), second.astype(np.float64)
    distance = np.nan_to_num(np.abs(first - second), nan=0.0, posinf=np.inf)
    distance[np.isnan(first) != np.isnan(second)] = np.inf
    size = np.fmax(np.abs(first), np.abs(second))
    return Quantity(name, first, second, distance, tolerance * np.nan_to_num(size, nan=0.0))


def _compared_images(
    first: _Images, rows: _Rows, second: _Images, others: _Rows
) -> Iterator[Quantity]:
    """Compare pixel by pixel; a pixel that is NaN is infinitely far from any other."""
    here, there, distance, size = np.zeros((4, len(CHANNEL_NAMES), len(rows)))
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        a, b = (
            images[index[block]].astype(np.float64).reshape(-1, len(CHANNEL_NAMES), _pixels(first))
            for images, index in ((first, rows), (second, others))
        )
        distances = np.nan_to_num(np.abs(a - b), nan=np.inf)
        worst = distances.argmax(2)[..., None]
        for result, values in ((here, a), (there, b), (distance, distances)):
            result[:, block] = np.take_along_axis(values, worst, 2)[..., 0].T
        size[:, block] = np.maximum(np.abs(a), np.abs(b)).max(2).T
    for k, channel in enumerate(CHANNEL_NAMES):
        allowed = SINGLE_TOLERANCE * size[k]
        yield Quantity(f"channel {channel}", here[k], there[k], distance[k], allowed)


def _pixels(images: _Images) -> int:
    return images.shape[2] * images.shape[3]


def _largest(names: NDArray[np.str_], quantity: Quantity) -> dict[str, Any]:
    """Describe how a quantity differs, with the values of the pair where it does most."""
    worst = int(quantity.distance.argmax())
    distance = float(quantity.distance[worst])
    return {
        "quantity": quantity.name,
        "pairs": int((quantity.distance > 0).sum()),
        "beyond_rounding": int(quantity.beyond_rounding.sum()),
        "pair": str(names[worst]),
        "first": plain(quantity.first[worst]),
        "second": plain(quantity.second[worst]),
        "difference": distance if math.isfinite(distance) else None,
    }


def format_comparison(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a comparison, for people."""
    yield f"first   {content['first']}"
    yield f"second  {content['second']}"
    yield f"pairs in both: {content['shared_pairs']}"
    for kind in ("pairs", "labels"):
        for side, names in content[kind].items():
            if names:
                yield f"{kind} {side.replace('_', ' ')}: {len(names)}"
                yield from wrapped(names, "  ")
    for text in content["stated"]:
        yield f"{text['what']}: first {text['first']!r}, second {text['second']!r}"
    if content["differences"]:
        rows = [("quantity", "pairs", "beyond", "largest at", "first", "second", "difference")]
        rows += [
            (
                d["quantity"],
                str(d["pairs"]),
                str(d["beyond_rounding"]),
                d["pair"],
                number(d["first"]),
                number(d["second"]),
                number(d["difference"]),
            )
            for d in content["differences"]
        ]
        yield from aligned(rows)
        yield "pairs: how many differ at all; beyond: by more than rounding"
    yield "equal" if content["equal"] else "not equal"
