"""Two archives: what only one has, and where they differ most."""

import json
import os
import subprocess
import sys

import archives
import numpy as np
import pytest
from archives import column, metadata, row
from shipped import ROOT
from toy import Toy

from twobody import ParseError
from twobody.archive.container import Container
from twobody.archive.layout import made_again
from twobody.check.compare import compare, format_comparison
from twobody.encodings import ENCODINGS


def compared_files(first, second):
    with Container(first) as a, Container(second) as b:
        return compare(a, b)


@pytest.fixture
def compared(built, small, tmp_path):
    """Compare the archive as it was built with the members as a test has changed them."""

    def run(write=archives.write):
        path = write(tmp_path / "changed.npz", small)
        return compared_files(built, path)

    return run


def without(small, pair):
    keep = small["pair_names"] != pair
    for name, values in small.items():
        if values.shape[:1] == keep.shape:
            small[name] = values[keep]


def test_the_same_content_is_equal(compared):
    result = compared()
    assert result["equal"]
    assert result["shared_pairs"] == 6
    assert result["differences"] == []


def test_an_archive_of_the_original_project_with_the_same_content_is_equal(compared):
    result = compared(archives.write_original)
    assert result["equal"]
    assert result["differences"] == []


def test_an_archive_without_what_follows_from_the_rest_is_equal(compared, small):
    for name in made_again(ENCODINGS["published"]):
        del small[name]
    assert compared()["equal"]
    column(small, "e_homo_ev")[2] += 1
    assert [d["quantity"] for d in compared()["differences"]] == ["e_homo_ev"]


def test_images_are_compared_with_those_that_follow_from_the_numbers(compared, small):
    for name in made_again(ENCODINGS["published"]):
        del small[name]
    small["atom_populations"][row(small, "H_Li")] += 0.5
    names = [difference["quantity"] for difference in compared()["differences"]]
    assert names == ["atom_populations", "channel com_orbital"]


def test_the_order_of_the_pairs_does_not_matter(compared, small):
    for name in ("images", "geometries", "elements", "pair_names", "labels", "metadata"):
        small[name] = small[name][::-1]
    assert compared(archives.write_original)["equal"]


def test_pairs_that_only_one_has_are_named(compared, small):
    without(small, "H_Li")
    result = compared()
    assert not result["equal"]
    assert result["pairs"] == {"only_in_first": ["H_Li"], "only_in_second": []}
    assert result["differences"] == []
    assert "pairs only in first: 1" in format_comparison(result)


def test_labels_that_only_one_has_are_named(compared, small):
    for labels in small["labels"]:
        del labels["chi_ev"]
        labels["spin"] = 0.5
    result = compared(archives.write_original)
    assert not result["equal"]
    assert result["labels"] == {"only_in_first": ["chi_ev"], "only_in_second": ["spin"]}


def test_the_largest_difference_of_a_label_is_shown_with_its_pair(compared, small):
    column(small, "e_g_ev")[row(small, "Al_N")] += 0.25
    column(small, "e_g_ev")[row(small, "H_Li")] += 0.5
    (difference,) = compared()["differences"]
    assert difference["quantity"] == "e_g_ev"
    assert difference["pairs"] == difference["beyond_rounding"] == 2
    assert difference["pair"] == "H_Li"
    assert difference["difference"] == pytest.approx(0.5)
    assert difference["second"] - difference["first"] == difference["difference"]


def test_a_label_that_one_has_and_the_other_misses_differs_most(compared, small):
    column(small, "e_g_ev")[row(small, "Al_N")] += 100
    column(small, "e_g_ev")[row(small, "H_Li")] = np.nan
    result = compared()
    (difference,) = result["differences"]
    assert difference["pair"] == "H_Li"
    assert difference["second"] is None
    assert difference["difference"] is None
    assert "-" in next(line for line in format_comparison(result) if line.startswith("e_g_ev"))


def test_rounding_is_shown_and_is_equal(compared, small):
    energy = column(small, "total_energy_ev")
    energy[0] = np.nextafter(energy[0], 0)
    result = compared()
    assert result["equal"]
    (difference,) = result["differences"]
    assert (difference["pairs"], difference["beyond_rounding"]) == (1, 0)


