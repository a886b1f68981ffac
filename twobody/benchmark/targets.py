"""What is predicted on which track, and the labels that follow from it by identity.

The 18 targets of the paper are 12 independent ones and 6 that follow from these.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twobody.labels import LABELS

_Float = NDArray[np.float64]

TARGETS: tuple[str, ...] = (
    *("e_g_ev", "e_homo_ev", "e_lumo_ev", "total_energy_ev", "mermin_free_energy_ev"),
    *("band_energy_ev", "repulsive_energy_ev", "softness_evinv", "electrophilicity_ev"),
    *("dipole_mag_d", "q_absmean", "distance_ang"),
)
"""The independent targets."""

METAL_LIKE = "metal_like"
"""The flag that models may predict beside the targets, as the probability that it is 1."""

HIDDEN: dict[str, tuple[str, ...]] = {
    "elements": (),
    "geometry": ("distance_ang",),
    "density": ("dipole_mag_d", "q_absmean", "distance_ang"),
}
"""The tracks, and the targets that each does not score because it shows them."""

TRACKS: tuple[str, ...] = tuple(HIDDEN)

ABS_DIPOLE_Z = "abs(dipole_z_d)"
"""The paper's dipole component; atoms lie on the z axis, so that its magnitude is the dipole's."""

UNITS: dict[str, str] = {
    **{label.name: label.unit for label in LABELS if label.name in (*TARGETS, METAL_LIKE)},
    **{label.name: label.unit for label in LABELS if label.name in ("i_ev", "a_ev", "chi_ev")},
    **{label.name: label.unit for label in LABELS if label.name in ("mu_ev", "eta_ev")},
    ABS_DIPOLE_Z: "D",
}

_BY_FORMULA = ("i_ev", "a_ev", "chi_ev", "mu_ev", "eta_ev")

DERIVED: tuple[str, ...] = (*_BY_FORMULA, ABS_DIPOLE_Z)
"""The targets that follow from others: worked out from predictions, never predicted."""


def targets(track: str) -> tuple[str, ...]:
    """Return the independent targets that a track scores."""
    return tuple(name for name in TARGETS if name not in HIDDEN[track])


def with_derived(predictions: Mapping[str, _Float]) -> dict[str, _Float]:
    """Add the derived labels that follow from predicted ones.

    Parameters
    ----------
    predictions : dict of str to float64 [...]
        All of one shape.
    """
    values = dict(predictions)
    for label in LABELS:
        formula = label.formula
        if label.name in _BY_FORMULA and formula and all(s in values for s in formula.sources):
            values[label.name] = formula(values)
    if "dipole_mag_d" in values:
        values[ABS_DIPOLE_Z] = values["dipole_mag_d"]
    return values
