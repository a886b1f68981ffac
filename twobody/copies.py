"""What an archive says a second time: its pickled dicts, and the CSV files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twobody.analysis import GEOMETRY_CSV, LABELS_CSV, geometry_frame, label_frame
from twobody.archive import Archive
from twobody.archive_writer import Dataset, label_dicts, metadata_dicts
from twobody.columns import Columns
from twobody.laws import Finding
from twobody.pairs import PairTable

if TYPE_CHECKING:
    import pandas as pd


def as_dataset(columns: Columns, amplitudes: NDArray[np.float64]) -> Dataset:
    """Return the content of an archive as what archives and CSV files are written from."""
    pairs = PairTable(
        columns.pair_names,
        columns.elements,
        columns.geometries[:, :, :3].astype(np.float64),
        columns.geometries[:, :, 3].astype(np.float64),
        amplitudes,
        columns.metadata_values,
    )
    return Dataset(pairs, columns.label_values, columns.text_label_values.astype(object), {})


def dicts(archive: Archive, dataset: Dataset) -> Iterator[Finding]:
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
    import pandas as pd  # noqa: PLC0415 - half of the start-up time of the whole build

    numbers = [str(name) for name in expected if expected[name].dtype.kind == "f"]
    missing: dict[str, list[str]] = {name: [""] for name in numbers}
    try:
        found = pd.read_csv(
            path,
            dtype={str(name): "object" for name in expected if name not in numbers},
            keep_default_na=False,
            na_values=missing,
            float_precision="round_trip",
        )
        found = found.astype({name: expected[name].dtype for name in numbers})
    except (ValueError, KeyError) as error:
        yield Finding(None, f"{path.name} is no such table: {' '.join(str(error).split())}")
        return
    if list(found.columns) != list(expected.columns):
        yield Finding(None, f"{path.name} has other columns")
        return
    names = expected["pair_name"].tolist()
    if found["pair_name"].tolist() != names:
        yield Finding(None, f"{path.name} has other pairs, or in another order")
        return
    for column in expected:
        here, there = expected[column].to_numpy(), found[column].to_numpy()
        wrong = here != there
        if column in numbers:
            wrong &= ~(np.isnan(here) & np.isnan(there))
        for i in np.flatnonzero(wrong):
            yield Finding(names[i], f"{column} is {there[i]} in {path.name}, {here[i]} here")
