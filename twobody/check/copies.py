"""What an archive says a second time: its pickled dicts, and the CSV files beside it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twobody.analysis import GEOMETRY_CSV, LABELS_CSV, geometry_frame, label_frame
from twobody.archive.container import Container
from twobody.archive.writer import Dataset, label_dicts, metadata_dicts
from twobody.check.laws import Finding
from twobody.columns import Columns
from twobody.raw_data.folders import PairTable

if TYPE_CHECKING:
    import pandas as pd


def as_dataset(columns: Columns, amplitudes: NDArray[np.float64]) -> Dataset:
    """Return the content of an archive as what archives and CSV files are written from.

    Infinite metadata, which another law finds, are missing there: they are no number of atoms.
    """
    pairs = PairTable(
        columns.pair_names,
        columns.elements,
        columns.geometries[:, :, :3].astype(np.float64),
        columns.geometries[:, :, 3].astype(np.float64),
        amplitudes,
        np.where(np.isinf(columns.metadata_values), np.nan, columns.metadata_values),
    )
    return Dataset(pairs, columns.label_values, columns.text_label_values.astype(object), {})


def dicts(archive: Container, dataset: Dataset) -> Iterator[Finding]:
    """The dicts of labels and metadata say what the columns say."""
    written = {"labels": label_dicts(dataset), "metadata": metadata_dicts(dataset.pairs)}
    for member, rows in written.items():
        stored = archive.read_objects(member).tolist()
        for name, found, expected in zip(dataset.pairs.names.tolist(), stored, rows, strict=True):
            if not isinstance(found, dict):
                yield Finding(name, f"{member} is no dict")
            elif found != expected:
                odd = [k for k in found.keys() | expected if found.get(k) != expected.get(k)]
                # A key with None on one side only.
                odd = odd or list(found.keys() ^ expected)
                yield Finding(name, f"the dict of {member} differs in {', '.join(sorted(odd))}")


def analysis(folder: Path, dataset: Dataset) -> Iterator[Finding]:
    """The CSV files in analysis/ beside the archive, where there are any, say what it says."""
    geometries = geometry_frame(dataset)
    single = [c for c in map(str, geometries) if c[0] in "xyz" or c.startswith("population")]
    geometries = geometries.astype(dict.fromkeys(single, np.float32))  # as the archive has them
    for file, expected in ((LABELS_CSV, label_frame(dataset)), (GEOMETRY_CSV, geometries)):
        if (folder / file).exists():
            yield from _csv_differences(folder / file, expected)


def _csv_differences(path: Path, expected: pd.DataFrame) -> Iterator[Finding]:
    """Compare a CSV file with what it has to hold, numbers in the precision that that has."""
    names = expected["pair_name"].tolist()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
        if header != list(expected) or any(len(row) != len(header) for row in rows):
            yield Finding(None, f"{path.name} has other columns")
            return
        if [row[0] for row in rows] != names:
            yield Finding(None, f"{path.name} has other pairs, or in another order")
            return
        for column, cells in zip(header, zip(*rows, strict=True), strict=True):
            yield from _cell_differences(f"{column} in {path.name}", cells, expected[column], names)
    except (OSError, ValueError, csv.Error) as error:
        yield Finding(None, f"{path.name} cannot be read: {error}")


def _cell_differences(
    what: str, cells: Sequence[str], expected: pd.Series[Any], names: Sequence[str]
) -> Iterator[Finding]:
    here = expected.to_numpy()
    if here.dtype.kind == "f":
        there = np.array([float(cell or "nan") for cell in cells], here.dtype)
        wrong = (here != there) & ~(np.isnan(here) & np.isnan(there))
    else:
        there = np.array(cells, dtype=object)
        wrong = here != there
    for i in np.flatnonzero(wrong).tolist():
        yield Finding(names[i], f"{what} is {there[i]}, not {here[i]}")
