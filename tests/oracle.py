"""A second reader of what DFTB+ 24.1 prints, to compare the real readers with.

Deliberately different from them: it knows one layout, believes it, and cuts numbers out of the
columns that the Fortran formats name. What it cannot read is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Values = dict[str, Any]


def number(token: str) -> float:
    """Read a number that Fortran may have printed, or accept, with D or without E."""
    return float(re.sub(r"[dD]|(?<=[0-9.])(?=[+-][0-9]{3}$)", "e", token.strip()))


def read_or_none(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (ValueError, IndexError):
        return None


def line_of(lines: list[str], start: str) -> int:
    """Return where the line stands that starts with `start`; ValueError without one."""
    return [line.startswith(start) for line in lines].index(True)


def rows_below(lines: list[str], title: str) -> list[str]:
    """Return the rows of a table: from two lines below its title to the next empty line."""
    first = lines.index(title) + 2
    return lines[first : lines.index("", first)]


def moved_positions(lines: list[str]) -> dict[int, tuple[float, ...]]:  # (I5, 3F16.8)
    """Read the positions [bohr] of the atoms that may move, by the atom counted from 0."""
    first = lines.index("Coordinates of moved atoms (au):") + 1
    rows = lines[first : lines.index("", first)]
    return {int(r[:5]) - 1: tuple(number(r[k : k + 16]) for k in (5, 21, 37)) for r in rows}


def detailed_out(text: str) -> Values:
    """Read the values of a detailed.out of an SCC geometry optimisation without spin."""
    lines = [line.rstrip() for line in text.split("\n")]

    def hartree(name: str) -> float:  # (A, ':', T32, F18.10, T51, 'H', T54, F16.4, T71, 'eV')
        return number(lines[line_of(lines, f"{name}:")][31:49])

    def atom_values(title: str) -> tuple[float, ...]:  # (I5, 1X, F16.8)
        return tuple(number(row[6:22]) for row in rows_below(lines, title))

    def orbitals() -> list[tuple[int, int, int, int, float, str]]:  # (4 (I, 1X), F16.8, 2X, A)
        return [
            (int(r[:5]), int(r[6:9]), int(r[10:13]), int(r[14:17]), number(r[18:34]), r[36:])
            for r in rows_below(lines, "Orbital populations (up)")
        ]

    def scc_line() -> str:
        return lines[line_of(lines, " iSCC Total electronic") + 1]

    def scc_row(start: int, stop: int) -> float:  # (I5, 3E18.8)
        return number(scc_line()[start:stop])

    def dipole_moment() -> tuple[float, ...]:  # ('Dipole moment:', 3F14.8, ' au')
        line = lines[line_of(lines, "Dipole moment:")]
        return tuple(number(line[start : start + 14]) for start in (14, 28, 42))

    def step() -> int:
        line = lines[line_of(lines, "Geometry optimization step:")]
        return int(line.partition(":")[2])

    def orbital_column(k: int) -> tuple[float, ...]:
        return tuple(row[k] - (k == 0) for row in orbitals())  # atoms count from 0

    readers: dict[str, Callable[[], Any]] = {
        "total_charge": lambda: number(lines[line_of(lines, " Total charge:")][14:]),
        "gross_charges": lambda: atom_values(" Atomic gross charges (e)"),
        "atom_populations": lambda: atom_values("Atom populations (up)"),
        "fermi_level": lambda: hartree("Fermi level"),
        "band_energy": lambda: hartree("Band energy"),
        "total_energy": lambda: hartree("Total energy"),
        "mermin_free_energy": lambda: hartree("Total Mermin free energy"),
        "repulsive_energy": lambda: hartree("Repulsive energy"),
        "dipole_moment": dipole_moment,
        "moved_positions": lambda: moved_positions(lines),
        "geometry_step": step,
        "scc_iteration": lambda: int(scc_line().split()[0]),
        "scc_total_electronic": lambda: scc_row(5, 23),
        "scc_diff_electronic": lambda: scc_row(23, 41),
        "scc_error": lambda: scc_row(41, 59),
        "scc_converged": lambda: "SCC converged" in lines or None,
        "geometry_converged": lambda: "Geometry converged" in lines or None,
    }
    for k, name in enumerate(("atom", "shell", "l", "m", "population", "label")):
        readers[f"orbitals.{name}"] = lambda k=k: (
            orbital_column(k) if k < 5 else tuple(row[5] for row in orbitals())
        )
    return {name: read_or_none(read) for name, read in readers.items()}


def geo_end_xyz(text: str) -> Values:
    """Read one frame with populations: (I5), a comment, then (A5, 4F16.8)."""
    rows = text.splitlines()[2:]
    numbers = [[number(row[k : k + 16]) for k in (5, 21, 37, 53)] for row in rows]
    return {
        "symbols": tuple(row[:5].strip() for row in rows),
        "positions": [row[:3] for row in numbers],
        "populations": [row[3] for row in numbers],
    }


def band_out(text: str) -> Values:
    """Read one block: a heading, then (I6, F10.3, F9.5)."""
    rows = text.splitlines()[1:-1]
    return {
        "energies": [number(row[6:16]) for row in rows],
        "occupations": [number(row[16:25]) for row in rows],
    }
