"""The whole of ``raw_data``, read and checked: pairs, and everything that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from twobody.errors import NO_PAIR, PairProblem, ParseError
from twobody.files import InputDigest
from twobody.labels import NUMERIC_LABELS, TEXT_LABELS
from twobody.pairs import Pairs
from twobody.progress import progress_bar
from twobody.raw_data.folders import GEO_END_XYZ, find_pairs, read_pairs
from twobody.raw_data.label_csv import BONDS_FILE, LabelTable, read_label_files

BOND_TOLERANCE = 1e-3
"""How far the bond length of the geometry may be from that of the CSV file [Å]."""


class RawData(NamedTuple):
    """What was read.

    Attributes
    ----------
    pairs : Pairs
        Those whose folders are without fault, sorted by name; without images.
    problems : list of PairProblem
        Everything that is wrong, sorted by pair, file and line.
    found : int
        Number of pairs that have a folder or a row.
    digest : str
        SHA-256 of the files.
    """

    pairs: Pairs
    problems: list[PairProblem]
    found: int
    digest: str

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
        return without(self.pairs, self.bad)


def read(raw_data: Path, *, allow_unconverged: bool) -> RawData:
    """Read and check the whole input.

    Raises
    ------
    ParseError
        `raw_data` is not a folder of pairs. Everything else is among the problems.
    """
    names, problems = find_pairs(raw_data)
    digest = InputDigest()
    labels, label_problems = read_label_files(raw_data, names, digest)
    with progress_bar(len(names), "reading") as progress:
        rows, pair_problems = read_pairs(
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
    problems += label_problems + pair_problems + _check_bond_lengths(pairs, labels)
    problems.sort(key=lambda p: (p.pair_name, p.error.path, p.error.line or 0))
    found = len({*names, *(problem.pair_name for problem in problems)} - {NO_PAIR})
    whole = without(pairs, {problem.pair_name for problem in pair_problems})
    return RawData(whole, problems, found, digest.hexdigest())


def without(pairs: Pairs, bad: set[str]) -> Pairs:
    """Return all but the pairs of these names."""
    return pairs.take(~np.isin(pairs.names, sorted(bad))) if bad else pairs


def _check_bond_lengths(pairs: Pairs, labels: LabelTable) -> list[PairProblem]:
    """Compare the bond lengths of the geometries with those of the CSV file, and with 0."""
    problems = []
    here, there = pairs.rows["bond_length"], pairs.label("distance_ang")
    for i in np.flatnonzero(np.abs(here - there) > BOND_TOLERANCE):
        expected = f"the bond length of {pairs.names[i]}/{GEO_END_XYZ}, {here[i]:.6f} Å"
        path, line = pairs.path / BONDS_FILE, int(labels.lines[BONDS_FILE][i])
        error = ParseError(path, line, expected, f"{there[i]:.6f} Å")
        problems.append(PairProblem(str(pairs.names[i]), error))
    for name in pairs.names[here == 0].tolist():
        path = pairs.path / name / GEO_END_XYZ
        error = ParseError(path, None, "two atoms apart", "both in one place")
        problems.append(PairProblem(name, error))
    return problems
