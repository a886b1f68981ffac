"""What the overview says of an archive, and how a pair is found and described."""

import hashlib
import json
from functools import cache

import archives
import numpy as np
import pytest
from archives import column

from twobody import ParseError
from twobody.archive.container import Container
from twobody.archive.layout import members
from twobody.archive.reader import pairs_in, read
from twobody.check.describe import (
    describe_pair,
    find_pair,
    format_overview,
    format_pair,
    missing_pairs,
    overview,
)
from twobody.encodings import DEFAULT, get_encoding


@cache
def describe(path):
    with Container(path) as opened:
        return overview(opened, pairs_in(opened))


def label(content, name):
    return next(label for label in content["labels"] if label["name"] == name)


def test_it_can_be_written_as_json(archive):
    content = describe(archive)
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_file_and_members_are_described(archive):
    content = describe(archive)
    assert content["bytes"] == archive.stat().st_size
    assert [member["name"] for member in content["members"]] == list(members(get_encoding(DEFAULT)))
    images = content["members"][0]
    assert (images["dtype"], images["shape"]) == ("<f4", [2850, 10, 32, 32])
    assert images["bytes"] == 128 + 4 * 2850 * 10 * 32 * 32
    assert content["provenance"]["pairs"] == {"found": 2850, "kept": 2850, "skipped": 0}


def test_the_content_digest_is_that_of_names_dtypes_shapes_and_data(archive):
    digest = hashlib.sha256()
    with Container(archive) as opened:
        for name, member in opened.members.items():
            with opened._zip.open(member.entry) as file:
                data = file.read()[member.header_size :]
            shape = ",".join(map(str, member.shape))
            digest.update(f"{name}\0{member.dtype.str}\0{shape}\0".encode() + data)
    assert describe(archive)["content_sha256"] == digest.hexdigest()


def test_statistics_are_those_of_numpy_over_the_pairs_that_have_the_label(archive):
    values = column(archives.members(archive), "softness_evinv")
    present = values[~np.isnan(values)]
    softness = label(describe(archive), "softness_evinv")
    assert softness["unit"] == "1/eV"
    assert softness["count"] == len(present) == 735
    expected = [f(present) for f in (np.mean, np.std, np.min, np.median, np.max)]
    assert [softness[key] for key in ("mean", "std", "min", "median", "max")] == expected


def test_constant_and_redundant_labels_are_marked(archive):
    content = describe(archive)
    constant = [label["name"] for label in content["labels"] if label["constant"]]
    assert constant == ["dipole_x_d", "dipole_y_d", "geom_converged", "scc_converged", "n_atoms"]
    assert label(content, "q_std")["same_as"] == "q_absmean"
    assert label(content, "q_maxabs")["same_as"] == "q_absmean"
    assert label(content, "chi_ev")["follows_from"] == ["i_ev", "a_ev"]
    assert label(content, "total_energy_ev")["follows_from"] == []


def test_charges_of_a_charged_pair_are_not_one_quantity(built, tmp_path):
    members = archives.members(built)
    column(members, "q_std")[0] += 0.1
    content = describe(archives.write(tmp_path / "charged.npz", members))
    assert label(content, "q_std")["same_as"] is None


def test_a_label_that_no_pair_has_is_empty(built, tmp_path):
    members = archives.members(built)
    column(members, "band_energy_ev")[:] = np.nan
    content = describe(archives.write(tmp_path / "empty.npz", members))
    empty = label(content, "band_energy_ev")
    assert (empty["count"], empty["mean"], empty["constant"]) == (0, None, False)
    lines = list(format_overview(content))
    assert "e  empty: no pair has it" in lines
    assert next(line for line in lines if line.startswith("band_energy_ev")).endswith("e")


def test_elements_come_by_atomic_number_and_missing_pairs_by_name(built, archive):
    content = describe(built)
    assert content["elements"] == ["H", "He", "Li", "N", "Na", "Al"]
    assert len(content["missing_pairs"]) == 21 - 6
    assert "Al_Al" in content["missing_pairs"]
    assert "Al_N" not in content["missing_pairs"]
    assert describe(archive)["missing_pairs"] == []


