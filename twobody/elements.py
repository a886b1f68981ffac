"""Chemical elements: symbols, atomic numbers, periods, covalent radii."""

from __future__ import annotations

_PERIODIC_TABLE = """
    H He
    Li Be B C N O F Ne
    Na Mg Al Si P S Cl Ar
    K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe
    Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn
    Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""

SYMBOLS: tuple[str, ...] = tuple(_PERIODIC_TABLE.split())
"""Symbols of the 118 elements in the order of their atomic numbers (IUPAC)."""

PERIOD_STARTS: tuple[int, ...] = (1, 3, 11, 19, 37, 55, 87)
"""Atomic number of the first element of each period: H, Li, Na, K, Rb, Cs, Fr."""

ATOMIC_NUMBERS: dict[str, int] = {symbol: z for z, symbol in enumerate(SYMBOLS, start=1)}
"""Atomic number Z of each symbol."""

_COVALENT_RADII = """
    0.31 0.28
    1.28 0.96 0.84 0.76 0.71 0.66 0.57 0.58
    1.66 1.41 1.21 1.11 1.07 1.05 1.02 1.06
    2.03 1.76 1.70 1.60 1.53 1.39 1.39 1.32 1.26 1.24 1.32 1.22 1.22 1.20 1.19 1.20 1.20 1.16
    2.20 1.95 1.90 1.75 1.64 1.54 1.47 1.46 1.42 1.39 1.45 1.44 1.42 1.39 1.39 1.38 1.39 1.40
    2.44 2.15 2.07 2.04 2.03 2.01 1.99 1.98 1.98 1.96 1.94 1.92 1.92 1.89 1.90 1.87 1.87
    1.75 1.70 1.62 1.51 1.44 1.41 1.36 1.36 1.32 1.45 1.46 1.48 1.40 1.50 1.50
    2.60 2.21 2.15 2.06 2.00 1.96 1.90 1.87 1.80 1.69
"""

COVALENT_RADII: dict[str, float] = dict(
    zip(SYMBOLS, map(float, _COVALENT_RADII.split()), strict=False)
)
"""Covalent radii [Å] of the elements 1 to 96: carbon sp3, manganese, iron and cobalt low spin.

B. Cordero et al., Dalton Trans. 2008, 2832-2838, doi:10.1039/b801115j, table 2.
"""

SHORTEST_PHYSICAL_BOND = 0.75
"""A bond that is shorter, in units of the sum of its covalent radii, is taken for unphysical.

The parameters (PTBP) were fitted to solids, where atoms do not come that close. At shorter
distances the overlap of the atoms' minimal basis sets nears linear dependence and the repulsion was
never fitted, so that a minimum there says nothing about the molecule.
"""
