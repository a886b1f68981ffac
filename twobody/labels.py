"""The 37 labels of a pair: what they are, and how they follow from DFTB+ output.

`LABELS` is the only place that lists them: archive, analysis, loaders, checks and tables in the
documentation are made from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import DetailedOut, Levels

HARTREE_TO_EV = 27.211386245988  # CODATA 2018
AU_TO_DEBYE = 2.541746473  # CODATA 2018: e a0 in debye

OCCUPIED = 0.01  # [e] a level with more than this is occupied; one that lacks no more is full

Kind = Literal["number", "count", "flag", "text"]
LabelValue = float | str | None

_Float = NDArray[np.float64]


@dataclass(frozen=True)
class Formula:
    """How a label follows from others.

    Attributes
    ----------
    sources : tuple of str
        Names of the labels that it follows from.
    function : function
        Of their values, float64 arrays of one shape; NaN is a missing value.
    """

    sources: tuple[str, ...]
    function: Callable[..., Any]

    def __call__(self, labels: Mapping[str, Any]) -> NDArray[np.float64]:
        """Evaluate the formula; NaN where a source is missing or the formula has no value."""
        values = [np.asarray(labels[name], np.float64) for name in self.sources]
        result: NDArray[np.float64] = self.function(*values)
        return result


@dataclass(frozen=True)
class Label:
    """One label.

    Attributes
    ----------
    column : str
        The name in the CSV files; in lower case the name everywhere else.
    unit : str
        "1" where the value is a pure number, "0/1" for flags, "text" for text.
    kind : "number", "count" (a whole number, 0 or more), "flag" (0 or 1) or "text"
    group, meaning, source : str
        For people; `source` is the file of DFTB+ and what is read there.
    formula : Formula or None
        How it follows from labels that stand before it, if it does.
    """

    column: str
    unit: str
    kind: Kind
    group: str
    meaning: str
    source: str
    formula: Formula | None = None

    @property
    def name(self) -> str:
        """The label's name."""
        return self.column.lower()


_DETAILED, _BAND = "detailed.out", "band.out"
_CHARGES = f"{_DETAILED}: Atomic gross charges"
_DIPOLE = f"{_DETAILED}: Dipole moment"
_ISCC = f"{_DETAILED}: iSCC row"
_GAP = f"{_BAND}: E_HOMO, E_LUMO"


def _gap(homo: _Float, lumo: _Float) -> _Float:
    result: _Float = np.maximum(lumo - homo, 0.0)
    return result


def _where_positive(values: _Float) -> _Float:
    return np.where(values > 0, values, np.nan)


