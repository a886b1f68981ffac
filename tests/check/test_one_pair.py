"""One pair: found by name or number, described."""

import json

import archives
import numpy as np
import pytest

from twobody import ParseError
from twobody.archive.reader import read_columns
from twobody.check.one_pair import describe_pair, find_pair, format_pair


@pytest.fixture
def columns(archive):
    return read_columns(archive)


def test_a_pair_is_found_by_its_name_and_by_its_number(columns):
    assert find_pair(columns, "Ag_Ag") == find_pair(columns, "0") == 0
    assert find_pair(columns, "Zr_Zr") == find_pair(columns, "2849") == 2849


@pytest.mark.parametrize(
    ("pair", "nearest"),
    [
        ("Al_Ag", "Ag_Al"),
        ("Ag_AL", "Ag_Al"),
        ("h_he", "H_He?"),
        ("2850", ""),
        ("-1", ""),
        ("H_Zz", "H_"),
    ],
)
def test_an_unknown_pair_is_refused_with_the_nearest(columns, pair, nearest):
    with pytest.raises(ParseError, match="expected a pair, or a number below 2850") as caught:
        find_pair(columns, pair)
    assert f"did you mean {nearest}" in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_geometry_labels_and_channels_are_those_of_the_archive(archive, columns):
    content = describe_pair(columns, find_pair(columns, "Ag_Al"))
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


def test_a_missing_label_is_none_and_printed_as_a_dash(columns):
    content = describe_pair(columns, find_pair(columns, "He_He"))
    assert content["labels"]["e_lumo_ev"]["value"] is None
    (line,) = [line for line in format_pair(content) if line.startswith("e_lumo_ev")]
    assert line.split() == ["e_lumo_ev", "eV", "-"]


def test_the_text_fits_100_columns(columns):
    lines = list(format_pair(describe_pair(columns, 7)))
    assert max(map(len, lines)) <= 100
    assert np.sum([line.startswith("rip_") for line in lines]) == 4
