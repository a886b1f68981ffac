"""The 37 labels of a pair: what they are, and how some follow from others.

`LABELS` is the only place that lists them: archive, analysis, loaders, checks and tables in the
documentation are made from it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

HARTREE_TO_EV = 27.211386245988  # CODATA 2018
AU_TO_DEBYE = 2.541746473  # CODATA 2018: e a0 in debye

Kind = Literal["number", "count", "flag", "text"]
LabelValue = float | str | None

_Float = NDArray[np.float64]

_LEGAL = {"number": "in the range of float32", "count": "a whole number", "flag": "0 or 1"}


@dataclass(frozen=True)
class Formula:
    """How a label follows from others."""

    sources: tuple[str, ...]  # names of the labels that it follows from
    function: Callable[..., Any]  # of their values, float64 arrays of one shape; NaN is missing

    def __call__(self, labels: Mapping[str, Any]) -> NDArray[np.float64]:
        """Evaluate the formula; NaN where a source is missing or the formula has no value."""
        values = [np.asarray(labels[name], np.float64) for name in self.sources]
        with np.errstate(all="ignore"):  # of numbers that mean nothing, inf is as good as any
            return np.asarray(self.function(*values))


@dataclass(frozen=True)
class Label:
    """One label; a row of the table below."""

    column: str  # the name in the CSV files; in lower case the name everywhere else
    unit: str  # "1" for a pure number, "0/1" for flags, "text" for text
    kind: Kind  # a count is a whole number, 0 or more, a flag is 0 or 1
    group: str
    meaning: str
    source: str  # the file of DFTB+, and what is read there
    formula: Formula | None = None  # how it follows from labels that stand before it, if it does
    title: str = ""  # what people call it, for figures

    @property
    def name(self) -> str:
        """The label's name."""
        return self.column.lower()

    @property
    def expected(self) -> str:
        """What a value has to be, for messages."""
        legal = " = 2" if self.name == "n_atoms" else f", {_LEGAL.get(self.kind, 'text')}"
        return self.column + legal

    def legal(self, values: _Float) -> NDArray[np.bool_]:
        """Tell which `values` of a numeric label are legal; NaN, a missing value, is."""
        legal = np.abs(values) <= np.finfo(np.float32).max  # targets are float32
        if self.name == "n_atoms":
            legal = values == 2
        elif self.kind == "flag":
            legal = (values == 0) | (values == 1)
        elif self.kind == "count":
            legal &= (values >= 0) & (values == np.floor(values))
        return np.asarray(legal | np.isnan(values))


def _where_positive(values: _Float) -> _Float:
    return np.where(values > 0, values, np.nan)


_TABLE = """
total_energy_eV        | eV   | number | energy      | total energy              | total energy                                                | detailed.out: Total energy
mermin_free_energy_eV  | eV   | number | energy      | Mermin free energy        | Mermin free energy: total energy - TS                       | detailed.out: Total Mermin free energy
band_energy_eV         | eV   | number | energy      | band energy               | band energy, summed over spins                              | detailed.out: Band energy
repulsive_energy_eV    | eV   | number | energy      | repulsive energy          | repulsive energy                                            | detailed.out: Repulsive energy
fermi_level_eV         | eV   | number | energy      | Fermi level               | Fermi level                                                 | detailed.out: Fermi level
E_HOMO_eV              | eV   | number | energy      | HOMO                      | highest occupied level                                      | band.out: levels
E_LUMO_eV              | eV   | number | energy      | LUMO                      | lowest level that is not full                               | band.out: levels
E_g_eV                 | eV   | number | energy      | HOMO–LUMO gap             | HOMO-LUMO gap: max(E_LUMO - E_HOMO, 0)                      | band.out: E_HOMO, E_LUMO
q_absmean              | e    | number | charge      | mean charge magnitude     | mean of the charges' magnitudes                             | detailed.out: Atomic gross charges
q_maxabs               | e    | number | charge      | largest charge magnitude  | largest magnitude of a charge                               | detailed.out: Atomic gross charges
q_std                  | e    | number | charge      | spread of charges         | population standard deviation of the charges                | detailed.out: Atomic gross charges
total_charge           | e    | number | charge      | total charge              | total charge                                                | detailed.out: Total charge
I_eV                   | eV   | number | electronic  | ionisation energy         | ionisation energy -E_HOMO (Koopmans)                        | band.out: E_HOMO, E_LUMO
A_eV                   | eV   | number | electronic  | electron affinity         | electron affinity -E_LUMO (Koopmans)                        | band.out: E_HOMO, E_LUMO
chi_eV                 | eV   | number | electronic  | electronegativity         | electronegativity (I + A) / 2                               | band.out: E_HOMO, E_LUMO
mu_eV                  | eV   | number | electronic  | chemical potential        | chemical potential -chi                                     | band.out: E_HOMO, E_LUMO
eta_eV                 | eV   | number | electronic  | hardness                  | hardness E_g / 2                                            | band.out: E_HOMO, E_LUMO
softness_eVinv         | 1/eV | number | electronic  | softness                  | softness 1 / eta; missing where the gap is 0                | band.out: E_HOMO, E_LUMO
electrophilicity_eV    | eV   | number | electronic  | electrophilicity          | electrophilicity mu^2 / (2 eta); missing where the gap is 0 | band.out: E_HOMO, E_LUMO
n_levels               | 1    | count  | electronic  | number of levels          | number of one-electron levels                               | band.out: levels
max_occupancy          | e    | number | electronic  | largest occupation        | largest occupation                                          | band.out: levels
metal_like             | 0/1  | flag   | electronic  | metal-like                | some level is partly filled, so that the gap is 0           | band.out: levels
no_virtual_in_basis    | 0/1  | flag   | electronic  | no virtual level          | every level is full, so that there is no LUMO               | band.out: levels
dipole_x_D             | D    | number | dipole      | dipole moment x           | dipole moment, x                                            | detailed.out: Dipole moment
dipole_y_D             | D    | number | dipole      | dipole moment y           | dipole moment, y                                            | detailed.out: Dipole moment
dipole_z_D             | D    | number | dipole      | dipole moment z           | dipole moment, z; > 0: the atom at larger z is positive     | detailed.out: Dipole moment
dipole_mag_D           | D    | number | dipole      | dipole moment             | norm of the dipole moment                                   | detailed.out: Dipole moment
distance_Ang           | Å    | number | geometry    | bond length               | bond length                                                 | geo_end.xyz
geom_opt_step          | 1    | count  | convergence | geometry steps            | last geometry step                                          | detailed.out: Geometry optimization step
scc_last_iter          | 1    | count  | convergence | SCC iterations            | last SCC iteration                                          | detailed.out: iSCC row
scc_last_total_elec_Eh | H    | number | convergence | SCC electronic energy     | total electronic energy there                               | detailed.out: iSCC row
scc_last_diff_elec     | H    | number | convergence | last change of SCC energy | change of it there                                          | detailed.out: iSCC row
scc_last_error         | e    | number | convergence | SCC error                 | SCC error there                                             | detailed.out: iSCC row
geom_converged         | 0/1  | flag   | convergence | geometry converged        | the geometry optimisation converged                         | detailed.out: Geometry converged
scc_converged          | 0/1  | flag   | convergence | SCC converged             | the SCC cycle converged                                     | detailed.out: SCC converged
n_atoms                | 1    | count  | system      | number of atoms           | number of atoms                                             | geo_end.xyz
system_id_guess        | text | text   | system      | name                      | name of the pair                                            | name of the folder
"""  # noqa: E501 - a table: column, unit, kind, group, title, meaning, source

