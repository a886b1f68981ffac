"""Two archives: what only one has, and where they differ most."""

from dataclasses import replace

import archives
import numpy as np
import pytest
from archives import column, metadata, row

from twobody import ParseError
from twobody.archive.reader import read_columns
from twobody.check.compare import compare, format_comparison


@pytest.fixture
def built(small_raw_data, tmp_path):
    return archives.build(small_raw_data, tmp_path / "built" / "small.npz")


@pytest.fixture
def small(built):
    return archives.members(built)


@pytest.fixture
def compared(built, small, tmp_path):
    """Compare the archive as it was built with the members as a test has changed them."""

    def run(write=archives.write):
        path = write(tmp_path / "changed.npz", small)
        return compare(read_columns(built), read_columns(path))

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
        ("z of atom 2", lambda m, i: m["geometries"].__setitem__((i, 1, 2), 9)),
        ("population of atom 1", lambda m, i: m["geometries"].__setitem__((i, 0, 3), 9)),
        ("system_id_guess", lambda m, i: m["text_label_values"].__setitem__((i, 0), "He_H")),
        ("element 2", lambda m, i: m["elements"].__setitem__((i, 1), "Ne")),
    ],
)
def test_every_kind_of_quantity_is_compared(compared, small, quantity, change):
    change(small, row(small, "H_He"))
    result = compared()
    assert not result["equal"]
    assert [(d["quantity"], d["pair"]) for d in result["differences"]] == [(quantity, "H_He")]


def test_other_names_of_channels_and_units_are_not_equal(built):
    columns = read_columns(built)
    channels, units = columns.channels.copy(), columns.label_units.copy()
    channels[7], units[columns.label_names == "e_g_ev"] = "c7", "kcal"
    result = compare(columns, replace(columns, channels=channels, label_units=units))
    assert not result["equal"]
    assert result["stated"] == [
        {"what": "channel 7", "first": "com_orbital", "second": "c7"},
        {"what": "unit of e_g_ev", "first": "eV", "second": "kcal"},
    ]
    assert "unit of e_g_ev: first 'eV', second 'kcal'" in format_comparison(result)


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
    names = [difference["quantity"] for difference in compared()["differences"]]
    assert names == ["amplitude 2 of com_orbital", "channel com_orbital"]


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
