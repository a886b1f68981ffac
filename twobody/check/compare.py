"""What two archives have in common, and where they differ most."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import Container
from twobody.archive.reader import is_original, origin_of, pairs_in
from twobody.check.copies import dicts
from twobody.check.quantities import (
    SINGLE_TOLERANCE,
    VALUE_TOLERANCE,
    Quantity,
    compared,
    shared_quantities,
)
from twobody.encodings.encoding import Pixels
from twobody.pairs import Pairs
from twobody.tables import aligned, number, plain, wrapped

_Rows = NDArray[np.intp]


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
    here, there = pairs_in(first), pairs_in(second)
    names, rows, others = np.intersect1d(here.names, there.names, return_indices=True)
    quantities = shared_quantities(
        replace(here, images=_stored(first, here)).take(rows),
        replace(there, images=_stored(second, there)).take(others),
    )
    differences = [d for quantity in quantities for d in _largest(names, quantity)]
    shared = (first, rows, second, others, names)
    if here.encoding == there.encoding and not (is_original(first) or is_original(second)):
        differences += _member_differences(*shared)
    pairs = only_in_one(here.names, there.names)
    labels = only_in_one(*(np.array([*p.label_columns()], np.str_) for p in (here, there)))
    # Dicts that say what the columns say have been compared with them.
    if [*dicts(first, here), *dicts(second, there)]:
        alone = {f"labels {name}" for names in labels.values() for name in names}
        differences += [d for d in _dict_differences(*shared) if d["quantity"] not in alone]
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
        yield "of other origin, which does not count:"
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
