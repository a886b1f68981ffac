"""Mulliken charges and populations in one step of a ``detailed.out``, and checks of their sums."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus.geometry_step import Step
from twobody.text import parse_integer, parse_number

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


class Mulliken(NamedTuple):
    """What a Mulliken analysis prints; the fields are those of `DetailedOut`."""

    total_charge: float | None
    gross_charges: _Float | None
    atom_populations: _Float | None
    orbitals: Orbitals | None
    spin_channels: tuple[str, ...]


def read_mulliken(step: Step) -> Mulliken:
    """Read every section of charges and populations, and check that they agree."""
    charges = _gross_charges(step)
    channels, tables = _population_tables(step)
    populations = _atom_populations(step, channels, tables)
    orbitals = _orbitals(step, channels, tables)
    _check_sums(step, channels, tables, charges, populations, orbitals)
    return Mulliken(_total_charge(step, charges), charges, populations, orbitals, channels)


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
