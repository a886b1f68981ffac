"""The two CSV files of labels in ``raw_data``: written from DFTB+ output, read and merged.

``dftb_ptbp_combined.csv`` holds every label but the bond length, ``bond_distances_all.csv`` the
geometry and the bond length. Both have one row a pair; the last part of `run_dir` names it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import Geometry
from twobody.errors import NO_PAIR, PairProblem, ParseError
from twobody.files import InputDigest, publish, staging
from twobody.labels import GEOMETRY_COLUMNS, LABELS, NUMERIC_LABELS, TEXT_LABELS, Label, LabelValue
from twobody.text import decode, parse_number, quote, read_bytes

LABELS_FILE = "dftb_ptbp_combined.csv"
BONDS_FILE = "bond_distances_all.csv"

_PAIR_COLUMN = "run_dir"
_BOND_LABEL = "distance_ang"
_BATCH = 512  # rows
_PLAIN = re.compile(r"[0-9.eE+-]*")  # what numbers are written with, but for Fortran's D
_LARGEST = float(np.finfo(np.float32).max)  # targets are float32
_FLAGS = {"0": 0.0, "0.0": 0.0, "False": 0.0, "1": 1.0, "1.0": 1.0, "True": 1.0}


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The labels of N pairs as columns, in the order of the names asked for.

    Attributes
    ----------
    values : float64 [N, 36]
        The labels of `NUMERIC_LABELS`; NaN where missing.
    texts : object [N, T]
        The labels of `TEXT_LABELS`, str; empty where missing.
    bond_lines : int64 [N]
        The line of each pair in ``bond_distances_all.csv``, for messages.
    """

    values: NDArray[np.float64]
    texts: NDArray[np.object_]
    bond_lines: NDArray[np.int64]

    def take(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> LabelTable:
        """Return the pairs where `keep` is true, or those at the places `keep`."""
        return LabelTable(self.values[keep], self.texts[keep], self.bond_lines[keep])


class _Row(NamedTuple):
    """A row of a CSV file: its first line, its cells, and where each column is, in lower case."""

    pair_name: str
    line: int
    cells: Sequence[str]
    columns: Mapping[str, int]


def read_label_files(
    raw_data: Path, names: Sequence[str], digest: InputDigest
) -> tuple[LabelTable, list[PairProblem]]:
    """Read and merge the labels of the pairs `names`; what is read goes into `digest`.

    Returns
    -------
    LabelTable
        What is wrong is left missing; its pair is among the problems.
    list of PairProblem
        Cells that are not what they have to be, pairs without a row, rows without a pair, rows that
        come twice; under the name `NO_PAIR` files that cannot be read at all, or whose columns are
        not those of the schema.
    """
    table = LabelTable(
        np.full((len(names), len(NUMERIC_LABELS)), np.nan),
        np.full((len(names), len(TEXT_LABELS)), "", dtype=object),
        np.zeros(len(names), np.int64),
    )
    index = {name: i for i, name in enumerate(names)}
    problems: list[PairProblem] = []
    for file in (LABELS_FILE, BONDS_FILE):
        path = raw_data / file
        seen: dict[str, int] = {}
        try:
            data = read_bytes(path)
            digest.add(file, data)
            for rows in _batches(_rows(data, path)):
                if not _merge_plain(rows, path, seen, index, table):
                    problems += _merge_each(rows, path, seen, index, table)
        except ParseError as error:
            problems.append(PairProblem(NO_PAIR, error))
            continue
        for name in index.keys() - seen.keys():
            problems.append(PairProblem(name, ParseError(path, None, f"a row for {name}", "none")))
    return table, problems


def _labels_of(file: str) -> list[Label]:
    """Return the labels that are taken from `file`."""
    return [label for label in LABELS if (label.name == _BOND_LABEL) == (file == BONDS_FILE)]


def _merge_plain(
    rows: Sequence[_Row],
    path: Path,
    seen: dict[str, int],
    index: Mapping[str, int],
    table: LabelTable,
) -> bool:
    """Put the labels of many rows in their places, column by column, and tell whether it was done.

    Where anything is unusual, wrong or not, nothing is done: then the rows have to be merged one by
    one. The values are the same.
    """
    if not rows:
        return True
    names = {row.pair_name for row in rows}
    if len(names) < len(rows) or not names <= index.keys() or not names.isdisjoint(seen):
        return False
    if any(len(row.cells) != len(row.columns) for row in rows):
        return False
    columns = zip(*(row.cells for row in rows), strict=True)
    by_column = dict(zip(rows[0].columns, columns, strict=True))
    if path.name == BONDS_FILE and not _plain_bonds(rows, by_column):
        return False
    merged = {}
    for label in _labels_of(path.name):
        cells = by_column[label.name]
        column = cells if label.kind == "text" else _plain_numbers(cells, label)
        if column is None:
            return False
        merged[label] = column
    seen.update((row.pair_name, row.line) for row in rows)
    places = [index[row.pair_name] for row in rows]
    if path.name == BONDS_FILE:
        table.bond_lines[places] = [row.line for row in rows]
    for label, column in merged.items():
        if label.kind == "text":
            table.texts[places, TEXT_LABELS.index(label)] = column
        else:
            table.values[places, NUMERIC_LABELS.index(label)] = column
    return True


def _plain_bonds(rows: Sequence[_Row], by_column: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether `_check_bond_row` would find no fault, if all cells are of the usual form."""
    if not {"natoms", "species_1", "species_2"} <= by_column.keys():
        return False
    return set(by_column["natoms"]) == {"2"} and [row.pair_name for row in rows] == [
        f"{first}_{second}"
        for first, second in zip(by_column["species_1"], by_column["species_2"], strict=True)
    ]


def _plain_numbers(cells: Sequence[str], label: Label) -> NDArray[np.float64] | None:
    """Read a column as `_cell` would, if all its cells are without fault and of the usual form."""
    if _PLAIN.fullmatch("".join(cells)) is None:
        return None
    if label.kind == "flag" and not _FLAGS.keys() >= set(cells) - {""}:
        return None
    try:
        values = np.array([*map(float, [cell or "nan" for cell in cells])])
    except ValueError:
        return None
    zeros = set(compress(cells, values == 0))
    unusual = (np.abs(values) > _LARGEST).any() or any(cell.strip("+-0.") for cell in zeros)
    if label.kind == "count":
        unusual |= ((values < 0) | (values != np.floor(values)) & ~np.isnan(values)).any()
    if label.name == "n_atoms":
        unusual |= ((values != 2) & ~np.isnan(values)).any()
    if label.name == _BOND_LABEL:
        unusual |= np.isnan(values).any()
    return None if unusual else values


def _merge_each(
    rows: Sequence[_Row],
    path: Path,
    seen: dict[str, int],
    index: Mapping[str, int],
    table: LabelTable,
) -> Iterator[PairProblem]:
    """Put the labels of each row in their places; yield what is wrong with it."""
    for row in rows:
        for error in _merge(row, path, seen, index, table):
            yield PairProblem(row.pair_name, error)
        seen.setdefault(row.pair_name, row.line)


def _merge(
    row: _Row, path: Path, seen: Mapping[str, int], index: Mapping[str, int], table: LabelTable
) -> Iterator[ParseError]:
    """Put the labels of a row in their places; yield what is wrong with it."""
    if not row.pair_name:
        yield ParseError(path, row.line, f"{_PAIR_COLUMN}, ending with the name of a pair", "none")
        return
    if row.pair_name in seen:
        found = f"a second one (the first is line {seen[row.pair_name]})"
        yield ParseError(path, row.line, f"one row for {row.pair_name!r}", found)
        return
    if row.pair_name not in index:
        yield ParseError(path, row.line, f"a folder {row.pair_name!r} for this row", "none")
        return
    if len(row.cells) != len(row.columns):
        yield ParseError(path, row.line, f"{len(row.columns)} cells", f"{len(row.cells)}")
        return
    i = index[row.pair_name]
    if path.name == BONDS_FILE:
        table.bond_lines[i] = row.line
        yield from _check_bond_row(path, row)
    for label in _labels_of(path.name):
        try:
            value = _cell(row.cells[row.columns[label.name]], label, path, row.line)
        except ParseError as error:
            yield error
            continue
        if isinstance(value, str):
            table.texts[i, TEXT_LABELS.index(label)] = value
        elif value is not None:
            table.values[i, NUMERIC_LABELS.index(label)] = value


def _batches(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Yield `rows` in batches; those before an error come before it."""
    batch: list[_Row] = []
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    except ParseError:
        yield batch
        raise
    yield batch


def _rows(data: bytes, path: Path) -> Iterator[_Row]:
    """Yield the rows of a CSV file that are not empty; spreadsheets append such of commas alone."""
    decode(data, path)  # nothing is taken from a file that is no text
    if alone := re.search(rb"\r(?!\n)", data):  # csv would end the row, and its number, there
        line = data.count(b"\n", 0, alone.start()) + 1
        raise ParseError(path, line, "lines that end with LF or CRLF", "CR alone")
    if b"\0" in data:  # NumPy would drop it from the end of a text
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise ParseError(path, line, "text", "a null character")
    # Not a StringIO, which takes four bytes a character.
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        _check_header(path, header, _labels_of(path.name))
        columns = {name: i for i, name in enumerate(header)}
        run_dir = columns[_PAIR_COLUMN]
        line = reader.line_num + 1
        for cells in reader:
            if any(map(str.strip, cells)):
                name = _pair_name(cells[run_dir]) if run_dir < len(cells) else ""
                yield _Row(name, line, cells, columns)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ParseError(path, reader.line_num, "a row of a CSV file", str(error)) from error


def _pair_name(run_dir: str) -> str:
    """Return the last part of a path, whatever system wrote it."""
    return run_dir.strip().replace("\\", "/").rstrip("/").rpartition("/")[2]


def _check_header(path: Path, header: Sequence[str], wanted: Sequence[Label]) -> None:
    names = {label.name for label in wanted}
    for name in (_PAIR_COLUMN, *(label.column for label in wanted)):
        if name.lower() not in header:
            raise ParseError(path, 1, f"a column {name!r}", "none")
    legal = names | {_PAIR_COLUMN, _BOND_LABEL, *GEOMETRY_COLUMNS}
    for name in header:
        if name not in legal:
            raise ParseError(path, 1, "only columns of the label schema", quote(name))
        if header.count(name) > 1:
            raise ParseError(path, 1, f"one column {name!r}", f"{header.count(name)}")


def _cell(text: str, label: Label, path: Path, line: int) -> LabelValue:
    """Read one cell; an empty one is a missing label."""
    if label.kind == "text":
        return text or None
    text = text.strip()
    if not text:
        if label.name == _BOND_LABEL:
            raise ParseError(path, line, f"{label.column}, a number", "an empty cell")
        return None
    if label.kind == "flag":
        flag = _FLAGS.get(text.capitalize())  # spreadsheets write TRUE
        if flag is None:
            raise ParseError(path, line, f"{label.column}, 0 or 1", quote(text))
        return flag
    value = parse_number(text, path, line, label.column)
    if abs(value) > _LARGEST:
        raise ParseError(path, line, f"{label.column}, in the range of float32", quote(text))
    if label.kind == "count" and (value < 0 or value != int(value)):
        raise ParseError(path, line, f"{label.column}, a whole number", quote(text))
    if label.name == "n_atoms" and value != 2:
        raise ParseError(path, line, f"{label.column} = 2", quote(text))
    return value


def _check_bond_row(path: Path, row: _Row) -> Iterator[ParseError]:
    """Check what the geometry columns, where they are there, say of the pair."""
    elements = zip(("species_1", "species_2"), row.pair_name.split("_"), strict=False)
    legal = {"natoms": ("2", "2.0")} | {column: (symbol,) for column, symbol in elements}
    for column, expected in legal.items():
        if column in row.columns:
            found = row.cells[row.columns[column]].strip()
            if found not in expected:
                yield ParseError(path, row.line, f"{column} = {expected[0]}", quote(found))


@dataclass(frozen=True)
class PairLabels:
    """What the CSV files hold of one pair."""

    geometry: Geometry
    labels: Mapping[str, LabelValue]


def write_label_files(raw_data: Path, pairs: Mapping[str, PairLabels]) -> None:
    """Write both files, sorted by name; numbers so that reading gives the same float64.

    Both files are complete before the first of them takes its place.
    """
    label_columns = [label for label in LABELS if label.name != _BOND_LABEL]
    labels_text = _csv_text(
        [_PAIR_COLUMN, *(label.column for label in label_columns)],
        (
            [name, *(format_value(pair.labels[label.name], label) for label in label_columns)]
            for name, pair in sorted(pairs.items())
        ),
    )
    bonds_text = _csv_text(
        [_PAIR_COLUMN, *GEOMETRY_COLUMNS, "distance_Ang"],
        ([name, *_bond_cells(pair)] for name, pair in sorted(pairs.items())),
    )
    with staging(raw_data) as folder:
        (folder / LABELS_FILE).write_text(labels_text, encoding="utf-8", newline="\n")
        (folder / BONDS_FILE).write_text(bonds_text, encoding="utf-8", newline="\n")
        publish([(folder / file, raw_data / file) for file in (LABELS_FILE, BONDS_FILE)], raw_data)


def _csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def format_value(value: LabelValue, label: Label) -> str:
    """Write a label as a CSV cell: empty where missing, whole numbers without a fraction."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return str(int(value)) if label.kind in ("count", "flag") else repr(float(value))


def _bond_cells(pair: PairLabels) -> list[str]:
    """Write a row in the order of `GEOMETRY_COLUMNS`, and the bond length."""
    symbols = pair.geometry.symbols
    atoms = [
        [symbol, *(repr(float(c)) for c in position)]
        for symbol, position in zip(symbols, pair.geometry.positions, strict=True)
    ]
    return [
        str(len(symbols)),
        *(cell for atom in atoms for cell in atom),
        "_".join(symbols),
        "_".join(sorted(symbols)),
        repr(pair.labels[_BOND_LABEL]),
    ]
