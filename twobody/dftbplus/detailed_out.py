"""Reader of ``detailed.out``: energies, Mulliken populations, dipole moment, convergence.

The build tries `twobody.dftbplus.usual_layout` first: what changes here may have to change there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twobody.dftbplus.band_out import LEVEL_FIELDS
from twobody.dftbplus.geometry_step import RUN_STATUS, SCC_STATUS, Step, last_complete_step
from twobody.dftbplus.mulliken import Orbitals, read_mulliken
from twobody.text import PathLike, parse_number, read_text, split_lines

BOHR = 0.529177249
"""A bohr in Å, as DFTB+ converts it; other values of the constant differ by 1e-7 of it."""

POSITION_TOLERANCE = 1e-5
"""How far positions in Å may be from those printed in bohr [Å]."""

SCC_FIELDS = ("scc_iteration", "scc_total_electronic", "scc_diff_electronic", "scc_error")
_ENERGY_FIELDS = ("band_energy", "mermin_free_energy", "repulsive_energy")
_STATUS_FIELDS = ("geometry_step", "scc_converged", "geometry_converged")
_SCALARS = (*_ENERGY_FIELDS, *SCC_FIELDS, *_STATUS_FIELDS, *LEVEL_FIELDS)
SCALARS = np.dtype([(name, "<f8") for name in _SCALARS])
"""What only labels hold of a `DetailedOut` and its `Levels`, for many of them; NaN for None."""

_Float = NDArray[np.float64]
_SCC_HEADING = ["iSCC", "Total", "electronic", "Diff", "electronic", "SCC", "error"]
_PRINTED_HARTREE_TO_EV = 27.2114  # to the precision that all versions' constants share
_PRINTED_AU_TO_DEBYE = 2.5417


@dataclass(frozen=True, eq=False)
class DetailedOut:
    """The last complete geometry step of a ``detailed.out``.

    What starts with `scc` is None without SCC. `geometry_converged` is None where the step does not
    end a geometry optimisation, and where it was allowed no step: "Geometry converged" then says
    nothing.
    """

    total_charge: float | None  # e; early versions do not print it
    gross_charges: _Float | None  # [n_atoms] e; None without Mulliken analysis
    atom_populations: _Float | None  # [n_atoms] e; None without Mulliken analysis
    orbitals: Orbitals | None
    spin_channels: tuple[str, ...]  # as printed, as ("up", "down"); empty without populations
    fermi_level: float | None  # H, the higher of two; None where the solver gives none
    band_energy: float | None  # H, summed over spins
    total_energy: float  # H
    mermin_free_energy: float | None  # H
    repulsive_energy: float | None  # H
    dipole_moment: _Float | None  # [3] au
    moved_positions: dict[int, _Float] | None  # [3] bohr by atom, from 0; None without a driver
    geometry_step: int | None  # None for a static geometry
    scc_iteration: int | None
    scc_total_electronic: float | None  # H
    scc_diff_electronic: float | None  # H
    scc_error: float | None  # e
    scc_converged: bool | None
    geometry_converged: bool | None


def read_detailed_out(path: PathLike) -> DetailedOut:
    """Read a ``detailed.out``; see `parse_detailed_out`."""
    return parse_detailed_out(read_text(path), path)


def parse_detailed_out(text: str, path: PathLike | None = None) -> DetailedOut:
    """Read the text of a ``detailed.out``; `path` is where it comes from, for messages.

    Raises
    ------
    ParseError
        No step of the file is complete, or something in the last complete one is missing, repeated,
        not a number, or in contradiction with the rest of the step.
    """
    step = last_complete_step(split_lines(text), path)
    mulliken = read_mulliken(step)
    down = any(line.split() == ["Spin", "down"] for line in step.where)
    n_spins = 2 if down or len(mulliken["spin_channels"]) == 2 else 1
    scc_converged = step.status(SCC_STATUS)
    fermi = _energies(step, "Fermi level", n_spins) or _energies(step, "Fermi energy", n_spins)
    total_energy = _energy(step, "Total energy")
    if total_energy is None:
        raise step.missing("'Total energy:' in the step", "none up to here")
    return DetailedOut(
        **mulliken,
        **_scc_row(step, with_scc=scc_converged is not None),
        fermi_level=max(fermi, default=None),
        band_energy=_energy(step, "Band energy", n_spins),
        total_energy=total_energy,
        mermin_free_energy=_energy(step, "Total Mermin free energy"),
        repulsive_energy=_energy(step, "Repulsive energy"),
        dipole_moment=_dipole_moment(step),
        moved_positions=_moved_positions(step, mulliken["gross_charges"]),
        geometry_step=step.number,
        scc_converged=scc_converged,
        geometry_converged=_geometry_converged(step),
    )


def agrees_with_ev(
    hartree: ArrayLike, ev: ArrayLike, rounding: float | _Float = 1e-4
) -> NDArray[np.bool_]:
    """Tell where an energy printed in hartree is the one in eV, which was rounded so far."""
    expected = np.multiply(hartree, _PRINTED_HARTREE_TO_EV)
    return np.asarray(np.abs(ev - expected) <= rounding + 2e-6 * np.abs(expected))


def agrees_with_debye(au: ArrayLike, debye: ArrayLike) -> NDArray[np.bool_]:
    """Tell where a dipole moment printed in atomic units is the one printed in debye."""
    return np.isclose(debye, np.multiply(au, _PRINTED_AU_TO_DEBYE), rtol=1e-4, atol=1e-6)


def agrees_with_total(scc: ArrayLike, total: ArrayLike) -> NDArray[np.bool_]:
    """Tell where the energy [H] of the SCC row is that of the step, which has more digits."""
    return np.isclose(scc, total, rtol=1e-7, atol=1e-9)


def _energies(step: Step, name: str, count: int) -> list[float]:
    """Read ``NAME: value H value eV``; the second value must be the first one in eV."""
    values = []
    for i, rest in step.field(name, count):
        tokens = rest.split()
        if len(tokens) != 4 or tokens[1::2] != ["H", "eV"]:
            raise step.error(i, f"'{name}: (number) H (number) eV'")
        hartree, ev = (parse_number(t, step.path, i + 1, name.lower()) for t in tokens[::2])
        if not agrees_with_ev(hartree, ev):
            same = f"the same in eV ({hartree * _PRINTED_HARTREE_TO_EV:.4f})"
            raise step.error(i, f"{name.lower()} in H and {same}")
        values.append(hartree)
    return values


def _energy(step: Step, name: str, count: int = 1) -> float | None:
    values = _energies(step, name, count)
    return sum(values) if values else None


def _dipole_moment(step: Step) -> _Float | None:
    """Read ``Dipole moment: 3F14.8 au``, and the line in debye that repeats it."""
    by_unit: dict[str, _Float] = {}
    for i, rest in step.fields.get("Dipole moment", []):
        body, _, unit = rest.rpartition(" ")
        if unit not in ("au", "Debye") or unit in by_unit:
            raise step.error(i, "one dipole moment in 'au' and one in 'Debye'")
        # Fixed columns: three fields of 14 need no blank between them.
        fixed = len(body) == 42
        tokens = [body[k : k + 14].strip() for k in (0, 14, 28)] if fixed else body.split()
        if len(tokens) != 3:
            raise step.error(i, "three components of the dipole moment")
        components = [parse_number(t, step.path, i + 1, "a dipole component") for t in tokens]
        by_unit[unit] = np.array(components)
    if len(by_unit) == 1:
        raise step.error(i, "the dipole moment in au and in Debye", f"{unit} only")
    if by_unit and not agrees_with_debye(by_unit["au"], by_unit["Debye"]).all():
        debye = by_unit["au"] * _PRINTED_AU_TO_DEBYE
        raise step.error(i, f"the dipole moment {debye.round(4)} in au and Debye alike")
    return by_unit.get("au")


def _moved_positions(step: Step, charges: _Float | None) -> dict[int, _Float] | None:
    """Read the rows (I5, 3F16.8) below ``Coordinates of moved atoms (au):``."""
    heading = step.once("Coordinates of moved atoms (au):")
    if heading is None:
        return None
    moved: dict[int, _Float] = {}
    for i, (number,), position in step.table(heading + 1, "a row of moved atoms", 1, 3):
        atom = number - 1
        if atom <= max(moved, default=-1) or (charges is not None and atom >= len(charges)):
            raise step.error(i, "atoms counted up, and those of the other tables")
        moved[atom] = np.array(position)
    return moved


def _scc_row(step: Step, *, with_scc: bool) -> dict[str, Any]:
    """Read the row below ``iSCC``, which stands between two lines of asterisks, by field."""
    headings = [i for line, at in step.where.items() if line.split() == _SCC_HEADING for i in at]
    if not headings and not with_scc:
        return dict.fromkeys(SCC_FIELDS)
    if len(headings) != 1:
        what, found = "the iSCC heading once in the step", f"it {len(headings)} times"
        raise step.error(headings[1], what, found) if headings else step.missing(what, found)
    i = headings[0] + 1
    for ruler in (i - 2, i + 1):
        if ruler >= len(step.lines) or step.lines[ruler].strip() != "*" * 80:
            raise step.error(ruler, "a line of 80 asterisks")
    (iteration,), (total, diff, error) = step.row(i, "the SCC row", 1, 3)
    if iteration < 1 or error < 0.0:
        raise step.error(i, "an SCC iteration counted from 1 and an SCC error that is not negative")
    for expected in _energies(step, "Total Electronic energy", 1):
        if not agrees_with_total(total, expected):
            raise step.error(i, f"the total electronic energy of the step, {expected:.10f} H")
    return dict(zip(SCC_FIELDS, (iteration, total, diff, error), strict=True))


def _geometry_converged(step: Step) -> bool | None:
    """Read how the run ended; it must be a run of the kind that the step's heading says."""
    for kind, statuses in RUN_STATUS.items():
        for status in statuses:
            if status in step.where and status not in step.run_status:
                heading = f"the heading '{kind} step: (number)' above"
                raise step.error(max(step.where[status]), heading, "none")
    return step.status(step.run_status)
