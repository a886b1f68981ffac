"""The schema of the labels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from twobody.archive import read
from twobody.labels import (
    ANTISYMMETRIC,
    AU_TO_DEBYE,
    COMMON_NAMES,
    GEOMETRY_COLUMNS,
    HARTREE_TO_EV,
    LABELS,
    NUMERIC_LABELS,
    TEXT_LABELS,
)

# The label table of the data contract: group, names, unit.
CONTRACT = [
    ("energy", "total_energy_ev mermin_free_energy_ev band_energy_ev repulsive_energy_ev", "eV"),
    ("energy", "fermi_level_ev e_homo_ev e_lumo_ev e_g_ev", "eV"),
    ("charge", "q_absmean q_maxabs q_std total_charge", "e"),
    ("electronic", "i_ev a_ev chi_ev mu_ev eta_ev", "eV"),
    ("electronic", "softness_evinv", "1/eV"),
    ("electronic", "electrophilicity_ev", "eV"),
    ("electronic", "n_levels", "1"),
    ("electronic", "max_occupancy", "e"),
    ("electronic", "metal_like no_virtual_in_basis", "0/1"),
    ("dipole", "dipole_x_d dipole_y_d dipole_z_d dipole_mag_d", "D"),
    ("geometry", "distance_ang", "Å"),
    ("convergence", "geom_opt_step scc_last_iter", "1"),
    ("convergence", "scc_last_total_elec_eh scc_last_diff_elec", "H"),
    ("convergence", "scc_last_error", "e"),
    ("convergence", "geom_converged scc_converged", "0/1"),
    ("system", "n_atoms", "1"),
    ("system", "system_id_guess", "text"),
]


def test_the_schema_has_the_groups_names_and_units_of_the_contract_in_its_order():
    contract = [(group, name, unit) for group, names, unit in CONTRACT for name in names.split()]
    assert [(label.group, label.name, label.unit) for label in LABELS] == contract


def test_a_label_has_a_title_that_people_know_it_by():
    titles = {label.name: label.title for label in LABELS}
    assert len(set(titles.values())) == 37
    assert titles["total_energy_ev"] == "total energy"
    assert titles["e_g_ev"] == "HOMO–LUMO gap"
    assert titles["q_std"] == "spread of charges"
    assert titles["softness_evinv"] == "softness"
    assert titles["metal_like"] == "metal-like"
    assert titles["dipole_mag_d"] == "dipole moment"
    assert titles["distance_ang"] == "bond length"
    assert titles["scc_last_error"] == "SCC error"
    assert titles["n_atoms"] == "number of atoms"


def test_there_are_37_labels_of_which_one_is_text():
    assert len(LABELS) == len({label.name for label in LABELS}) == 37
    assert len(NUMERIC_LABELS) == 36
    assert [label.name for label in TEXT_LABELS] == ["system_id_guess"]


def test_48_columns_make_37_labels_and_11_columns_of_geometry():
    columns = {label.name for label in LABELS} | set(GEOMETRY_COLUMNS)
    assert len(columns) == 48
    assert len(GEOMETRY_COLUMNS) == 11


def test_a_name_is_the_column_in_lower_case():
    by_column = {label.column: label.name for label in LABELS}
    assert by_column["E_HOMO_eV"] == "e_homo_ev"
    assert by_column["distance_Ang"] == "distance_ang"
    assert by_column["softness_eVinv"] == "softness_evinv"


def test_what_people_write_for_labels_leads_to_labels():
    assert set(COMMON_NAMES.values()) <= {label.name for label in NUMERIC_LABELS}
    assert all(word == word.lower() and " " not in word for word in COMMON_NAMES)


def test_what_turns_its_sign_with_the_order_of_the_atoms_are_the_components_of_the_dipole(archive):
    components = {label.name for label in LABELS if label.group == "dipole"} - {"dipole_mag_d"}
    assert set(ANTISYMMETRIC) == components
    (meaning,) = (label.meaning for label in LABELS if label.name == "dipole_z_d")
    assert meaning == "dipole moment, z; > 0: the atom at larger z is positive"
    pairs = read(archive)
    z, charges = pairs.rows["positions"][:, :, 2], pairs.rows["charges"]
    polar = np.abs(pairs.label("dipole_z_d")) > 1e-5
    assert polar.sum() > 2700
    assert (z[:, 0] < z[:, 1]).all()
    np.testing.assert_array_equal(
        (pairs.label("dipole_z_d") > 0)[polar], (charges[:, 1] > 0)[polar]
    )


def test_every_label_says_what_it_means_and_where_it_comes_from():
    assert all(label.meaning and label.source for label in LABELS)


def test_the_conversion_factors_are_those_of_codata_2018():
    assert HARTREE_TO_EV == 27.211386245988
    assert AU_TO_DEBYE == 2.541746473


def test_the_schema_imports_nothing_of_dftb():
    code = "import sys, twobody.labels; print([m for m in sys.modules if 'twobody.' in m])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "dftbplus" not in run.stdout
    assert "twobody.labels" in run.stdout
