"""The labels of a pair folder, worked out from all three of its files."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import DetailedOut, Levels
from twobody.dftbplus.detailed_out import SCALARS
from twobody.errors import ParseError
from twobody.labels import AU_TO_DEBYE, HARTREE_TO_EV, LABELS, LabelValue
from twobody.pairs import Float, distances, empty_rows
from twobody.raw_data.folders import BAND_OUT, fill, read_pair
from twobody.raw_data.label_csv import PairLabels

def collect_pair(folder: Path) -> tuple[PairLabels | None, list[ParseError]]:
    """Return geometry and labels of the pair in `folder`, or everything that is wrong with it.

    Pairs whose SCC did not converge are taken: a label says so.
    """
    pair, errors = read_pair(folder, allow_unconverged=True)
    if not os.path.lexists(folder / BAND_OUT):
        found = os.strerror(errno.ENOENT)
        errors.append(ParseError(folder / BAND_OUT, None, "a readable file", found))
    if errors or pair is None or pair.levels is None:
        return None, errors
    bond_length = float(distances(pair.geometry.positions))
    labels = derive_labels(folder.name, pair.detailed, pair.levels, bond_length)
    return PairLabels(pair.geometry, labels), []


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
    fill(rows[0], scalars[0], detailed, levels=levels)
    values = {name: float(column[0]) for name, column in printed_labels(rows, scalars).items()}
    values |= {"distance_ang": bond_length, "n_atoms": 2.0}
    for label in LABELS:
        if label.formula is not None:
            values[label.name] = float(label.formula(values))
    labels: dict[str, LabelValue] = {"system_id_guess": pair_name}
    labels |= {name: None if math.isnan(value) else value for name, value in values.items()}
    return {label.name: labels[label.name] for label in LABELS}


def printed_labels(rows: NDArray[np.void], scalars: NDArray[np.void]) -> dict[str, Float]:
    """Return the labels [N] that ``detailed.out`` and ``band.out`` hold; NaN where they do not.

    Of structured arrays [N] of `twobody.pairs.ROW` and `SCALARS`.
    """
    charges, dipoles = rows["charges"], rows["dipole"] * AU_TO_DEBYE
    return {
        "total_energy_ev": rows["total_energy"] * HARTREE_TO_EV,
        "mermin_free_energy_ev": scalars["mermin_free_energy"] * HARTREE_TO_EV,
        "band_energy_ev": scalars["band_energy"] * HARTREE_TO_EV,
        "repulsive_energy_ev": scalars["repulsive_energy"] * HARTREE_TO_EV,
        "fermi_level_ev": rows["fermi_level"] * HARTREE_TO_EV,
        "e_homo_ev": scalars["e_homo"],
        "e_lumo_ev": scalars["e_lumo"],
        "q_absmean": np.abs(charges).mean(axis=1),
        "q_maxabs": np.abs(charges).max(axis=1),
        "q_std": charges.std(axis=1),
        "total_charge": rows["total_charge"],
        "n_levels": scalars["n_levels"],
        "max_occupancy": scalars["max_occupancy"],
        "metal_like": scalars["metal_like"],
        "no_virtual_in_basis": scalars["no_virtual_in_basis"],
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
