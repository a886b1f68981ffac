"""``analysis/``: the labels and geometries as CSV files, and a summary to read.

Numbers are written so that reading them back gives the same float64.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twobody.errors import PairProblem
from twobody.labels import LABELS, NUMERIC_LABELS, TEXT_LABELS, Label

if TYPE_CHECKING:
    import pandas as pd

    from twobody.archive.writer import Dataset

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

CsvColumns = dict[str, NDArray[Any]]

_ROWS = 1024  # of a CSV file that are turned into text at a time
_SPECIAL = re.compile(r'[",\r\n]')
_MOST_VALUES = 10  # of a text label in the summary


def write_analysis(folder: Path, dataset: Dataset) -> None:
    """Write the two CSV files and the summary into `folder`."""
    labels = label_columns(dataset)
    _write_csv(folder / LABELS_CSV, labels)
    _write_csv(folder / GEOMETRY_CSV, geometry_columns(dataset))
    (folder / SUMMARY_TXT).write_text(summary(labels), encoding="utf-8", newline="\n")


def _write_csv(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write columns of float64 or str; numbers as ``repr`` has them, missing ones as nothing.

    Without pandas, whose import and writing would take a third of the whole build, and without the
    module ``csv``, which would look for quotes in every number and take twice as long.
    """
    n = len(columns["pair_name"])
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(columns) + "\n")
        for start in range(0, n, _ROWS):
            parts = [column[start : start + _ROWS] for column in columns.values()]
            rows = map(",".join, zip(*map(_cells, parts), strict=True))
            file.write("\n".join([*rows, ""]))


def _cells(values: NDArray[Any]) -> list[str]:
    if values.dtype.kind != "f":
        return [_quoted(text) for text in values.tolist()]
    cells = [*map(repr, values.tolist())]
    return ["" if cell == "nan" else cell for cell in cells] if np.isnan(values).any() else cells


def _quoted(text: str) -> str:
    """Return a cell, in quotes where it would otherwise be taken for several (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def write_skipped(path: Path, problems: Sequence[PairProblem], raw_data: Path) -> None:
    """Write what is wrong with the pairs left out: pair, file below `raw_data`, line, reason."""
    # Names of files need not be text on every system.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["pair", "file", "line", "reason"])
        for name, error in problems:
            file_name = Path(error.path).relative_to(raw_data).as_posix()
            writer.writerow([name, file_name, error.line or "", error.reason])


def label_columns(dataset: Dataset) -> CsvColumns:
    """Return pair_name and the 37 labels; missing numbers NaN, missing text empty."""
    numeric = dict(
        zip([label.name for label in NUMERIC_LABELS], dataset.label_values.T, strict=True)
    )
    texts = dict(zip([label.name for label in TEXT_LABELS], dataset.text_values.T, strict=True))
    ordered = {label.name: {**numeric, **texts}[label.name] for label in LABELS}
    return {"pair_name": dataset.pairs.names} | ordered


def geometry_columns(dataset: Dataset) -> CsvColumns:
    """Return elements, positions [Å], populations [e] and bond length [Å]."""
    pairs = dataset.pairs
    columns: CsvColumns = {"pair_name": pairs.names}
    columns |= {f"element_{k + 1}": pairs.elements[:, k] for k in range(2)}
    for k in range(2):
        columns |= {f"{axis}{k + 1}": pairs.positions[:, k, i] for i, axis in enumerate("xyz")}
        columns[f"population_{k + 1}"] = pairs.populations[:, k]
    columns["bond_length_ang"] = pairs.bond_lengths
    return columns


def label_frame(dataset: Dataset) -> pd.DataFrame:
    """Return `label_columns` as a table."""
    import pandas as pd  # noqa: PLC0415 - builds do without, and it takes longer than their start

    return pd.DataFrame(label_columns(dataset))


def geometry_frame(dataset: Dataset) -> pd.DataFrame:
    """Return `geometry_columns` as a table."""
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(geometry_columns(dataset))


def summary(labels: CsvColumns) -> str:
    """Describe every label: coverage, statistics, distribution, and what is wrong with it."""
    lines = [
        f"{len(labels['pair_name'])} pairs, {len(LABELS)} labels",
        "std is the standard deviation over all pairs that have the label (divided by n).",
        "",
        "This build beside the published dataset (arXiv 2512.01519)",
        "",
        *_orientation(labels),
        "",
    ]
    for label in LABELS:
        lines += ["", *_describe(labels[label.name], label)]
    return "\n".join(lines) + "\n"


def _present(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values that are not missing; -0 is 0."""
    missing = values == "" if values.dtype == object else np.isnan(values)
    present: NDArray[Any] = values[~missing]
    return present if values.dtype == object else present + 0.0


def _orientation(labels: CsvColumns) -> Iterator[str]:
    yield f"{'':28}{'this build':>26}{'published':>26}"
    for name, published in PUBLISHED.items():
        here = _present(labels[name])
        ours = (here.mean(), here.std(), here.min(), here.max()) if len(here) else (math.nan,) * 4
        yield f"{name + ' mean, std':28}{_two(*ours[:2])}{_two(*published[:2])}"
        yield f"{name + ' min, max':28}{_two(*ours[2:])}{_two(*published[2:])}"
    for name, count in PUBLISHED_COVERAGE.items():
        yield f"{'pairs with ' + name:28}{len(_present(labels[name])):26d}{count:26d}"
    flags = _present(labels["metal_like"])
    share = flags.mean() if len(flags) else math.nan
    yield f"{'metal-like share':28}{share:26.1%}{PUBLISHED_METAL_LIKE:26.0%}"


def _two(first: float, second: float) -> str:
    return f"{f'{first:.2f}, {second:.2f}':>26}"


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
        yield from _distribution(present)
    if (present == present[0]).all() and len(values) > 1:
        yield f"  note       CONSTANT: every pair that has this label has {present[0]}"


def _distribution(present: NDArray[Any]) -> Iterator[str]:
    """Yield the most frequent values; of equally frequent ones the smaller first."""
    counts = Counter(present.tolist())
    for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_VALUES]:
        yield f"  {value!s:10} {count} ({count / len(present):.1%})"
    if len(counts) > _MOST_VALUES:
        yield f"  ...        {len(counts)} different values"
