"""What is in an archive: members, labels with their statistics, elements, and single pairs."""

from __future__ import annotations

import difflib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from twobody.archive.container import Container
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.labels import LABELS, ONE_WHEN_NEUTRAL
from twobody.pairs import METADATA_NAMES, Float, Image, Pairs
from twobody.tables import aligned, number, plain, wrapped
from twobody.text import quote

Table = list[tuple[str, ...]]

_STATISTICS: dict[str, Callable[[Float], np.float64]] = {
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "median": np.median,
    "max": np.max,
}
_SAME = 1e-6  # e: charges of a neutral pair add up to 0 within what detailed.out prints
_GEOMETRY = ("x", "y", "z", "population")  # Å, Å, Å, e


def overview(archive: Container, pairs: Pairs) -> dict[str, Any]:
    """Describe an archive by what JSON can hold; everything in it is read once.

    Returns
    -------
    dict
        file, bytes, content_sha256, provenance (None where the archive has none), members (name,
        dtype, shape, bytes, packed_bytes), pairs, labels (see `describe_labels`), text_labels,
        elements (by atomic number), missing_pairs (of the full triangle of these elements).
    """
    elements = sorted(set(pairs.elements.flat), key=ATOMIC_NUMBERS.__getitem__)
    texts = zip(pairs.text_label_names.tolist(), pairs.text_label_values.T, strict=True)
    return {
        "file": str(archive.path),
        "bytes": archive.file_size,
        "content_sha256": archive.content_digest(),
        "provenance": pairs.provenance,
        "members": [
            {
                "name": member.name,
                "dtype": member.dtype.str,
                "shape": list(member.shape),
                "bytes": member.size,
                "packed_bytes": member.packed_size,
            }
            for member in archive.members.values()
        ],
        "pairs": len(pairs),
        "labels": describe_labels(pairs),
        "text_labels": [
            {"name": name, "count": int((values != "").sum()), "different": len(set(values))}
            for name, values in texts
        ],
        "elements": elements,
        "missing_pairs": missing_pairs(elements, pairs.names.tolist()),
    }


def describe_labels(pairs: Pairs) -> list[dict[str, Any]]:
    """Describe the numeric labels.

    Returns
    -------
    list of dict
        name, unit, count (pairs that have it), mean, std (divided by n), min, median, max (None
        where no pair has it), constant (all pairs that have it have one value), follows_from
        (labels that it is a function of), same_as (a label that it equals in every pair, because
        all pairs are neutral).
    """
    formulas = {label.name: label.formula for label in LABELS}
    labels = []
    for name, unit in zip(pairs.label_names.tolist(), pairs.label_units.tolist(), strict=True):
        values = pairs.label(name)
        present = values[~np.isnan(values)]
        formula = formulas.get(name)
        labels.append(
            {
                "name": name,
                "unit": unit,
                "count": len(present),
                **{k: plain(f(present)) if len(present) else None for k, f in _STATISTICS.items()},
                "constant": bool(len(present) > 1 and (present == present[0]).all()),
                "follows_from": list(formula.sources) if formula else [],
                "same_as": _same_as(name, pairs),
            }
        )
    return labels


def _same_as(name: str, pairs: Pairs) -> str | None:
    first, *others = ONE_WHEN_NEUTRAL
    if name not in others or first not in pairs.label_names:
        return None
    values = pairs.label(name), pairs.label(first)
    return first if np.allclose(*values, rtol=0, atol=_SAME, equal_nan=True) else None


