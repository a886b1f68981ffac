"""What is in an archive: members, labels with their statistics, elements, and single pairs."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from twobody.archive.container import Container
from twobody.check.tables import aligned, number, plain, wrapped
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.labels import LABELS, ONE_WHEN_NEUTRAL
from twobody.pairs import METADATA_NAMES, Pairs, pair_index

_STATISTICS = ("mean", "std", "min", "median", "max")  # functions of NumPy
_SAME = 1e-6  # e: charges of a neutral pair add up to 0 within what detailed.out prints
_GEOMETRY = ("x", "y", "z", "population")  # Å, Å, Å, e


def overview(archive: Container, pairs: Pairs) -> dict[str, Any]:
    """Describe an archive by what JSON can hold; everything in it is read once.

    `elements` are sorted by atomic number, `missing_pairs` those of their full triangle.
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
    """Describe the numeric labels by what JSON can hold.

    `count` is of pairs that have the label, statistics (std divided by n; None without a value)
    are over these, and `constant` is a label with one value in all of them. `follows_from` are the
    labels that it is a function of, `same_as` one that it equals as all pairs are neutral.
    """
    sources = {label.name: label.formula.sources for label in LABELS if label.formula}
    one, *others = ONE_WHEN_NEUTRAL
    labels = []
    for name, unit in zip(pairs.label_names.tolist(), pairs.label_units.tolist(), strict=True):
        values = pairs.label(name)
        present = values[~np.isnan(values)]
        n = len(present)
        same = np.allclose(values, pairs.label(one), rtol=0, atol=_SAME, equal_nan=True)
        labels.append(
            {
                "name": name,
                "unit": unit,
                "count": n,
                **{k: plain(getattr(np, k)(present)) if n else None for k in _STATISTICS},
                "constant": bool(n > 1 and (present == present[0]).all()),
                "follows_from": [*sources.get(name, ())],
                "same_as": one if name in others and one in pairs.label_names and same else None,
            }
        )
    return labels


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
    rows = [(f"  {key}", json.dumps(value)) for key, value in stated if key != "units"]
    yield from aligned(rows, left=2)
    members = [("member", "dtype", "shape", "bytes", "in the file")]
    for member in content["members"]:
        shape = " × ".join(map(str, member["shape"])) or "scalar"
        sizes = f"{member['bytes']:,}", f"{member['packed_bytes']:,}"
        members.append((member["name"], member["dtype"], shape, *sizes))
    yield from ("", *aligned(members, left=3), "")
    yield from _format_labels(content["labels"], content["pairs"])
    for text in content["text_labels"]:
        yield f"{text['name']}: text, {text['count']} pairs, {text['different']} different"
    elements, missing = content["elements"], content["missing_pairs"]
    yield from ("", f"elements: {len(elements)}", *wrapped(elements))
    full = math.comb(len(elements) + 1, 2)
    yield f"pairs: {content['pairs']}; missing from the {full} of these elements: {len(missing)}"
    yield from wrapped(missing)


def _format_labels(labels: Sequence[dict[str, Any]], n_pairs: int) -> Iterator[str]:
    """Yield a table of the labels, with letters for what is odd of one, and what they mean."""
    rows = [("label", "unit", "pairs", *_STATISTICS, "")]
    for label in labels:
        odd = (label["constant"], not label["count"], label["same_as"], label["follows_from"])
        letters = "".join(itertools.compress("cenf", odd))
        values = (number(label[key]) for key in _STATISTICS)
        rows.append((label["name"], label["unit"], str(label["count"]), *values, letters))
    yield from aligned(rows, left=2)
    yield f"pairs: how many of the {n_pairs} have the label; std is divided by their number"
    meanings = {
        "c": "constant: one value in every pair that has it",
        "e": "empty: no pair has it",
        "n": f"{', '.join(ONE_WHEN_NEUTRAL)}: one quantity for a neutral pair, as all are here",
        "f": "a function of other labels:",
    }
    used = {letter for *_, letters in rows for letter in letters}
    yield from (f"{letter}  {text}" for letter, text in meanings.items() if letter in used)
    for label in labels:
        if label["follows_from"]:
            yield f"     {label['name']} of {', '.join(label['follows_from'])}"


def find_pair(pairs: Pairs, pair: str) -> int:
    """Return the row of a pair, given by its name or its number, counted from 0.

    The elements of a name may stand in any order. Where there is no such pair a ParseError names
    the nearest.
    """
    names: list[str] = pairs.names.tolist()
    if pair in map(str, range(len(names))):
        return int(pair)
    try:
        return pair_index(names, pair)
    except KeyError as error:
        expected = f"a pair, or a number below {len(names)}"
        raise ParseError(pairs.path, None, expected, error.args[0]) from error


def describe_pair(pairs: Pairs, row: int) -> dict[str, Any]:
    """Describe a pair by what JSON can hold; None is missing.

    `atoms` have positions [Å] and populations [e], `channels` x and y of their largest pixel.
    """
    one = pairs.take(np.array([row]))
    units = dict(zip(pairs.label_names.tolist(), pairs.label_units.tolist(), strict=True))
    values = {name: plain(column[0]) for name, column in one.label_columns().items()}
    known, channels = get_encoding(pairs.encoding).channels, []
    for channel, image in zip(known, one.encoded[:][0], strict=True):
        y, x = np.unravel_index(image.argmax(), image.shape)
        extremes = {"min": plain(image.min()), "max": plain(image.max())}
        place = {"max_x": int(x), "max_y": int(y)}
        channels.append({"name": channel.name, "unit": channel.unit, **extremes, **place})
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
            for name, value in values.items()
        },
        "channels": channels,
    }


def format_pair(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe a pair, for people."""
    atoms = [("atom", "x [Å]", "y [Å]", "z [Å]", "population [e]")]
    for atom in content["atoms"]:
        values = (number(atom[key], 10) for key in _GEOMETRY)
        atoms.append((atom["element"], *values))
    labels = [("label", "unit", "value")]
    for name, label in content["labels"].items():
        labels.append((name, label["unit"], number(label["value"], 10)))
    channels = [("channel", "unit", "min", "max", "max at x, y")]
    for c in content["channels"]:
        limits, place = (number(c["min"]), number(c["max"])), f"{c['max_x']}, {c['max_y']}"
        channels.append((c["name"], c["unit"], *limits, place))
    yield f"{content['pair']} (number {content['row']})"
    yield from ("", *aligned(atoms), "", *aligned(labels, left=2))
    yield from ("", *aligned(channels, left=2))
