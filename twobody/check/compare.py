"""What two archives have in common, and where they differ most."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import Container
from twobody.archive.layout import PAIR_NUMBERS
from twobody.archive.reader import is_original, origin_of, pairs_in
from twobody.check.tables import aligned, number, plain, wrapped
from twobody.check.verify import dicts
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.pairs import METADATA_NAMES, Columns, Float, Pairs

VALUE_TOLERANCE = 1e-12  # of the value: text read by another parser may differ in the last bit
SINGLE_TOLERANCE = 1e-6  # of the value, or of the largest pixel: ten roundings to float32

_Side = tuple[Container, NDArray[np.intp]]  # an archive, and its rows that the other has too


class Quantity(NamedTuple):
    """One quantity of N pairs, as two sources have it."""

    name: str
    pairs: NDArray[np.str_]  # [N] names
    first: NDArray[Any]  # [N] numbers or texts; of several per pair those that differ most
    second: NDArray[Any]  # [N]
    distance: Float  # [N] between them; infinite where texts differ or one number is missing
    beyond_rounding: NDArray[np.bool_]  # [N] whether that is more than rounding explains


def compare(first: Container, second: Container) -> dict[str, Any]:
    """Compare all that two open archives hold, of the pairs that both have.

    The result is what JSON can hold. `stated` are encodings and units that differ, `origin` are
    formats and provenance, which do not make archives unequal, and `differences` has an item for
    every quantity that is not the same to the last bit: in how many `pairs`, in how many
    `beyond_rounding`, and the values (None is missing) of the pair with the largest difference.

    Raises a ParseError where an archive cannot be read, or images of one encoding differ in size.
    """
    here, there = pairs_in(first), pairs_in(second)
    names, rows, others = np.intersect1d(here.names, there.names, return_indices=True)
    sides = (first, rows), (second, others)
    quantities = [*shared_quantities(_stored(first, here, rows), _stored(second, there, others))]
    if here.encoding == there.encoding and not (is_original(first) or is_original(second)):
        quantities += _beside_pixels(names, *sides)
    # Dicts that say what the columns say have been compared with them.
    if [*dicts(first, here), *dicts(second, there)]:
        quantities += _in_dicts(names, *sides)
    differences = [_largest(quantity) for quantity in quantities if quantity.distance.any()]
    pairs = only_in_one(here.names.tolist(), there.names.tolist())
    labels = only_in_one(here.label_columns(), there.label_columns())
    stated = _differing(_stated(here), _stated(there))
    complete = not any((*pairs.values(), *labels.values()))
    return {
        "first": str(first.path),
        "second": str(second.path),
        "equal": complete and not stated and not any(d["beyond_rounding"] for d in differences),
        "shared_pairs": len(names),
        "pairs": pairs,
        "labels": labels,
        "stated": stated,
        "origin": _differing(_origin(first), _origin(second)),
        "differences": differences,
    }


def only_in_one(first: Iterable[str], second: Iterable[str]) -> dict[str, list[str]]:
    """Return the names that only one of the two has."""
    here, there = set(first), set(second)
    return {"only_in_first": sorted(here - there), "only_in_second": sorted(there - here)}


def _stored(archive: Container, pairs: Pairs, rows: NDArray[np.intp]) -> Pairs:
    """Return some pairs with the pixels that the file has; loaders may draw them from others."""
    if "images" in archive.members and not isinstance(pairs.images, np.ndarray):
        pairs = replace(pairs, images=archive.read("images"))
    return pairs.take(rows)


def _stated(pairs: Pairs) -> dict[str, str]:
    """Return what holds for all pairs."""
    units = zip(pairs.label_names.tolist(), pairs.label_units.tolist(), strict=True)
    return {"encoding": pairs.encoding} | {f"unit of {label}": unit for label, unit in units}


def _origin(archive: Container) -> dict[str, str]:
    """Return how an archive was made."""
    if is_original(archive):
        return {"format": "original project"}
    origin = origin_of(archive)
    stated = {f"provenance {key}": json.dumps(value) for key, value in origin.provenance.items()}
    return {"format": str(origin.version)} | stated


def _differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {"what": what, "first": first[what], "second": second[what]}
        for what in first
        if what in second and first[what] != second[what]
    ]


def _beside_pixels(names: NDArray[np.str_], first: _Side, second: _Side) -> Iterator[Quantity]:
    """Compare what an encoding stores beside the pixels."""
    for name, member in origin_of(first[0]).encoding.members.items():
        if name in first[0].members and name in second[0].members:
            here, there = (archive.read(name) for archive, _ in (first, second))
            tolerance = SINGLE_TOLERANCE if here.dtype == np.float32 else VALUE_TOLERANCE
            if member.shape[0] == "N":
                yield compared(name, names, here[first[1]], there[second[1]], tolerance)
            else:
                yield compared(name, np.array(["every pair"]), here[None], there[None], tolerance)


def _in_dicts(names: NDArray[np.str_], first: _Side, second: _Side) -> Iterator[Quantity]:
    """Compare the dicts of labels and metadata key by key; a missing key is a missing value."""
    missing = np.full(len(names), np.nan)
    for member in ("labels", "metadata"):
        if member in first[0].members and member in second[0].members:
            here, there = (_dict_columns(member, *side) for side in (first, second))
            for key in here | there:
                a, b = here.get(key, missing), there.get(key, missing)
                yield compared(f"{member} {key}", names, a, b, VALUE_TOLERANCE)


def _dict_columns(member: str, archive: Container, rows: NDArray[np.intp]) -> Columns:
    """Return the values of an array of dicts by key; NaN where one is missing."""
    items = archive.read_objects(member)[rows].tolist()
    dicts = [item if isinstance(item, dict) else {"not a dict": item} for item in items]
    columns: Columns = {}
    for key in dict.fromkeys(key for one in dicts for key in one):
        values = [math.nan if one.get(key) is None else one[key] for one in dicts]
        for i, value in enumerate(values):
            if isinstance(value, list | tuple | np.ndarray):
                items = np.array(value, object).flat
                values[i] = f"({', '.join(number(plain(item), 12) for item in items)})"
        has_text = any(isinstance(value, str) for value in values)
        columns[key] = np.array(values, object if has_text else np.float64)
    return columns


def _largest(quantity: Quantity) -> dict[str, Any]:
    """Describe how a quantity differs, with the values of the pair where most."""
    worst = int(quantity.distance.argmax())
    distance = float(quantity.distance[worst])
    return {
        "quantity": quantity.name,
        "pairs": int((quantity.distance > 0).sum()),
        "beyond_rounding": int(quantity.beyond_rounding.sum()),
        "pair": str(quantity.pairs[worst]),
        "first": plain(quantity.first[worst]),
        "second": plain(quantity.second[worst]),
        "difference": distance if math.isfinite(distance) else None,
    }


def compared(
    name: str, pairs: NDArray[np.str_], first: NDArray[Any], second: NDArray[Any], tolerance: float
) -> Quantity:
    """Compare two arrays [N, ...] pair by pair; `tolerance` is of the largest number of a pair."""
    width = math.prod(first.shape[1:])  # not -1, which there is none of without a pair
    are_numbers = first.dtype.kind == second.dtype.kind == "f"
    first, second = (
        values.reshape(len(pairs), width).astype(np.float64 if are_numbers else object)
        for values in (first, second)
    )
    missing = (first != first) & (second != second)  # noqa: PLR0124 - NaN
    distance, size = np.full(first.shape, np.inf), np.zeros(len(pairs))
    if are_numbers:
        distance = np.nan_to_num(np.abs(first - second), nan=np.inf, posinf=np.inf)
        size = np.nan_to_num(np.fmax(np.abs(first), np.abs(second))).max(axis=1)
    distance[(first == second) | missing] = 0
    worst = distance.argmax(axis=1)[:, None]
    first, second, distance = (
        np.take_along_axis(values, worst, axis=1)[:, 0] for values in (first, second, distance)
    )
    return Quantity(name, pairs, first, second, distance, distance > tolerance * size)


def shared_quantities(first: Pairs, second: Pairs) -> Iterator[Quantity]:
    """Yield every quantity that two tables of the same pairs have, in the order of the first.

    Raises a ParseError where the images of one encoding are of different sizes.
    """
    original = first.provenance is None or second.provenance is None
    of_metadata = SINGLE_TOLERANCE if original else VALUE_TOLERANCE
    tolerances = (SINGLE_TOLERANCE, of_metadata, VALUE_TOLERANCE, VALUE_TOLERANCE)
    for here, there, tolerance in zip(_groups(first), _groups(second), tolerances, strict=True):
        for name in here:
            if name in there:
                yield compared(name, first.names, here[name], there[name], tolerance)
    if first.encoding == second.encoding:
        pixels, others = first.encoded[:], second.encoded[:]
        if pixels.shape != others.shape:
            expected = f"images of shape {list(pixels.shape[1:])}"
            raise ParseError(second.path, None, expected, f"{list(others.shape[1:])}")
        for k, name in enumerate(get_encoding(first.encoding).channel_names):
            channel = f"channel {name}"
            yield compared(channel, first.names, pixels[:, k], others[:, k], SINGLE_TOLERANCE)


def _groups(pairs: Pairs) -> tuple[Columns, ...]:
    """Return geometry, metadata, what format 2 has beside them, and labels.

    Apart, as a label of an unknown archive may have the name of anything.
    """
    geometry = pairs.geometry_columns()
    del geometry["bond_length_ang"]  # is that of the metadata
    metadata = {f"metadata {name}": pairs.metadata[:, k] for k, name in enumerate(METADATA_NAMES)}
    held = pairs.provenance is not None and pairs.provenance["format_version"] >= 2
    numbers = {name: pairs.rows[name] for name in PAIR_NUMBERS} if held else {}
    return geometry, metadata, numbers, pairs.label_columns()


def format_comparison(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a comparison, for people."""
    yield f"first   {content['first']}"
    yield f"second  {content['second']}"
    yield f"pairs in both: {content['shared_pairs']}"
    for kind in ("pairs", "labels"):
        for side, names in content[kind].items():
            if names:
                yield f"{kind} {side.replace('_', ' ')}: {len(names)}"
                yield from wrapped(names)
    for text in content["stated"]:
        yield f"{text['what']}: first {text['first']!r}, second {text['second']!r}"
    if content["origin"]:
        yield "of other origin, which does not count:"
        yield from wrapped(text["what"] for text in content["origin"])
    if content["differences"]:
        rows = [("quantity", "pairs", "beyond", "largest at", "first", "second", "difference")]
        for d in content["differences"]:
            counts = str(d["pairs"]), str(d["beyond_rounding"])
            values = (number(d[key]) for key in ("first", "second", "difference"))
            rows.append((d["quantity"], *counts, d["pair"], *values))
        yield from aligned(rows)
        yield "pairs: how many differ at all; beyond: by more than rounding"
    yield "equal" if content["equal"] else "not equal"