LABELS: tuple[Label, ...] = (
    Label(
        "total_energy_eV", "eV", "number", "energy", "total energy", f"{_DETAILED}: Total energy"
    ),
    Label(
        "mermin_free_energy_eV",
        "eV",
        "number",
        "energy",
        "Mermin free energy: total energy - TS",
        f"{_DETAILED}: Total Mermin free energy",
    ),
    Label(
        "band_energy_eV",
        "eV",
        "number",
        "energy",
        "band energy, summed over spins",
        f"{_DETAILED}: Band energy",
    ),
    Label(
        "repulsive_energy_eV",
        "eV",
        "number",
        "energy",
        "repulsive energy",
        f"{_DETAILED}: Repulsive energy",
    ),
    Label("fermi_level_eV", "eV", "number", "energy", "Fermi level", f"{_DETAILED}: Fermi level"),
    Label("E_HOMO_eV", "eV", "number", "energy", "highest occupied level", f"{_BAND}: levels"),
    Label(
        "E_LUMO_eV", "eV", "number", "energy", "lowest level that is not full", f"{_BAND}: levels"
    ),
    Label(
        "E_g_eV",
        "eV",
        "number",
        "energy",
        "HOMO-LUMO gap: max(E_LUMO - E_HOMO, 0)",
        _GAP,
        Formula(("e_homo_ev", "e_lumo_ev"), _gap),
    ),
    Label("q_absmean", "e", "number", "charge", "mean of |q|", _CHARGES),
    Label("q_maxabs", "e", "number", "charge", "largest |q|", _CHARGES),
    Label("q_std", "e", "number", "charge", "population standard deviation of q", _CHARGES),
    Label("total_charge", "e", "number", "charge", "total charge", f"{_DETAILED}: Total charge"),
    Label(
        "I_eV",
        "eV",
        "number",
        "electronic",
        "ionisation energy -E_HOMO (Koopmans)",
        _GAP,
        Formula(("e_homo_ev",), np.negative),
    ),
    Label(
        "A_eV",
        "eV",
        "number",
        "electronic",
        "electron affinity -E_LUMO (Koopmans)",
        _GAP,
        Formula(("e_lumo_ev",), np.negative),
    ),
    Label(
        "chi_eV",
        "eV",
        "number",
        "electronic",
        "electronegativity (I + A) / 2",
        _GAP,
        Formula(("i_ev", "a_ev"), lambda i, a: (i + a) / 2),
    ),
    Label(
        "mu_eV",
        "eV",
        "number",
        "electronic",
        "chemical potential -chi",
        _GAP,
        Formula(("chi_ev",), np.negative),
    ),
    Label(
        "eta_eV",
        "eV",
        "number",
        "electronic",
        "hardness E_g / 2",
        _GAP,
        Formula(("e_g_ev",), lambda gap: gap / 2),
    ),
    Label(
        "softness_eVinv",
        "1/eV",
        "number",
        "electronic",
        "softness 1 / eta; missing where the gap is 0",
        _GAP,
        Formula(("eta_ev",), lambda eta: 1 / _where_positive(eta)),
    ),
    Label(
        "electrophilicity_eV",
        "eV",
        "number",
        "electronic",
        "electrophilicity mu^2 / (2 eta); missing where the gap is 0",
        _GAP,
        Formula(("mu_ev", "eta_ev"), lambda mu, eta: mu**2 / (2 * _where_positive(eta))),
    ),
    Label(
        "n_levels", "1", "count", "electronic", "number of one-electron levels", f"{_BAND}: levels"
    ),
    Label("max_occupancy", "e", "number", "electronic", "largest occupation", f"{_BAND}: levels"),
    Label(
        "metal_like",
        "0/1",
        "flag",
        "electronic",
        "some level is partly filled, so that the gap is 0",
        f"{_BAND}: levels",
    ),
    Label(
        "no_virtual_in_basis",
        "0/1",
        "flag",
        "electronic",
        "every level is full, so that there is no LUMO",
        f"{_BAND}: levels",
    ),
    Label("dipole_x_D", "D", "number", "dipole", "dipole moment, x", _DIPOLE),
    Label("dipole_y_D", "D", "number", "dipole", "dipole moment, y", _DIPOLE),
    Label("dipole_z_D", "D", "number", "dipole", "dipole moment, z", _DIPOLE),
    Label(
        "dipole_mag_D",
        "D",
        "number",
        "dipole",
        "norm of the dipole moment",
        _DIPOLE,
        Formula(
            ("dipole_x_d", "dipole_y_d", "dipole_z_d"), lambda x, y, z: np.sqrt(x**2 + y**2 + z**2)
        ),
    ),
    Label("distance_Ang", "Å", "number", "geometry", "bond length", "geo_end.xyz"),
    Label(
        "geom_opt_step",
        "1",
        "count",
        "convergence",
        "last geometry step",
        f"{_DETAILED}: Geometry optimization step",
    ),
    Label("scc_last_iter", "1", "count", "convergence", "last SCC iteration", _ISCC),
    Label(
        "scc_last_total_elec_Eh",
        "H",
        "number",
        "convergence",
        "total electronic energy there",
        _ISCC,
    ),
    Label("scc_last_diff_elec", "H", "number", "convergence", "change of it there", _ISCC),
    Label("scc_last_error", "e", "number", "convergence", "SCC error there", _ISCC),
    Label(
        "geom_converged",
        "0/1",
        "flag",
        "convergence",
        "the geometry optimisation converged",
        f"{_DETAILED}: Geometry converged",
    ),
    Label(
        "scc_converged",
        "0/1",
        "flag",
        "convergence",
        "the SCC cycle converged",
        f"{_DETAILED}: SCC converged",
    ),
    Label("n_atoms", "1", "count", "system", "number of atoms", "geo_end.xyz"),
    Label("system_id_guess", "text", "text", "system", "name of the pair", "name of the folder"),
)

NUMERIC_LABELS: tuple[Label, ...] = tuple(label for label in LABELS if label.kind != "text")
TEXT_LABELS: tuple[Label, ...] = tuple(label for label in LABELS if label.kind == "text")

