"""``analysis/``: the labels and geometries as CSV files, and a summary to read.

Numbers are written so that reading them back gives the same float64; -0 is written as 0.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.errors import PairProblem
from twobody.labels import LABELS, Label
from twobody.pairs import Columns, Pairs

ANALYSIS = "analysis"  # the folder
LABELS_CSV = "all_labels.csv"
GEOMETRY_CSV = "geometry_data.csv"
SUMMARY_TXT = "labels_detailed_summary.txt"
SKIPPED_CSV = "skipped_pairs.csv"
ANALYSIS_FILES = (LABELS_CSV, GEOMETRY_CSV, SUMMARY_TXT, SKIPPED_CSV)

# "QuantumCanvas", arXiv 2512.01519: the full dataset with the published PTBP parameters.
PUBLISHED: dict[str, tuple[float, float, float, float]] = {  # label: mean, std, min, max
    "e_g_ev": (0.47, 1.19, 0.0, 19.4),
    "total_energy_ev": (-90.5, 48.1, -305.6, -2.3),
    "distance_ang": (2.58, 0.66, 0.7, 5.6),
}
PUBLISHED_METAL_LIKE = 0.74  # share of the pairs
PUBLISHED_COVERAGE = {"e_g_ev": 2840, "softness_evinv": 987}

WHOLE = {label.name for label in LABELS if label.kind in ("count", "flag")}  # whose values are int
_ROWS = 1024
_MOST_VALUES = 10  # of a text label in the summary


def write_analysis(folder: Path, pairs: Pairs) -> None:
    """Write the two CSV files and the summary into `folder`."""
    labels = pairs.label_columns()
    for file, columns in ((LABELS_CSV, labels), (GEOMETRY_CSV, pairs.geometry_columns())):
        table = {"pair_name": pairs.names, **columns}
        _write_csv(folder / file, table, _rows(table))
    (folder / SUMMARY_TXT).write_text(summary(labels), encoding="utf-8", newline="\n")


def write_skipped(path: Path, problems: Sequence[PairProblem], raw_data: Path) -> None:
    """Write what is wrong with the pairs left out: pair, file below `raw_data`, line, reason."""
    rows = (
        [name, Path(error.path).relative_to(raw_data).as_posix(), error.line or "", error.reason]
        for name, error in problems
    )
    _write_csv(path, ["pair", "file", "line", "reason"], rows)


def cells(name: str, values: NDArray[Any]) -> list[Any]:
    """Return a column as tables have it: None where missing, counts and flags int, no -0."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    number = int if name in WHOLE else float
    # NaN is not what it is itself.
    return [number(value) if value == value else None for value in (values + 0.0).tolist()]  # noqa: PLR0124


def _rows(columns: Columns) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of columns."""
    n = len(next(iter(columns.values())))
    for start in range(0, n, _ROWS):  # few are Python's objects at a time
        block = slice(start, start + _ROWS)
        yield from zip(*(cells(name, v[block]) for name, v in columns.items()), strict=True)


def _write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table; numbers as ``repr`` has them, None as nothing."""
    # Names of files need not be text on every system.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def summary(labels: Columns) -> str:
    """Describe every label: coverage, statistics, distribution, and what is wrong with it."""
    rows: list[tuple[str, Any, Any]] = [("", "this build", "published")]
    for name, published in PUBLISHED.items():
        here = _present(labels[name])
        ours = (here.mean(), here.std(), here.min(), here.max()) if len(here) else (math.nan,) * 4
        for k, what in ((0, "mean, std"), (2, "min, max")):
            one, other = (f"{values[k]:.2f}, {values[k + 1]:.2f}" for values in (ours, published))
            rows.append((f"{name} {what}", one, other))
    for name, count in PUBLISHED_COVERAGE.items():
        rows.append((f"pairs with {name}", len(_present(labels[name])), count))
    flags = _present(labels["metal_like"])
    share = flags.mean() if len(flags) else math.nan
    rows.append(("metal-like share", f"{share:.1%}", f"{PUBLISHED_METAL_LIKE:.0%}"))
    lines = [
        f"{len(labels[LABELS[0].name])} pairs, {len(LABELS)} labels",
        "std is the standard deviation over all pairs that have the label (divided by n).",
        *("", "This build beside the published dataset (arXiv 2512.01519)", ""),
        *(f"{name:28}{ours:>26}{theirs:>26}" for name, ours, theirs in rows),
        "",
    ]
    for label in LABELS:
        lines += ["", *_describe(labels[label.name], label)]
    return "\n".join(lines) + "\n"


def _present(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values that are not missing; -0 is 0."""
    is_text = values.dtype.kind == "U"
    return np.asarray(values[values != ""] if is_text else values[~np.isnan(values)] + 0.0)


def _describe(values: NDArray[Any], label: Label) -> Iterator[str]:
    """Yield the paragraph of one label."""
    present = _present(values)
    yield f"{label.name} [{label.unit}] ({label.group}): {label.meaning}"
    yield f"  source     {label.source}"
    yield f"  coverage   {len(present)} of {len(values)} ({len(present) / len(values):.1%})"
    if not len(present):
        yield "  note       EMPTY: no pair has this label"
        return
    if label.kind in ("number", "count"):
        yield f"  mean, std  {present.mean():.6g}, {present.std():.6g}"
        yield f"  min, max   {present.min():.6g}, {present.max():.6g}"
        yield f"  median     {np.median(present):.6g}"
    else:
        counts = Counter(present.tolist())
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))  # then the smaller
        for value, count in most[:_MOST_VALUES]:
            yield f"  {value!s:10} {count} ({count / len(present):.1%})"
        if len(counts) > _MOST_VALUES:
            yield f"  ...        {len(counts)} different values"
    if (present == present[0]).all() and len(values) > 1:
        yield f"  note       CONSTANT: every pair that has this label has {present[0]}"
