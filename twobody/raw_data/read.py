"""The whole of ``raw_data``, read and checked: pairs, and everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import BOHR
from twobody.errors import NO_PAIR, PairProblem, ParseError
from twobody.files import InputDigest
from twobody.labels import NUMERIC_LABELS, TEXT_LABELS
from twobody.pairs import Float, Pairs
from twobody.progress import progress_bar
from twobody.raw_data.derive import printed_labels
from twobody.raw_data.folders import BAND_OUT, DETAILED_OUT, GEO_END_XYZ, find_pairs, read_pairs
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE, LabelTable, read_label_files
from twobody.text import find_line, read_text, vector

BOND_TOLERANCE = 1e-3
"""How far bond length and positions of the geometry may be from those of the CSV file [Å]."""

DIPOLE_TOLERANCE = 1e-5
"""How far a dipole moment may be from that of the charges [au]; each has eight decimals."""

LABEL_TOLERANCE = 1e-6
"""How far a label may be from what it follows from, in parts of it or, below 1, in its unit."""

# What is printed may have been rounded, or converted by another value of the constant.
_PRINTED_TOLERANCE = {
    (DETAILED_OUT, "eV"): 1e-3,
    (DETAILED_OUT, "D"): 1e-3,
    (BAND_OUT, "eV"): 6e-4,  # of three decimals
}


class RawData(NamedTuple):
    """What was read."""

    pairs: Pairs  # those whose folders are without fault, sorted by name; without images
    problems: list[PairProblem]  # everything that is wrong, sorted by pair, file and line
    found: int  # number of pairs that have a folder or a row
    digest: str  # SHA-256 of the files

    @property
    def bad(self) -> set[str]:
        """Names of the pairs that have problems, and maybe `NO_PAIR`."""
        return {problem.pair_name for problem in self.problems}

    @property
    def can_skip(self) -> bool:
        """Whether leaving the bad pairs out is enough, and leaves any."""
        return NO_PAIR not in self.bad and not self.bad.issuperset(self.pairs.names.tolist())

    def good(self) -> Pairs:
        """Return the pairs without any problem."""
        return _without(self.pairs, self.bad)


def read(raw_data: Path, *, allow_unconverged: bool) -> RawData:
    """Read and check the whole input.

    Only where `raw_data` is not a folder of pairs is a `ParseError` raised; all else is a problem.
    """
    names, problems = find_pairs(raw_data)
    digest = InputDigest()
    labels, label_problems = read_label_files(raw_data, names, digest)
    with progress_bar(len(names), "reading") as progress:
        rows, scalars, pair_problems = read_pairs(
            raw_data, names, digest, allow_unconverged=allow_unconverged, progress=progress
        )
    pairs = Pairs(
        path=raw_data,
        names=np.array(names, np.str_),
        elements=np.array([name.split("_") for name in names], np.str_).reshape(-1, 2),
        rows=rows,
        label_names=np.array([label.name for label in NUMERIC_LABELS]),
        label_units=np.array([label.unit for label in NUMERIC_LABELS]),
        label_values=labels.values,
        text_label_names=np.array([label.name for label in TEXT_LABELS]),
        text_label_values=labels.texts,
    )
    problems += label_problems + pair_problems
    problems += _check_geometries(pairs)
    problems += _check_csv_files(pairs, labels, scalars)
    problems.sort(key=lambda p: (p.pair_name, p.error.path, p.error.line or 0))
    found = len({*names, *(problem.pair_name for problem in problems)} - {NO_PAIR})
    whole = _without(pairs, {problem.pair_name for problem in pair_problems})
    return RawData(whole, problems, found, digest.hexdigest())


def _without(pairs: Pairs, bad: set[str]) -> Pairs:
    return pairs.take(~np.isin(pairs.names, sorted(bad))) if bad else pairs


class _Comparison(NamedTuple):
    """What a CSV file says of N pairs, and what it should say; missing values are not compared."""

    file: str
    what: str  # for messages; {} is the name of the pair
    unit: str
    found: Float
    expected: Float
    tolerance: float | Float
    none: NDArray[np.bool_] | bool = False  # where there can be no value


def _comparisons(
    pairs: Pairs, positions: Float, scalars: NDArray[np.void]
) -> Iterator[_Comparison]:
    """Yield what both CSV files share with the pair folders, and labels with one another."""
    rows, labels = pairs.rows, pairs.label_columns()
    bonds = {"the bond length": (labels["distance_ang"], rows["bond_length"])}
    for atom, k in np.ndindex(2, 3):
        bonds[f"{'xyz'[k]}{atom + 1}"] = positions[:, atom, k], rows["positions"][:, atom, k]
    for name, (found, expected) in bonds.items():
        what = f"{name} of {{}}/{GEO_END_XYZ}"
        yield _Comparison(BONDS_FILE, what, "Å", found, expected, BOND_TOLERANCE)
    printed, without_levels = printed_labels(rows, scalars), np.isnan(scalars["n_levels"])
    for label in NUMERIC_LABELS:
        file, absolute = label.source.partition(":")[0], 0.0
        if label.name in printed:
            expected, absolute = printed[label.name], _PRINTED_TOLERANCE.get((file, label.unit), 0)
            what, unknown = f"{label.column} of {{}}/{file}", without_levels
        elif label.formula is not None:
            expected, sources = label.formula(labels), label.formula.sources
            what = f"{label.column} of {' and '.join(sources)}"
            unknown = np.isnan([labels[source] for source in sources]).any(axis=0)
        else:
            continue
        tolerance = np.maximum(absolute, LABEL_TOLERANCE * np.maximum(1, np.abs(expected)))
        unit = label.unit if label.kind == "number" else ""
        none = np.isnan(expected) & ~unknown & (file == BAND_OUT)
        yield _Comparison(LABELS_FILE, what, unit, labels[label.name], expected, tolerance, none)


def _check_csv_files(
    pairs: Pairs, labels: LabelTable, scalars: NDArray[np.void]
) -> Iterator[PairProblem]:
    """Compare the CSV files with the pair folders, and labels with those they follow from."""
    for compared in _comparisons(pairs, labels.positions, scalars):
        file, what, unit, found, expected, tolerance, none = compared
        wrong = (np.abs(found - expected) > tolerance) | (none & ~np.isnan(found))
        for i in np.flatnonzero(wrong):
            name, line = str(pairs.names[i]), int(labels.lines[file][i])
            here, there = (f"{x[i] + 0.0:.8g} {unit}".rstrip() for x in (found, expected))
            there = "none" if np.isnan(expected[i]) else there
            error = ParseError(pairs.path / file, line, f"{what.format(name)}, {there}", here)
            yield PairProblem(name, error)
    guesses = pairs.label_columns()["system_id_guess"]
    for i in np.flatnonzero((guesses != "") & (guesses != pairs.names)):
        name, line = str(pairs.names[i]), int(labels.lines[LABELS_FILE][i])
        should_be, guess = f"system_id_guess {name!r}", repr(str(guesses[i]))
        yield PairProblem(name, ParseError(pairs.path / LABELS_FILE, line, should_be, guess))


def _check_geometries(pairs: Pairs) -> Iterator[PairProblem]:
    """Check that atoms are apart, and that charges where they are make the dipole moment."""
    rows = pairs.rows
    for name in pairs.names[rows["bond_length"] == 0].tolist():
        path = pairs.path / name / GEO_END_XYZ
        yield PairProblem(name, ParseError(path, None, "two atoms apart", "both in one place"))
    dipoles = (rows["charges"][..., None] * rows["positions"]).sum(axis=1) / BOHR
    for i in np.flatnonzero((np.abs(dipoles - rows["dipole"]) > DIPOLE_TOLERANCE).any(axis=1)):
        name = str(pairs.names[i])
        path = pairs.path / name / DETAILED_OUT
        expected = f"the dipole moment of the charges where they are, {vector(dipoles[i])} au"
        line = find_line(read_text(path), "Dipole moment")
        error = ParseError(path, line, expected, f"{vector(rows['dipole'][i])} au")
        yield PairProblem(name, error)