def test_the_order_of_the_elements_in_a_name_does_not_matter():
    assert missing_pairs(["H", "He"], ["He_H", "H_H"]) == ["He_He"]


def test_the_text_fits_100_columns_and_says_what_is_redundant(archive):
    lines = list(format_overview(describe(archive)))
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert "q_absmean, q_maxabs, q_std: one quantity for a neutral pair" in text
    assert "     electrophilicity_ev of mu_ev, eta_ev" in lines
    assert "pairs: 2850; missing from the 2850 of these elements: 0" in lines


def test_an_archive_of_the_original_project_is_described_too(built, tmp_path):
    path = archives.write_original(tmp_path / "original.npz", archives.members(built))
    content = describe(path)
    assert content["provenance"] is None
    assert label(content, "e_g_ev") == label(describe(built), "e_g_ev")
    assert content["text_labels"] == [{"name": "system_id_guess", "count": 6, "different": 6}]
    assert "  made by   unknown: it has no provenance" in format_overview(content)


@pytest.fixture
def pairs(archive):
    return read(archive)


def test_a_pair_is_found_by_its_name_and_by_its_number(pairs):
    assert find_pair(pairs, "Ag_Ag") == find_pair(pairs, "0") == 0
    assert find_pair(pairs, "Ag_Al") == find_pair(pairs, "Al_Ag") == 1
    assert find_pair(pairs, "Zr_Zr") == find_pair(pairs, "2849") == 2849


@pytest.mark.parametrize(
    ("pair", "nearest"),
    [
        ("al_ag", "Ag_Al"),
        ("Ag_AL", "Ag_Al"),
        ("h_he", "H_He?"),
        ("2850", ""),
        ("-1", ""),
        ("H_Zz", "H_"),
    ],
)
def test_an_unknown_pair_is_refused_with_the_nearest(pairs, pair, nearest):
    with pytest.raises(ParseError, match="expected a pair, or a number below 2850") as caught:
        find_pair(pairs, pair)
    assert f"did you mean {nearest}" in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_geometry_labels_and_channels_are_those_of_the_archive(archive, pairs):
    content = describe_pair(pairs, find_pair(pairs, "Ag_Al"))
    members = archives.members(archive)
    i = archives.row(members, "Ag_Al")
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert [atom["element"] for atom in content["atoms"]] == ["Ag", "Al"]
    z = [atom["z"] for atom in content["atoms"]]
    assert z == members["geometries"][i, :, 2].tolist()
    labels = {name: label["value"] for name, label in content["labels"].items()}
    assert labels == members["labels"][i]
    assert content["labels"]["e_g_ev"]["unit"] == "eV"
    assert content["metadata"]["bond_length"] == members["metadata"][i]["bond_length"]
    for channel, image in zip(content["channels"], members["images"][i], strict=True):
        assert (channel["min"], channel["max"]) == (image.min(), image.max())
        assert image[channel["max_y"], channel["max_x"]] == image.max()
    # The larger population, that of Ag, at its pixel: column 11, row 16.
    assert content["channels"][7]["name"] == "com_orbital"
    assert (content["channels"][7]["max_x"], content["channels"][7]["max_y"]) == (11, 16)


def test_a_missing_label_is_none_and_printed_as_a_dash(pairs):
    content = describe_pair(pairs, find_pair(pairs, "He_He"))
    assert content["labels"]["e_lumo_ev"]["value"] is None
    (line,) = [line for line in format_pair(content) if line.startswith("e_lumo_ev")]
    assert line.split() == ["e_lumo_ev", "eV", "-"]


def test_the_text_of_a_pair_fits_100_columns(pairs):
    lines = list(format_pair(describe_pair(pairs, 7)))
    assert max(map(len, lines)) <= 100
    assert np.sum([line.startswith("rip_") for line in lines]) == 4
