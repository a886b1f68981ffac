"""The pair folders of ``raw_data``: found, read, and checked file against file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import DetailedOut, Geometry, Levels, band_out, detailed_out, geo_end_xyz
from twobody.dftbplus.detailed_out import SCALARS
from twobody.dftbplus.mulliken import CHARGE_SECTIONS, POPULATION_TOLERANCE
from twobody.dftbplus.usual_layout import Texts, read_usual
from twobody.errors import PairProblem, ParseError
from twobody.files import InputDigest
from twobody.pairs import MAX_L, dense_orbitals, distances, empty_rows, is_pair_name
from twobody.text import decode, find_line, read_bytes, vector

DETAILED_OUT = "detailed.out"
GEO_END_XYZ = "geo_end.xyz"
BAND_OUT = "band.out"

_BATCH = 512  # pairs whose texts are in memory at a time: 2 MB, and 6 MB of numbers


class Pair(NamedTuple):
    """One pair; its files were found to speak of the same two atoms."""

    geometry: Geometry
    detailed: DetailedOut
    levels: Levels | None  # None without a ``band.out``


def find_pairs(raw_data: Path) -> tuple[list[str], list[PairProblem]]:
    """Return the names of the pair folders, sorted, and what is wrong with folders' names.

    Hidden folders are not looked at. Where `raw_data` is not readable or holds no folder, that is a
    `ParseError`.
    """
    try:
        with os.scandir(raw_data) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                # Path says of links that lead in a circle that they are no folders.
                and (Path(entry).is_dir() if entry.is_symlink() else entry.is_dir())
            )
    except OSError as error:
        what = "a readable folder of pairs"
        raise ParseError(raw_data, None, what, str(error.strerror)) from error
    if not names:
        raise ParseError(raw_data, None, "folders named after pairs (A_B)", "none")
    pairs = dict.fromkeys(filter(is_pair_name, names))
    expected = "a folder named after two elements (A_B)"
    faults = [(name, expected, repr(name)) for name in names if name not in pairs]
    for name in pairs:
        turned = "_".join(reversed(name.split("_")))
        if turned < name and turned in pairs:
            faults.append((name, "every pair of elements once", f"{turned} too"))
    return [*pairs], [
        PairProblem(name, ParseError(raw_data / name, None, *fault)) for name, *fault in faults
    ]


def read_pairs(
    raw_data: Path,
    names: Sequence[str],
    digest: InputDigest,
    *,
    allow_unconverged: bool = False,
    progress: Callable[[int], object] = int,
) -> tuple[NDArray[np.void], NDArray[np.void], list[PairProblem]]:
    """Read the pairs `names`; what is read goes into `digest`.

    `progress` is called with the number of pairs read since the last call. Returns structured
    arrays [N] of `twobody.pairs.ROW` and `SCALARS` in the order of `names`, and the problems; of a
    pair that has problems everything is missing.
    """
    rows, scalars = empty_rows(len(names)), empty_rows(len(names), SCALARS)
    problems: list[PairProblem] = []
    for start in range(0, len(names), _BATCH):
        folders = [
            _read_files(os.path.join(raw_data, name), digest)  # noqa: PTH118 - far faster
            for name in names[start : start + _BATCH]
        ]
        batch = slice(start, start + _BATCH)
        usual = read_usual([f.texts for f in folders], rows[batch], scalars[batch])
        for i in np.flatnonzero(~usual).tolist():
            pair, errors = _parse(folders[i], allow_unconverged=allow_unconverged)
            problems += [PairProblem(folders[i].name, error) for error in errors]
            if pair is not None:
                fill(rows[start + i], scalars[start + i], pair.detailed, pair.geometry, pair.levels)
        progress(len(folders))
    rows["bond_length"] = distances(rows["positions"])
    return rows, scalars, problems


def read_pair(
    folder: Path, *, allow_unconverged: bool = False
) -> tuple[Pair | None, list[ParseError]]:
    """Read and check the folder of a pair; return the pair, or everything that is wrong with it.

    Wrong is, besides what the readers refuse: not two atoms, elements that are not the folder's,
    geometry steps, positions or populations that differ between the files, levels that are not
    those of all orbitals and electrons, no Mulliken analysis or dipole moment, orbitals beyond f,
    SCC that did not converge. Without a ``band.out`` the pair has no levels.
    """
    return _parse(_read_files(os.fspath(folder)), allow_unconverged=allow_unconverged)


class _Folder(NamedTuple):
    """A pair folder."""

    path: str
    name: str
    contents: dict[str, bytes | ParseError]  # of each file, or why it could not be read

    @property
    def texts(self) -> Texts:
        """What the fast path takes; it leaves an empty text to `_parse`."""
        texts = [data if isinstance(data, bytes) else b"" for data in self.contents.values()]
        return Texts(tuple(self.name.split("_")), *texts)


def _read_files(path: str, digest: InputDigest | None = None) -> _Folder:
    folder = _Folder(path, os.path.basename(path), {})  # noqa: PTH119 - see read_pairs
    for file in (DETAILED_OUT, GEO_END_XYZ, BAND_OUT):
        try:
            folder.contents[file] = data = read_bytes(f"{path}{os.sep}{file}")
            if digest is not None and file != BAND_OUT:  # of which nothing gets into an archive
                digest.add(f"{folder.name}/{file}", data)
        except ParseError as error:
            if file != BAND_OUT or not isinstance(error.__cause__, FileNotFoundError):
                folder.contents[file] = error
    return folder


def _parse(folder: _Folder, *, allow_unconverged: bool) -> tuple[Pair | None, list[ParseError]]:
    """Read the files with the tolerant readers, and check them; see `read_pair`."""
    detailed = geometry = levels = None
    errors: list[ParseError] = []
    for file, content in folder.contents.items():
        path = Path(folder.path, file)
        try:
            if isinstance(content, ParseError):
                raise content
            text = decode(content, path)
            if file == DETAILED_OUT:
                detailed = detailed_out.parse_detailed_out(text, path)
                errors += _check_detailed(detailed, text, path, allow_unconverged)
            elif file == GEO_END_XYZ:
                geometry = geo_end_xyz.parse_geo_end_xyz(text, path)
                errors += _check_geometry(geometry, tuple(folder.name.split("_")), path)
            else:
                levels = band_out.parse_band_out(text, path)
        except ParseError as error:
            errors.append(error)
    if errors or geometry is None or detailed is None:
        return None, errors
    errors += _check_agreement(geometry, detailed, Path(folder.path, GEO_END_XYZ))
    try:
        if levels is not None and not errors:
            _check_levels(levels, detailed, Path(folder.path, BAND_OUT))
    except ParseError as error:
        errors.append(error)
    return (None, errors) if errors else (Pair(geometry, detailed, levels), [])


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
    if detailed.orbitals is not None and detailed.orbitals.l.max() > MAX_L:
        line = find_line(text, "Orbital populations")
        yield ParseError(path, line, "s, p, d and f orbitals", f"l = {detailed.orbitals.l.max()}")
    if detailed.scc_converged is False and not allow_unconverged:
        status = "SCC is NOT converged"
        yield ParseError(path, find_line(text, status), "'SCC converged'", repr(status))


def _check_agreement(geometry: Geometry, detailed: DetailedOut, path: Path) -> Iterator[ParseError]:
    """Compare the geometry, which is of `path`, with what ``detailed.out`` says of the atoms."""
    step, expected_step = geometry.step, detailed.geometry_step
    if step is not None and expected_step is not None and step != expected_step:
        expected = f"the geometry step of {DETAILED_OUT}, {expected_step}"
        yield ParseError(path, geometry.line - 1, expected, f"{step}")
        return  # what else differs is no wonder
    for atom, bohrs in (detailed.moved_positions or {}).items():
        position, there = geometry.positions[atom], bohrs * detailed_out.BOHR
        if (np.abs(position - there) > detailed_out.POSITION_TOLERANCE).any():
            expected = f"atom {atom + 1} where {DETAILED_OUT} has it, at {vector(there)} Å"
            yield ParseError(path, geometry.line + atom, expected, f"{vector(position)} Å")
    if geometry.populations is None or detailed.atom_populations is None:
        return
    for atom in range(2):
        here, there = geometry.populations[atom], detailed.atom_populations[atom]
        if abs(here - there) > POPULATION_TOLERANCE:
            expected = f"the population of atom {atom + 1} in {DETAILED_OUT}, {there:.8f}"
            yield ParseError(path, geometry.line + atom, expected, f"{here:.8f}")


def _check_levels(levels: Levels, detailed: DetailedOut, path: Path) -> None:
    """Check that every k-point has all spins, levels, electrons and energy of `detailed`."""
    if detailed.orbitals is None or detailed.atom_populations is None:
        return
    n_channels, blocks = len(detailed.spin_channels), levels.blocks
    spins = (1, 2) if n_channels == 2 else (1,)
    # Non-collinear: one block for both spins.
    n_levels = len(detailed.orbitals.atom) * (2 if n_channels == 4 else 1)
    size = len(levels.energies) // len(blocks)
    missing = dict.fromkeys((block.k_point, spin) for block in blocks for spin in spins)
    for k_point, spin, _, line in blocks:
        if spin not in spins:
            what = f"spin {' or '.join(map(str, spins))}, as in {DETAILED_OUT}"
            raise ParseError(path, line, what, f"spin {spin}")
        if size != n_levels:
            what = f"{n_levels} levels, one an orbital, for k-point {k_point}, spin {spin}"
            raise ParseError(path, line, what, f"{size}")
        del missing[k_point, spin]
    for k_point, spin in missing:
        what = f"a block for k-point {k_point}, spin {spin}"
        raise ParseError(path, blocks[-1].line + size, what, "none")
    full = 2.0 if n_channels == 1 else 1.0
    for i in np.flatnonzero(~band_out.is_occupation(levels.occupations, full)).tolist():
        line, found = blocks[i // size].line + i % size + 1, f"{levels.occupations[i]:.5f}"
        raise ParseError(path, line, f"an occupation from 0 to {full:g}", found)
    weights = np.repeat([block.weight for block in blocks], size)
    sums = band_out.level_sums(levels.energies, levels.occupations, weights, [0]).values()
    total, rounding, energy, energy_rounding = (float(value[0]) for value in sums)
    electrons, band_energy = float(detailed.atom_populations.sum()), detailed.band_energy
    if abs(total - electrons) > POPULATION_TOLERANCE + rounding:
        what = f"occupations that add up to the electrons of {DETAILED_OUT}, {electrons:.5f}"
        raise ParseError(path, blocks[0].line, what, f"{total:.5f}")
    if band_energy is not None and not detailed_out.agrees_with_ev(band_energy, energy, energy_rounding):
        what = f"levels whose electrons have the band energy of {DETAILED_OUT}, {band_energy:.6f} H"
        raise ParseError(path, blocks[0].line, what, f"{energy:.3f} eV")


def fill(
    row: np.void,
    scalars: np.void,
    detailed: DetailedOut,
    geometry: Geometry | None = None,
    levels: Levels | None = None,
) -> None:
    """Put what the files of a pair say into its rows, all but the bond length; None is missing."""
    values = vars(detailed) | {
        "charges": detailed.gross_charges,
        "dipole": detailed.dipole_moment,
        "populations": detailed.atom_populations,
        "num_atoms": 2,
    }
    if (of := detailed.orbitals) is not None:
        values["orbital_populations"] = dense_orbitals(of.atom, of.l, of.m, of.population)
    if geometry is not None:
        values["positions"] = geometry.positions
        if geometry.populations is not None:
            values["populations"] = geometry.populations
    if levels is not None:
        full = 1.0 if levels.spins.max() > 1 or len(detailed.spin_channels) > 1 else 2.0
        of_one = band_out.level_numbers(levels.energies, levels.occupations, [0], full)
        values |= {name: value[0] for name, value in of_one.items()}
    for target in (row, scalars):
        for name in target.dtype.names or ():
            if values.get(name) is not None:
                target[name] = values[name]
