"""The whole of a raw_data: one table of pairs, and every contradiction between its files."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
import pytest
from dftb_runs import shifted
from shipped import RAW_DATA, SMALL, below

from twobody import ParseError
from twobody.errors import NO_PAIR
from twobody.labels import NUMERIC_LABELS
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE
from twobody.raw_data.read import RawData, read

DETAILED_OUT, GEO_END_XYZ = "H_Li/detailed.out", "H_Li/geo_end.xyz"

Rows = list[dict[str, str]]


def read_all(raw_data: Path) -> RawData:
    return read(raw_data, allow_unconverged=False)


def messages(raw_data: Path) -> list[str]:
    return [below(raw_data, problem.error) for problem in read_all(raw_data).problems]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def edit(path: Path, change: Callable[[Rows], object]) -> None:
    """Change the rows of a CSV file in place."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def h_li(rows: Rows) -> dict[str, str]:
    return next(row for row in rows if row["run_dir"] == "H_Li")


def test_the_pairs_are_one_table(small_raw_data):
    result = read_all(small_raw_data)
    pairs = result.pairs
    assert result.problems == []
    assert result.found == len(pairs) == 6
    assert result.good() is pairs
    assert pairs.path == small_raw_data
    assert pairs.names.tolist() == list(SMALL)
    assert pairs.elements.tolist() == [name.split("_") for name in SMALL]
    assert pairs.label_names.tolist() == [label.name for label in NUMERIC_LABELS]
    assert pairs.label_values.shape == (6, 36)
    assert pairs.text_label_values.tolist() == [[name] for name in SMALL]
    assert pairs.images is None
    i = SMALL.index("H_Li")
    assert pairs.label("e_g_ev")[i] == 3.157
    assert pairs.rows["bond_length"][i] == 1.68238595 + 0.09238595
    assert pairs.rows["orbital_populations"][i, 1, 0] == 0.37818234


def test_the_shipped_raw_data_contradict_nothing():
    result = read_all(RAW_DATA)
    assert result.problems == []
    assert len(result.pairs) == 2850
    assert np.isfinite(result.pairs.rows["dipole"]).all()


def test_problems_are_sorted_and_leave_the_other_pairs(small_raw_data):
    edit(small_raw_data / BONDS_FILE, lambda rows: h_li(rows).update(natoms="3"))
    change(small_raw_data / "H_He" / "geo_end.xyz", "    2\n", "    3\n")
    edit(small_raw_data / LABELS_FILE, lambda rows: h_li(rows).update(run_dir="x/Li_Li"))
    result = read_all(small_raw_data)
    assert [problem.pair_name for problem in result.problems] == ["H_He", "H_Li", "H_Li", "Li_Li"]
    assert result.found == 7
    assert result.pairs.names.tolist() == [name for name in SMALL if name != "H_He"]
    assert result.good().names.tolist() == ["Al_N", "H_H", "He_He", "N_Na"]
    assert result.can_skip


def test_a_fault_of_the_whole_input_cannot_be_skipped(small_raw_data):
    (small_raw_data / LABELS_FILE).unlink()
    result = read_all(small_raw_data)
    assert result.bad == {NO_PAIR}
    assert not result.can_skip


def test_a_folder_without_pairs_is_refused(tmp_path):
    with pytest.raises(ParseError, match="expected folders named after pairs"):
        read_all(tmp_path)


def test_both_atoms_in_one_place_are_refused(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "1.68238595", "-0.0923860")
    change(folder / "geo_end.xyz", "-0.09238595", "-0.0923860")
    change(folder / "detailed.out", "3.17924845", "-0.1745841")
    assert f"{GEO_END_XYZ}: expected two atoms apart, found both in one place" in messages(
        small_raw_data
    )


def test_a_bond_length_other_than_in_the_csv_file_is_a_problem(small_raw_data):
    edit(small_raw_data / BONDS_FILE, lambda rows: h_li(rows).update(distance_Ang="1.7759"))
    expected = f"the bond length of {GEO_END_XYZ}, 1.7747719 Å"
    assert messages(small_raw_data) == [f"{BONDS_FILE}:5: expected {expected}, found 1.7759 Å"]


