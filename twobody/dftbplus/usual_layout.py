"""Many pairs of the usual layout at a time: two atoms, converged, as DFTB+ 24.1 prints them.

This is the fast way through most files, and no authority: it takes a pair only if both files are of
the layout below to the byte and pass every check of the tolerant readers in `twobody.dftbplus`. All
others, legal or not, are left to those readers. The values are the same bit for bit.
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
from twobody.dftbplus.fixed_width import Layout
from twobody.encodings.published import OrbitalTable

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]

# Sums are formed in another order here; where that could matter, the tolerant reader decides.
_TOLERANCE = POPULATION_TOLERANCE - 1e-9


class Texts(NamedTuple):
    """The two files of a pair, and the elements that they have to speak of."""

    elements: tuple[str, ...]
    detailed_out: bytes
    geo_end_xyz: bytes


@dataclass(frozen=True, eq=False)
class OutputTable:
    """What the files of n pairs say, before anything is made of it.

    Attributes
    ----------
    positions : float64 [n, 2, 3]
        [Å]
    geometry_populations, populations, charges : float64 [n, 2]
        Mulliken populations as in the geometry file and as in ``detailed.out``, gross charges [e].
    dipoles : float64 [n, 3]
        [au]
    orbitals : OrbitalTable
    total_charges, fermi_levels, total_energies : float64 [n]
        [e], [H], [H]; NaN where missing.
    """

    positions: _Float
    geometry_populations: _Float
    populations: _Float
    charges: _Float
    dipoles: _Float
    orbitals: OrbitalTable
    total_charges: _Float
    fermi_levels: _Float
    total_energies: _Float


def read_standard(pairs: Sequence[Texts]) -> list[tuple[NDArray[np.intp], OutputTable]]:
    """Read those of `pairs` that are of the usual layout and without fault.

    Returns
    -------
    list of (int [n], OutputTable)
        Which of the pairs, and what they say. A pair that comes nowhere has to be read otherwise.
    """
    groups: dict[_DetailedLayout, list[tuple[int, bytes, bytes]]] = {}
    for i, pair in enumerate(pairs):
        layout, atoms = _layout_of(pair.detailed_out), _atoms(pair)
        if layout is not None and atoms is not None:
            groups.setdefault(layout, []).append((i, pair.detailed_out, atoms))
    read = []
    for layout, members in groups.items():
        index, detailed_outs, geometries = zip(*members, strict=True)
        fits, columns = _read_group(layout, detailed_outs, geometries)
        read.append((np.array(index)[fits], columns))
    return read


_ATOM_ROW = "{positions:F16.8}" * 3 + "{populations:F16.8}"
_ATOM_ROWS = Layout(_ATOM_ROW * 2)
_COMMENT = b"Geometry Step: "
_SYMBOL = 5  # bytes before the numbers of an atom


def _atoms(pair: Texts) -> bytes | None:
    """Return the numbers of the geometry if it is a usual one, of the right step and elements."""
    lines = pair.geo_end_xyz.split(b"\n")
    if len(lines) != 5 or lines[0] != b"    2" or lines[4]:
        return None
    step = lines[1].removeprefix(_COMMENT)
    if step == lines[1] or not pair.detailed_out.startswith(step + b"\n", len(_BEFORE_STEP)):
        return None
    rows = lines[2:4]
    if any(2 * (len(row) - _SYMBOL) != _ATOM_ROWS.size for row in rows):
        return None
    if [row[:_SYMBOL] for row in rows] != [s.rjust(_SYMBOL).encode() for s in pair.elements]:
        return None
    return b"".join(row[_SYMBOL:] for row in rows)


@dataclass(frozen=True, eq=False)
class _DetailedLayout:
    """A layout of ``detailed.out``, and the orbitals that it has (in columns, from 0)."""

    layout: Layout
    atom: _Int
    l: _Int
    m: _Int
    first_of_atom: list[int]
    first_of_shell: list[int]


_BEFORE_STEP = " Fermi distribution function\n\nGeometry optimization step: "
_BEFORE_SHELLS = b"l-shell populations (up)\n Atom Sh.   l       Population\n"
_SHELL_ROW = len("    1   1   0       1.01692396\n")
_SHELL_KEY = len("    1   1   0")
_SHELL_KEYS = re.compile(rb"(?:    [12]   [1-9]   [0-2]){2,18}")


def _layout_of(text: bytes) -> _DetailedLayout | None:
    """Return the layout that `text` has if it has a usual one at all."""
    step = text.find(b"\n", len(_BEFORE_STEP)) - len(_BEFORE_STEP)
    start = text.find(_BEFORE_SHELLS) + len(_BEFORE_SHELLS)
    end = text.find(b"\n\n", start)
    keys = b"".join(text[i : i + _SHELL_KEY] for i in range(start, end, _SHELL_ROW))
    if not 0 < step < 10 or _SHELL_KEYS.fullmatch(keys) is None:
        return None
    return _detailed_layout(step, keys)


@lru_cache(maxsize=256)
def _detailed_layout(step_digits: int, keys: bytes) -> _DetailedLayout | None:
    """Make the layout for a step number of so many digits and the first columns of the shells."""
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
    layout = Layout(_detailed_template(step_digits, shells))
    return _DetailedLayout(layout, atom, l, m, first_of_atom, first_of_shell)


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


def _detailed_template(step_digits: int, shells: Sequence[tuple[int, int, int]]) -> str:
    """Write ``detailed.out`` with fields in the place of numbers."""
    ruler = "*" * 80

    def energies(names: Sequence[str]) -> list[str]:
        return [f"{name + ':':31}{{hartree:F18.10}} H{{ev:F18.4}} eV" for name in names]

    lines = [
        f"{_BEFORE_STEP}{{:I{step_digits}.{step_digits}}}",
        "",
        "",
        ruler,
        " iSCC Total electronic   Diff electronic      SCC error    ",
        "{scc_iteration:I5}{scc_total_electronic:E18.8}{:E18.8}{scc_error:E18.8}",
        ruler,
        "",
        "Coordinates of moved atoms (au):",
        *(f"{atom:5}{{:F16.8}}{{:F16.8}}{{:F16.8}}" for atom in (1, 2)),
        "",
        " Total charge:{total_charge:F15.8}",
        "",
        " Atomic gross charges (e)",
        " Atom           Charge",
        *(f"{atom:5}{{charges:F17.8}}" for atom in (1, 2)),
        "",
        "Nr. of electrons (up):{electrons:F16.8}",
        "Atom populations (up)",
        " Atom       Population",
        *(f"{atom:5}{{populations:F17.8}}" for atom in (1, 2)),
        "",
        "l-shell populations (up)",
        " Atom Sh.   l       Population",
        *(f"{atom:5}{shell:4}{l:4}{{shells:F17.8}}" for atom, shell, l in shells),
        "",
        "Orbital populations (up)",
        " Atom Sh.   l   m       Population  Label",
        *(
            f"{atom:5}{shell:4}{l:4}{m:4}{{orbitals:F17.8}}  {label}"
            for atom, shell, l in shells
            for m, label in enumerate(_ORBITALS[l], start=-l)
        ),
        "",
        *energies(_LEVEL_ENERGIES),
        "Input / Output electrons (q):{:F18.10}{:F18.10}",
        "",
        *energies(_STEP_ENERGIES),
        "",
        "Non-constrained calculation",
        "",
        "SCC converged",
        "",
        "Full geometry written in geo_end.{xyz|gen}",
        "",
        "Dipole moment:{dipole:F14.8}{dipole:F14.8}{dipole:F14.8} au",
        "Dipole moment:{debye:F14.8}{debye:F14.8}{debye:F14.8} Debye",
        "",
        "Geometry converged",
        "",
        "",
    ]
    return "\n".join(lines)


def _read_group(
    group: _DetailedLayout, detailed_outs: Sequence[bytes], geometries: Sequence[bytes]
) -> tuple[NDArray[np.bool_], OutputTable]:
    """Read pairs of one layout; return which are without fault, and those."""
    fits, detailed = group.layout.read(detailed_outs)
    geometries_fit, geometry = _ATOM_ROWS.read(geometries)
    fits &= geometries_fit & _consistent(group, detailed, geometry["populations"])
    detailed, geometry = (
        {name: column[fits] for name, column in columns.items()} for columns in (detailed, geometry)
    )
    n, n_orbitals = detailed["orbitals"].shape
    columns = OutputTable(
        positions=geometry["positions"].reshape(n, 2, 3),
        geometry_populations=geometry["populations"],
        populations=detailed["populations"],
        charges=detailed["charges"],
        dipoles=detailed["dipole"],
        orbitals=OrbitalTable(
            system=np.repeat(np.arange(n), n_orbitals),
            atom=np.tile(group.atom, n),
            l=np.tile(group.l, n),
            m=np.tile(group.m, n),
            population=detailed["orbitals"].ravel(),
        ),
        total_charges=detailed["total_charge"][:, 0],
        fermi_levels=detailed["hartree"][:, _ENERGIES.index(_FERMI_LEVEL)],
        total_energies=detailed["hartree"][:, _ENERGIES.index(_TOTAL_ENERGY)],
    )
    return fits, columns


def _consistent(
    group: _DetailedLayout, detailed: dict[str, _Float], geometry_populations: _Float
) -> NDArray[np.bool_]:
    """Tell which pairs pass the checks of the tolerant readers and of the folders."""
    orbitals, populations = detailed["orbitals"], detailed["populations"]
    differences = [
        detailed["total_charge"] - detailed["charges"].sum(axis=1, keepdims=True),
        detailed["electrons"] - populations.sum(axis=1, keepdims=True),
        detailed["shells"] - np.add.reduceat(orbitals, group.first_of_shell, axis=1),
        populations - np.add.reduceat(orbitals, group.first_of_atom, axis=1),
        geometry_populations - populations,
    ]
    add_up = (np.abs(np.hstack(differences)) <= _TOLERANCE).all(axis=1)
    in_ev = agrees_with_ev(detailed["hartree"], detailed["ev"]).all(axis=1)
    in_debye = agrees_with_debye(detailed["dipole"], detailed["debye"]).all(axis=1)
    total_electronic = detailed["hartree"][:, [_ENERGIES.index(_TOTAL_ELECTRONIC)]]
    scc = (
        (detailed["scc_iteration"] >= 1)
        & (detailed["scc_error"] >= 0)
        & agrees_with_total(detailed["scc_total_electronic"], total_electronic)
    )
    result: NDArray[np.bool_] = add_up & in_ev & in_debye & scc[:, 0]
    return result
