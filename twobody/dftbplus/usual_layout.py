"""The fast path of the readers: many pairs as DFTB+ 24.1 prints them, two atoms, converged.

It is tried first and has no authority: it takes a pair only if both files are of the layout below
and pass every check of the readers in `twobody.dftbplus` and `twobody.raw_data.folders`. All
others, legal or not, are left to those. The values are the same bit for bit. Whoever changes what a
reader accepts, checks or returns has to look here too; ``tests/dftbplus/test_usual_layout.py``
holds both equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import (
    POPULATION_TOLERANCE,
    agrees_with_debye,
    agrees_with_ev,
    agrees_with_total,
)
from twobody.pairs import dense_orbitals

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]

# Sums are formed in another order here; where that could matter, the readers decide.
_TOLERANCE = POPULATION_TOLERANCE - 1e-9


class Texts(NamedTuple):
    """The two files of a pair, and the elements that they have to speak of."""

    elements: tuple[str, ...]
    detailed_out: bytes
    geo_end_xyz: bytes


def read_usual(pairs: Sequence[Texts], rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Read those of `pairs` that are of the usual layout and without fault.

    Parameters
    ----------
    pairs : sequence of n Texts
    rows : structured array [n] of `twobody.pairs.ROW`
        Gets what the files say of the pairs that are read: all but the bond length.

    Returns
    -------
    bool [n]
        Which pairs were read. The others have to be read otherwise.
    """
    groups: dict[_Layout, list[tuple[int, list[float]]]] = {}
    for i, pair in enumerate(pairs):
        text = b"\0".join((pair.geo_end_xyz, pair.detailed_out)).decode("ascii", "replace")
        layout = _layout_of(text)
        numbers = layout and layout.numbers(text, pair.elements)
        if layout and numbers:
            groups.setdefault(layout, []).append((i, numbers))
    read = np.zeros(len(pairs), np.bool_)
    for layout, members in groups.items():
        table = np.array([numbers for _, numbers in members])
        columns = {name: table[:, places] for name, places in layout.places.items()}
        good = _consistent(layout, columns)
        index = np.array([i for i, _ in members])[good]
        _fill(rows, index, layout, {name: column[good] for name, column in columns.items()})
        read[index] = True
    return read


@dataclass(frozen=True, eq=False)
class _Layout:
    """A layout of both files: how to read it, and the orbitals that it has (as columns, from 0)."""

    pattern: re.Pattern[str]
    places: dict[str, list[int]]  # of the numbers of each name
    atom: _Int
    l: _Int
    m: _Int
    first_of_atom: list[int]
    first_of_shell: list[int]

    def numbers(self, text: str, elements: tuple[str, ...]) -> list[float] | None:
        """Return the numbers of `text`, or None where it does not have this layout."""
        match = self.pattern.fullmatch(text)
        if match is None:
            return None
        step, first, *numbers = match.groups()
        second = numbers.pop(4)
        if (first, second) != tuple(symbol.rjust(5) for symbol in elements):
            return None
        try:
            return [*map(float, (step, *numbers))]
        except ValueError:
            return None


_BEFORE_SHELLS = "l-shell populations (up)\n Atom Sh.   l       Population\n"
_SHELL_ROW = len("    1   1   0       1.01692396\n")
_SHELL_KEY = len("    1   1   0")
_SHELL_KEYS = re.compile(r"(?:    [12]   [1-9]   [0-2]){2,18}")


def _layout_of(text: str) -> _Layout | None:
    """Return the layout that `text` has if it has a usual one at all."""
    start = text.find(_BEFORE_SHELLS) + len(_BEFORE_SHELLS)
    end = text.find("\n\n", start)
    keys = "".join(text[i : i + _SHELL_KEY] for i in range(start, end, _SHELL_ROW))
    return _layout(keys) if _SHELL_KEYS.fullmatch(keys) else None


