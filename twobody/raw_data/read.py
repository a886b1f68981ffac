"""The whole of ``raw_data``, read and checked: pairs, labels, and everything that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from twobody.errors import NO_PAIR, PairProblem, ParseError
from twobody.files import InputDigest
from twobody.raw_data.label_csv import BONDS_FILE, LabelTable, read_label_files
from twobody.labels import NUMERIC_LABELS
from twobody.raw_data.folders import BOND_TOLERANCE, GEO_END_XYZ, PairTable, find_pairs, read_pairs
from twobody.progress import progress_bar


class Sources(NamedTuple):
    """What was read.

    Attributes
    ----------
    raw_data : Path
        The folder.
    found : int
        Number of pairs that have a folder or a row.
    pairs : PairTable
        Those whose folders are without fault.
    labels : LabelTable
        Of the same pairs, in the same order.
    problems : list of PairProblem
        Everything that is wrong, sorted by pair, file and line.
    digest : str
        SHA-256 of the files.
    """

    raw_data: Path
    found: int
    pairs: PairTable
    labels: LabelTable
    problems: list[PairProblem]
    digest: str

    @property
    def bad(self) -> set[str]:
        """Names of the pairs that have problems, and maybe `NO_PAIR`."""
        return {problem.pair_name for problem in self.problems}

    @property
    def can_skip(self) -> bool:
        """Whether leaving the bad pairs out is enough, and leaves any."""
        return NO_PAIR not in self.bad and not self.bad.issuperset(self.pairs.names.tolist())

    def good(self) -> tuple[PairTable, LabelTable]:
        """Return the pairs without any problem, and their labels."""
        if not self.bad:
            return self.pairs, self.labels
        keep = ~np.isin(self.pairs.names, sorted(self.bad))
        return self.pairs.take(keep), self.labels.take(keep)


def read_sources(raw_data: Path, *, allow_unconverged: bool) -> Sources:
    """Read and check the whole input.

    Raises
    ------
    ParseError
        `raw_data` is no folder of pairs. Everything else is among the problems.
    """
    names, problems = find_pairs(raw_data)
    digest = InputDigest()
    labels, label_problems = read_label_files(raw_data, names, digest)
    with progress_bar(len(names), "reading") as progress:
        pairs, pair_problems = read_pairs(
            raw_data, names, digest, allow_unconverged=allow_unconverged, progress=progress
        )
    labels = labels.take(np.isin(names, pairs.names))
    problems += label_problems + pair_problems + _check_bond_lengths(raw_data, pairs, labels)
    problems.sort(key=lambda p: (p.pair_name, p.error.path, p.error.line or 0))
    found = len({*names, *(problem.pair_name for problem in problems)} - {NO_PAIR})
    return Sources(raw_data, found, pairs, labels, problems, digest.hexdigest())


def _check_bond_lengths(raw_data: Path, pairs: PairTable, labels: LabelTable) -> list[PairProblem]:
    """Compare the bond lengths of the geometries with those of the CSV file, and with 0."""
    names = [label.name for label in NUMERIC_LABELS]
    in_csv = labels.values[:, names.index("distance_ang")]
    problems = []
    for i in np.flatnonzero(np.abs(in_csv - pairs.bond_lengths) > BOND_TOLERANCE):
        name = str(pairs.names[i])
        expected = f"the bond length of {name}/{GEO_END_XYZ}, {pairs.bond_lengths[i]:.6f} Å"
        line = int(labels.bond_lines[i])
        error = ParseError(raw_data / BONDS_FILE, line, expected, f"{in_csv[i]:.6f} Å")
        problems.append(PairProblem(name, error))
    for name in pairs.names[pairs.bond_lengths == 0].tolist():
        error = ParseError(
            raw_data / name / GEO_END_XYZ, None, "two atoms apart", "both in one place"
        )
        problems.append(PairProblem(name, error))
    return problems