SIGNED_GROUPS = ("charge", "dipole")
"""Groups of labels whose zero parts two kinds of values, so that colours may diverge from it."""

ONE_WHEN_NEUTRAL = ("q_absmean", "q_maxabs", "q_std")
"""Labels that are one quantity for a neutral pair: its charges are q and -q, and each is |q|."""

GEOMETRY_COLUMNS = (
    *("natoms", "species_1", "x1", "y1", "z1", "species_2", "x2", "y2", "z2"),
    *("pair", "pair_sorted"),
)
"""Columns of the CSV files, in lower case, that are no labels."""


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
    values: dict[str, LabelValue] = {
        **_energy_labels(detailed),
        **_charge_labels(detailed),
        **_level_labels(levels, _capacity(detailed, levels)),
        **_dipole_labels(detailed),
        "distance_ang": bond_length,
        **_convergence_labels(detailed),
        "n_atoms": 2.0,
        "system_id_guess": pair_name,
    }
    for label in LABELS:
        if label.formula is not None:
            value = float(label.formula(values))
            values[label.name] = None if math.isnan(value) else value
    return {label.name: values[label.name] for label in LABELS}


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _energy_labels(detailed: DetailedOut) -> dict[str, LabelValue]:
    return {
        "total_energy_ev": _scaled(detailed.total_energy, HARTREE_TO_EV),
        "mermin_free_energy_ev": _scaled(detailed.mermin_free_energy, HARTREE_TO_EV),
        "band_energy_ev": _scaled(detailed.band_energy, HARTREE_TO_EV),
        "repulsive_energy_ev": _scaled(detailed.repulsive_energy, HARTREE_TO_EV),
        "fermi_level_ev": _scaled(detailed.fermi_level, HARTREE_TO_EV),
    }


def _charge_labels(detailed: DetailedOut) -> dict[str, LabelValue]:
    q = detailed.gross_charges
    return {
        "q_absmean": None if q is None else float(np.abs(q).mean()),
        "q_maxabs": None if q is None else float(np.abs(q).max()),
        "q_std": None if q is None else float(q.std()),
        "total_charge": detailed.total_charge,
    }


def _capacity(detailed: DetailedOut, levels: Levels) -> float:
    """Return the electrons [e] that a level holds: one in spin-polarised runs, otherwise two."""
    polarised = levels.spins.max() > 1 or len(detailed.spin_channels) > 1
    return 1.0 if polarised else 2.0


def _level_labels(levels: Levels, capacity: float) -> dict[str, LabelValue]:
    """Work out what follows from the one-electron levels.

    With Fermi filling a partly filled level is both occupied and not full, so E_HOMO >= E_LUMO and
    the gap is 0. Where every level is full, what needs a virtual level is missing.
    """
    occupied = levels.occupations > OCCUPIED
    not_full = levels.occupations < capacity - OCCUPIED
    homo = float(levels.energies[occupied].max()) if occupied.any() else None
    lumo = float(levels.energies[not_full].min()) if not_full.any() else None
    return {
        "e_homo_ev": homo,
        "e_lumo_ev": lumo,
        "n_levels": float(len(levels.energies)),
        "max_occupancy": float(levels.occupations.max()),
        "metal_like": float((occupied & not_full).any()),
        "no_virtual_in_basis": float(not not_full.any()),
    }


def _dipole_labels(detailed: DetailedOut) -> dict[str, LabelValue]:
    names = ("dipole_x_d", "dipole_y_d", "dipole_z_d")
    if detailed.dipole_moment is None:
        return dict.fromkeys(names)
    return dict(zip(names, (detailed.dipole_moment * AU_TO_DEBYE).tolist(), strict=True))


def _convergence_labels(detailed: DetailedOut) -> dict[str, LabelValue]:
    def number(value: float | None) -> float | None:
        return None if value is None else float(value)

    return {
        "geom_opt_step": number(detailed.geometry_step),
        "scc_last_iter": number(detailed.scc_iteration),
        "scc_last_total_elec_eh": detailed.scc_total_electronic,
        "scc_last_diff_elec": detailed.scc_diff_electronic,
        "scc_last_error": detailed.scc_error,
        "geom_converged": number(detailed.geometry_converged),
        "scc_converged": number(detailed.scc_converged),
    }
