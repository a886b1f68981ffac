"""One pair of an archive: geometry, labels, channels."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from twobody.columns import Columns
from twobody.encodings.published import CHANNELS
from twobody.errors import ParseError
from twobody.tables import aligned, number, plain
from twobody.text import quote

_GEOMETRY = ("x", "y", "z", "population")  # Å, Å, Å, e


_NUMBER = re.compile(r"[0-9]{1,18}")


def find_pair(columns: Columns, pair: str) -> int:
    """Return the row of a pair, given by its name or its number, counted from 0.

    Raises
    ------
    ParseError
        There is no such pair; the message names the nearest.
    """
    names = columns.pair_names.tolist()
    if pair in names:
        return int(names.index(pair))
    if _NUMBER.fullmatch(pair) and int(pair) < len(names):
        return int(pair)
    found = f"{quote(pair)} (did you mean {', '.join(_nearest(pair, names))}?)"
    raise ParseError(columns.path, None, f"a pair, or a number below {len(names)}", found)


def _nearest(pair: str, names: Sequence[str]) -> list[str]:
    """Return the names that look most like `pair`, whatever the case and the order of elements."""
    by_lower = {name.lower(): name for name in names}
    lower = pair.lower()
    turned = "_".join(reversed(lower.split("_")))
    exact = [by_lower[name] for name in (lower, turned) if name in by_lower]
    return exact or [by_lower[m] for m in difflib.get_close_matches(lower, by_lower, cutoff=0)]


def describe_pair(columns: Columns, row: int) -> dict[str, Any]:
    """Describe a pair by what JSON can hold.

    Returns
    -------
    dict
        pair, row, atoms (element, x, y, z [Å], population [e]), metadata, labels (each with value
        and unit; None is missing), channels (name, unit, min, max, and x and y of the largest
        pixel).
    """
    images = columns.images[row : row + 1][0]
    units = dict(zip(columns.label_names.tolist(), columns.label_units.tolist(), strict=True))
    numbers = zip(columns.label_names.tolist(), columns.label_values[row], strict=True)
    texts = zip(columns.text_label_names.tolist(), columns.text_label_values[row], strict=True)
    values = {name: plain(value) for name, value in numbers}
    values |= {name: str(text) or None for name, text in texts}
    metadata = zip(columns.metadata_names.tolist(), columns.metadata_values[row], strict=True)
    return {
        "pair": str(columns.pair_names[row]),
        "row": row,
        "atoms": [
            {"element": str(element)}
            | dict(zip(_GEOMETRY, map(plain, columns.geometries[row, atom]), strict=True))
            for atom, element in enumerate(columns.elements[row])
        ],
        "metadata": {name: plain(value) for name, value in metadata},
        "labels": {
            name: {"value": value, "unit": units.get(name, "text")}
            for name, value in values.items()
        },
        "channels": [
            _describe_channel(name, unit, image)
            for name, unit, image in zip(
                columns.channels.tolist(),
                [channel.unit for channel in CHANNELS],
                images,
                strict=True,
            )
        ],
    }


def _describe_channel(name: str, unit: str, image: Any) -> dict[str, Any]:
    y, x = np.unravel_index(image.argmax(), image.shape)
    return {
        "name": name,
        "unit": unit,
        "min": plain(image.min()),
        "max": plain(image.max()),
        "max_x": int(x),
        "max_y": int(y),
    }


def format_pair(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe a pair, for people."""
    yield f"{content['pair']} (number {content['row']})"
    yield ""
    rows = [("atom", "x [Å]", "y [Å]", "z [Å]", "population [e]")]
    rows += [
        (atom["element"], *(number(atom[key], 10) for key in _GEOMETRY))
        for atom in content["atoms"]
    ]
    yield from aligned(rows)
    yield ""
    labels = content["labels"].items()
    lines = [(name, label["unit"], number(label["value"], 10)) for name, label in labels]
    yield from aligned([("label", "unit", "value"), *lines], left=2)
    yield ""
    rows = [("channel", "unit", "min", "max", "max at x, y")]
    rows += [
        (
            channel["name"],
            channel["unit"],
            number(channel["min"]),
            number(channel["max"]),
            f"{channel['max_x']}, {channel['max_y']}",
        )
        for channel in content["channels"]
    ]
    yield from aligned(rows, left=2)
