"""Free atoms in a minimal basis: ground states, valence shells and Slater exponents.

A shell of an atom is known by its angular momentum l alone: the valence shell of that l. Its radial
density is that of one Slater-type orbital, ``r^(2 n* - 2) exp(-2 zeta r)``, with the exponent of
Slater's rules.

Ground states: NIST Atomic Spectra Database, doi:10.18434/T4W30F (the heavier ones are predicted,
which is where the table ends). Rules: J. C. Slater, Phys. Rev. 1930, 36, 57-64,
doi:10.1103/PhysRev.36.57; n* of the seventh shell continues his six.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from twobody.elements import PERIOD_STARTS, SYMBOLS
from twobody.errors import ParseError

HEAVIEST = 103  # Z of the last element whose ground state is measured: lawrencium
N_L = 4  # angular momenta: s, p, d, f are l = 0, 1, 2, 3
EFFECTIVE_QUANTUM_NUMBERS = (1.0, 2.0, 3.0, 3.7, 4.0, 4.2, 4.3)  # Slater's n* of n = 1 to 7

_AUFBAU = "1s 2s 2p 3s 3p 4s 3d 4p 5s 4d 5p 6s 4f 5d 6p 7s 5f 6d"

_EXCEPTIONS = """
    Cr 3d5 4s1       Cu 3d10 4s1
    Nb 4d4 5s1       Mo 4d5 5s1       Ru 4d7 5s1       Rh 4d8 5s1       Pd 4d10 5s0    Ag 4d10 5s1
    La 4f0 5d1       Ce 4f1 5d1       Gd 4f7 5d1       Pt 5d9 6s1       Au 5d10 6s1
    Ac 5f0 6d1       Th 5f0 6d2       Pa 5f2 6d1       U 5f3 6d1        Np 5f4 6d1     Cm 5f7 6d1
    Lr 6d0 7p1
"""

Configuration = dict[tuple[int, int], int]  # electrons of each occupied subshell (n, l)


class Shell(NamedTuple):
    """The valence shell of one angular momentum of an element."""

    n: int  # principal quantum number
    effective_n: float  # Slater's n*
    exponent: float  # zeta [1 / bohr]
    occupation: int  # electrons of the free atom in its ground state


def _subshells(text: str) -> list[tuple[int, int, int]]:
    """Read ``3d10 4s`` as (n, l, electrons) each; without a number it means a full subshell."""
    return [
        (int(n), "spdf".index(l), int(electrons) if electrons else 2 * (2 * "spdf".index(l) + 1))
        for n, l, electrons in re.findall(r"(\d)([spdf])(\d*)", text)
    ]


@cache
def configuration(atomic_number: int) -> Configuration:
    """Return the ground-state configuration of a neutral atom; a ParseError beyond `HEAVIEST`."""
    if not 1 <= atomic_number <= HEAVIEST:
        expected = f"elements with Slater exponents, Z = 1 to {HEAVIEST}"
        raise ParseError("atomic_numbers", None, expected, f"Z = {atomic_number}")
    subshells: Configuration = {}
    left = atomic_number
    for n, l, capacity in _subshells(_AUFBAU):
        subshells[n, l] = min(capacity, left)
        left -= subshells[n, l]
    exceptions = dict(re.findall(r"([A-Z][a-z]?)((?: +\d[spdf]\d+)+)", _EXCEPTIONS))
    for n, l, electrons in _subshells(exceptions.get(SYMBOLS[atomic_number - 1], "")):
        subshells[n, l] = electrons
    return {subshell: electrons for subshell, electrons in subshells.items() if electrons}


def effective_charge(subshells: Configuration, n: int, l: int) -> float:
    """Return the nuclear charge that an electron of the subshell (n, l) sees, by Slater's rules.

    Slater's groups, from the inside out, are (1s) (2s 2p) (3s 3p) (3d) (4s 4p) (4d) (4f) (5s 5p)
    ...: an electron is screened by the others of its group with 0.35 each (0.30 in 1s) and by
    every electron of a group further in with 1, but with 0.85 by those of shell n - 1 if it is an s
    or p electron itself.
    """
    group = (n, max(l, 1))
    screening = 0.0
    for (other_n, other_l), electrons in subshells.items():
        other = (other_n, max(other_l, 1))
        if other == group:
            others = electrons - (other_l == l)
            screening += others * (0.30 if n == 1 else 0.35)
        elif l <= 1 and other_n == n - 1:
            screening += 0.85 * electrons
        elif other < group:
            screening += electrons
    return sum(subshells.values()) - screening


@cache
def valence_shells(atomic_number: int) -> tuple[Shell | None, ...]:
    """Return the valence shells s, p, d, f of an element; None where it has none.

    s and p shells, and shells that are empty in the free atom (polarisation shells of a basis set),
    get the exponent of the outermost s and p electrons; occupied d and f shells their own. Raises a
    ParseError for an element beyond `HEAVIEST`.
    """
    subshells = configuration(atomic_number)
    row = sum(atomic_number >= start for start in PERIOD_STARTS)
    # Palladium alone has no outermost s electron: its 5s orbital is taken to be that of silver.
    source = subshells if (row, 0) in subshells else configuration(atomic_number + 1)
    outermost = effective_charge(source, row, 0) / EFFECTIVE_QUANTUM_NUMBERS[row - 1]
    next_row = (*PERIOD_STARTS, 119)[row]
    d_of_this_row = row <= 3 or atomic_number >= next_row - 6  # the p block
    n_of_l = (row, max(row, 2), max(row - (not d_of_this_row), 3), max(row - 2, 4))
    shells: list[Shell | None] = []
    for l, n in enumerate(n_of_l):
        effective_n, occupation = EFFECTIVE_QUANTUM_NUMBERS[n - 1], subshells.get((n, l), 0)
        has_own = l >= 2 and occupation
        exponent = effective_charge(subshells, n, l) / effective_n if has_own else outermost
        shells.append(Shell(n, effective_n, exponent, occupation) if l < 3 or n <= row else None)
    return tuple(shells)
