"""Files of predictions: a row per test pair, fold and seed; read with every fault one clear error.

Columns are ``pair_name``, ``fold``, ``part``, ``seed``, then one for each predicted label, in its
unit. Values have five significant digits, and the bytes are the same every time.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.splits import FOLDS, PARTS, read_splits
from twobody.benchmark.targets import DERIVED, HIDDEN, METAL_LIKE, TARGETS, targets
from twobody.errors import ParseError
from twobody.text import decode, parse_integer, quote, read_bytes, split_lines

KEYS = ("pair_name", "fold", "part", "seed")
MOST_BYTES = 1 << 26  # of a file when unpacked: a hundred seeds of all labels

_Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """What a split tests: M pairs, fold by fold, sorted by name within each.

    Attributes
    ----------
    pairs : int64 [M]
        Where each pair stands among the names of the splits.
    names : str [M]
    folds : int64 [M]
    parts : str [M]
        C1, C2 or C3.
    """

    pairs: NDArray[np.int64]
    names: NDArray[np.str_]
    folds: NDArray[np.int64]
    parts: NDArray[np.str_]


@cache
def scored_rows(split: str, folds: tuple[int, ...] | None = None) -> ScoredRows:
    """Return what a split tests, in all of its folds or in some."""
    names, cells = read_splits()
    folds = folds or FOLDS[split]
    tested = [np.flatnonzero(np.isin(cells[f"{split}-{fold}"], PARTS[split])) for fold in folds]
    pairs = np.concatenate(tested)
    sizes = [len(rows) for rows in tested]
    parts = [cells[f"{split}-{fold}"][rows] for fold, rows in zip(folds, tested, strict=True)]
    return ScoredRows(pairs, names[pairs], np.repeat(folds, sizes), np.concatenate(parts))


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of every pair that a split, or some of its folds, tests.

    Attributes
    ----------
    path : Path or str
        Where they come from, for messages.
    split, track : str
    folds : tuple of int
    seeds : tuple of int
        Of the S models of each fold.
    columns : dict of str to float64 [S, M]
        The labels, in the order of `seeds` and of `scored_rows`.
    """

    path: Path | str
    split: str
    track: str
    folds: tuple[int, ...]
    seeds: tuple[int, ...]
    columns: dict[str, _Float]

    @property
    def rows(self) -> ScoredRows:
        """What the columns of `values` are predictions of."""
        return scored_rows(self.split, self.folds)

    def joined(self, other: Predictions) -> Predictions:
        """Return the predictions of both, of other seeds of the same model, sorted by seed.

        Raises
        ------
        ParseError
            They are of other labels.
        """
        if self.columns.keys() != other.columns.keys():
            expected = f"predictions of {', '.join(other.columns)} as of the other seeds"
            raise ParseError(self.path, None, expected, ", ".join(self.columns))
        seeds = (*self.seeds, *other.seeds)
        columns = {
            label: np.concatenate([values, other.columns[label]])[np.argsort(seeds)]
            for label, values in self.columns.items()
        }
        return replace(self, seeds=tuple(sorted(seeds)), columns=columns)


def rounded(values: _Float) -> _Float:
    """Round to the five significant digits that files hold."""
    return np.array([f"{value:.5g}" for value in values.ravel()], np.float64).reshape(values.shape)


def check_labels(path: Path | str, line: int | None, labels: Iterable[str], track: str) -> None:
    """Refuse labels that cannot be predicted on a track.

    Raises
    ------
    ParseError
        A label leaks (the track shows it), is derived from others, comes twice, or is unknown; or
        there is none.
    """
    labels = list(labels)
    allowed = (*targets(track), METAL_LIKE)
    for label in labels:
        if label in HIDDEN[track]:
            expected = f"no label that the track {track} shows"
            raise ParseError(path, line, expected, f"{quote(label)}, which leaks")
        if label in DERIVED:
            expected = "independent targets only"
            raise ParseError(path, line, expected, f"{quote(label)}, which follows from others")
        if label not in allowed:
            raise ParseError(path, line, f"labels among {', '.join(allowed)}", quote(label))
        if labels.count(label) > 1:
            raise ParseError(path, line, "every label once", f"{quote(label)} twice")
    if not set(labels) & set(TARGETS):
        raise ParseError(path, line, f"a target among {', '.join(allowed)}", "none")


def check_values(path: Path | str, values: Mapping[str, _Float], names: NDArray[np.str_]) -> None:
    """Refuse values that are not finite, and probabilities outside of 0 to 1.

    Parameters
    ----------
    path : Path or str
        For the message.
    values : dict of str to float64 [..., M]
    names : str [M]
        The pairs.
    """
    for label, array in values.items():
        fine = np.isfinite(array)
        expected = f"finite numbers for {label}"
        if label == METAL_LIKE:
            fine &= (array >= 0) & (array <= 1)
            expected = f"probabilities, 0 to 1, for {label}"
        if not fine.all():
            where = np.argwhere(~fine)[0]
            found = f"{array[tuple(where)]} for {names[where[-1]]}"
            raise ParseError(path, None, expected, found)