def missing_pairs(elements: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the unordered pairs of `elements` that `names` lacks; homonuclear pairs are pairs."""
    present = {frozenset(name.split("_")) for name in names}
    pairs = itertools.combinations_with_replacement(sorted(elements), 2)
    return ["_".join(pair) for pair in pairs if frozenset(pair) not in present]


def format_overview(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of an overview, for people."""
    yield content["file"]
    yield f"  size      {content['bytes'] / 1e6:.1f} MB"
    yield f"  content   SHA-256 {content['content_sha256']}"
    if content["provenance"] is None:
        yield "  made by   unknown: it has no provenance"
    stated = (content["provenance"] or {}).items()
    rows: Table = [(key, json.dumps(value)) for key, value in stated if key != "units"]
    yield from (f"  {line}" for line in aligned(rows, left=2))
    yield ""
    rows = [("member", "dtype", "shape", "bytes", "in the file")]
    for member in content["members"]:
        shape = " × ".join(map(str, member["shape"])) or "scalar"
        sizes = (f"{member[key]:,}" for key in ("bytes", "packed_bytes"))
        rows.append((member["name"], member["dtype"], shape, *sizes))
    yield from aligned(rows, left=3)
    yield ""
    yield from _format_labels(content["labels"], content["pairs"])
    for text in content["text_labels"]:
        yield f"{text['name']}: text, {text['count']} pairs, {text['different']} different"
    yield ""
    elements, missing = content["elements"], content["missing_pairs"]
    full = math.comb(len(elements) + 1, 2)
    yield f"elements: {len(elements)}"
    yield from wrapped(elements, "  ")
    yield f"pairs: {content['pairs']}; missing from the {full} of these elements: {len(missing)}"
    yield from wrapped(missing, "  ")


def _format_labels(labels: Sequence[dict[str, Any]], n_pairs: int) -> Iterator[str]:
    rows: Table = [("label", "unit", "pairs", *_STATISTICS, "")]
    used: set[str] = set()
    for label in labels:
        marks = {
            "c": label["constant"],
            "e": label["count"] == 0,
            "n": label["same_as"],
            "f": label["follows_from"],
        }
        flags = "".join(mark for mark, holds in marks.items() if holds)
        used.update(flags)
        values = (number(label[key]) for key in _STATISTICS)
        rows.append((label["name"], label["unit"], str(label["count"]), *values, flags))
    yield from aligned(rows, left=2)
    yield f"pairs: how many of the {n_pairs} have the label; std is divided by their number"
    if "c" in used:
        yield "c  constant: one value in every pair that has it"
    if "e" in used:
        yield "e  empty: no pair has it"
    if "n" in used:
        yield f"n  {', '.join(ONE_WHEN_NEUTRAL)}: one quantity for a neutral pair, as all are here"
    if "f" in used:
        yield "f  a function of other labels:"
    for label in labels:
        if label["follows_from"]:
            yield f"     {label['name']} of {', '.join(label['follows_from'])}"


def find_pair(pairs: Pairs, pair: str) -> int:
    """Return the row of a pair, given by its name or its number, counted from 0.

    The elements of a name may stand in any order.

    Raises
    ------
    ParseError
        There is no such pair; the message names the nearest.
    """
    names = pairs.names.tolist()
    for name in (pair, "_".join(reversed(pair.split("_")))):
        if name in names:
            return int(names.index(name))
    if re.fullmatch("[0-9]{1,18}", pair) and int(pair) < len(names):
        return int(pair)
    by_lower = {name.lower(): name for name in names}
    lower = pair.lower()
    exact = [n for n in (lower, "_".join(reversed(lower.split("_")))) if n in by_lower]
    nearest = exact[:1] or difflib.get_close_matches(lower, by_lower, cutoff=0)
    found = f"{quote(pair)} (did you mean {', '.join(by_lower[n] for n in nearest)}?)"
    raise ParseError(pairs.path, None, f"a pair, or a number below {len(names)}", found)


def describe_pair(pairs: Pairs, row: int) -> dict[str, Any]:
    """Describe a pair by what JSON can hold.

    Returns
    -------
    dict
        pair, row, atoms (element, x, y, z [Å], population [e]), metadata, labels (each with value
        and unit; None is missing), channels (name, unit, min, max, and x and y of the largest
        pixel).
    """
    one = pairs.take(np.array([row]))
    units = dict(zip(pairs.label_names.tolist(), pairs.label_units.tolist(), strict=True))
    images = [] if one.images is None else one.images[:][0]
    channels = get_encoding(pairs.encoding).channels
    return {
        "pair": str(one.names[0]),
        "row": row,
        "atoms": [
            {"element": element, **dict(zip(_GEOMETRY, map(plain, atom), strict=True))}
            for element, atom in zip(one.elements[0].tolist(), one.geometries[0], strict=True)
        ],
        "metadata": dict(zip(METADATA_NAMES, map(plain, one.metadata[0]), strict=True)),
        "labels": {
            name: {"value": None if value == "" else value, "unit": units.get(name, "text")}
            for name, value in ((n, plain(v[0])) for n, v in one.label_columns().items())
        },
        "channels": [
            {"name": channel.name, "unit": channel.unit, **_extremes(image)}
            for channel, image in zip(channels, images, strict=True)
        ],
    }


def _extremes(image: Image) -> dict[str, Any]:
    y, x = np.unravel_index(image.argmax(), image.shape)
    return {
        "min": plain(image.min()),
        "max": plain(image.max()),
        "max_x": int(x),
        "max_y": int(y),
    }


def format_pair(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe a pair, for people."""
    yield f"{content['pair']} (number {content['row']})"
    yield ""
    rows: Table = [("atom", "x [Å]", "y [Å]", "z [Å]", "population [e]")]
    rows += [
        (atom["element"], *(number(atom[key], 10) for key in _GEOMETRY))
        for atom in content["atoms"]
    ]
    yield from aligned(rows)
    yield ""
    rows = [("label", "unit", "value")]
    for name, label in content["labels"].items():
        rows.append((name, label["unit"], number(label["value"], 10)))
    yield from aligned(rows, left=2)
    yield ""
    rows = [("channel", "unit", "min", "max", "max at x, y")]
    for channel in content["channels"]:
        limits = (number(channel[key]) for key in ("min", "max"))
        place = f"{channel['max_x']}, {channel['max_y']}"
        rows.append((channel["name"], channel["unit"], *limits, place))
    yield from aligned(rows, left=2)