_FORMULAS: dict[str, Formula] = {
    "e_g_ev": Formula(("e_homo_ev", "e_lumo_ev"), lambda homo, lumo: np.maximum(lumo - homo, 0.0)),
    "i_ev": Formula(("e_homo_ev",), np.negative),
    "a_ev": Formula(("e_lumo_ev",), np.negative),
    "chi_ev": Formula(("i_ev", "a_ev"), lambda i, a: (i + a) / 2),
    "mu_ev": Formula(("chi_ev",), np.negative),
    "eta_ev": Formula(("e_g_ev",), lambda gap: gap / 2),
    "softness_evinv": Formula(("eta_ev",), lambda eta: 1 / _where_positive(eta)),
    "electrophilicity_ev": Formula(
        ("mu_ev", "eta_ev"), lambda mu, eta: mu**2 / (2 * _where_positive(eta))
    ),
    "dipole_mag_d": Formula(
        ("dipole_x_d", "dipole_y_d", "dipole_z_d"), lambda x, y, z: np.sqrt(x**2 + y**2 + z**2)
    ),
}


def _label(row: str) -> Label:
    column, unit, kind, group, title, meaning, source = (cell.strip() for cell in row.split("|"))
    formula = _FORMULAS.get(column.lower())
    return Label(column, unit, cast(Kind, kind), group, meaning, source, formula, title)


LABELS: tuple[Label, ...] = tuple(map(_label, _TABLE.strip().splitlines()))
NUMERIC_LABELS: tuple[Label, ...] = tuple(label for label in LABELS if label.kind != "text")
TEXT_LABELS: tuple[Label, ...] = tuple(label for label in LABELS if label.kind == "text")

SIGNED_GROUPS = ("charge", "dipole")
"""Groups of labels whose zero parts two kinds of values, so that colours may diverge from it."""

ROUNDING = {"charge": 5e-7, "dipole": 1e-5}
"""By group, in e and D: what is smaller is rounding of the calculation, and maps draw it as 0."""

ANTISYMMETRIC = ("dipole_x_d", "dipole_y_d", "dipole_z_d")
"""Labels whose sign turns when the atoms change places: B_A has the value of A_B, negated."""

COMMON_NAMES = {
    "gap": "e_g_ev",
    "homo": "e_homo_ev",
    "lumo": "e_lumo_ev",
    "bond": "distance_ang",
    "length": "distance_ang",
    "total": "total_energy_ev",
    "fermi": "fermi_level_ev",
    "ionization": "i_ev",
    "ionisation": "i_ev",
    "affinity": "a_ev",
    "electronegativity": "chi_ev",
    "chemical_potential": "mu_ev",
    "hardness": "eta_ev",
    "softness": "softness_evinv",
    "dipole": "dipole_mag_d",
    "metal": "metal_like",
    "charge": "q_absmean",
}
"""What people write for labels, as a word or part of one; the first that fits counts."""


def nearest_labels(written: str, names: Sequence[str]) -> list[str]:
    """Return which labels among `names` may be meant, at most five, the likeliest first."""
    word = re.sub("[ -]", "_", written.lower())
    meant = [label for common, label in COMMON_NAMES.items() if common in word][:1]
    containing = [name for name in names if word and word in name]
    likely = [*meant, *containing] or difflib.get_close_matches(word, names, n=3, cutoff=0.4)
    return [label for label in dict.fromkeys(likely) if label in names][:5]


ONE_WHEN_NEUTRAL = ("q_absmean", "q_maxabs", "q_std")
"""Labels that are one quantity for a neutral pair: its charges are q and -q, and each is |q|."""

GEOMETRY_COLUMNS = (
    *("natoms", "species_1", "x1", "y1", "z1", "species_2", "x2", "y2", "z2"),
    *("pair", "pair_sorted"),
)
"""Columns of the CSV files, in lower case, that are no labels."""
