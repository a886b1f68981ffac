"""Reader of ``detailed.out``: energies, Mulliken populations, dipole moment, convergence.

The build tries `twobody.dftbplus.usual_layout` first: what changes here may have to change there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus.geometry_step import RUN_STATUS, SCC_STATUS, Step, last_complete_step
from twobody.dftbplus.mulliken import Orbitals, read_mulliken
from twobody.text import PathLike, parse_integer, parse_number, read_text, split_lines

BOHR = 0.529177249
"""A bohr in Å, as DFTB+ converts it; other values of the constant differ by 1e-7 of it."""

POSITION_TOLERANCE = 1e-5
"""How far positions in Å may be from those printed in bohr [Å]."""

SCALARS = np.dtype(
    [
        (name, "<f8")
        for name in (
            *("band_energy", "mermin_free_energy", "repulsive_energy", "geometry_step"),
            *("scc_iteration", "scc_total_electronic", "scc_diff_electronic", "scc_error"),
            *("scc_converged", "geometry_converged"),
        )
    ]
)
"""What only labels hold of a `DetailedOut`, for many of them; NaN instead of None."""

_Float = NDArray[np.float64]
_SCC_HEADING = ["iSCC", "Total", "electronic", "Diff", "electronic", "SCC", "error"]


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
    moved_positions : dict of int to float64 [3], or None
        Positions [bohr] of the atoms (counted from 0) that may move; None without a driver.
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
    moved_positions: dict[int, _Float] | None
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
    mulliken = read_mulliken(step)
    channels = mulliken.spin_channels
    two_spins = len(channels) == 2 or any(s.split() == ["Spin", "down"] for s in step.where)
    n_spins = 2 if two_spins else 1
    scc_converged = step.status(SCC_STATUS)
    scc = _scc_row(step, with_scc=scc_converged is not None)
    return DetailedOut(
        **mulliken._asdict(),
        fermi_level=_fermi_level(step, n_spins),
        band_energy=_energy(step, "Band energy", n_spins),
        total_energy=step.require(_energy(step, "Total energy"), "'Total energy:'"),
        mermin_free_energy=_energy(step, "Total Mermin free energy"),
        repulsive_energy=_energy(step, "Repulsive energy"),
        dipole_moment=_dipole_moment(step),
        moved_positions=_moved_positions(step, mulliken.gross_charges),
        geometry_step=step.number,
        scc_iteration=scc.iteration if scc else None,
        scc_total_electronic=scc.total_electronic if scc else None,
        scc_diff_electronic=scc.diff_electronic if scc else None,
        scc_error=scc.error if scc else None,
        scc_converged=scc_converged,
        geometry_converged=_geometry_converged(step),
    )


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


def _moved_positions(step: Step, charges: _Float | None) -> dict[int, _Float] | None:
    """Read the rows (I5, 3F16.8) below ``Coordinates of moved atoms (au):``."""
    heading = step.once("Coordinates of moved atoms (au):")
    if heading is None:
        return None
    moved: dict[int, _Float] = {}
    for i in range(heading + 1, len(step.lines)):
        tokens = step.lines[i].split()
        if not tokens and moved:
            break
        if len(tokens) != 4:
            raise step.error(i, "an atom and its three coordinates, or an empty line")
        atom = parse_integer(tokens[0], step.path, i + 1, "an atom's number") - 1
        if atom <= max(moved, default=-1) or (charges is not None and atom >= len(charges)):
            raise step.error(i, "atoms counted up, and those of the other tables")
        components = [parse_number(t, step.path, i + 1, "a coordinate") for t in tokens[1:]]
        moved[atom] = np.array(components)
    return moved


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
