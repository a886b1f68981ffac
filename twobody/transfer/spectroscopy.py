"""Ground states of diatomic molecules, read from the user's own copy of a database.

The Diatomic Molecular Spectroscopy Database (X. Liu, S. Truppe, G. Meijer, J. Pérez-Ríos, J.
Cheminform. 12, 31 (2020), doi:10.1186/s13321-020-00433-8) comes with the package ``diatomics`` as
``moleculedata.csv``. No licence is stated, so nothing of it is part of this package.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import ParseError
from twobody.text import PathLike, parse_number, quote, read_bytes
from twobody.transfer import data_folder

_Float = NDArray[np.float64]

COLUMNS = (
    *("Molecule", "Electronic state", "Reduced mass", "Te (cm^{-1})", "omega_e (cm^{-1})"),
    *("omega_ex_e (cm^{-1})", "Be (cm^{-1})", "alpha_e (cm^{-1})", "De (10^{-7}cm^{-1})"),
    *(r"Re (\AA)", "D0 (eV)", "IP (eV)", "Reference", "Date of reference"),
)
"""The header. ``De`` is the centrifugal distortion, no dissociation energy; masses are in u."""

_POSITIVE = (2, 4, 6, 9, 10, 11)  # mu, omega_e, B_e, R_e, D_0, IP

QUANTITIES = ("r_e_ang", "ln_k", "d_e_ev", "ip_ev")
"""What a ground state is asked for: R_e [Å]; the logarithm of the force constant in N/m; D_e [eV];
the ionisation energy [eV]. To Born and Oppenheimer none depends on the isotopes."""

ISOTOPES = {"D": "H", "T": "H"}

CONTRADICTION = 0.015
"""How far R_e may be from the one that B_e and the mass of the same row give, relative to it.

