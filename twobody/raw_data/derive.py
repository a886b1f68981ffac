"""The labels of a pair folder, worked out from all three of its files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twobody.dftbplus import POPULATION_TOLERANCE, DetailedOut, Levels, read_band_out
from twobody.errors import ParseError
from twobody.labels import AU_TO_DEBYE, HARTREE_TO_EV, LABELS, LabelValue
from twobody.raw_data.folders import BAND_OUT, DETAILED_OUT, read_pair
from twobody.raw_data.label_csv import PairLabels

_OCCUPIED = 0.01  # [e] a level with more than this is occupied; one that lacks no more is full

_OCCUPATION_ROUNDING = 5e-6
"""Half of the last place that ``band.out`` prints of an occupation [e]."""

_OVERSHOOT = 0.1
"""How far below 0 and above full a level may be, in parts of full.

Methfessel-Paxton filling goes so far: by 0.035 in first order, by below 0.1 in any.
"""


def collect_pair(folder: Path) -> tuple[PairLabels | None, list[ParseError]]:
    """Return geometry and labels of the pair in `folder`, or everything that is wrong with it.

    Pairs whose SCC did not converge are taken: a label says so.
    """
    pair, errors = read_pair(folder, allow_unconverged=True)
    try:
        levels = read_band_out(folder / BAND_OUT)
        if pair is not None:
            _check_levels(levels, pair.detailed, folder / BAND_OUT)
    except ParseError as error:
        errors.append(error)
    if pair is None or errors:
        return None, errors
    labels = derive_labels(pair.name, pair.detailed, levels, pair.bond_length)
    return PairLabels(pair.geometry, labels), []


def _check_levels(levels: Levels, detailed: DetailedOut, path: Path) -> None:
    """Check that no level, spin or electron of `detailed` is missing among the levels."""
    if detailed.orbitals is None or detailed.atom_populations is None:
        return
    n_channels = len(detailed.spin_channels)
    non_collinear = n_channels == 4  # one block for both spins
    _check_blocks(
        levels,
        spins=(1, 2) if n_channels == 2 else (1,),
        n_levels=len(detailed.orbitals.atom) * (2 if non_collinear else 1),
        path=path,
    )
    capacity = 2.0 if n_channels == 1 else 1.0
    _check_occupations(levels, capacity, float(detailed.atom_populations.sum()), path)


def _check_blocks(levels: Levels, spins: Sequence[int], n_levels: int, path: Path) -> None:
    """Check that every k-point has a block for each spin, with a level for each (spin) orbital."""
    found = len(levels.energies) // len(levels.blocks)
    missing = dict.fromkeys((k_point, s) for k_point, *_ in levels.blocks for s in spins)
    for k_point, spin, _, line in levels.blocks:
        if spin not in spins:
            what = f"spin {' or '.join(map(str, spins))}, as in {DETAILED_OUT}"
            raise ParseError(path, line, what, f"spin {spin}")
        if found != n_levels:
            what = f"{n_levels} levels, one an orbital, for k-point {k_point}, spin {spin}"
            raise ParseError(path, line, what, f"{found}")
        del missing[k_point, spin]
    for k_point, spin in missing:
        line = levels.blocks[-1].line + found
        raise ParseError(path, line, f"a block for k-point {k_point}, spin {spin}", "none")


def _check_occupations(levels: Levels, capacity: float, electrons: float, path: Path) -> None:
    """Check that levels are filled as far as they can be, and together with all electrons."""
    total, tolerance = 0.0, POPULATION_TOLERANCE
    occupations = levels.occupations.reshape(len(levels.blocks), -1)
    for block, filled in zip(levels.blocks, occupations, strict=True):
        for i, occupation in enumerate(filled.tolist(), start=1):
            if abs(occupation / capacity - 0.5) > 0.5 + _OVERSHOOT:
                what = f"an occupation from 0 to {capacity:g}"
                raise ParseError(path, block.line + i, what, f"{occupation:.5f}")
        total += block.weight * float(filled.sum())
        tolerance += abs(block.weight) * len(filled) * _OCCUPATION_ROUNDING
    if abs(total - electrons) > tolerance:
        what = f"occupations that add up to the electrons of {DETAILED_OUT}, {electrons:.5f}"
        raise ParseError(path, levels.blocks[0].line, what, f"{total:.5f}")


def derive_labels(
    pair_name: str, detailed: DetailedOut, levels: Levels, bond_length: float
) -> dict[str, LabelValue]:
    """Work out the labels of a pair from its DFTB+ output.

    Parameters
    ----------
    pair_name : str
    detailed, levels : the pair's ``detailed.out`` and ``band.out``
    bond_length : float
        [Å]

    Returns
    -------
    dict
        Every name of `LABELS`, in their order; None where the output does not say.
    """
    charges = detailed.gross_charges
    dipole = detailed.dipole_moment
    dipole_x, dipole_y, dipole_z = (None,) * 3 if dipole is None else dipole.tolist()
    values: dict[str, LabelValue] = {
        "total_energy_ev": _scaled(detailed.total_energy, HARTREE_TO_EV),
        "mermin_free_energy_ev": _scaled(detailed.mermin_free_energy, HARTREE_TO_EV),
        "band_energy_ev": _scaled(detailed.band_energy, HARTREE_TO_EV),
        "repulsive_energy_ev": _scaled(detailed.repulsive_energy, HARTREE_TO_EV),
        "fermi_level_ev": _scaled(detailed.fermi_level, HARTREE_TO_EV),
        "q_absmean": None if charges is None else float(np.abs(charges).mean()),
        "q_maxabs": None if charges is None else float(np.abs(charges).max()),
        "q_std": None if charges is None else float(charges.std()),
        "total_charge": detailed.total_charge,
        **_level_labels(detailed, levels),
        "dipole_x_d": _scaled(dipole_x, AU_TO_DEBYE),
        "dipole_y_d": _scaled(dipole_y, AU_TO_DEBYE),
        "dipole_z_d": _scaled(dipole_z, AU_TO_DEBYE),
        "distance_ang": bond_length,
        "geom_opt_step": _scaled(detailed.geometry_step),
        "scc_last_iter": _scaled(detailed.scc_iteration),
        "scc_last_total_elec_eh": detailed.scc_total_electronic,
        "scc_last_diff_elec": detailed.scc_diff_electronic,
        "scc_last_error": detailed.scc_error,
        "geom_converged": _scaled(detailed.geometry_converged),
        "scc_converged": _scaled(detailed.scc_converged),
        "n_atoms": 2.0,
        "system_id_guess": pair_name,
    }
    for label in LABELS:
        if label.formula is not None:
            value = float(label.formula(values))
            values[label.name] = None if math.isnan(value) else value
    return {label.name: values[label.name] for label in LABELS}


def _scaled(value: float | None, factor: float = 1.0) -> float | None:
    """Convert the unit of a number; counts and flags become floats, None stays None."""
    return None if value is None else value * factor


def _level_labels(detailed: DetailedOut, levels: Levels) -> dict[str, LabelValue]:
    """Work out what follows from the one-electron levels.

    With Fermi filling a partly filled level is both occupied and not full, so E_HOMO >= E_LUMO and
    the gap is 0. Where every level is full, what needs a virtual level is missing.
    """
    spin_resolved = levels.spins.max() > 1 or len(detailed.spin_channels) > 1
    capacity = 1.0 if spin_resolved else 2.0  # [e] of a level
    occupied = levels.occupations > _OCCUPIED
    not_full = levels.occupations < capacity - _OCCUPIED
    return {
        "e_homo_ev": float(levels.energies[occupied].max()) if occupied.any() else None,
        "e_lumo_ev": float(levels.energies[not_full].min()) if not_full.any() else None,
        "n_levels": float(len(levels.energies)),
        "max_occupancy": float(levels.occupations.max()),
        "metal_like": float((occupied & not_full).any()),
        "no_virtual_in_basis": float(not not_full.any()),
    }