def format_predictions(predictions: Predictions) -> bytes:
    """Return the bytes of a file of predictions, compressed."""
    rows, seeds = predictions.rows, predictions.seeds
    labels = [name for name in (*TARGETS, METAL_LIKE) if name in predictions.columns]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*KEYS, *labels])
    keys = zip(rows.names.tolist(), rows.folds.tolist(), rows.parts.tolist(), strict=True)
    # Seeds of a pair beside each other: their digits are alike, which compresses better.
    cells = np.stack([predictions.columns[label].T for label in labels], axis=-1).tolist()
    for key, of_seeds in zip(keys, cells, strict=True):
        for seed, numbers in zip(seeds, of_seeds, strict=True):
            table.writerow([*key, seed, *(f"{number:.5g}" for number in numbers)])
    return gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)


def read_predictions(path: Path, split: str, track: str) -> Predictions:
    """Read a file of predictions, compressed or not.

    Raises
    ------
    ParseError
        The file is damaged; a column is missing, unknown or leaks; a pair is missing, comes twice,
        or stands in a fold or part that is not its own; a value is not a finite number.
    """
    lines = csv.reader(split_lines(decode(_unpacked(path), path).rstrip("\n")), strict=True)
    try:
        header, *cells = lines
    except csv.Error as error:
        raise ParseError(path, lines.line_num, "comma-separated values", str(error)) from error
    if tuple(header[: len(KEYS)]) != KEYS:
        found = quote(",".join(header[: len(KEYS)]))
        raise ParseError(path, 1, f"the columns {', '.join(KEYS)} first", found)
    labels = header[len(KEYS) :]
    check_labels(path, 1, labels, track)
    for line, row in enumerate(cells, start=2):
        if len(row) != len(header):
            raise ParseError(path, line, f"{len(header)} cells", f"{len(row)}")
    seeds, places = _places(path, split, cells)
    numbers = _numbers(path, labels, [row[len(KEYS) :] for row in cells])
    values = {label: np.empty((len(seeds), len(scored_rows(split).names))) for label in labels}
    for label, column in zip(labels, numbers.T, strict=True):
        values[label][places] = column
    check_values(path, values, scored_rows(split).names)
    return Predictions(path, split, track, FOLDS[split], seeds, values)


def _unpacked(path: Path) -> bytes:
    data = read_bytes(path)
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ParseError(path, None, "a gzip file", str(error)) from error
    if len(unpacked) > MOST_BYTES:
        raise ParseError(path, None, f"at most {MOST_BYTES} bytes when unpacked", "more")
    return unpacked


def _places(
    path: Path, split: str, cells: list[list[str]]
) -> tuple[tuple[int, ...], tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the seeds, and the place [seed, test row] of every row; each place is taken once."""
    rows = scored_rows(split)
    tested = list(zip(rows.names.tolist(), rows.folds.tolist(), strict=True))
    row_of = {pair_and_fold: row for row, pair_and_fold in enumerate(tested)}
    names, parts = set(rows.names.tolist()), rows.parts.tolist()
    taken: dict[tuple[int, int], int] = {}
    fold_of: dict[str, int] = {}  # the same few texts stand in all rows
    seed_of: dict[str, int] = {}
    for line, (name, fold, part, number, *_) in enumerate(cells, start=2):
        if name not in names:
            raise ParseError(path, line, "the name of a pair of the benchmark", quote(name))
        if fold not in fold_of:
            fold_of[fold] = parse_integer(fold, path, line, "a fold")
        if number not in seed_of:
            seed_of[number] = parse_integer(number, path, line, "a seed")
        row = row_of.get((name, fold_of[fold]))
        if row is None:
            own = ", ".join(map(str, rows.folds[rows.names == name].tolist()))
            expected = f"a fold of {split} that tests {name}: {own}"
            raise ParseError(path, line, expected, quote(fold))
        if part != parts[row]:
            raise ParseError(path, line, f"part {parts[row]} for {name}", quote(part))
        place = seed_of[number], row
        if place in taken:
            expected = f"{name} once in fold {fold} with seed {number}"
            raise ParseError(path, line, expected, f"it in line {taken[place]} too")
        taken[place] = line
    seeds = sorted({seed for seed, _ in taken})
    for seed in seeds or [0]:
        missing = next((row for row in range(len(tested)) if (seed, row) not in taken), None)
        if missing is not None:
            expected = f"every test pair of {split} in every fold with seed {seed}"
            found = "no {} in fold {}".format(*tested[missing])
            raise ParseError(path, None, expected, found)
    places = np.array([(seeds.index(seed), row) for seed, row in taken]).T
    return tuple(seeds), (places[0], places[1])


def _numbers(path: Path, labels: list[str], cells: list[list[str]]) -> _Float:
    try:
        return np.array(cells, np.float64)
    except ValueError:
        for line, row in enumerate(cells, start=2):
            for label, cell in zip(labels, row, strict=True):
                try:
                    float(cell)
                except ValueError as error:
                    found = quote(cell)
                    raise ParseError(path, line, f"a number for {label}", found) from error
        raise
