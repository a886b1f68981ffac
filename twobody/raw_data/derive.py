"""The labels of a pair folder, worked out from all three of its files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import POPULATION_TOLERANCE, DetailedOut, Levels, read_band_out
from twobody.dftbplus.detailed_out import SCALARS
from twobody.errors import ParseError
from twobody.labels import AU_TO_DEBYE, HARTREE_TO_EV, LABELS, LabelValue
from twobody.pairs import Float, distances, empty_rows
from twobody.raw_data.folders import BAND_OUT, DETAILED_OUT, fill, read_pair
from twobody.raw_data.label_csv import PairLabels

_OCCUPIED = 0.01  # [e] a level with more than this is occupied; one that lacks no more is full
_ROUNDING = 5e-6  # [e] half of the last place that band.out prints of an occupation
# How far below 0 and above full a level may be, in parts of full. Methfessel-Paxton filling goes so
# far: by 0.035 in first order, by below 0.1 in any.
_OVERSHOOT = 0.1


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
    bond_length = float(distances(pair.geometry.positions))
    labels = derive_labels(folder.name, pair.detailed, levels, bond_length)
    return PairLabels(pair.geometry, labels), []


def _check_levels(levels: Levels, detailed: DetailedOut, path: Path) -> None:
    """Check that no level, spin or electron of `detailed` is missing among the levels."""
    if detailed.orbitals is None or detailed.atom_populations is None:
        return
    n_channels = len(detailed.spin_channels)
    n_levels = len(detailed.orbitals.atom)
    if n_channels == 4:  # non-collinear: one block for both spins
        n_levels *= 2
    _check_blocks(levels, (1, 2) if n_channels == 2 else (1,), n_levels, path)
    capacity = 2.0 if n_channels == 1 else 1.0
    _check_occupations(levels, capacity, float(detailed.atom_populations.sum()), path)


def _check_blocks(levels: Levels, spins: tuple[int, ...], n_levels: int, path: Path) -> None:
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
    occupations = levels.occupations.reshape(len(levels.blocks), -1)
    for k, i in np.argwhere(np.abs(occupations / capacity - 0.5) > 0.5 + _OVERSHOOT):
        what, found = f"an occupation from 0 to {capacity:g}", f"{occupations[k, i]:.5f}"
        raise ParseError(path, levels.blocks[k].line + int(i) + 1, what, found)
    weights = np.array([block.weight for block in levels.blocks])
    total = float(weights @ occupations.sum(axis=1))
    rounding = float(np.abs(weights).sum()) * occupations.shape[1] * _ROUNDING
    if abs(total - electrons) > POPULATION_TOLERANCE + rounding:
        what = f"occupations that add up to the electrons of {DETAILED_OUT}, {electrons:.5f}"
        raise ParseError(path, levels.blocks[0].line, what, f"{total:.5f}")


def derive_labels(
    pair_name: str, detailed: DetailedOut, levels: Levels, bond_length: float
) -> dict[str, LabelValue]:
    """Work out the labels of a pair from its ``detailed.out``, ``band.out`` and bond length [Å].

    Returns
    -------
    dict
        Every name of `LABELS`, in their order; None where the output does not say.
    """
    rows, scalars = empty_rows(1), empty_rows(1, SCALARS)
    fill(rows[0], scalars[0], detailed)
    values = {name: float(column[0]) for name, column in printed_labels(rows, scalars).items()}
    values |= _level_labels(detailed, levels)
    values |= {"distance_ang": bond_length, "n_atoms": 2.0}
    for label in LABELS:
        if label.formula is not None:
            values[label.name] = float(label.formula(values))
    labels: dict[str, LabelValue] = {"system_id_guess": pair_name}
    labels |= {name: None if math.isnan(value) else value for name, value in values.items()}
    return {label.name: labels[label.name] for label in LABELS}


def printed_labels(rows: NDArray[np.void], scalars: NDArray[np.void]) -> dict[str, Float]:
    """Return the labels [N] that ``detailed.out`` holds, by name; NaN where it does not.

    Of structured arrays [N] of `twobody.pairs.ROW` and `SCALARS`.
    """
    charges, dipoles = rows["charges"], rows["dipole"] * AU_TO_DEBYE
    return {
        "total_energy_ev": rows["total_energy"] * HARTREE_TO_EV,
        "mermin_free_energy_ev": scalars["mermin_free_energy"] * HARTREE_TO_EV,
        "band_energy_ev": scalars["band_energy"] * HARTREE_TO_EV,
        "repulsive_energy_ev": scalars["repulsive_energy"] * HARTREE_TO_EV,
        "fermi_level_ev": rows["fermi_level"] * HARTREE_TO_EV,
        "q_absmean": np.abs(charges).mean(axis=1),
        "q_maxabs": np.abs(charges).max(axis=1),
        "q_std": charges.std(axis=1),
        "total_charge": rows["total_charge"],
        "dipole_x_d": dipoles[:, 0],
        "dipole_y_d": dipoles[:, 1],
        "dipole_z_d": dipoles[:, 2],
        "geom_opt_step": scalars["geometry_step"],
        "scc_last_iter": scalars["scc_iteration"],
        "scc_last_total_elec_eh": scalars["scc_total_electronic"],
        "scc_last_diff_elec": scalars["scc_diff_electronic"],
        "scc_last_error": scalars["scc_error"],
        "geom_converged": scalars["geometry_converged"],
        "scc_converged": scalars["scc_converged"],
    }


def _level_labels(detailed: DetailedOut, levels: Levels) -> dict[str, float]:
    """Work out what follows from the one-electron levels.

    With Fermi filling a partly filled level is both occupied and not full, so E_HOMO >= E_LUMO and
    the gap is 0. Where every level is full, what needs a virtual level is missing.
    """
    spin_resolved = levels.spins.max() > 1 or len(detailed.spin_channels) > 1
    capacity = 1.0 if spin_resolved else 2.0  # [e] of a level
    occupied = levels.occupations > _OCCUPIED
    not_full = levels.occupations < capacity - _OCCUPIED
    return {
        "e_homo_ev": float(levels.energies[occupied].max()) if occupied.any() else math.nan,
        "e_lumo_ev": float(levels.energies[not_full].min()) if not_full.any() else math.nan,
        "n_levels": float(len(levels.energies)),
        "max_occupancy": float(levels.occupations.max()),
        "metal_like": float((occupied & not_full).any()),
        "no_virtual_in_basis": float(not not_full.any()),
    }
