"""The two CSV files of labels in ``raw_data``: written from DFTB+ output, read and merged.

``dftb_ptbp_combined.csv`` holds every label but the bond length, ``bond_distances_all.csv`` the
geometry and the bond length. Both have one row per pair; the last part of `run_dir` names it.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import Geometry
from twobody.errors import NO_PAIR, PairProblem, ParseError
from twobody.files import InputDigest, publish, staging
from twobody.labels import GEOMETRY_COLUMNS, LABELS, NUMERIC_LABELS, TEXT_LABELS, Label, LabelValue
from twobody.text import decode, parse_number, quote, read_bytes

LABELS_FILE = "dftb_ptbp_combined.csv"
BONDS_FILE = "bond_distances_all.csv"

_POSITIONS = tuple(
    Label(name, "Å", "number", "geometry", "position", "geo_end.xyz")
    for name in ("x1", "y1", "z1", "x2", "y2", "z2")
)
_PAIR_COLUMN = "run_dir"
_BOND_LABEL = "distance_ang"
_LABELS_OF = {  # which labels are taken from each file
    LABELS_FILE: [label for label in LABELS if label.name != _BOND_LABEL],
    BONDS_FILE: [label for label in LABELS if label.name == _BOND_LABEL],
}
_EXPECTED = "a file of labels, as `python -m twobody generate collect RAW_DATA` makes it"
_BATCH = 512  # rows whose cells are in memory at a time
_LARGEST_FILE = 1 << 30  # bytes
_LONGEST = 200  # characters of a text label: N of them make an array N times as wide as the longest
_FLAGS = {"": math.nan, "0": 0.0, "0.0": 0.0, "False": 0.0, "1": 1.0, "1.0": 1.0, "True": 1.0}
_PLAIN = re.compile(r"[0-9.eE+,-]*")  # what numbers are written with, but for Fortran's D
_SYMBOL = re.compile(r"[A-Z][a-z]?|[^\s_-]")  # of an element, or what does not stand between two
_FAULTS = (
    # csv would end the row, and its number, there.
    (re.compile(rb"\r(?!\n)"), "lines that end with LF or CRLF", "CR alone"),
    # NumPy would drop it from the end of a text.
    (re.compile(rb"\0"), "text", "a null character"),
)


class LabelTable(NamedTuple):
    """The labels of N pairs as columns, in the order of the names asked for."""

    values: NDArray[np.float64]  # [N, 36] of `NUMERIC_LABELS`; NaN where missing
    texts: NDArray[np.str_]  # [N, T] of `TEXT_LABELS`; empty where missing
    positions: NDArray[np.float64]  # [N, 2, 3] Å, of the second file; NaN where it has none
    lines: Mapping[str, NDArray[np.int64]]  # [N] where the row stands in each of the two files


class _Row(NamedTuple):
    """A row of a CSV file."""

    pair_name: str
    line: int  # the first of its lines
    cells: Sequence[str]


def read_label_files(
    raw_data: Path, names: Sequence[str], digest: InputDigest
) -> tuple[LabelTable, list[PairProblem]]:
    """Read and merge the labels of the pairs `names`; what is read goes into `digest`.

    What is wrong is left missing and is among the problems: cells that are not what they have to
    be, pairs without a row, rows without a pair, rows that come twice; under the name `NO_PAIR`
    files that cannot be read as a whole, or whose columns are not those of the schema.
    """
    values = np.full((len(names), len(NUMERIC_LABELS)), np.nan)
    texts = np.full((len(names), len(TEXT_LABELS)), "", dtype=object)
    positions = np.full((len(names), len(_POSITIONS)), np.nan)
    labels = (*NUMERIC_LABELS, *TEXT_LABELS, *_POSITIONS)
    columns = dict(zip(labels, (*values.T, *texts.T, *positions.T), strict=True))
    lines = {file: np.zeros(len(names), np.int64) for file in (LABELS_FILE, BONDS_FILE)}
    index = {name: i for i, name in enumerate(names)}
    problems: list[PairProblem] = []
    for file in (LABELS_FILE, BONDS_FILE):
        path = raw_data / file
        if not path.exists():
            problems.append(PairProblem(NO_PAIR, ParseError(path, None, _EXPECTED, "none")))
            continue
        try:
            data = read_bytes(path, _LARGEST_FILE)
            digest.add(file, data)
            for header, batch in _batches(data, path):
                rows, faults = _placed(batch, len(header), index, lines[file], path)
                problems += faults
                places = np.array([index[row.pair_name] for row in rows], np.int64)
                cells = zip(*(row.cells for row in rows), strict=True)
                by_name = dict(zip(header, cells, strict=False))  # no cells without rows
                wanted = list(_LABELS_OF[file])
                if file == BONDS_FILE:
                    problems += _check_geometry(rows, by_name, path)
                    wanted += _POSITIONS
                for label in (label for label in wanted if label.name in by_name):
                    columns[label][places], faults = _column(rows, by_name[label.name], label, path)
                    problems += faults
        except ParseError as error:
            problems.append(PairProblem(NO_PAIR, error))
            continue
        for name in (name for name in names if not lines[file][index[name]]):
            problems.append(PairProblem(name, ParseError(path, None, f"a row for {name}", "none")))
    table = LabelTable(values, texts.astype(np.str_), positions.reshape(-1, 2, 3), lines)
    return table, problems


def _batches(data: bytes, path: Path) -> Iterator[tuple[list[str], list[_Row]]]:
    """Yield the column names and some rows at a time; those before a fault come before it.

    Empty rows are left out; spreadsheets append such of commas alone.
    """
    decode(data, path)  # nothing is taken from a file that is not text
    for fault, expected, found in _FAULTS:
        if match := fault.search(data):
            line = data.count(b"\n", 0, match.start()) + 1
            raise ParseError(path, line, expected, found)
    # Not a StringIO, which takes four bytes a character.
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, strict=True)
    batch: list[_Row] = []
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        _check_header(path, header, _LABELS_OF[path.name])
        run_dir = header.index(_PAIR_COLUMN)
        line = reader.line_num + 1
        for cells in reader:
            if any(map(str.strip, cells)):
                run = cells[run_dir] if run_dir < len(cells) else ""
                # The last part of a path, whatever system wrote it.
                name = run.strip().replace("\\", "/").rstrip("/").rpartition("/")[2]
                batch.append(_Row(name, line, cells))
            if len(batch) == _BATCH:
                yield header, batch
                batch = []
            line = reader.line_num + 1
    except csv.Error as error:
        yield header, batch
        raise ParseError(path, reader.line_num, "a row of a CSV file", str(error)) from error
    yield header, batch
    if not data.endswith(b"\n"):
        expected = "a line end after the last row, without which the file may be cut off"
        raise ParseError(path, reader.line_num, expected, "none")


def _check_header(path: Path, header: Sequence[str], wanted: Sequence[Label]) -> None:
    for separator, found in {";": "semicolons", "\t": "tabs"}.items():
        if len(header) == 1 and separator in header[0]:
            raise ParseError(path, 1, "columns separated by commas", found)
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


def _placed(
    batch: Sequence[_Row], width: int, index: Mapping[str, int], lines: NDArray[np.int64], path: Path
) -> tuple[list[_Row], list[PairProblem]]:
    """Return the rows whose labels have a place; `lines` says where rows stood before."""
    rows, problems = [], []
    for row in batch:
        name, i = row.pair_name, index.get(row.pair_name)
        if not name:
            expected, found = f"{_PAIR_COLUMN}, ending with the name of a pair", "none"
        elif i is None:
            expected, found = f"a folder {name!r} for this row", "none"
        elif first := lines[i]:
            expected, found = f"one row for {name!r}", f"a second one (the first is line {first})"
        else:
            lines[i] = row.line
            expected, found = f"{width} cells", f"{len(row.cells)}"
            if len(row.cells) == width:
                rows.append(row)
                continue
        problems.append(PairProblem(name, ParseError(path, row.line, expected, found)))
    return rows, problems


def _column(
    rows: Sequence[_Row], cells: Sequence[str], label: Label, path: Path
) -> tuple[Sequence[str] | NDArray[np.float64], list[PairProblem]]:
    """Read the cells of a label, at once or, where one is not as most are, one by one."""
    if label.kind != "text" and (values := _numbers(cells, label)) is not None:
        return values, []
    column: list[Any] = []
    problems = []
    for row, cell in zip(rows, cells, strict=True):
        try:
            column.append(_cell(cell, label, path, row.line))
        except ParseError as error:
            column.append("" if label.kind == "text" else math.nan)
            problems.append(PairProblem(row.pair_name, error))
    return column, problems


def _numbers(cells: Sequence[str], label: Label) -> NDArray[np.float64] | None:
    """Read a column as `_cell` would, if all its cells are without fault and of the usual form."""
    try:
        if label.kind == "flag":
            values = np.array([_FLAGS[cell] for cell in cells])
        elif _PLAIN.fullmatch(",".join(cells)):
            values = np.array([*map(float, [cell or "nan" for cell in cells])])
        else:
            return None
    except (KeyError, ValueError):
        return None
    too_small = any(cell.strip("+-0.") for cell in {*compress(cells, values == 0)})
    missing = label.name == _BOND_LABEL and np.isnan(values).any()
    return None if too_small or missing or not label.legal(values).all() else values


def _cell(text: str, label: Label, path: Path, line: int) -> float | str:
    """Read one cell; an empty one is a missing label."""
    if label.kind == "text":
        if len(text) > _LONGEST:
            expected = f"{label.column}, at most {_LONGEST} characters"
            raise ParseError(path, line, expected, f"{len(text)}")
        return text
    text = text.strip()
    if label.kind == "flag":
        value = _FLAGS.get(text.capitalize(), math.inf)  # spreadsheets write TRUE
    else:
        value = parse_number(text, path, line, label.column) if text else math.nan
    if math.isnan(value) and label.name == _BOND_LABEL:
        raise ParseError(path, line, f"{label.column}, a number", "an empty cell")
    if not label.legal(np.array(value)):
        raise ParseError(path, line, label.expected, quote(text))
    return value


def _check_geometry(
    rows: Sequence[_Row], columns: Mapping[str, Sequence[str]], path: Path
) -> Iterator[PairProblem]:
    """Check what the geometry columns, where they are there, say of the pairs."""
    for row, cell in zip(rows, columns.get("natoms", ()), strict=False):
        if cell.strip() not in ("2", "2.0"):
            error = ParseError(path, row.line, "natoms = 2", quote(cell))
            yield PairProblem(row.pair_name, error)
    for column in ("species_1", "species_2", "pair", "pair_sorted"):
        for row, cell in zip(rows, columns.get(column, ()), strict=False):
            expected = row.pair_name
            if column.startswith("species"):
                expected = expected.split("_")[int(column[-1]) - 1]
            # Pairs are also written as H-Li and Li_H.
            same = cell == expected or sorted(_SYMBOL.findall(cell)) == sorted(expected.split("_"))
            if not same:
                error = ParseError(path, row.line, f"{column} = {expected}", quote(cell))
                yield PairProblem(row.pair_name, error)


@dataclass(frozen=True)
class PairLabels:
    """What the CSV files hold of one pair."""

    geometry: Geometry
    labels: Mapping[str, LabelValue]


def write_label_files(raw_data: Path, pairs: Mapping[str, PairLabels]) -> None:
    """Write both files, sorted by name; numbers so that reading gives the same float64.

    Both files are complete before the first of them takes its place.
    """

    def cell(value: LabelValue, label: Label) -> LabelValue:
        whole = label.kind in ("count", "flag")  # is written without a fraction
        return int(value) if whole and isinstance(value, float) else value

    labels = _LABELS_OF[LABELS_FILE]
    label_rows: list[list[Any]] = [[_PAIR_COLUMN, *(label.column for label in labels)]]
    bond_rows: list[list[Any]] = [[_PAIR_COLUMN, *GEOMETRY_COLUMNS, "distance_Ang"]]
    for name, pair in sorted(pairs.items()):
        label_rows.append([name, *(cell(pair.labels[label.name], label) for label in labels)])
        symbols, positions = pair.geometry.symbols, pair.geometry.positions.tolist()
        atoms = chain(*((s, *xyz) for s, xyz in zip(symbols, positions, strict=True)))
        names = "_".join(symbols), "_".join(sorted(symbols))
        bond_rows.append([name, len(symbols), *atoms, *names, pair.labels[_BOND_LABEL]])
    with staging(raw_data) as folder:
        for file, rows in ((LABELS_FILE, label_rows), (BONDS_FILE, bond_rows)):
            with (folder / file).open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerows(rows)
        publish([(folder / file, raw_data / file) for file in (LABELS_FILE, BONDS_FILE)], raw_data)