def test_a_bond_length_may_differ_by_the_tolerance(small_raw_data):
    edit(small_raw_data / BONDS_FILE, lambda rows: h_li(rows).update(distance_Ang="1.7757"))
    assert messages(small_raw_data) == []


def test_a_position_other_than_in_the_csv_file_is_a_problem(small_raw_data):
    edit(small_raw_data / BONDS_FILE, lambda rows: h_li(rows).update(z2="1.69"))
    expected = f"z2 of {GEO_END_XYZ}, 1.682386 Å"
    assert messages(small_raw_data) == [f"{BONDS_FILE}:5: expected {expected}, found 1.69 Å"]


OF_DETAILED_OUT = {  # another value of a label, and how that is told
    "total_energy_eV": ("-0.4885066171", "-13.292942"),  # hartree
    "mermin_free_energy_eV": ("-13.2", "-13.292942"),
    "band_energy_eV": ("0", "-10.413534"),
    "repulsive_energy_eV": ("0", "0.013111507"),
    "fermi_level_eV": ("3.6281569", "-3.6281569"),
    "q_absmean": ("0", "0.40784956"),
    "q_maxabs": ("0", "0.40784956"),
    "q_std": ("0", "0.40784956"),
    "total_charge": ("1", "0"),
    "geom_opt_step": ("6", "5"),
    "scc_last_iter": ("5", "4"),
    "scc_last_total_elec_Eh": ("-0.49", "-0.48898846"),
    "scc_last_diff_elec": ("1e-05", "-5.9087403e-07"),
    "scc_last_error": ("1e-05", "1.658233e-09"),
    "geom_converged": ("0", "1"),
    "scc_converged": ("0", "1"),
}


@pytest.mark.parametrize("column", OF_DETAILED_OUT)
def test_a_label_that_contradicts_detailed_out_is_a_problem(small_raw_data, column):
    cell, value = OF_DETAILED_OUT[column]
    edit(small_raw_data / LABELS_FILE, lambda rows: h_li(rows).update({column: cell}))
    label = next(label for label in NUMERIC_LABELS if label.column == column)
    unit = f" {label.unit}" if label.kind == "number" else ""
    expected = f"{column} of {DETAILED_OUT}, {value}{unit}"
    assert messages(small_raw_data) == [
        f"{LABELS_FILE}:5: expected {expected}, found {float(cell):.8g}{unit}"
    ]


OF_BAND_OUT = {
    "E_HOMO_eV": ("-5.208", "-5.207", " eV"),
    "E_LUMO_eV": ("-2.051", "-2.05", " eV"),
    "n_levels": ("6", "5", ""),
    "max_occupancy": ("1.99999", "2", " e"),
    "metal_like": ("1", "0", ""),
    "no_virtual_in_basis": ("1", "0", ""),
}


@pytest.mark.parametrize("column", OF_BAND_OUT)
def test_a_label_that_contradicts_the_levels_is_a_problem(small_raw_data, column):
    cell, value, unit = OF_BAND_OUT[column]
    edit(small_raw_data / LABELS_FILE, lambda rows: h_li(rows).update({column: cell}))
    expected = f"{column} of H_Li/band.out, {value}{unit}"
    assert messages(small_raw_data)[0] == (
        f"{LABELS_FILE}:5: expected {expected}, found {float(cell):.8g}{unit}"
    )


def test_without_levels_nothing_contradicts_their_labels(small_raw_data):
    (small_raw_data / "H_Li" / "band.out").unlink()
    edit(small_raw_data / LABELS_FILE, lambda rows: h_li(rows).update(n_levels="6"))
    assert messages(small_raw_data) == []