@lru_cache(maxsize=256)
def _layout(keys: str) -> _Layout | None:
    """Make the layout for the first columns of the table of shells."""
    numbers = [int(number) for number in keys.split()]
    shells = list(zip(numbers[0::3], numbers[1::3], numbers[2::3], strict=True))
    n_first = sum(atom == 1 for atom, _, _ in shells)
    counted = [(1, i + 1) for i in range(n_first)]
    counted += [(2, i + 1) for i in range(len(shells) - n_first)]
    if [shell[:2] for shell in shells] != counted or len({atom for atom, _ in counted}) != 2:
        return None
    atom, l, m = np.array([(a - 1, l, m) for a, _, l in shells for m in range(-l, l + 1)]).T
    first_of_shell = np.cumsum([0, *(2 * l + 1 for _, _, l in shells[:-1])]).tolist()
    first_of_atom = [0, first_of_shell[n_first]]
    names, pattern = ["step", *["geometry"] * 8], _HEAD
    template = _template(shells)
    literals = _FIELD.split(template)[:: 1 + _FIELD.groups]
    for literal, field in zip(literals, _FIELD.finditer(template), strict=False):
        pattern += re.escape(literal) + _number(field[2], int(field[3]), int(field[4] or 0))
        names.append(field[1])
    pattern += re.escape(literals[-1])
    places = {name: [i for i, other in enumerate(names) if other == name] for name in names}
    return _Layout(re.compile(pattern), places, atom, l, m, first_of_atom, first_of_shell)


def _number(kind: str, width: int, decimals: int = 0) -> str:
    """Return the pattern of a number by its Fortran edit descriptor: F16.8, E18.8 or I5.

    The first column must be blank, so that the number stands apart from what is before it, and the
    decimals must be there. Whether what stands between is a number is left to ``float()``.
    """
    tail = (rf"\.[0-9]{{{decimals}}}" if decimals else "") + (
        "E[+-][0-9]{2}" if kind == "E" else ""
    )
    n_tail = (decimals + 1 if decimals else 0) + (4 if kind == "E" else 0)
    return f"( [ 0-9-]{{{width - 1 - n_tail}}}{tail})"


_ATOM_ROW = f"(.{{5}}){4 * _number('F', 16, 8)}\n"
_HEAD = (
    rf"    2\nGeometry Step: ([0-9]{{1,9}})\n{2 * _ATOM_ROW}"  # all of geo_end.xyz
    r"\0 Fermi distribution function\n\nGeometry optimization step: \1\n"
)
_FIELD = re.compile(r"<(\w+) ([FEI])([0-9]+)\.?([0-9]*)>")
_ORBITALS = (("s",), ("p_y", "p_z", "p_x"), ("d_xy", "d_yz", "d_z2", "d_xz", "d_x2-y2"))  # by l, m
_FERMI_LEVEL, _TOTAL_ENERGY = "Fermi level", "Total energy"
_TOTAL_ELECTRONIC = "Total Electronic energy"
_LEVEL_ENERGIES = (
    _FERMI_LEVEL,
    "Band energy",
    "TS",
    "Band free energy (E-TS)",
    "Extrapolated E(0K)",
)
_STEP_ENERGIES = (
    "Energy H0",
    "Energy SCC",
    _TOTAL_ELECTRONIC,
    "Repulsive energy",
    _TOTAL_ENERGY,
    "Extrapolated to 0",
    "Total Mermin free energy",
    "Force related energy",
)
_ENERGIES = (*_LEVEL_ENERGIES, *_STEP_ENERGIES)