Spin-orbit components and zero-point averages account for 1 %; beyond, one of the three is wrong.
"""

_CM_TO_EV = 1.239841984e-4
_U, _C, _HBAR = 1.66053906660e-27, 299792458.0, 1.054571817e-34  # kg, m/s, J s; CODATA 2018


@dataclass(frozen=True)
class State:
    """One electronic state of a molecule: a line of the database, NaN where a cell is empty.

    Attributes
    ----------
    elements : tuple of str
        As they are written: D and T are isotopes of H.
    label : str
        X is the ground state.
    mass : float
        Reduced, in u.
    t_e, omega_e, omega_e_x_e, b_e : float
        [cm^-1]
    r_e : float
        [Å]
    d_0, ip : float
        [eV]
    """

    elements: tuple[str, str]
    label: str
    mass: float
    t_e: float
    omega_e: float
    omega_e_x_e: float
    b_e: float
    r_e: float
    d_0: float
    ip: float

    @property
    def ground(self) -> bool:
        """Whether it is called X and said to lie at 0."""
        return self.label.lstrip("$ ").startswith("X") and self.t_e == 0

    @property
    def consistent(self) -> bool:
        """Whether R_e is that of B_e = hbar / (4 pi c mu R^2), where all three are given."""
        if not self.b_e > 0 or math.isnan(self.r_e):
            return True
        # 1e20: m^2 to Å^2; 100: 1/cm to 1/m.
        squared = _HBAR * 1e20 / (4 * math.pi * _C * self.mass * _U * self.b_e * 100)
        return abs(self.r_e / math.sqrt(squared) - 1) <= CONTRADICTION

    @property
    def quantities(self) -> tuple[float, ...]:
        """`QUANTITIES`; where the row contradicts itself, no length and no force constant."""
        k = self.mass * _U * (2 * math.pi * _C * 100 * self.omega_e) ** 2
        d_e = self.d_0 + _CM_TO_EV * (self.omega_e / 2 - self.omega_e_x_e / 4)
        fine = self.consistent
        return self.r_e if fine else math.nan, math.log(k) if fine else math.nan, d_e, self.ip


@dataclass(frozen=True, eq=False)
class GroundStates:
    """Experimental ground states of pairs.

    Attributes
    ----------
    names : str [n]
        A_B as in the archive, sorted.
    measured : dict of str to float64 [n]
        `QUANTITIES`; NaN where missing.
    contradictory : tuple of str
        Pairs with a row that contradicts itself: see `CONTRADICTION`.
    sha256 : str
        Of the file.
    """

    names: NDArray[np.str_]
    measured: dict[str, _Float]
    contradictory: tuple[str, ...]
    sha256: str


def installed_file() -> Path:
    """Return the file of the installed package, which is not imported.

    Raises
    ------
    ParseError
        It is not installed.
    """
    folder = data_folder("diatomics")
    if folder is None:
        expected = "the package diatomics (pip install diatomics, Python 3.13), or its file given"
        raise ParseError("diatomics", None, f"{expected} with --diatomics", "neither")
    return folder / "moleculedata.csv"


def read_ground_states(path: PathLike, elements: Sequence[str]) -> GroundStates:
    """Read the ground states of molecules of two of some elements.

    Of a pair with several rows the mean is taken of each quantity, over hydrides alone where there
    are hydrides and deuterides: the rows are isotopologues or complement each other.

    Parameters
    ----------
    path : path
        ``moleculedata.csv``.
    elements : sequence of str

    Raises
    ------
    ParseError
        The file is not that table, a line is damaged, or no molecule is of these elements.
    """
    data = read_bytes(path)
    wanted = set(elements)
    rows: dict[str, list[State]] = {}
    for state in _states(data, path):
        pair = [ISOTOPES.get(symbol, symbol) for symbol in state.elements]
        if state.ground and wanted.issuperset(pair):
            rows.setdefault("_".join(sorted(pair)), []).append(state)
    if not rows:
        raise ParseError(path, None, "ground states of pairs of the archive", "none")
    names = sorted(rows)
    table = np.array([_mean(rows[name]) for name in names])
    return GroundStates(
        np.array(names),
        dict(zip(QUANTITIES, table.T, strict=True)),
        tuple(name for name in names if not all(state.consistent for state in rows[name])),
        hashlib.sha256(data).hexdigest(),
    )


def _mean(states: Sequence[State]) -> list[float]:
    """Return the mean of each quantity over rows that have it, of light isotopes first."""
    light = [s.quantities for s in states if not ISOTOPES.keys() & set(s.elements)]
    heavy = [s.quantities for s in states if ISOTOPES.keys() & set(s.elements)]
    means = []
    for k in range(len(QUANTITIES)):
        known = ([q[k] for q in rows if not math.isnan(q[k])] for rows in (light, heavy))
        values = next((values for values in known if values), [math.nan])
        means.append(sum(values) / len(values))
    return means


def _states(data: bytes, path: PathLike) -> Iterator[State]:
    """Read every line of the table, whether it is wanted or not."""
    lines = csv.reader(io.StringIO(data.decode("latin-1"), newline=""), strict=True)
    try:
        header = tuple(next(lines, ()))
        if header != COLUMNS:
            found = quote(",".join(header))
            raise ParseError(path, 1, f"the columns {', '.join(COLUMNS)}", found)
        for cells in lines:
            yield _state(cells, path, lines.line_num)
    except csv.Error as error:
        raise ParseError(path, lines.line_num, "comma-separated values", str(error)) from error


def _state(cells: Sequence[str], path: PathLike, line: int) -> State:
    if len(cells) != len(COLUMNS):
        raise ParseError(path, line, f"{len(COLUMNS)} cells", f"{len(cells)}")
    symbols = re.fullmatch("([A-Z][a-z]?)([A-Z][a-z]?)", cells[0])
    if symbols is None or not {*symbols.groups()} <= ATOMIC_NUMBERS.keys() | ISOTOPES.keys():
        raise ParseError(path, line, "the symbols of two elements", quote(cells[0]))
    if not cells[1].strip():
        raise ParseError(path, line, "an electronic state", quote(cells[1]))
    numbers = [math.nan] * len(COLUMNS)
    for k in range(2, 12):
        if cells[k].strip():
            numbers[k] = parse_number(cells[k].strip(), path, line, COLUMNS[k])
            if numbers[k] <= 0 and k in _POSITIVE:
                raise ParseError(path, line, f"{COLUMNS[k]} above 0", quote(cells[k]))
    if math.isnan(numbers[2]):
        raise ParseError(path, line, COLUMNS[2], quote(cells[2]))
    return State(
        (symbols[1], symbols[2]),
        cells[1],
        mass=numbers[2],
        t_e=numbers[3],
        omega_e=numbers[4],
        omega_e_x_e=numbers[5],
        b_e=numbers[6],
        r_e=numbers[9],
        d_0=numbers[10],
        ip=numbers[11],
    )