@pytest.mark.parametrize(
    ("quantity", "change"),
    [
        ("metadata fermi_level", lambda m, i: metadata(m, "fermi_level").__setitem__(i, 1.0)),
        ("z2", lambda m, i: m["geometries"].__setitem__((i, 1, 2), 9)),
        ("population_1", lambda m, i: m["geometries"].__setitem__((i, 0, 3), 9)),
        ("system_id_guess", lambda m, i: m["text_label_values"].__setitem__((i, 0), "He_H")),
        ("element_2", lambda m, i: m["elements"].__setitem__((i, 1), "Ne")),
        ("charges", lambda m, i: m["charges"].__setitem__((i, 1), 1)),
        ("atom_populations", lambda m, i: m["atom_populations"].__setitem__((i, 1), 9)),
        ("orbital_populations", lambda m, i: m["orbital_populations"].__setitem__((i, 1, 4), 1)),
        ("image_amplitudes", lambda m, i: m["image_amplitudes"].__setitem__((i, 7, 1), 9)),
        ("channel com_orbital", lambda m, i: m["images"].__setitem__((i, 7, 20, 3), 9)),
        ("labels e_g_ev", lambda m, i: m["labels"][i].update(e_g_ev=99)),
        ("labels extra", lambda m, i: m["labels"][i].update(extra="text")),
        ("metadata dipole_moment", lambda m, i: m["metadata"][i].update(dipole_moment=(0, 1, 2))),
    ],
)
def test_every_kind_of_quantity_is_compared(compared, small, quantity, change):
    change(small, row(small, "H_He"))
    result = compared()
    assert not result["equal"]
    assert [(d["quantity"], d["pair"]) for d in result["differences"]] == [(quantity, "H_He")]


def test_all_pixels_of_the_file_are_compared_though_loaders_draw_them(compared, small):
    small["images"][:] = 0
    result = compared()
    assert not result["equal"]
    channels = [f"channel {name}" for name in small["channels"] if name != "o_map_angular"]
    assert [d["quantity"] for d in result["differences"]] == channels
    assert {d["pairs"] for d in result["differences"]} <= set(range(1, 7))
    assert {d["second"] for d in result["differences"]} == {0}


def test_dicts_are_compared_though_loaders_read_columns(compared, small):
    for labels in small["labels"]:
        labels["e_g_ev"] = 99
    result = compared()
    assert not result["equal"]
    (difference,) = result["differences"]
    assert (difference["quantity"], difference["pairs"]) == ("labels e_g_ev", 6)
    assert difference["second"] == 99


def test_what_is_no_dict_among_the_dicts_is_compared_too(compared, small):
    small["labels"][row(small, "H_He")] = 5
    differences = compared()["differences"]
    assert {d["pair"] for d in differences} == {"H_He"}
    assert (differences[-1]["quantity"], differences[-1]["second"]) == ("labels not a dict", 5)


def test_a_text_in_the_place_of_a_number_differs_from_it(compared, small):
    small["labels"][row(small, "H_Li")]["e_g_ev"] = "3.157"
    (difference,) = compared()["differences"]
    assert (difference["quantity"], difference["pair"]) == ("labels e_g_ev", "H_Li")
    assert (difference["first"], difference["second"]) == (3.157, "3.157")


def test_dicts_that_are_wrong_in_both_are_equal(tmp_path, small):
    small["labels"][0]["e_g_ev"] = np.nan
    small["metadata"][0]["dipole_moment"] = [0.0, 0.0, 1.0]
    first = archives.write(tmp_path / "first.npz", small)
    small["labels"][0]["e_g_ev"] = None
    small["metadata"][0]["dipole_moment"] = np.array([0.0, 0.0, 1.0])
    result = compared_files(first, archives.write(tmp_path / "second.npz", small))
    assert result["equal"]
    assert result["differences"] == []


def test_the_basis_is_compared_for_all_pairs_at_once(compared, small):
    small["image_basis"][2, 0, 4, 4] += 0.25
    (difference,) = compared()["differences"]
    assert (difference["quantity"], difference["pair"]) == ("image_basis", "every pair")
    assert difference["difference"] == pytest.approx(0.25)


def test_other_units_are_not_equal(compared, small):
    small["label_units"][small["label_names"] == "e_g_ev"] = "kcal"
    result = compared()
    assert not result["equal"]
    assert result["stated"] == [{"what": "unit of e_g_ev", "first": "eV", "second": "kcal"}]
    assert "unit of e_g_ev: first 'eV', second 'kcal'" in format_comparison(result)


def test_the_same_data_in_formats_1_and_2_are_equal(compared, small):
    kept = archives.format_1(small)
    small.clear()
    small.update(kept)
    result = compared()
    assert result["equal"]
    assert result["differences"] == []
    assert {"what": "format", "first": "2", "second": "1"} in result["origin"]
    assert "  format, provenance format_version" in format_comparison(result)


