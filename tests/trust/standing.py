"""A slow, independent reading of damaged files: everything that stands where a value may stand.

For each quantity a list: empty where its label stands nowhere, several values where it stands
several times. A label with something unreadable after it gives `UNREADABLE`. What the readers of
the project return has to be in these lists.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import oracle

Candidates = dict[str, list[Any]]


class _Unreadable:
    def __repr__(self) -> str:
        return "UNREADABLE"


UNREADABLE = _Unreadable()

LABELS = {  # of lines NAME: number
    "total_charge": ("Total charge", "Net charge"),
    "fermi_level": ("Fermi level", "Fermi energy"),
    "band_energy": ("Band energy",),
    "total_energy": ("Total energy",),
    "mermin_free_energy": ("Total Mermin free energy",),
    "repulsive_energy": ("Repulsive energy",),
}
ATOM_TABLES = {
    "gross_charges": ("Atomic gross charges (e)", "Net atomic charges (e)"),
    "atom_populations": ("Atom populations (up)",),
}
SCC_COLUMNS = ("scc_iteration", "scc_total_electronic", "scc_diff_electronic", "scc_error")
MOVED = "Coordinates of moved atoms (au):"
STEPS = ("Geometry optimization step", "MD step", "Difference derivative step")
STATUSES = {
    "scc_converged": {
        "SCC converged": True,
        "SCC is NOT converged, maximal SCC iterations exceeded": False,
    },
    "geometry_converged": {"Geometry converged": True, "!!! Geometry did NOT converge!": False},
}


def number(token: str) -> float:
    """Read a finite number, or raise ValueError; digits that all get lost are no zero."""
    if not set(token) <= set("0123456789+-.eEdD"):
        raise ValueError(token)
    value = oracle.number(token)
    mantissa = re.split("[eEdD]|(?<=[0-9.])[+-]", token)[0]
    if math.isinf(value) or (value == 0 and set(mantissa) & set("123456789")):
        raise ValueError(token)
    return value


def readable(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ValueError, IndexError):
        return UNREADABLE


def table(rows: list[list[str]], keys: int) -> tuple[tuple[Any, ...], ...]:
    """Read rows up to the first empty one: `keys` integers, then a number."""
    length = rows.index([]) if [] in rows else len(rows)
    if not length:
        raise ValueError("no rows")
    return tuple(
        (*(int(token) for token in row[:keys]), number(row[keys])) for row in rows[:length]
    )


def detailed_out(text: str) -> Candidates:
    """Return all that stands in a detailed.out that tells one population a row."""
    lines = text.split("\n")
    tokens = [line.split() for line in lines]
    found: Candidates = {}
    for name, labels in LABELS.items():
        parts = [line.partition(":") for line in lines]
        rests = [rest for label, colon, rest in parts if colon and label.strip() in labels]
        found[name] = [readable(lambda r=rest: number(r.split()[0])) for rest in rests]
    for name, titles in ATOM_TABLES.items():
        places = [i for i, line in enumerate(lines) if line.strip() in titles]
        found[name] = [readable(lambda i=i: table(tokens[i + 2 :], 1)) for i in places]
    places = [i for i, line in enumerate(lines) if line.strip() == "Orbital populations (up)"]
    found["orbitals"] = [readable(lambda i=i: table(tokens[i + 2 :], 4)) for i in places]
    places = [i for i, row in enumerate(tokens) if row[:1] == ["iSCC"]]
    for k, name in enumerate(SCC_COLUMNS):
        read = int if k == 0 else number
        found[name] = [readable(lambda i=i, k=k, f=read: f(tokens[i + 1][k])) for i in places]
    found["dipole_moment"] = [
        readable(lambda rest=rest: dipole_moment(rest.rstrip()[:-2]))
        for label, _, rest in (line.partition(":") for line in lines)
        if label.strip() == "Dipole moment" and rest.rstrip().endswith("au")
    ]
    places = [i for i, line in enumerate(lines) if line.strip() == MOVED]
    found["moved_positions"] = [readable(lambda i=i: positions(tokens[i + 1 :])) for i in places]
    found["geometry_step"] = [
        readable(lambda rest=rest: int(rest.partition(",")[0]))
        for label, _, rest in (line.partition(":") for line in lines)
        if label.strip() in STEPS
    ]
    for name, meanings in STATUSES.items():
        found[name] = [meanings[line.strip()] for line in lines if line.strip() in meanings]
    return found


def positions(rows: list[list[str]]) -> tuple[tuple[Any, ...], ...]:
    """Read rows (atom, x, y, z) up to the first empty one."""
    length = rows.index([]) if [] in rows else len(rows)
    if not length:
        raise ValueError("no rows")
    return tuple((int(atom), *(number(x) for x in xyz)) for atom, *xyz in rows[:length])


def dipole_moment(printed: str) -> tuple[float, ...]:
    """Read (3F14.8); numbers that fill their fields stand close together."""
    apart = re.sub(r"(\.[0-9]{8})(?=[-0-9])", r"\1 ", printed)
    x, y, z = (number(token) for token in apart.split())
    return (x, y, z)


def geo_end_xyz(text: str) -> list[Any]:
    """Return the atoms (symbol, x, y, z, population) below every number of atoms."""
    rows = [line.split() for line in text.split("\n")]
    starts = [i for i, row in enumerate(rows) if len(row) == 1 and row[0].strip("+").isdecimal()]
    return [readable(lambda i=i: atoms(rows[i + 2 : i + 2 + int(rows[i][0])])) for i in starts]


def atoms(rows: list[list[str]]) -> list[tuple[Any, ...]]:
    return [(row[0], *(number(token) for token in row[1:])) for row in rows]


def band_out(text: str) -> list[tuple[float, float]]:
    """Return the levels (energy, occupation) of every row below a heading."""
    rows = [line.split() for line in text.split("\n")]
    rows = [row for row in rows if row and row[0] != "KPT"]
    return [(number(row[-2]), number(row[-1])) for row in rows]


def label_rows(text: str) -> dict[str, list[dict[str, str]]]:
    """Return the rows of a CSV file without quotes by pair; a column's name in lower case."""
    header, *rows = [line.rstrip("\r").split(",") for line in text.split("\n")]
    names = [name.strip().lower() for name in header]
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        pair = re.split(r"[/\\]", row[0].strip().rstrip("/\\"))[-1]
        found.setdefault(pair, []).append(dict(zip(names, row, strict=False)))
    return found


def amplitudes(
    charges: tuple[Any, ...],
    populations: tuple[Any, ...],
    dipole: tuple[float, ...],
    orbitals: tuple[Any, ...],
) -> list[list[float]]:
    """Work out the ten channels' amplitudes of two atoms, straight from their definitions."""
    q, n = [row[1] for row in charges], [row[1] for row in populations]
    own = [[row for row in orbitals if row[0] == atom] for atom in (1, 2)]  # atom shell l m p
    in_sp, in_df = (sum(row[4] for row in orbitals if row[2] in ls) for ls in ((0, 1), (2, 3)))
    return [
        [sum(p * (l + 1) / 3 for _, _, l, _, p in rows) for rows in own],
        [abs(sum(m * p for _, _, _, m, p in rows)) for rows in own],
        [in_sp, 0.0],
        [in_df, 0.0],
        [math.sqrt(sum(component**2 for component in dipole)), 0.0],
        [abs(q[0] - q[1]), 0.0],
        [10 * abs(charge) for charge in q],
        n,
        [10 * charge if charge > 0 else 0.0 for charge in q],
        [10 * -charge if charge <= 0 else 0.0 for charge in q],
    ]
