"""What two archives have in common, and where they differ most."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import Container
from twobody.archive.layout import PAIR_NUMBERS
from twobody.archive.reader import is_original, origin_of, pairs_in
from twobody.check.copies import dicts
from twobody.encodings import get_encoding
from twobody.encodings.encoding import Pixels
from twobody.errors import ParseError
from twobody.pairs import METADATA_NAMES, Columns, Float, Pairs
from twobody.tables import aligned, number, plain, wrapped

VALUE_TOLERANCE = 1e-12  # of the value: text read by another parser may differ in the last bit
SINGLE_TOLERANCE = 1e-6  # of the value, or of the largest pixel: ten roundings to float32
_BLOCK = 256  # pairs whose images are compared at a time: 10 MB each
_Rows = NDArray[np.intp]

_SINGLE = (*(f"{axis}{atom}" for axis in "xyz" for atom in (1, 2)), "population_1", "population_2")
_METADATA = tuple(f"metadata {name}" for name in METADATA_NAMES if name != "bond_length")


@dataclass(frozen=True, eq=False)
class Quantity:
    """One quantity of the N pairs that two archives share.

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


def compare(first: Container, second: Container) -> dict[str, Any]:
    """Compare all that two open archives hold, of the pairs that both have.

    Returns
    -------
    dict
        What JSON can hold: equal; pairs and labels, each with only_in_first and only_in_second;
        stated, encodings and units of labels that differ: what, first, second; origin, the same of
        formats and provenance, which do not make archives unequal; differences, one for every
        quantity that is not the same to the last bit: quantity, pairs (how many differ),
        beyond_rounding (how many by more than rounding), and of the pair with the largest
        difference pair, first, second (None is missing), difference.

    Raises
    ------
    ParseError
        An archive cannot be read, or images of one encoding are of different sizes.
    """
    whole = [pairs_in(first), pairs_in(second)]
    names, rows, others = np.intersect1d(*(p.names for p in whole), return_indices=True)
    here, there = (
        replace(pairs, images=_stored(archive, pairs)).take(index)
        for archive, pairs, index in zip((first, second), whole, (rows, others), strict=True)
    )
    shared = (first, rows, second, others, names)
    pairs = only_in_one(*(p.names for p in whole))
    labels = only_in_one(*(np.array([*p.label_columns()], np.str_) for p in whole))
    stated = _differing(_stated(here), _stated(there))
    differences = [d for q in shared_quantities(here, there) for d in _largest(names, q)]
    if here.encoding == there.encoding and not (is_original(first) or is_original(second)):
        differences += _member_differences(*shared)
    # Dicts that say what the columns say have been compared with them.
    if any(_odd_dicts(archive, p) for archive, p in zip((first, second), whole, strict=True)):
        alone = {f"labels {name}" for names in labels.values() for name in names}
        differences += [d for d in _dict_differences(*shared) if d["quantity"] not in alone]
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


def only_in_one(first: NDArray[np.str_], second: NDArray[np.str_]) -> dict[str, list[str]]:
    """Return the names that only one of the two has."""
    return {
        "only_in_first": np.setdiff1d(first, second).tolist(),
        "only_in_second": np.setdiff1d(second, first).tolist(),
    }


def _stored(archive: Container, pairs: Pairs) -> Pixels:
    """Return the images as the file has them; those of `pairs` may be made of other members."""
    images = pairs.images
    return images if isinstance(images, Pixels) else Pixels(archive.read("images"))


def _odd_dicts(archive: Container, pairs: Pairs) -> bool:
    return any(True for _ in dicts(archive, pairs))


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


def shared_quantities(first: Pairs, second: Pairs) -> Iterator[Quantity]:
    """Yield every quantity that both of two tables of the same pairs have, in their order.

    Raises
    ------
    ParseError
        The images of one encoding are of different sizes.
    """
    original = first.provenance is None or second.provenance is None
    for here, there in zip(_groups(first), _groups(second), strict=True):
        for name in here:
            if name in there:
                single = name in _SINGLE or (original and name in _METADATA)
                tolerance = SINGLE_TOLERANCE if single else VALUE_TOLERANCE
                yield compared(name, here[name], there[name], tolerance)
    if first.encoding == second.encoding:
        yield from _channels(first, second)


def _groups(pairs: Pairs) -> tuple[Columns, ...]:
    """Return what is known of each pair, in groups, as a label may have the name of anything."""
    metadata = dict(zip(METADATA_NAMES, pairs.metadata.T, strict=True))
    del metadata["bond_length"]  # stands in the geometry
    held = () if pairs.provenance is None or pairs.provenance["format_version"] < 2 else PAIR_NUMBERS
    numbers = {name: pairs.rows[name] for name in held}
    named = {f"metadata {name}": values for name, values in metadata.items()}
    return pairs.geometry_columns(), named, numbers, pairs.label_columns()