@pytest.mark.parametrize(
    ("pair", "column", "cell", "message"),
    [
        ("He_He", "E_LUMO_eV", "1.5", "6: expected E_LUMO_eV of He_He/band.out, none, found 1.5 eV"),
        ("H_He", "softness_eVinv", "3", "4: expected softness_eVinv of eta_ev, none, found 3 1/eV"),
    ],
    ids=["no virtual level", "no gap"],
)
def test_a_value_where_there_can_be_none_is_a_problem(small_raw_data, pair, column, cell, message):
    def invent(rows: Rows) -> None:
        next(row for row in rows if row["run_dir"] == pair)[column] = cell

    edit(small_raw_data / LABELS_FILE, invent)
    assert messages(small_raw_data) == [f"{LABELS_FILE}:{message}"]


def test_levels_of_another_pair_are_a_problem(small_raw_data):
    data = (small_raw_data / "N_Na" / "band.out").read_bytes()
    (small_raw_data / "H_Li" / "band.out").write_bytes(data)
    found = "expected 5 levels, one an orbital, for k-point 1, spin 1, found"
    (message,) = messages(small_raw_data)
    assert message.startswith(f"H_Li/band.out:1: {found}")


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_dipole_label_along_another_axis_is_a_problem(small_raw_data, axis):
    def turn(rows: Rows) -> None:
        row = h_li(rows)
        row[f"dipole_{axis}_D"], row["dipole_z_D"] = row["dipole_z_D"], row[f"dipole_{axis}_D"]

    edit(small_raw_data / LABELS_FILE, turn)
    assert [message.split(" of ")[0] for message in messages(small_raw_data)] == [
        f"{LABELS_FILE}:5: expected dipole_{axis}_D",
        f"{LABELS_FILE}:5: expected dipole_z_D",
    ]


@pytest.mark.parametrize(
    "column",
    [label.column for label in NUMERIC_LABELS if label.formula is not None],
)
def test_a_label_that_does_not_follow_from_its_sources_is_a_problem(small_raw_data, column):
    edit(small_raw_data / LABELS_FILE, lambda rows: h_li(rows).update({column: "77"}))
    assert any(
        message.startswith(f"{LABELS_FILE}:5: expected {column} of ") and "found 77 " in message
        for message in messages(small_raw_data)
    )


def test_rows_that_moved_by_one_pair_are_problems_of_every_pair(small_raw_data):
    def shift(rows: Rows) -> None:
        names = [row["run_dir"] for row in rows]
        for row, name in zip(rows, [*names[1:], names[0]], strict=True):
            row["run_dir"] = name

    edit(small_raw_data / LABELS_FILE, shift)
    assert read_all(small_raw_data).bad == set(SMALL)


def test_columns_of_levels_that_changed_places_with_all_that_follows_are_problems(small_raw_data):
    swapped = {"E_HOMO_eV": "E_LUMO_eV", "E_LUMO_eV": "E_HOMO_eV", "I_eV": "A_eV", "A_eV": "I_eV"}

    def swap(rows: Rows) -> None:
        for row in rows:
            row |= {column: row[other] for column, other in swapped.items()}

    edit(small_raw_data / LABELS_FILE, swap)
    # In H_He and N_Na they are the same level.
    assert read_all(small_raw_data).bad == {"Al_N", "H_H", "H_Li", "He_He"}


def test_columns_of_energies_that_changed_places_are_problems_of_every_pair(small_raw_data):
    def swap(rows: Rows) -> None:
        for row in rows:
            band, repulsive = row["band_energy_eV"], row["repulsive_energy_eV"]
            row |= {"band_energy_eV": repulsive, "repulsive_energy_eV": band}

    edit(small_raw_data / LABELS_FILE, swap)
    assert read_all(small_raw_data).bad == set(SMALL)


def test_a_row_that_guesses_another_pair_is_a_problem(small_raw_data):
    edit(small_raw_data / LABELS_FILE, lambda rows: h_li(rows).update(system_id_guess="Li_H"))
    assert messages(small_raw_data) == [
        f"{LABELS_FILE}:5: expected system_id_guess 'H_Li', found 'Li_H'"
    ]


