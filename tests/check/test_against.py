"""An archive is compared with the raw files that it was built from."""

import json

import archives
import numpy as np
import pytest
from archives import column, row

from twobody import ParseError
from twobody.archive.reader import read
from twobody.check.against import check_against
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE


def found(path, raw_data):
    checks = check_against(read(path), raw_data)
    return {(check.law, check.warning): check.findings for check in checks if check.findings}


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def test_what_was_built_from_the_raw_files_agrees_with_them(built, small_raw_data):
    assert found(built, small_raw_data) == {}


def test_an_archive_of_the_original_project_agrees_too(built, small_raw_data, tmp_path):
    path = archives.write_original(tmp_path / "original.npz", archives.members(built))
    assert found(path, small_raw_data) == {}


@pytest.mark.parametrize(
    ("quantity", "change"),
    [
        ("e_homo_ev", lambda m, i: column(m, "e_homo_ev").__setitem__(i, -1.0)),
        ("metadata total_energy", lambda m, i: m["metadata_values"].__setitem__((i, 2), -1)),
        ("z2", lambda m, i: m["geometries"].__setitem__((i, 1, 2), 9)),
        ("charges", lambda m, i: m["charges"].__setitem__((i, 1), 1)),
        ("orbital_populations", lambda m, i: m["orbital_populations"].__setitem__((i, 0, 0), 1)),
        (
            "channel o_map_radial",
            lambda m, i: m["image_amplitudes"].__setitem__((i, 0, 0), 1),
        ),
    ],
)
def test_a_value_that_the_raw_files_do_not_have_is_found(
    built, small_raw_data, tmp_path, quantity, change
):
    members = archives.members(built)
    change(members, row(members, "H_Li"))
    path = archives.write(tmp_path / "changed.npz", members)
    findings = found(path, small_raw_data)["raw values", False]
    assert {finding.pair for finding in findings} == {"H_Li"}
    assert findings[0].message.startswith(f"{quantity} is ")


def change_label(raw_data, label, value):
    """Change a label of H_Li in the label file; return what it was."""
    header, *lines = (raw_data / LABELS_FILE).read_text(encoding="utf-8").splitlines()
    cells = next(line for line in lines if line.startswith("H_Li,")).split(",")
    changed, place = [*cells], header.split(",").index(label)
    changed[place] = value
    replace(raw_data / LABELS_FILE, ",".join(cells), ",".join(changed))
    return cells[place]


def test_a_changed_label_that_no_other_file_holds_is_found(built, small_raw_data):
    (small_raw_data / "H_Li" / "band.out").unlink()
    change_label(small_raw_data, "max_occupancy", "1.5")
    findings = found(built, small_raw_data)["raw values", False]
    assert findings == [("H_Li", "max_occupancy is 2.0, in the raw files 1.5")]


def test_one_changed_digit_of_what_two_files_hold_is_found_with_both(built, small_raw_data):
    replace(small_raw_data / LABELS_FILE, "\nH_Li,-13.29", "\nH_Li,-13.39")
    (finding,) = found(built, small_raw_data)["raw pairs", False]
    assert finding.pair == "H_Li"
    message = "expected total_energy_eV of H_Li/detailed.out, -13.292942 eV, found -13.392942 eV"
    assert finding.message.endswith(message)


def test_pairs_that_only_one_side_has_are_found(built, small_raw_data, tmp_path):
    members = archives.members(built)
    keep = members["pair_names"] != "H_Li"
    for name in ("images", "geometries", "elements", "pair_names", "labels", "metadata"):
        members[name] = members[name][keep]
    path = archives.write_original(tmp_path / "fewer.npz", members)
    assert found(path, small_raw_data)["raw pairs", False] == [("H_Li", "is not in the archive")]


def test_a_pair_that_can_no_longer_be_read_is_found_with_the_reason(built, small_raw_data):
    (small_raw_data / "H_Li" / "geo_end.xyz").unlink()
    (finding,) = found(built, small_raw_data)["raw pairs", False]
    assert finding.pair == "H_Li"
    assert "geo_end.xyz: expected a readable file" in finding.message


def test_pairs_that_a_build_leaves_out_need_not_be_there(built, small_raw_data, tmp_path):
    members = archives.members(built)
    keep = ~np.isin(members["pair_names"], ["H_Li", "H_He"])
    for name in ("images", "geometries", "elements", "pair_names", "labels", "metadata"):
        members[name] = members[name][keep]
    path = archives.write_original(tmp_path / "fewer.npz", members)
    replace(small_raw_data / "H_Li" / "detailed.out", "SCC converged", "SCC is NOT converged")
    text = (small_raw_data / BONDS_FILE).read_text(encoding="utf-8")
    row_of_pair = next(line for line in text.splitlines() if line.startswith("H_He,"))
    *cells, length = row_of_pair.split(",")
    replace(small_raw_data / BONDS_FILE, row_of_pair, ",".join([*cells, str(float(length) + 1)]))
    assert ("raw pairs", False) not in found(path, small_raw_data)


def test_raw_files_of_the_same_values_but_other_bytes_are_suspect(built, small_raw_data):
    with (small_raw_data / LABELS_FILE).open("a", encoding="utf-8", newline="\n") as file:
        file.write("\n")
    findings = found(built, small_raw_data)
    assert list(findings) == [("same input", True)]
    (finding,) = findings["same input", True]
    stated = json.loads(str(archives.members(built)["provenance"]))["input_sha256"]
    assert finding.message.endswith(f"not {stated}")


def test_label_files_that_lack_what_the_output_says_are_suspect(small_raw_data, tmp_path):
    was = change_label(small_raw_data, "max_occupancy", "")
    path = archives.build(small_raw_data, tmp_path / "built" / "small.npz")
    findings = found(path, small_raw_data)
    assert list(findings) == [("derived labels", True)]
    assert findings["derived labels", True] == [("H_Li", f"max_occupancy is None, derived {was}")]


def test_without_levels_labels_cannot_be_derived_which_is_suspect(built, small_raw_data):
    (small_raw_data / "H_Li" / "band.out").unlink()
    findings = found(built, small_raw_data)
    assert list(findings) == [("derived labels", True)]
    assert "band.out: expected a readable file" in findings["derived labels", True][0].message


def test_a_folder_that_is_no_raw_data_is_refused(built, tmp_path):
    with pytest.raises(ParseError, match="expected a readable folder of pairs"):
        check_against(read(built), tmp_path / "nothing")