def compared(name: str, first: NDArray[Any], second: NDArray[Any], tolerance: float) -> Quantity:
    """Compare two arrays [N, ...] of numbers or texts, row by row.

    `tolerance` is in units of the largest number of the row.
    """
    first, second = (values.reshape(len(values), -1) for values in (first, second))
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


def _channels(first: Pairs, second: Pairs) -> Iterator[Quantity]:
    """Compare images pixel by pixel."""
    if first.images is None or second.images is None:
        return
    if (shape := first.images.shape[1:]) != second.images.shape[1:]:
        found = f"{list(second.images.shape[1:])}"
        raise ParseError(second.path, None, f"images of shape {list(shape)}", found)
    names = [f"channel {name}" for name in get_encoding(first.encoding).channel_names]
    parts: list[list[Quantity]] = []
    for start in range(0, len(first), _BLOCK):
        block = slice(start, start + _BLOCK)
        pixels = (images[block].swapaxes(0, 1) for images in (first.images, second.images))
        channels = zip(names, *pixels, strict=True)
        parts.append([compared(name, a, b, SINGLE_TOLERANCE) for name, a, b in channels])
    for name, quantities in zip(names, zip(*parts, strict=True), strict=False):
        columns = zip(*((q.first, q.second, q.distance, q.beyond_rounding) for q in quantities))
        yield Quantity(name, *map(np.concatenate, columns))


def _member_differences(
    first: Container, rows: _Rows, second: Container, others: _Rows, names: NDArray[np.str_]
) -> Iterator[dict[str, Any]]:
    """Compare what an encoding stores beside the pixels, where both archives have it."""
    for name, member in origin_of(first).encoding.members.items():
        here, there = first.read(name), second.read(name)
        tolerance = SINGLE_TOLERANCE if here.dtype == np.float32 else VALUE_TOLERANCE
        if member.shape[0] == "N":
            yield from _largest(names, compared(name, here[rows], there[others], tolerance))
        else:
            every = np.array(["every pair"])
            yield from _largest(every, compared(name, here[None], there[None], tolerance))


def _largest(names: NDArray[np.str_], quantity: Quantity) -> Iterator[dict[str, Any]]:
    """Describe how a quantity differs, if it does, with the values of the pair where most."""
    if not quantity.distance.any():
        return
    worst = int(quantity.distance.argmax())
    distance = float(quantity.distance[worst])
    yield {
        "quantity": quantity.name,
        "pairs": int((quantity.distance > 0).sum()),
        "beyond_rounding": int(quantity.beyond_rounding.sum()),
        "pair": str(names[worst]),
        "first": plain(quantity.first[worst]),
        "second": plain(quantity.second[worst]),
        "difference": distance if math.isfinite(distance) else None,
    }


def _dict_differences(
    first: Container, rows: _Rows, second: Container, others: _Rows, names: NDArray[np.str_]
) -> Iterator[dict[str, Any]]:
    """Compare the dicts of labels and metadata key by key; a missing key is a missing value."""
    for member in ("labels", "metadata"):
        if member not in first.members or member not in second.members:
            continue
        here, there = (
            [row or {} for row in archive.read_objects(member)[index].tolist()]
            for archive, index in ((first, rows), (second, others))
        )
        found: dict[str, list[tuple[str, Any, Any]]] = {}
        for name, a, b in zip(names.tolist(), here, there, strict=True):
            for key in dict.fromkeys([*a, *b]):
                if not _same(x := _plain(a.get(key)), y := _plain(b.get(key))):
                    found.setdefault(key, []).append((name, x, y))
        for key, values in found.items():
            pair, x, y = values[0]
            yield {
                "quantity": f"{member} {key}",
                "pairs": len(values),
                "beyond_rounding": len(values),
                "pair": pair,
                "first": plain(x),
                "second": plain(y),
                "difference": None,
            }


def _plain(value: Any) -> Any:
    """Return a value of a dict with tuples for all that is several, and None for NaN."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1).tolist()
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return None if value != value else value  # noqa: PLR0124 - NaN


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, int | float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=VALUE_TOLERANCE)
    return bool(first == second)


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
    if content["origin"]:
        yield "made differently, which makes no difference here:"
        yield from wrapped((text["what"] for text in content["origin"]), "  ")
    if content["differences"]:
        rows = [("quantity", "pairs", "beyond", "largest at", "first", "second", "difference")]
        rows += [
            (
                d["quantity"],
                str(d["pairs"]),
                str(d["beyond_rounding"]),
                d["pair"],
                *(number(d[key]) for key in ("first", "second", "difference")),
            )
            for d in content["differences"]
        ]
        yield from aligned(rows)
        yield "pairs: how many differ at all; beyond: by more than rounding"
    yield "equal" if content["equal"] else "not equal"
