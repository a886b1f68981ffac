"""Reader of ``detailed.out``: energies, Mulliken populations, dipole moment, convergence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus.geometry_step import RUN_STATUS, SCC_STATUS, Step, last_complete_step
from twobody.text import PathLike, parse_integer, parse_number, read_text, split_lines

POPULATION_TOLERANCE = 1e-4
"""How far populations may differ from their sum [e]; each is printed with eight decimals."""

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]
CHARGE_SECTIONS = {  # header: column heading
    "Atomic gross charges (e)": ("Atom", "Charge"),
    "Net atomic charges (e)": ("Atom", "Net", "charge"),  # up to 17.1, the same quantity
}
_POPULATION_SECTION = re.compile(r"(Atom|l-shell|Orbital) populations \(([^()]+)\)")
_POPULATION_COLUMNS = {
    "Atom": ("Atom", "Population"),
    "l-shell": ("Atom", "Sh.", "l", "Population"),
    "Orbital": ("Atom", "Sh.", "l", "m", "Population"),
}
_SPIN_CHANNELS = (
    ("up",),
    ("up", "down"),
    ("q", "x", "y", "z"),
    ("spin: 1",),  # old versions
    ("spin: 1", "spin: 2"),
)
_MAGNETISATION = frozenset("xyz")  # non-collinear: the channels that are no population
_SCC_HEADING = ["iSCC", "Total", "electronic", "Diff", "electronic", "SCC", "error"]


@dataclass(frozen=True, eq=False)
class Orbitals:
    """Mulliken populations of atomic orbitals, summed over spin channels.

    Attributes
    ----------
    atom, shell, l, m : int64 [n_orbitals]
        Atom (counted from 0), shell of the atom (from 1), angular momentum, magnetic quantum number
        of the real orbital.
    population : float64 [n_orbitals]
        Population [e]; small negative values are legal.
    """

    atom: _Int
    shell: _Int
    l: _Int
    m: _Int
    population: _Float


@dataclass(frozen=True, eq=False)
class DetailedOut:
    """The last complete geometry step of a ``detailed.out``.

    Attributes
    ----------
    total_charge : float or None
        Total charge [e]; early versions do not print it.
    gross_charges, atom_populations : float64 [n_atoms] or None
        Mulliken gross charges and populations [e]; None without Mulliken analysis.
    orbitals : Orbitals or None
    spin_channels : tuple of str
        ``("up",)``, ``("up", "down")`` or, non-collinear, ``("q", "x", "y", "z")``, as printed;
        empty without populations.
    fermi_level : float or None
        [H]; the higher of two. None where the solver gives none.
    band_energy : float or None
        [H]; summed over spins.
    total_energy : float
        [H]
    mermin_free_energy, repulsive_energy : float or None
        [H]
    dipole_moment : float64 [3] or None
        Atomic units.
    geometry_step : int or None
        None for a static geometry.
    scc_iteration : int or None
        None, as the next three, without SCC.
    scc_total_electronic, scc_diff_electronic : float or None
        [H]
    scc_error : float or None
        [e]
    scc_converged, geometry_converged : bool or None
        None without SCC, and where the step does not end a geometry optimisation. None too where
        the optimisation was allowed no step: "Geometry converged" then says nothing.
    """

    total_charge: float | None
    gross_charges: _Float | None
    atom_populations: _Float | None
    orbitals: Orbitals | None
    spin_channels: tuple[str, ...]
    fermi_level: float | None
    band_energy: float | None
    total_energy: float
    mermin_free_energy: float | None
    repulsive_energy: float | None
    dipole_moment: _Float | None
    geometry_step: int | None
    scc_iteration: int | None
    scc_total_electronic: float | None
    scc_diff_electronic: float | None
    scc_error: float | None
    scc_converged: bool | None
    geometry_converged: bool | None


def read_detailed_out(path: PathLike) -> DetailedOut:
    """Read a ``detailed.out``; see `parse_detailed_out`."""
    return parse_detailed_out(read_text(path), path)


def parse_detailed_out(text: str, path: PathLike | None = None) -> DetailedOut:
    """Read the text of a ``detailed.out``.

    Parameters
    ----------
    text : str
    path : path, optional
        Where the text comes from, for messages.

    Raises
    ------
    ParseError
        No step of the file is complete, or something in the last complete one is missing, repeated,
        not a number, or in contradiction with the rest of the step.
    """
    step = last_complete_step(split_lines(text), path)
    charges = _gross_charges(step)
    channels, tables = _population_tables(step)
    populations = _atom_populations(step, channels, tables)
    orbitals = _orbitals(step, channels, tables)
    _check_sums(step, channels, tables, charges, populations, orbitals)
    two_spins = len(channels) == 2 or any(s.split() == ["Spin", "down"] for s in step.where)
    n_spins = 2 if two_spins else 1
    scc_converged = step.status(SCC_STATUS)
    scc = _scc_row(step, with_scc=scc_converged is not None)
    return DetailedOut(
        total_charge=_total_charge(step, charges),
        gross_charges=charges,
        atom_populations=populations,
        orbitals=orbitals,
        spin_channels=channels,
        fermi_level=_fermi_level(step, n_spins),
        band_energy=_energy(step, "Band energy", n_spins),
        total_energy=step.require(_energy(step, "Total energy"), "'Total energy:'"),
        mermin_free_energy=_energy(step, "Total Mermin free energy"),
        repulsive_energy=_energy(step, "Repulsive energy"),
        dipole_moment=_dipole_moment(step),
        geometry_step=step.number,
        scc_iteration=scc.iteration if scc else None,
        scc_total_electronic=scc.total_electronic if scc else None,
        scc_diff_electronic=scc.diff_electronic if scc else None,
        scc_error=scc.error if scc else None,
        scc_converged=scc_converged,
        geometry_converged=_geometry_converged(step),
    )


@dataclass(frozen=True)
class _Row:
    """A row of a table: where it stands, its whole numbers, its value."""

    line: int
    key: tuple[int, ...]
    value: float


def _table(step: Step, header: int, columns: Sequence[str]) -> list[_Row]:
    """Read the table below line `header`: whole numbers, one value, from 19.1 on maybe a label."""
    heading = step.lines[header + 1].split() if header + 1 < len(step.lines) else []
    labelled = heading == [*columns, "Label"]
    if heading != list(columns) and not labelled:
        raise step.error(header + 1, f"the column heading {' '.join(columns)!r}")
    n_keys = len(columns) - 1 if "Sh." in columns else 1
    width = n_keys + 1 + labelled
    rows = []
    for i in range(header + 2, len(step.lines)):
        tokens = step.lines[i].split()
        if not tokens:
            break
        if len(tokens) != width:
            raise step.error(i, f"a row of {width} columns or an empty line")
        key = tuple(parse_integer(t, step.path, i + 1, "a row's index") for t in tokens[:n_keys])
        value = parse_number(tokens[n_keys], step.path, i + 1, "a row's value")
        rows.append(_Row(i, key, value))
    if not rows:
        raise step.error(header + 2, "a row of the table")
    return rows


def _values_by_atom(step: Step, rows: list[_Row]) -> _Float:
    """Return the values of a table with one row an atom; atoms must be 1, 2, 3 ..."""
    for atom, row in enumerate(rows, start=1):
        if row.key != (atom,):
            raise step.error(row.line, f"the row of atom {atom}")
    return np.array([row.value for row in rows])


def _gross_charges(step: Step) -> _Float | None:
    found = [(i, c) for h, c in CHARGE_SECTIONS.items() if (i := step.once(h)) is not None]
    if not found:
        return None
    return _values_by_atom(step, _table(step, *found[0]))


def _total_charge(step: Step, charges: _Float | None) -> float | None:
    for i, rest in step.field("Total charge") or step.field("Net charge"):  # before 18.1
        total = parse_number(rest.strip(), step.path, i + 1, "the total charge")
        if charges is not None and abs(total - charges.sum()) > POPULATION_TOLERANCE:
            raise step.error(i, f"the sum of the gross charges, {charges.sum():.8f}")
        return total
    if (section := step.once("Atomic gross charges (e)")) is not None:  # from 18.1 on
        raise step.error(section, "'Total charge:' above the gross charges", "none")
    return None


_Tables = dict[str, dict[str, list[_Row]]]  # kind: channel: rows


def _population_tables(step: Step) -> tuple[tuple[str, ...], _Tables]:
    """Read every population table; each kind must have the same, legal set of spin channels."""
    tables: _Tables = {}
    for line in step.where:
        if match := _POPULATION_SECTION.fullmatch(line):
            kind, channel = match.groups()
            rows = _table(step, step.once(line) or 0, _POPULATION_COLUMNS[kind])
            tables.setdefault(kind, {})[channel] = rows
    channels: tuple[str, ...] = ()
    for kind, by_channel in tables.items():
        here = tuple(by_channel)
        if here not in _SPIN_CHANNELS or (channels and here != channels):
            first_row = by_channel[here[-1]][0].line
            expected = f"{kind} populations of {' and '.join(channels or ('up', 'down'))}"
            raise step.error(first_row - 2, expected, f"those of {' and '.join(here)}")
        channels = here
    return channels, tables


def _summed_channels(channels: tuple[str, ...]) -> list[str]:
    return [channel for channel in channels if channel not in _MAGNETISATION]


def _atom_populations(step: Step, channels: tuple[str, ...], tables: _Tables) -> _Float | None:
    if "Atom" not in tables:
        return None
    by_channel = [_values_by_atom(step, tables["Atom"][c]) for c in channels]
    for channel, values in zip(channels, by_channel, strict=True):
        if len(values) != len(by_channel[0]):
            line = tables["Atom"][channel][-1].line
            raise step.error(line, f"{len(by_channel[0])} atoms", f"{len(values)}")
    summed = _summed_channels(channels)
    total = np.zeros(len(by_channel[0]))
    for channel, values in zip(channels, by_channel, strict=True):
        total += values if channel in summed else 0
    return total


def _orbitals(step: Step, channels: tuple[str, ...], tables: _Tables) -> Orbitals | None:
    if "Orbital" not in tables:
        return None
    first = tables["Orbital"][channels[0]]
    _check_orbital_order(step, first)
    population = np.zeros(len(first))
    for channel in _summed_channels(channels):
        rows = tables["Orbital"][channel]
        if [row.key for row in rows] != [row.key for row in first]:
            raise step.error(rows[0].line, f"the orbitals of {channels[0]}", f"those of {channel}")
        population += [row.value for row in rows]
    atom, shell, l, m = np.array([row.key for row in first]).T
    return Orbitals(atom - 1, shell, l, m, population)


def _check_orbital_order(step: Step, rows: list[_Row]) -> None:
    """Check that atoms and shells are counted up from 1 and that every shell holds m = -l ... l."""
    atom, shell, l, m = 0, 0, 0, 0
    for row in rows:
        if m < l:
            legal = row.key == (atom, shell, l, m + 1)
            expected = f"orbital m = {m + 1} of atom {atom}, shell {shell}, l = {l}"
        else:
            legal = row.key[:2] in ((atom, shell + 1), (atom + 1, 1)) and row.key[3] == -row.key[2]
            legal = legal and row.key[0] > 0
            here = f"atom {atom}, shell {shell + 1} or of " if atom else ""  # from 1 on
            expected = f"the first orbital of {here}atom {atom + 1}"
        if not legal:
            raise step.error(row.line, expected)
        atom, shell, l, m = row.key
    if m < l:
        expected = f"orbital m = {m + 1} of atom {atom}, shell {shell}"
        raise step.error(rows[-1].line + 1, expected, "the end of the table")


def _check_sums(
    step: Step,
    channels: tuple[str, ...],
    tables: _Tables,
    charges: _Float | None,
    populations: _Float | None,
    orbitals: Orbitals | None,
) -> None:
    """Check that the tables speak of the same atoms and that populations add up."""
    if charges is not None and populations is not None and len(charges) != len(populations):
        rows = tables["Atom"][channels[0]]
        raise step.error(rows[-1].line, f"{len(charges)} atoms", f"{len(populations)}")
    atoms = populations if charges is None else charges
    if orbitals is not None and atoms is not None and orbitals.atom[-1] + 1 != len(atoms):
        last = tables["Orbital"][channels[0]][-1].line
        raise step.error(last, f"orbitals of {len(atoms)} atoms", f"{orbitals.atom[-1] + 1}")
    for channel in channels:
        parts = {kind: tables[kind][channel] for kind in tables}
        if "Orbital" in parts and "l-shell" in parts:
            _check_sum(step, parts["l-shell"], parts["Orbital"])
        if "Orbital" in parts and "Atom" in parts:
            _check_sum(step, parts["Atom"], parts["Orbital"])
        for i, rest in step.field(f"Nr. of electrons ({channel})"):
            electrons = parse_number(rest.strip(), step.path, i + 1, "a number of electrons")
            total = sum(row.value for row in parts.get("Atom", []))
            if "Atom" in parts and abs(electrons - total) > POPULATION_TOLERANCE:
                raise step.error(i, f"the sum of the atom populations, {total:.8f}")


def _check_sum(step: Step, sums: list[_Row], parts: list[_Row]) -> None:
    """Check each row of `sums` against the rows of `parts` whose key begins with its own."""
    width = len(sums[0].key)
    totals: dict[tuple[int, ...], float] = {}
    for row in parts:
        totals[row.key[:width]] = totals.get(row.key[:width], 0.0) + row.value
    if [row.key for row in sums] != list(totals):
        raise step.error(sums[-1].line, "a row for each atom or shell that has orbitals")
    for row in sums:
        if abs(row.value - totals[row.key]) > POPULATION_TOLERANCE:
            raise step.error(row.line, f"{totals[row.key]:.8f}, the sum over the orbitals")


_PRINTED_HARTREE_TO_EV = 27.2114  # to the precision that all versions' constants share
_PRINTED_AU_TO_DEBYE = 2.5417


def agrees_with_ev(hartree: float | _Float, ev: float | _Float) -> NDArray[np.bool_]:
    """Tell where an energy printed in hartree is the one printed in eV."""
    converted = np.multiply(hartree, _PRINTED_HARTREE_TO_EV)
    agrees: NDArray[np.bool_] = np.abs(ev - converted) <= 1e-4 + 2e-6 * np.abs(converted)
    return agrees


def agrees_with_debye(au: _Float, debye: _Float) -> NDArray[np.bool_]:
    """Tell where a dipole moment printed in atomic units is the one printed in debye."""
    return np.isclose(debye, au * _PRINTED_AU_TO_DEBYE, rtol=1e-4, atol=1e-6)


def agrees_with_total(scc: float | _Float, total: float | _Float) -> NDArray[np.bool_]:
    """Tell where the total electronic energy of the SCC row is that of the step [H].

    The latter has more digits.
    """
    agrees: NDArray[np.bool_] = np.abs(np.subtract(scc, total)) <= 1e-9 + 1e-7 * np.abs(total)
    return agrees


def _energies(step: Step, name: str, count: int) -> list[float]:
    """Read ``NAME: value H value eV``; the second value must be the first one in eV."""
    values = []
    for i, rest in step.field(name, count):
        tokens = rest.split()
        if len(tokens) != 4 or tokens[1::2] != ["H", "eV"]:
            raise step.error(i, f"'{name}: (number) H (number) eV'")
        hartree, ev = (parse_number(t, step.path, i + 1, name.lower()) for t in tokens[::2])
        if not agrees_with_ev(hartree, ev):
            converted = hartree * _PRINTED_HARTREE_TO_EV
            raise step.error(i, f"{name.lower()} in H and the same in eV ({converted:.4f})")
        values.append(hartree)
    return values


def _energy(step: Step, name: str, count: int = 1) -> float | None:
    values = _energies(step, name, count)
    return sum(values) if values else None


def _fermi_level(step: Step, n_spins: int) -> float | None:
    levels = _energies(step, "Fermi level", n_spins) or _energies(step, "Fermi energy", n_spins)
    return max(levels) if levels else None


def _dipole_moment(step: Step) -> _Float | None:
    """Read ``Dipole moment: 3F14.8 au``, and the line in debye that repeats it."""
    by_unit: dict[str, _Float] = {}
    for i, rest in step.fields.get("Dipole moment", []):
        body, _, unit = rest.rpartition(" ")
        if unit not in ("au", "Debye") or unit in by_unit:
            raise step.error(i, "one dipole moment in 'au' and one in 'Debye'")
        # Fixed columns: three fields of 14 need no blank between them.
        tokens = (
            [body[k : k + 14].strip() for k in (0, 14, 28)] if len(body) == 42 else body.split()
        )
        if len(tokens) != 3:
            raise step.error(i, "three components of the dipole moment")
        components = [parse_number(t, step.path, i + 1, "a dipole component") for t in tokens]
        by_unit[unit] = np.array(components)
        if len(by_unit) == 2 and not agrees_with_debye(by_unit["au"], by_unit["Debye"]).all():
            debye = by_unit["au"] * _PRINTED_AU_TO_DEBYE
            raise step.error(i, f"the dipole moment {debye.round(4)} in au and Debye alike")
    if len(by_unit) == 1:
        place, only = step.fields["Dipole moment"][0][0], next(iter(by_unit))
        raise step.error(place, "the dipole moment in au and in Debye", f"{only} only")
    return by_unit.get("au")


class _SccRow(NamedTuple):
    """The row below ``iSCC``."""

    iteration: int
    total_electronic: float
    diff_electronic: float
    error: float


def _scc_row(step: Step, *, with_scc: bool) -> _SccRow | None:
    """Read the row below ``iSCC``, which stands between two lines of asterisks."""
    headings = [i for line, at in step.where.items() if line.split() == _SCC_HEADING for i in at]
    if not headings and not with_scc:
        return None
    if len(headings) != 1:
        place = headings[1] if headings else step.last_line
        raise step.error(place, "the iSCC heading once in the step", f"it {len(headings)} times")
    i = headings[0] + 1
    for ruler in (i - 2, i + 1):
        if ruler >= len(step.lines) or step.lines[ruler].strip() != "*" * 80:
            raise step.error(ruler, "a line of 80 asterisks")
    tokens = step.lines[i].split()
    if len(tokens) != 4:
        raise step.error(i, "the SCC row: iteration, two energies, error")
    values = [parse_number(t, step.path, i + 1, "a value of the SCC row") for t in tokens[1:]]
    row = _SccRow(parse_integer(tokens[0], step.path, i + 1, "the SCC iteration"), *values)
    if row.iteration < 1 or row.error < 0.0:
        raise step.error(i, "an SCC iteration counted from 1 and an SCC error that is not negative")
    for total in _energies(step, "Total Electronic energy", 1):
        if not agrees_with_total(row.total_electronic, total):
            raise step.error(i, f"the total electronic energy of the step, {total:.10f} H")
    return row


def _geometry_converged(step: Step) -> bool | None:
    """Read how the run ended; it must be a run of the kind that the step's heading says."""
    for kind, statuses in RUN_STATUS.items():
        for status in statuses:
            if status in step.where and status not in step.run_status:
                heading = f"the heading '{kind} step: (number)' above"
                raise step.error(max(step.where[status]), heading, "none")
    return step.status(step.run_status)
