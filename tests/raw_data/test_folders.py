"""Pair folders: found in order, checked file against file, one row per pair."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from shipped import RAW_DATA, SMALL, below

from twobody import ParseError
from twobody.dftbplus.band_out import LEVEL_FIELDS
from twobody.dftbplus.detailed_out import SCALARS
from twobody.files import InputDigest
from twobody.pairs import ROW
from twobody.raw_data.folders import find_pairs, read_pair, read_pairs


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def problems_of(folder: Path, *, allow_unconverged: bool = False) -> list[str]:
    pair, errors = read_pair(folder, allow_unconverged=allow_unconverged)
    assert (pair is None) == bool(errors)
    return [below(folder, error) for error in errors]


def test_pairs_are_found_in_the_order_of_their_names_whatever_the_disk_says(
    small_raw_data, monkeypatch
):
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(iterdir(path))))
    assert find_pairs(small_raw_data) == (list(SMALL), [])


def test_files_and_hidden_folders_are_no_pairs(small_raw_data):
    (small_raw_data / "README.md").touch()
    (small_raw_data / ".twobody-x.part").mkdir()
    assert find_pairs(small_raw_data) == (list(SMALL), [])


def test_links_that_lead_nowhere_are_no_pairs(small_raw_data):
    (small_raw_data / "circle").symlink_to("circle")
    (small_raw_data / "nowhere").symlink_to("missing")
    assert find_pairs(small_raw_data) == (list(SMALL), [])


@pytest.mark.parametrize("make", [lambda _: None, Path.touch], ids=["missing", "a file"])
def test_what_is_no_folder_holds_no_pairs(tmp_path, make):
    make(tmp_path / "raw_data")
    with pytest.raises(ParseError, match="expected a readable folder of pairs, found "):
        find_pairs(tmp_path / "raw_data")


def test_a_pair_is_its_geometry_and_its_detailed_output():
    pair, errors = read_pair(RAW_DATA / "H_Li")
    assert errors == []
    assert pair is not None
    assert pair.geometry.symbols == ("H", "Li")
    assert pair.detailed.total_energy == -0.4885066171


def test_a_row_is_what_the_files_say():
    done: list[int] = []
    rows, _, problems = read_pairs(RAW_DATA, ["H_He", "H_Li"], InputDigest(), progress=done.append)
    assert sum(done) == 2
    assert problems == []
    assert rows.dtype == ROW
    row = rows[1]
    assert row["positions"].tolist() == [[0, 0, -0.09238595], [0, 0, 1.68238595]]
    assert row["populations"].tolist() == [1.40784956, 0.59215044]
    assert row["atom_populations"].tolist() == [1.40784956, 0.59215044]
    assert row["charges"].tolist() == [-0.40784956, 0.40784956]
    orbitals = np.full((2, 16), np.nan)
    orbitals[0, 0] = 1.40784956  # 1s of H
    orbitals[1, :4] = 0.37818234, 0, 0.2139681, 0  # 2s, 2p_y, 2p_z, 2p_x of Li
    np.testing.assert_array_equal(row["orbital_populations"], orbitals)
    assert row["dipole"].tolist() == [0, 0, 1.36785914]
    assert row["total_charge"] == 0
    assert row["fermi_level"] == -0.1333323056
    assert row["total_energy"] == -0.4885066171
    assert row["num_atoms"] == 2
    assert row["bond_length"] == 1.68238595 + 0.09238595


def test_scalars_are_the_other_numbers_of_detailed_out_and_those_of_levels():
    _, scalars, _ = read_pairs(RAW_DATA, ["H_He", "H_Li"], InputDigest())
    assert dict(zip(SCALARS.names, scalars[1].tolist(), strict=True)) == {
        "band_energy": -0.3826903303,
        "mermin_free_energy": -0.4885066171,
        "repulsive_energy": 0.000481839,
        "geometry_step": 5,
        "scc_iteration": 4,
        "scc_total_electronic": -0.48898846,
        "scc_diff_electronic": -5.9087403e-07,
        "scc_error": 1.658233e-09,
        "scc_converged": 1,
        "geometry_converged": 1,
        "e_homo": -5.207,
        "e_lumo": -2.05,
        "n_levels": 5,
        "max_occupancy": 2,
        "metal_like": 0,
        "no_virtual_in_basis": 0,
    }


def test_a_pair_without_levels_is_read_without_their_numbers(small_raw_data):
    (small_raw_data / "H_Li" / "band.out").unlink()
    rows, scalars, problems = read_pairs(small_raw_data, ["H_Li"], InputDigest())
    assert problems == []
    expected, others, _ = read_pairs(RAW_DATA, ["H_Li"], InputDigest())
    assert rows.tobytes() == expected.tobytes()
    missing = {name for name in SCALARS.names if np.isnan(scalars[name][0])}
    assert missing == set(LEVEL_FIELDS)
    kept = [name for name in SCALARS.names if name not in missing]
    assert scalars[kept].tolist() == others[kept].tolist()


def test_populations_of_shells_with_one_l_are_added_up(small_raw_data):
    # A second s shell of H, with a quarter of an electron that the first one loses.
    path = small_raw_data / "H_Li" / "detailed.out"
    change(path, "    1   1   0       1.40784956\n", "    1   1   0       1.15784956\n" + S_SHELL)
    change(
        path,
        "    1   1   0   0       1.40784956  s\n",
        "    1   1   0   0       1.15784956  s\n" + S,
    )
    level = "     5     1.962  0.00000\n"
    change(small_raw_data / "H_Li" / "band.out", level, level + level.replace("5 ", "6 ", 1))
    rows, _, problems = read_pairs(small_raw_data, ["H_Li"], InputDigest())
    assert problems == []
    expected, _, _ = read_pairs(RAW_DATA, ["H_Li"], InputDigest())
    np.testing.assert_array_equal(rows["orbital_populations"], expected["orbital_populations"])


S_SHELL = "    1   2   0       0.25000000\n"
S = "    1   2   0   0       0.25000000  s\n"


def test_orbitals_beyond_f_are_refused(small_raw_data):
    path = small_raw_data / "H_Li" / "detailed.out"
    change(path, "    1   1   0       1.40784956\n", "    1   1   0       1.40784956\n" + G_SHELL)
    last = "    1   1   0   0       1.40784956  s\n"
    change(path, last, last + "".join(G.format(m) for m in range(-4, 5)))
    assert problems_of(path.parent) == [
        "detailed.out:35: expected s, p, d and f orbitals, found l = 4"
    ]


G_SHELL = "    1   2   4       0.00000000\n"
G = "    1   2   4 {:3}       0.00000000  g\n"


def test_without_a_population_column_the_population_comes_from_detailed_out(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "     -0.09238595      1.40784956", "     -0.09238595")
    change(folder / "geo_end.xyz", "      1.68238595      0.59215044", "      1.68238595")
    rows, _, problems = read_pairs(small_raw_data, ["H_Li"], InputDigest())
    assert problems == []
    assert rows["populations"].tolist() == [[1.40784956, 0.59215044]]


def test_a_value_that_the_version_does_not_print_is_nan(small_raw_data):
    fermi = "Fermi level:                        -0.1333323056 H           -3.6282 eV\n"
    change(small_raw_data / "H_Li" / "detailed.out", fermi, "")
    rows, _, problems = read_pairs(small_raw_data, ["H_Li"], InputDigest())
    assert problems == []
    assert np.isnan(rows["fermi_level"][0])


def test_batches_make_the_same_rows_as_one_batch(monkeypatch):
    expected, _, _ = read_pairs(RAW_DATA, SMALL, InputDigest())
    monkeypatch.setattr("twobody.raw_data.folders._BATCH", 2)
    rows, _, _ = read_pairs(RAW_DATA, SMALL, InputDigest())
    assert rows.tobytes() == expected.tobytes()


def test_of_a_pair_with_problems_everything_is_missing(tmp_path):
    (tmp_path / "H_H").mkdir()
    rows, scalars, problems = read_pairs(tmp_path, ["H_H"], InputDigest())
    assert len(problems) == 2
    assert np.isnan(rows.view(np.float64)).all()
    assert np.isnan(scalars.view(np.float64)).all()


def test_the_input_digest_covers_names_and_bytes_of_the_files_read():
    digest = InputDigest()
    read_pairs(RAW_DATA, ["H_H"], digest)
    expected = hashlib.sha256()
    for file in ("detailed.out", "geo_end.xyz"):
        data = (RAW_DATA / "H_H" / file).read_bytes()
        expected.update(f"H_H/{file}\0{len(data)}\0".encode() + data)
    assert digest.hexdigest() == expected.hexdigest()


def test_atoms_in_another_order_than_the_folder_says_are_refused(small_raw_data):
    folder = small_raw_data / "H_Li"
    folder.rename(small_raw_data / "Li_H")
    assert problems_of(small_raw_data / "Li_H") == [
        "geo_end.xyz:3: expected the elements of the folder, Li and H, found H and Li"
    ]


def test_other_elements_than_the_folder_says_are_refused(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "Li", "Na")
    assert problems_of(folder) == [
        "geo_end.xyz:3: expected the elements of the folder, H and Li, found H and Na"
    ]


@pytest.mark.parametrize("name", ["notes", "H_Li_Na", "H_", "h_li", "H-Li", "H_Xx"])
def test_a_folder_that_is_not_named_after_two_elements_is_a_problem(small_raw_data, name):
    (small_raw_data / name).mkdir()
    names, problems = find_pairs(small_raw_data)
    assert names == list(SMALL)
    assert [(p.pair_name, below(small_raw_data, p.error)) for p in problems] == [
        (name, f"{name}: expected a folder named after two elements (A_B), found '{name}'")
    ]


@pytest.mark.parametrize("file", ["detailed.out", "geo_end.xyz"])
def test_a_missing_file_is_named(small_raw_data, file):
    (small_raw_data / "H_Li" / file).unlink()
    assert problems_of(small_raw_data / "H_Li") == [
        f"{file}: expected a readable file, found No such file or directory"
    ]


@pytest.mark.parametrize("file", ["detailed.out", "geo_end.xyz"])
def test_a_file_that_is_no_text_is_named(small_raw_data, file):
    path = small_raw_data / "H_Li" / file
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\xb5", 1))
    assert problems_of(small_raw_data / "H_Li") == [
        f"{file}:2: expected UTF-8 text, found byte 0xb5"
    ]


def test_a_geometry_of_another_step_is_refused(small_raw_data):
    # A file of many frames without populations, cut in the last one: the frame before is read.
    folder = small_raw_data / "H_Li"
    before = "    2\nGeometry Step: 4\n    H  0.0  0.0  -0.1\n   Li  0.0  0.0  1.7\n"
    cut = "    2\nGeometry Step: 5\n    H  0.0  0.0"
    (folder / "geo_end.xyz").write_text(before + cut, encoding="utf-8", newline="\n")
    assert problems_of(folder) == [
        "geo_end.xyz:2: expected the geometry step of detailed.out, 5, found 4"
    ]


def test_a_geometry_of_no_known_step_is_taken(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "Geometry Step: 5", "relaxed")
    assert problems_of(folder) == []


def test_populations_that_differ_between_the_files_are_refused(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "0.59215044", "0.59235044")  # 2e-4 e more
    expected = "the population of atom 2 in detailed.out, 0.59215044"
    assert problems_of(folder) == [f"geo_end.xyz:4: expected {expected}, found 0.59235044"]


def test_populations_may_differ_by_the_tolerance(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "0.59215044", "0.59224044")  # 9e-5 e more
    assert problems_of(folder) == []


def test_positions_that_differ_between_the_files_are_refused(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "1.68238595", "1.68248595")  # 1e-4 Å more
    expected = "atom 2 where detailed.out has it, at (0.000000, 0.000000, 1.682386) Å"
    found = "(0.000000, 0.000000, 1.682486) Å"
    assert problems_of(folder) == [f"geo_end.xyz:4: expected {expected}, found {found}"]


def test_positions_in_bohr_are_refused(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "1.68238595", "3.17924870")
    change(folder / "geo_end.xyz", "-0.09238595", "-0.17458413")
    assert [problem.split(":")[1] for problem in problems_of(folder)] == ["3", "4"]


THREE_ATOMS = """    3
Geometry Step: 5
    H      0.00000000      0.00000000     -0.09238595      1.00000000
   Li      0.00000000      0.00000000      1.68238595      1.00000000
    H      0.00000000      0.00000000      4.68238595      1.00000000
