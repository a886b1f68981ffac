"""Mulliken charges and populations in one step of a ``detailed.out``, and checks of their sums."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus.geometry_step import Step
from twobody.text import parse_number

POPULATION_TOLERANCE = 1e-4
"""How far populations may differ from their sum [e]; each is printed with eight decimals."""

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]
CHARGE_SECTIONS = {  # header: column heading
    "Atomic gross charges (e)": "Atom Charge",
    "Net atomic charges (e)": "Atom Net charge",  # up to 17.1, the same quantity
}
_POPULATION_SECTION = re.compile(r"(Atom|l-shell|Orbital) populations \(([^()]+)\)")
_POPULATION_COLUMNS = {  # column heading, how many of them make the key of a row
    "Atom": ("Atom Population", 1),
    "l-shell": ("Atom Sh. l Population", 3),
    "Orbital": ("Atom Sh. l m Population", 4),
}
# The last two are those of old versions.
_SPIN_CHANNELS = ("up",), ("up", "down"), ("q", "x", "y", "z"), ("spin: 1",), ("spin: 1", "spin: 2")
_MAGNETISATION = frozenset("xyz")  # non-collinear: the channels that are no population


@dataclass(frozen=True, eq=False)
class Orbitals:
    """Mulliken populations of atomic orbitals, summed over spin channels."""

    atom: _Int  # [n_orbitals] counted from 0
    shell: _Int  # [n_orbitals] of the atom, counted from 1
    l: _Int  # [n_orbitals] angular momentum
    m: _Int  # [n_orbitals] magnetic quantum number of the real orbital
    population: _Float  # [n_orbitals] e; small negative values are legal


class _Table(NamedTuple):
    """A table, whose rows stand one below the other."""

    line: int  # of the first row, counted from 0
    keys: list[tuple[int, ...]]  # [n] the whole numbers of each row, the atom first
    values: _Float  # [n]


_Tables = dict[str, dict[str, _Table]]  # by kind and channel


def read_mulliken(step: Step) -> dict[str, Any]:
    """Read every section of charges and populations, and check that they agree.

    Returns what a Mulliken analysis prints by the fields of `DetailedOut`.
    """
    charges = _gross_charges(step)
    channels, tables = _population_tables(step)
    _check_atoms(step, tables, charges)
    summed = [channel for channel in channels if channel not in _MAGNETISATION]
    populations = orbitals = None
    if by_channel := tables.get("Atom"):
        populations = np.sum([by_channel[channel].values for channel in summed], axis=0)
    if by_channel := tables.get("Orbital"):
        atom, shell, l, m = np.array(by_channel[channels[0]].keys).T
        population = np.sum([by_channel[channel].values for channel in summed], axis=0)
        orbitals = Orbitals(atom - 1, shell, l, m, population)
    for channel in channels:
        _check_sums(step, channel, {kind: tables[kind][channel] for kind in tables})
    return {
        "total_charge": _total_charge(step, charges),
        "gross_charges": charges,
        "atom_populations": populations,
        "orbitals": orbitals,
        "spin_channels": channels,
    }


def _table(step: Step, header: int, columns: str, n_keys: int) -> _Table:
    """Read the table below line `header`: whole numbers, one value, from 19.1 on maybe a label."""
    heading = " ".join(step.lines[header + 1].split()) if header + 1 < len(step.lines) else ""
    labelled = heading == f"{columns} Label"
    if heading != columns and not labelled:
        raise step.error(header + 1, f"the column heading {columns!r}")
    rows = step.table(header + 2, "a row of the table", n_keys, 1, n_labels=int(labelled))
    return _Table(rows[0][0], [key for _, key, _ in rows], np.array([v for *_, (v,) in rows]))


def _gross_charges(step: Step) -> _Float | None:
    for section, columns in CHARGE_SECTIONS.items():
        if (header := step.once(section)) is not None:
            table = _table(step, header, columns, 1)
            _check_counted(step, table)
            return table.values
    return None


def _total_charge(step: Step, charges: _Float | None) -> float | None:
    for i, rest in step.field("Total charge") or step.field("Net charge"):  # before 18.1
        total = parse_number(rest.strip(), step.path, i + 1, "the total charge")
        if charges is not None and abs(total - charges.sum()) > POPULATION_TOLERANCE:
            raise step.error(i, f"the sum of the gross charges, {charges.sum():.8f}")
        return total
    if (section := step.once("Atomic gross charges (e)")) is not None:  # from 18.1 on
        raise step.error(section, "'Total charge:' above the gross charges", "none")
    return None


def _population_tables(step: Step) -> tuple[tuple[str, ...], _Tables]:
    """Read every population table; each kind must have the same, legal set of spin channels."""
    tables: _Tables = {}
    for line in step.where:
        match = _POPULATION_SECTION.fullmatch(line)
        if match and (header := step.once(line)) is not None:
            table = _table(step, header, *_POPULATION_COLUMNS[match[1]])
            tables.setdefault(match[1], {})[match[2]] = table
    channels = tuple(next(iter(tables.values()), ()))
    expected = channels if channels in _SPIN_CHANNELS else ("up", "down")
    for kind, by_channel in tables.items():
        found, (*_, last) = tuple(by_channel), by_channel.values()
        if found != expected:
            what = f"{kind} populations of {' and '.join(expected)}"
            raise step.error(last.line - 2, what, f"those of {' and '.join(found)}")
    return channels, tables


def _check_counted(step: Step, table: _Table) -> None:
    """Check that the table has one row an atom: 1, 2, 3 ..."""
    for i, key in enumerate(table.keys):
        if key != (i + 1,):
            raise step.error(table.line + i, f"the row of atom {i + 1}")


def _check_atoms(step: Step, tables: _Tables, charges: _Float | None) -> None:
    """Check that atoms and orbitals are counted, the same in every channel and of the charges."""
    for kind, by_channel in tables.items():
        first, *others = by_channel.values()
        if kind == "Atom":
            _check_counted(step, first)
        if kind == "Orbital":
            _check_orbital_order(step, first)
        n_atoms = first.keys[-1][0]
        if charges is not None and n_atoms != len(charges):
            last_row = first.line + len(first.keys) - 1
            raise step.error(last_row, f"{len(charges)} atoms", f"{n_atoms}")
        for other in others:
            for i, (key, expected) in enumerate(zip_longest(other.keys, first.keys)):
                if key != expected:
                    raise step.error(other.line + i, "the atom and orbital of the first channel")


def _check_orbital_order(step: Step, table: _Table) -> None:
    """Check that atoms and shells are counted up from 1 and that every shell holds m = -l ... l."""
    atom, shell, l, m = 0, 0, 0, 0
    for i, key in enumerate(table.keys, start=table.line):
        if m < l:
            legal = key == (atom, shell, l, m + 1)
            expected = f"orbital m = {m + 1} of atom {atom}, shell {shell}, l = {l}"
        else:
            next_shells = ((atom, shell + 1), (atom + 1, 1)) if atom else ((1, 1),)
            legal = key[:2] in next_shells and key[3] == -key[2]
            names = (f"atom {atom}, shell {shell}" for atom, shell in next_shells)
            expected = f"the first orbital of {' or of '.join(names)}"
        if not legal:
            raise step.error(i, expected)
        atom, shell, l, m = key
    if m < l:
        expected = f"orbital m = {m + 1} of atom {atom}, shell {shell}"
        raise step.error(table.line + len(table.keys), expected, "the end of the table")


def _check_sums(step: Step, channel: str, tables: dict[str, _Table]) -> None:
    """Check that populations of a channel, which are in `tables` by kind, add up."""
    orbitals = tables.get("Orbital")
    for kind in ("l-shell", "Atom"):
        if kind not in tables or orbitals is None:
            continue
        line, keys, values = tables[kind]
        # A row is the sum of the orbitals whose key begins with its own.
        totals: dict[tuple[int, ...], float] = {}
        for key, value in zip(orbitals.keys, orbitals.values.tolist(), strict=True):
            prefix = key[: len(keys[0])]
            totals[prefix] = totals.get(prefix, 0.0) + value
        if keys != [*totals]:
            expected = "a row for each atom or shell that has orbitals"
            raise step.error(line + len(keys) - 1, expected)
        for i, (value, total) in enumerate(zip(values, totals.values(), strict=True), start=line):
            if abs(value - total) > POPULATION_TOLERANCE:
                raise step.error(i, f"{total:.8f}, the sum over the orbitals")
    for i, rest in step.field(f"Nr. of electrons ({channel})"):
        electrons = parse_number(rest.strip(), step.path, i + 1, "a number of electrons")
        total = tables["Atom"].values.sum() if "Atom" in tables else electrons
        if abs(electrons - total) > POPULATION_TOLERANCE:
            raise step.error(i, f"the sum of the atom populations, {total:.8f}")
