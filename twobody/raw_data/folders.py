"""The pair folders of ``raw_data``: found, read, checked, and gathered into columns."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from twobody.encodings import published as images
from twobody.dftbplus.usual_layout import OutputTable, Texts, read_standard
from twobody.dftbplus import (
    CHARGE_SECTIONS,
    POPULATION_TOLERANCE,
    DetailedOut,
    Geometry,
    Orbitals,
    parse_detailed_out,
    parse_geo_end_xyz,
)
from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import PairProblem, ParseError
from twobody.files import InputDigest
from twobody.text import decode, find_line, read_bytes

DETAILED_OUT = "detailed.out"
GEO_END_XYZ = "geo_end.xyz"
BAND_OUT = "band.out"

BOND_TOLERANCE = 1e-3
"""How far the bond length of the geometry may be from that of the CSV file [Å]."""

_BATCH = 1024  # pairs whose texts are in memory at a time: 3 MB

_T = TypeVar("_T")

METADATA_NAMES: tuple[str, ...] = (
    "total_charge",  # [e]
    "fermi_level",  # [H]
    "total_energy",  # [H]
    "dipole_x",  # [au]
    "dipole_y",  # [au]
    "dipole_z",  # [au]
    "num_atoms",
    "bond_length",  # [Å]
)


@dataclass(frozen=True, eq=False)
class Pair:
    """One pair; geometry and detailed output were found to speak of the same two atoms."""

    name: str
    geometry: Geometry
    detailed: DetailedOut

    @property
    def bond_length(self) -> float:
        """Distance of the atoms [Å]."""
        return float(bond_lengths(self.geometry.positions))


@dataclass(frozen=True, eq=False)
class PairTable:
    """N pairs as columns.

    Attributes
    ----------
    names : str [N]
    elements : str [N, 2]
    positions : float64 [N, 2, 3]
        [Å]
    populations : float64 [N, 2]
        Mulliken populations of the atoms [e], as in the geometry file.
    amplitudes : float64 [N, 10, 2]
        See `twobody.encodings.published`.
    metadata : float64 [N, 8]
        The quantities of `METADATA_NAMES`; NaN where missing.
    """

    names: NDArray[np.str_]
    elements: NDArray[np.str_]
    positions: NDArray[np.float64]
    populations: NDArray[np.float64]
    amplitudes: NDArray[np.float64]
    metadata: NDArray[np.float64]

    def take(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> PairTable:
        """Return the pairs where `keep` is true, or those at the places `keep`."""
        return PairTable(*(getattr(self, field.name)[keep] for field in fields(self)))

    @classmethod
    def empty(cls, n: int) -> PairTable:
        """Make room for `n` pairs; memory is taken as they are put in."""
        return cls(  # symbols have two letters at most: `is_pair_name` has seen to it
            names=np.zeros(n, "U5"),
            elements=np.zeros((n, 2), "U2"),
            positions=np.zeros((n, 2, 3)),
            populations=np.zeros((n, 2)),
            amplitudes=np.zeros((n, len(images.CHANNELS), images.N_ATOMS)),
            metadata=np.zeros((n, len(METADATA_NAMES))),
        )

    def put(self, places: NDArray[np.intp], pairs: PairTable) -> None:
        """Put other pairs in the places given."""
        for field in fields(self):
            getattr(self, field.name)[places] = getattr(pairs, field.name)

    @property
    def geometries(self) -> NDArray[np.float32]:
        """x, y, z [Å] and population [e] of each atom as archives hold them, [N, 2, 4]."""
        return np.concatenate([self.positions, self.populations[..., None]], axis=2).astype("<f4")

    @property
    def bond_lengths(self) -> NDArray[np.float64]:
        """Distances of the atoms [Å], [N]."""
        column: NDArray[np.float64] = self.metadata[:, METADATA_NAMES.index("bond_length")]
        return column


def bond_lengths(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances [...] between the two atoms of `positions`, [..., 2, 3]; in their unit."""
    vectors = positions[..., 1, :] - positions[..., 0, :]
    lengths: NDArray[np.float64] = np.sqrt((vectors**2).sum(axis=-1))
    return lengths


