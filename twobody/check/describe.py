"""What is in an archive: members, labels with their statistics, elements and pairs."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import Container
from twobody.archive.reader import read_provenance
from twobody.columns import Columns
from twobody.elements import ATOMIC_NUMBERS
from twobody.labels import NUMERIC_LABELS, ONE_WHEN_NEUTRAL
from twobody.tables import aligned, number, plain, wrapped

_STATISTICS: dict[str, Callable[[NDArray[np.float64]], np.float64]] = {
    "mean": np.mean,
    "std": np.std,
    "min": np.min,
    "median": np.median,
    "max": np.max,
}
_SAME = 1e-6  # e: charges of a neutral pair add up to 0 within what detailed.out prints


def overview(archive: Container, columns: Columns) -> dict[str, Any]:
    """Describe an archive by what JSON can hold; everything in it is read once.

    Returns
    -------
    dict
        file, bytes, content_sha256, provenance (None where the archive has none), members (name,
        dtype, shape, bytes, packed_bytes), pairs, labels (see `describe_labels`), text_labels,
        elements (by atomic number), missing_pairs (of the full triangle of these elements).
    """
    elements = sorted(set(columns.elements.flat), key=ATOMIC_NUMBERS.__getitem__)
    return {
        "file": str(archive.path),
        "bytes": archive.path.stat().st_size,
        "content_sha256": archive.content_digest(),
        "provenance": read_provenance(columns),
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
        "pairs": len(columns.pair_names),
        "labels": describe_labels(columns),
        "text_labels": [
            {"name": str(name), "count": int((column != "").sum()), "different": len(set(column))}
            for name, column in zip(
                columns.text_label_names, columns.text_label_values.T, strict=True
            )
        ],
        "elements": elements,
        "missing_pairs": missing_pairs(elements, columns.pair_names.tolist()),
    }


def describe_labels(columns: Columns) -> list[dict[str, Any]]:
    """Describe the numeric labels.

    Returns
    -------
    list of dict
        name, unit, count (pairs that have it), mean, std (divided by n), min, median, max (None
        where no pair has it), constant (all pairs that have it have one value), follows_from
        (labels that it is a function of), same_as (a label that it equals in every pair, because
        all pairs are neutral).
    """
    values = dict(zip(columns.label_names.tolist(), columns.label_values.T, strict=True))
    formulas = {label.name: label.formula for label in NUMERIC_LABELS}
    labels = []
    for name, unit in zip(columns.label_names.tolist(), columns.label_units.tolist(), strict=True):
        present = values[name][~np.isnan(values[name])]
        formula = formulas.get(name)
        labels.append(
            {
                "name": name,
                "unit": unit,
                "count": len(present),
                **_statistics(present),
                "constant": bool(len(present) > 1 and (present == present[0]).all()),
                "follows_from": list(formula.sources) if formula else [],
                "same_as": _same_as(name, values),
            }
        )
    return labels


def _statistics(present: NDArray[np.float64]) -> dict[str, float | str | None]:
    if not len(present):
        return dict.fromkeys(_STATISTICS)
    return {key: plain(f(present)) for key, f in _STATISTICS.items()}


def _same_as(name: str, values: Mapping[str, NDArray[np.float64]]) -> str | None:
    first, *others = ONE_WHEN_NEUTRAL
    if name not in others or first not in values:
        return None
    same = np.allclose(values[name], values[first], rtol=0, atol=_SAME, equal_nan=True)
    return first if same else None


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
    yield from _format_provenance(content["provenance"])
    yield ""
    yield from _format_members(content["members"])
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
    if missing:
        yield from wrapped(missing, "  ")


def _format_provenance(provenance: dict[str, Any] | None) -> Iterator[str]:
    if provenance is None:
        yield "  made by   unknown: it has no provenance"
        return
    rows = [(key, json.dumps(value)) for key, value in provenance.items() if key != "units"]
    yield from (f"  {line}" for line in aligned(rows, left=2))


def _format_members(members: Sequence[dict[str, Any]]) -> list[str]:
    rows = [("member", "dtype", "shape", "bytes", "in the file")]
    rows += [
        (
            member["name"],
            member["dtype"],
            " × ".join(map(str, member["shape"])) or "scalar",
            f"{member['bytes']:,}",
            f"{member['packed_bytes']:,}",
        )
        for member in members
    ]
    return aligned(rows, left=3)


def _format_labels(labels: Sequence[dict[str, Any]], n_pairs: int) -> Iterator[str]:
    rows = [("label", "unit", "pairs", *_STATISTICS, "")]
    rows += [
        (
            label["name"],
            label["unit"],
            str(label["count"]),
            *(number(label[key]) for key in _STATISTICS),
            _flags(label),
        )
        for label in labels
    ]
    yield from aligned(rows, left=2)
    yield f"pairs: how many of the {n_pairs} have the label; std is divided by their number"
    if any(label["constant"] for label in labels):
        yield "c  constant: one value in every pair that has it"
    if any(label["count"] == 0 for label in labels):
        yield "e  empty: no pair has it"
    if any(label["same_as"] for label in labels):
        yield f"n  {', '.join(ONE_WHEN_NEUTRAL)}: one quantity for a neutral pair, as all are here"
    yield "f  a function of other labels:"
    for label in labels:
        if label["follows_from"]:
            yield f"     {label['name']} of {', '.join(label['follows_from'])}"


def _flags(label: dict[str, Any]) -> str:
    marks = {
        "c": label["constant"],
        "e": label["count"] == 0,
        "n": label["same_as"],
        "f": label["follows_from"],
    }
    return "".join(mark for mark, holds in marks.items() if holds)