def test_another_provenance_is_said_and_does_not_count(compared, small):
    provenance = json.loads(str(small["provenance"]))
    small["provenance"] = np.array(json.dumps(provenance | {"input_sha256": "0"}))
    result = compared()
    assert result["equal"]
    assert [text["what"] for text in result["origin"]] == ["provenance input_sha256"]


def test_archives_of_two_encodings_are_compared_in_all_but_their_images(
    built, small_raw_data, tmp_path, monkeypatch
):
    monkeypatch.setitem(ENCODINGS, "toy", Toy())
    other = archives.build(small_raw_data, tmp_path / "toy" / "small.npz", "--encoding", "toy")
    result = compared_files(built, other)
    assert not result["equal"]
    assert result["stated"] == [{"what": "encoding", "first": "published", "second": "toy"}]
    assert result["differences"] == []
    members = archives.members(other)
    members["charges"][row(members, "H_Li")] += 0.5
    members["images"][row(members, "H_Li"), 0] += 0.5
    changed = archives.write(tmp_path / "changed.npz", members)
    names = [d["quantity"] for d in compared_files(other, changed)["differences"]]
    assert names == ["charges", "channel charge"]
    assert [d["quantity"] for d in compared_files(built, changed)["differences"]] == ["charges"]


def test_differences_come_in_the_order_of_the_archive_every_time(built, small, tmp_path):
    i = row(small, "H_He")
    small["elements"][i] = "Ne"
    small["geometries"][i] = 1
    small["label_values"][i] += 1
    small["text_label_values"][i] = "He_H"
    path = archives.write(tmp_path / "changed.npz", small)
    names = [d["quantity"] for d in compared_files(built, path)["differences"]]
    assert names[:2] == ["element_1", "element_2"]
    assert names[2:10] == [*("x1", "y1", "z1", "population_1", "x2", "y2", "z2", "population_2")]
    assert names[-1] == "system_id_guess"
    command = [sys.executable, "check_npz.py", str(built), "--compare", str(path)]
    printed = set()
    for seed in "123":  # of the order of sets
        environment = os.environ | {"PYTHONHASHSEED": seed}
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 1, result.stderr
        printed.add(result.stdout)
    assert len(printed) == 1


def test_metadata_are_as_exact_as_labels_but_in_archives_of_the_original_project(compared, small):
    metadata(small, "total_energy")[:] *= 1 + 1e-8
    small["metadata"] = archives.dicts(small)[1]
    result = compared()
    (difference,) = result["differences"]
    assert (difference["quantity"], difference["beyond_rounding"]) == ("metadata total_energy", 6)
    assert not result["equal"]
    assert compared(archives.write_original)["equal"]


def test_the_largest_difference_of_a_channel_is_shown_with_its_pair_and_pixel(compared, small):
    small["images"][row(small, "H_Li"), 7, 20, 3] = 8
    result = compared(archives.write_original)
    assert not result["equal"]
    (difference,) = result["differences"]
    assert (difference["quantity"], difference["pair"]) == ("channel com_orbital", "H_Li")
    assert difference["second"] == 8
    assert difference["difference"] == 8 - difference["first"]


def test_amplitudes_are_compared_beside_the_pixels(compared, small):
    small["image_amplitudes"][row(small, "H_Li"), 7, 1] += 0.5
    small["images"] = archives.images(small)
    names = [difference["quantity"] for difference in compared()["differences"]]
    assert names == ["channel com_orbital", "image_amplitudes"]


def test_images_of_another_size_cannot_be_compared(compared, small):
    small["images"] = small["images"][:, :, :16, :16]
    with pytest.raises(ParseError, match=r"expected images of shape \[10, 32, 32\]"):
        compared(archives.write_original)


def test_archives_without_a_pair_in_common_are_not_equal(compared, small):
    for name in ("images", "geometries", "elements", "pair_names", "labels", "metadata"):
        small[name] = small[name][:1]
    small["pair_names"] = np.array(["Al_O"])
    result = compared(archives.write_original)
    assert not result["equal"]
    assert (result["shared_pairs"], result["differences"]) == (0, [])


def test_the_table_fits_a_terminal(compared, small):
    small["label_values"] += 1e-3
    small["metadata_values"] += 1e-3
    small["image_amplitudes"] *= 1.001
    lines = list(format_comparison(compared()))
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "not equal"