"""
ONE_ATOM = """    1
Geometry Step: 5
    H      0.00000000      0.00000000     -0.09238595      1.00000000
"""


@pytest.mark.parametrize(("text", "found"), [(THREE_ATOMS, 3), (ONE_ATOM, 1)])
def test_a_geometry_of_not_two_atoms_is_refused(small_raw_data, text, found):
    folder = small_raw_data / "H_Li"
    (folder / "geo_end.xyz").write_text(text, encoding="utf-8")
    assert problems_of(folder) == [f"geo_end.xyz:1: expected two atoms, found {found}"]


def test_a_detailed_out_of_one_atom_is_refused(small_raw_data):
    folder = small_raw_data / "H_Li"
    path = folder / "detailed.out"
    rows = ("    2   1   0", "    2   2   1", "    2      0.0")
    lines = [
        line
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
        if not line.startswith(rows)
    ]
    text = "".join(lines)
    text = text.replace("    2       0.40784956\n", "").replace("    2       0.59215044\n", "")
    text = text.replace("Total charge:     0.00000000", "Total charge:    -0.40784956")
    text = text.replace("(up):      2.00000000", "(up):      1.40784956")
    path.write_text(text, encoding="utf-8", newline="\n")
    assert problems_of(folder) == ["detailed.out:16: expected two atoms, found 1"]


SECTIONS = {  # what the build needs and a legal detailed.out may lack: the lines that hold it
    "gross charges": (" Atomic gross charges (e)", 5),
    "atom populations": ("Atom populations (up)", 5),
    "orbital populations": ("Orbital populations (up)", 8),
    "a dipole moment": ("Dipole moment:", 2),
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_missing_section_is_named(small_raw_data, section):
    path = small_raw_data / "H_Li" / "detailed.out"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    header, n_lines = SECTIONS[section]
    start = next(i for i, line in enumerate(lines) if line.startswith(header))
    del lines[start : start + n_lines]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    assert problems_of(path.parent) == [f"detailed.out: expected {section}, found none"]


def test_scc_that_did_not_converge_is_a_problem_unless_allowed(small_raw_data):
    folder = small_raw_data / "H_Li"
    not_converged = "SCC is NOT converged, maximal SCC iterations exceeded"
    change(folder / "detailed.out", "SCC converged", not_converged)
    assert problems_of(folder) == [
        "detailed.out:60: expected 'SCC converged', found 'SCC is NOT converged'"
    ]
    assert problems_of(folder, allow_unconverged=True) == []


def test_all_problems_of_a_pair_are_listed(small_raw_data):
    folder = small_raw_data / "H_Li"
    change(folder / "geo_end.xyz", "Li", "Na")
    change(folder / "detailed.out", "1.36785914 au", "********** au")
    assert problems_of(folder) == [
        "detailed.out:64: expected a dipole component, a number, found '**********'",
        "geo_end.xyz:3: expected the elements of the folder, H and Li, found H and Na",
    ]
