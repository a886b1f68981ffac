"""What an archive says a second time: its pickled dicts, and the CSV files beside it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.analysis import GEOMETRY_CSV, LABELS_CSV
from twobody.archive.container import Container
from twobody.archive.writer import label_dicts, metadata_dicts
from twobody.errors import Finding
from twobody.pairs import Columns, Pairs


def dicts(archive: Container, pairs: Pairs) -> Iterator[Finding]:
    """The dicts of labels and metadata say what the columns say."""
    written = {"labels": label_dicts(pairs), "metadata": metadata_dicts(pairs)}
    for member, rows in written.items():
        if member not in archive.members:  # archives of the original project may lack them
            continue
        stored = archive.read_objects(member).tolist()
        for name, found, expected in zip(pairs.names.tolist(), stored, rows, strict=True):
            if not isinstance(found, dict):
                yield Finding(name, f"{member} is not a dict")
            elif odd := [*(found.keys() ^ expected), *_differing(found, expected)]:
                yield Finding(name, f"the dict of {member} differs in {', '.join(sorted(odd))}")


def _differing(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the keys of both whose values are not the same."""
    return [
        key
        for key in found.keys() & expected
        # An array, which compares item by item, is never what is written.
        if isinstance(found[key], np.ndarray) or found[key] != expected[key]
    ]


def analysis(folder: Path, pairs: Pairs) -> Iterator[Finding]:
    """The CSV files in analysis/ beside the archive, where there are any, say what it says."""
    geometries = {  # in the precision of the archive
        name: values.astype(np.float32) if name[0] in "xyz" or name.startswith("pop") else values
        for name, values in pairs.geometry_columns().items()
    }
    for file, columns in ((LABELS_CSV, pairs.label_columns()), (GEOMETRY_CSV, geometries)):
        if (folder / file).exists():
            yield from _csv_differences(folder / file, {"pair_name": pairs.names, **columns})


def _csv_differences(path: Path, expected: Columns) -> Iterator[Finding]:
    """Compare a CSV file with the columns that it has to hold."""
    names = expected["pair_name"].tolist()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file, strict=True)
        if header != list(expected) or any(len(row) != len(header) for row in rows):
            yield Finding(None, f"{path.name} has other columns")
        elif [row[0] for row in rows] != names:
            yield Finding(None, f"{path.name} has other pairs, or in another order")
        else:
            for column, cells in zip(header, zip(*rows, strict=True), strict=True):
                what = f"{column} in {path.name}"
                yield from _cell_differences(what, cells, expected[column], names)
    except (OSError, ValueError, csv.Error) as error:
        yield Finding(None, f"{path.name} cannot be read: {error}")


def _cell_differences(
    what: str, cells: Sequence[str], expected: NDArray[Any], names: Sequence[str]
) -> Iterator[Finding]:
    if expected.dtype.kind == "f":
        found = np.array([float(cell or "nan") for cell in cells], expected.dtype)
        wrong = (found != expected) & ~(np.isnan(found) & np.isnan(expected))
    else:
        found = np.array(cells)
        wrong = found != expected
    for i in np.flatnonzero(wrong).tolist():
        yield Finding(names[i], f"{what} is {found[i]}, not {expected[i]}")