def _template(shells: Sequence[tuple[int, int, int]]) -> str:
    """Write ``detailed.out`` below its step number, with ``<name F16.8>`` in place of numbers."""
    ruler = "*" * 80

    def energies(names: Sequence[str]) -> list[str]:
        return [f"{name + ':':31}<hartree F18.10> H<ev F18.4> eV" for name in names]

    lines = [
        "",
        "",
        ruler,
        " iSCC Total electronic   Diff electronic      SCC error    ",
        "<scc_iteration I5><scc_total E18.8><scc_difference E18.8><scc_error E18.8>",
        ruler,
        "",
        "Coordinates of moved atoms (au):",
        *(f"{atom:5}<coordinates F16.8><coordinates F16.8><coordinates F16.8>" for atom in (1, 2)),
        "",
        " Total charge:<total_charge F15.8>",
        "",
        " Atomic gross charges (e)",
        " Atom           Charge",
        *(f"{atom:5}<charges F17.8>" for atom in (1, 2)),
        "",
        "Nr. of electrons (up):<electrons F16.8>",
        "Atom populations (up)",
        " Atom       Population",
        *(f"{atom:5}<atom_populations F17.8>" for atom in (1, 2)),
        "",
        "l-shell populations (up)",
        " Atom Sh.   l       Population",
        *(f"{atom:5}{shell:4}{l:4}<shells F17.8>" for atom, shell, l in shells),
        "",
        "Orbital populations (up)",
        " Atom Sh.   l   m       Population  Label",
        *(
            f"{atom:5}{shell:4}{l:4}{m:4}<orbitals F17.8>  {label}"
            for atom, shell, l in shells
            for m, label in enumerate(_ORBITALS[l], start=-l)
        ),
        "",
        *energies(_LEVEL_ENERGIES),
        "Input / Output electrons (q):<_ F18.10><_ F18.10>",
        "",
        *energies(_STEP_ENERGIES),
        "",
        "Non-constrained calculation",
        "",
        "SCC converged",
        "",
        "Full geometry written in geo_end.{xyz|gen}",
        "",
        "Dipole moment:<dipole F14.8><dipole F14.8><dipole F14.8> au",
        "Dipole moment:<debye F14.8><debye F14.8><debye F14.8> Debye",
        "",
        "Geometry converged",
        "",
        "",
    ]
    return "\n".join(lines)


def _consistent(layout: _Layout, columns: dict[str, _Float]) -> NDArray[np.bool_]:
    """Tell which pairs pass the checks of the readers and of the folders."""
    orbitals, populations = columns["orbitals"], columns["atom_populations"]
    differences = [
        columns["total_charge"] - columns["charges"].sum(axis=1, keepdims=True),
        columns["electrons"] - populations.sum(axis=1, keepdims=True),
        columns["shells"] - np.add.reduceat(orbitals, layout.first_of_shell, axis=1),
        populations - np.add.reduceat(orbitals, layout.first_of_atom, axis=1),
        columns["geometry"][:, 3::4] - populations,
    ]
    add_up = (np.abs(np.hstack(differences)) <= _TOLERANCE).all(axis=1)
    in_ev = agrees_with_ev(columns["hartree"], columns["ev"]).all(axis=1)
    in_debye = agrees_with_debye(columns["dipole"], columns["debye"]).all(axis=1)
    total_electronic = columns["hartree"][:, [_ENERGIES.index(_TOTAL_ELECTRONIC)]]
    scc = (
        (columns["scc_iteration"] >= 1)
        & (columns["scc_error"] >= 0)
        & agrees_with_total(columns["scc_total"], total_electronic)
    )
    result: NDArray[np.bool_] = add_up & in_ev & in_debye & scc[:, 0]
    return result


def _fill(rows: NDArray[np.void], index: _Int, layout: _Layout, columns: dict[str, _Float]) -> None:
    """Put what the files say into the rows at `index`."""
    atoms = columns["geometry"].reshape(-1, 2, 4)
    rows["positions"][index] = atoms[..., :3]
    rows["populations"][index] = atoms[..., 3]
    for name in ("atom_populations", "charges", "dipole"):
        rows[name][index] = columns[name]
    rows["orbital_populations"][index] = dense_orbitals(
        layout.atom, layout.l, layout.m, columns["orbitals"]
    )
    rows["total_charge"][index] = columns["total_charge"][:, 0]
    rows["fermi_level"][index] = columns["hartree"][:, _ENERGIES.index(_FERMI_LEVEL)]
    rows["total_energy"][index] = columns["hartree"][:, _ENERGIES.index(_TOTAL_ENERGY)]
    rows["num_atoms"][index] = 2