def find_pairs(raw_data: Path) -> tuple[list[str], list[PairProblem]]:
    """Return the names of the pair folders, sorted, and the folders that are no pair's.

    Hidden folders are not looked at.

    Raises
    ------
    ParseError
        `raw_data` is no readable folder or holds no pair.
    """
    try:
        with os.scandir(raw_data) as entries:
            names = [e.name for e in entries if not e.name.startswith(".") and _is_folder(e)]
    except OSError as error:
        raise ParseError(
            raw_data, None, "a readable folder of pairs", str(error.strerror)
        ) from error
    if not names:
        raise ParseError(raw_data, None, "folders named after pairs (A_B)", "none")
    pairs = sorted(name for name in names if is_pair_name(name))
    expected = "a folder named after two elements (A_B)"
    problems = [
        PairProblem(name, ParseError(raw_data / name, None, expected, repr(name)))
        for name in sorted(set(names).difference(pairs))
    ]
    for name in pairs:
        turned = "_".join(reversed(name.split("_")))
        if turned < name and turned in names:
            once = "every pair of elements once"
            twice = ParseError(raw_data / name, None, once, f"{turned} too")
            problems.append(PairProblem(name, twice))
    return pairs, problems


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether `entry` is a folder; a link that leads nowhere or in a circle is none."""
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


def is_pair_name(name: str) -> bool:
    """Tell whether `name` is the symbols of two elements, joined by an underscore."""
    elements = name.split("_")
    return len(elements) == 2 and set(elements) <= ATOMIC_NUMBERS.keys()


def read_pairs(
    raw_data: Path,
    names: Sequence[str],
    digest: InputDigest,
    *,
    allow_unconverged: bool = False,
    progress: Callable[[int], object] = int,
) -> tuple[PairTable, list[PairProblem]]:
    """Read the pairs `names`; what is read goes into `digest`.

    `progress` is called with the number of pairs read since the last call.

    Returns
    -------
    PairTable
        The pairs without problems, in the order of `names`.
    list of PairProblem
        Everything that is wrong with the others.
    """
    table = PairTable.empty(len(names))
    read = np.zeros(len(names), np.bool_)
    problems: list[PairProblem] = []
    for start in range(0, len(names), _BATCH):
        batch = [
            _read_files(os.path.join(raw_data, name), digest)  # noqa: PTH118 - far faster
            for name in names[start : start + _BATCH]
        ]
        parts, errors = _parse_batch(batch, allow_unconverged=allow_unconverged)
        for index, pairs in parts:
            table.put(start + index, pairs)
            read[start + index] = True
        problems += errors
        progress(len(batch))
    return table if read.all() else table.take(read), problems


def read_pair(
    folder: Path, *, allow_unconverged: bool = False
) -> tuple[Pair | None, list[ParseError]]:
    """Read and check the folder of a pair; return the pair, or everything that is wrong with it.

    Wrong is, beside what the readers refuse: not two atoms, elements that are not the folder's,
    geometry steps or populations that differ between the files, no Mulliken analysis or dipole
    moment, SCC that did not converge.
    """
    files = _read_files(os.fspath(folder))
    return _parse_pair(files, allow_unconverged=allow_unconverged)


class _Files(NamedTuple):
    """The files of a pair folder as they are, and why one could not be read."""

    folder: str
    name: str
    elements: tuple[str, ...]
    contents: Mapping[str, bytes]
    errors: Sequence[ParseError]


def _read_files(folder: str, digest: InputDigest | None = None) -> _Files:
    name = os.path.basename(folder)  # noqa: PTH119 - see read_pairs
    contents, errors = {}, []
    for file in (DETAILED_OUT, GEO_END_XYZ):
        try:
            contents[file] = read_bytes(f"{folder}{os.sep}{file}")
            if digest is not None:
                digest.add(f"{name}/{file}", contents[file])
        except ParseError as error:
            errors.append(error)
    return _Files(folder, name, tuple(name.split("_")), contents, errors)


def _parse_batch(
    batch: Sequence[_Files], *, allow_unconverged: bool
) -> tuple[list[tuple[NDArray[np.intp], PairTable]], list[PairProblem]]:
    """Parse pairs of the usual layout all at once, the others one by one.

    Returns
    -------
    list of (int [n], PairTable)
        Which of the pairs, and these; those with problems come nowhere.
    list of PairProblem
    """
    whole = np.array([i for i, files in enumerate(batch) if not files.errors], np.intp)
    texts = [Texts(batch[i].elements, *batch[i].contents.values()) for i in whole]
    left = np.ones(len(batch), np.bool_)
    parts = []
    for index, columns in read_standard(texts):
        here = whole[index]
        left[here] = False
        files = [batch[i] for i in here]
        parts.append((here, _table([f.name for f in files], [f.elements for f in files], columns)))
    places: list[int] = []
    pairs: list[Pair] = []
    problems: list[PairProblem] = []
    for i in np.flatnonzero(left).tolist():
        pair, errors = _parse_pair(batch[i], allow_unconverged=allow_unconverged)
        problems += [PairProblem(batch[i].name, error) for error in errors]
        if pair is not None:
            places.append(i)
            pairs.append(pair)
    parts.append((np.array(places, np.intp), tabulate(pairs)))
    return parts, problems


def _parse_pair(files: _Files, *, allow_unconverged: bool) -> tuple[Pair | None, list[ParseError]]:
    errors = list(files.errors)
    folder = Path(files.folder)

    def checked(file: str, parse: Callable[[str, Path], _T]) -> _T | None:
        try:
            if file in files.contents:
                return parse(decode(files.contents[file], folder / file), folder / file)
        except ParseError as error:
            errors.append(error)
        return None

    def detailed_out(text: str, path: Path) -> DetailedOut:
        detailed = parse_detailed_out(text, path)
        errors.extend(_check_detailed(detailed, text, path, allow_unconverged))
        return detailed

    def geo_end_xyz(text: str, path: Path) -> Geometry:
        geometry = parse_geo_end_xyz(text, path)
        errors.extend(_check_geometry(geometry, files.elements, path))
        return geometry

    detailed = checked(DETAILED_OUT, detailed_out)
    geometry = checked(GEO_END_XYZ, geo_end_xyz)
    if errors or geometry is None or detailed is None:
        return None, errors
    errors += _check_step(geometry, detailed, folder)
    errors += _check_populations(geometry, detailed, folder)
    return (None, errors) if errors else (Pair(files.name, geometry, detailed), [])


def _check_geometry(
    geometry: Geometry, elements: tuple[str, ...], path: Path
) -> Iterator[ParseError]:
    if len(geometry.symbols) != 2:
        yield ParseError(path, geometry.line - 2, "two atoms", f"{len(geometry.symbols)}")
    elif geometry.symbols != elements:
        expected = f"the elements of the folder, {' and '.join(elements)}"
        yield ParseError(path, geometry.line, expected, " and ".join(geometry.symbols))


def _check_detailed(
    detailed: DetailedOut, text: str, path: Path, allow_unconverged: bool
) -> Iterator[ParseError]:
    needed = {
        "gross charges": detailed.gross_charges,
        "atom populations": detailed.atom_populations,
        "orbital populations": detailed.orbitals,
        "a dipole moment": detailed.dipole_moment,
    }
    for what, value in needed.items():
        if value is None:
            yield ParseError(path, None, what, "none")
    if detailed.gross_charges is not None and len(detailed.gross_charges) != 2:
        places = [find_line(text, heading) for heading in CHARGE_SECTIONS]
        line = next(filter(None, places), None)
        yield ParseError(path, line, "two atoms", f"{len(detailed.gross_charges)}")
    if detailed.scc_converged is False and not allow_unconverged:
        status = "SCC is NOT converged"
        yield ParseError(path, find_line(text, status), "'SCC converged'", repr(status))


def _check_step(geometry: Geometry, detailed: DetailedOut, folder: Path) -> Iterator[ParseError]:
    here, there = geometry.step, detailed.geometry_step
    if here is not None and there is not None and here != there:
        expected = f"the geometry step of {DETAILED_OUT}, {there}"
        yield ParseError(folder / GEO_END_XYZ, geometry.line - 1, expected, f"{here}")


def _check_populations(
    geometry: Geometry, detailed: DetailedOut, folder: Path
) -> Iterator[ParseError]:
    if geometry.populations is None or detailed.atom_populations is None:
        return
    for atom in range(2):
        here, there = geometry.populations[atom], detailed.atom_populations[atom]
        if abs(here - there) > POPULATION_TOLERANCE:
            expected = f"the population of atom {atom + 1} in {DETAILED_OUT}, {there:.8f}"
            yield ParseError(folder / GEO_END_XYZ, geometry.line + atom, expected, f"{here:.8f}")


def tabulate(pairs: Sequence[Pair]) -> PairTable:
    """Gather pairs into columns."""
    n = len(pairs)
    detailed = [pair.detailed for pair in pairs]
    geometry_populations = [
        pair.detailed.atom_populations
        if pair.geometry.populations is None
        else pair.geometry.populations
        for pair in pairs
    ]
    columns = OutputTable(
        positions=np.array([pair.geometry.positions for pair in pairs]).reshape(n, 2, 3),
        geometry_populations=np.array(geometry_populations).reshape(n, 2),
        populations=np.array([d.atom_populations for d in detailed]).reshape(n, 2),
        charges=np.array([d.gross_charges for d in detailed]).reshape(n, 2),
        dipoles=np.array([d.dipole_moment for d in detailed]).reshape(n, 3),
        orbitals=_orbital_table([d.orbitals for d in detailed]),
        total_charges=np.array([_number(d.total_charge) for d in detailed]),
        fermi_levels=np.array([_number(d.fermi_level) for d in detailed]),
        total_energies=np.array([d.total_energy for d in detailed]),
    )
    return _table([pair.name for pair in pairs], [pair.geometry.symbols for pair in pairs], columns)


def _table(
    names: Sequence[str], elements: Sequence[tuple[str, ...]], columns: OutputTable
) -> PairTable:
    n = len(names)
    metadata = np.empty((n, len(METADATA_NAMES)))
    metadata[:, 0] = columns.total_charges
    metadata[:, 1] = columns.fermi_levels
    metadata[:, 2] = columns.total_energies
    metadata[:, 3:6] = columns.dipoles
    metadata[:, 6] = 2
    metadata[:, 7] = bond_lengths(columns.positions)
    return PairTable(
        names=np.array(names, dtype=np.str_),
        elements=np.array(elements, dtype="U2").reshape(n, 2),
        positions=columns.positions,
        populations=columns.geometry_populations,
        amplitudes=images.amplitudes(
            columns.charges, columns.populations, columns.dipoles, columns.orbitals
        ),
        metadata=metadata,
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _orbital_table(orbitals: Sequence[Orbitals | None]) -> images.OrbitalTable:
    tables = [table for table in orbitals if table is not None]

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(t, name) for t in tables] or [np.zeros(0, np.int64)])

    systems = np.repeat(np.arange(len(tables)), [len(table.atom) for table in tables])
    return images.OrbitalTable(
        systems.astype(np.int64), joined("atom"), joined("l"), joined("m"), joined("population")
    )