def test_a_hardness_next_to_zero_is_a_problem_and_no_warning(small_raw_data):
    edit(small_raw_data / LABELS_FILE, lambda rows: h_li(rows).update(eta_eV="1e-310"))
    assert messages(small_raw_data) == [
        f"{LABELS_FILE}:5: expected eta_eV of e_g_ev, 1.5785 eV, found 1e-310 eV"
    ]


def test_a_missing_label_contradicts_nothing(small_raw_data):
    edit(small_raw_data / LABELS_FILE, lambda rows: h_li(rows).update(total_energy_eV=""))
    assert messages(small_raw_data) == []


def test_labels_may_be_rounded_to_six_decimals(small_raw_data):
    def rounded(rows: Rows) -> None:
        for row in rows:
            for label in NUMERIC_LABELS:
                if label.kind == "number" and row.get(label.column):
                    row[label.column] = f"{float(row[label.column]):.6f}"

    edit(small_raw_data / LABELS_FILE, rounded)
    assert messages(small_raw_data) == []


def test_a_dipole_moment_that_is_turned_round_is_a_problem(small_raw_data):
    path = small_raw_data / "H_Li" / "detailed.out"
    change(path, " 1.36785914 au", "-1.36785914 au")
    change(path, " 3.47675142 Debye", "-3.47675142 Debye")
    expected = "the dipole moment of the charges where they are, (0.000000, 0.000000, 1.367859) au"
    found = "(0.000000, 0.000000, -1.367859) au"
    assert f"{DETAILED_OUT}:65: expected {expected}, found {found}" in messages(small_raw_data)


def test_charges_that_are_all_zero_are_a_problem(small_raw_data):
    path = small_raw_data / "H_Li" / "detailed.out"
    change(path, "    1      -0.40784956\n", "    1       0.00000000\n")
    text = path.read_text(encoding="utf-8")
    before, after = text.split("    1       0.00000000\n")
    after = after.replace("    2       0.40784956\n", "    2       0.00000000\n", 1)
    path.write_text(f"{before}    1       0.00000000\n{after}", encoding="utf-8", newline="\n")
    found = messages(small_raw_data)
    assert any("the dipole moment of the charges" in message for message in found)
    assert any("q_maxabs" in message for message in found)


def test_atoms_that_changed_places_are_a_problem(small_raw_data):
    path = small_raw_data / "H_Li" / "geo_end.xyz"
    change(path, "-0.09238595", " 1.68238595?")
    change(path, " 1.68238595 ", "-0.09238595 ")
    change(path, "?", "")
    assert [message.split(", at")[0] for message in messages(small_raw_data)] == [
        f"{GEO_END_XYZ}:3: expected atom 1 where detailed.out has it",
        f"{GEO_END_XYZ}:4: expected atom 2 where detailed.out has it",
    ]


@pytest.mark.parametrize("layout", [str, layouts.static], ids=["optimised", "static"])
def test_a_bond_that_was_turned_to_x_is_a_problem(small_raw_data, layout):
    folder = small_raw_data / "H_Li"
    text = layout((folder / "detailed.out").read_text(encoding="utf-8"))
    (folder / "detailed.out").write_text(text, encoding="utf-8", newline="\n")
    assert [message for message in messages(small_raw_data) if "geom" not in message] == []
    for z in ("     -0.09238595", "      1.68238595"):
        change(folder / "geo_end.xyz", f"      0.00000000      0.00000000{z}", f"{z}{2 * ZERO}")
    assert any(message.startswith("H_Li/") for message in messages(small_raw_data))


ZERO = "      0.00000000"


def test_a_pair_that_was_computed_again_without_its_labels_is_a_problem(small_raw_data, tmp_path):
    shutil.rmtree(small_raw_data / "H_Li")
    shifted(RAW_DATA / "H_Li", small_raw_data / "H_Li", energy=0.01, scale=1.0)
    told = [message.split(" of ")[0] for message in messages(small_raw_data)]
    assert told == [
        f"{LABELS_FILE}:5: expected {column}"
        for column in ("total_energy_eV", "mermin_free_energy_eV", "repulsive_energy_eV")
    ]
