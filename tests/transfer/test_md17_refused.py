"""Revised MD17: files that are missing, cut off or wrong, each refused in one line."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch_geometric")

import md17_files as raw
from torch_geometric.datasets import MD17

from twobody.errors import ParseError
from twobody.transfer.md17 import md17

SHAPE = "real numbers [6, 3, 3]"
NPZ = ("raw", "rmd17", "npz_data", "rmd17_ethanol.npz")
TRAIN = ("raw", "rmd17", "splits", "index_train_01.csv")
TEST = ("raw", "rmd17", "splits", "index_test_01.csv")


def refused(root, *parts, **options):
    """Return the message, one line, after checking that it names a file."""
    with pytest.raises(ParseError) as caught:
        md17(root, "ethanol", **options)
    message = str(caught.value)
    assert Path(caught.value.path) == root.joinpath(*parts)
    assert "\n" not in message
    return message.removeprefix(str(root.joinpath(*parts)))


def test_without_files_and_without_a_network_one_line_says_what_belongs_where(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(MD17, "revised_url", (tmp_path / "nowhere").as_uri())
    message = refused(tmp_path, *NPZ)
    origin = "rmd17.tar.bz2 (doi:10.6084/m9.figshare.12672038)"
    expected = f": expected a file of {origin}, unpacked in {tmp_path / 'raw'}, found none, "
    assert message.startswith(expected + "nor could it be downloaded: URLError: ")


@raw.unpacked_by_torch_geometric
def test_a_download_that_was_cut_off_is_not_taken_for_the_whole_the_next_time(
    tmp_path, monkeypatch
):
    whole = tmp_path / "file"  # what the class calls the archive that it downloads
    raw.write(tmp_path / "made")
    with tarfile.open(whole, "w:bz2") as file:
        file.add(tmp_path / "made" / "raw" / "rmd17", "rmd17")
    monkeypatch.setattr(MD17, "revised_url", whole.as_uri())
    root = tmp_path / "root"
    (root / "raw").mkdir(parents=True)
    (root / "raw" / "file").write_bytes(whole.read_bytes()[:200])
    assert "nor could it be downloaded" in refused(root, *NPZ)
    assert len(md17(root, "ethanol").structures) == 5


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    assert refused(tmp_path / "typo") == ": expected a folder, found none"
    assert not (tmp_path / "typo").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    assert refused(tmp_path / "file") == ": expected a folder, found none"


def test_an_unknown_molecule_or_fold(tmp_path):
    with pytest.raises(ValueError, match=r"^no molecule 'water' in revised MD17; it has benzene, "):
        md17(tmp_path, "water")
    with pytest.raises(ValueError, match=r"^no fold 6 in revised MD17; it has 1, 2, 3, 4, 5$"):
        md17(tmp_path, "ethanol", fold=6)


@pytest.mark.parametrize(("part", "path"), [("train", TRAIN), ("test", TEST)])
def test_an_index_file_that_is_missing(tmp_path, part, path):
    raw.write(tmp_path, **{part: None})
    origin = "rmd17.tar.bz2 (doi:10.6084/m9.figshare.12672038)"
    expected = f"a file of {origin}, unpacked in {tmp_path / 'raw'}"
    assert refused(tmp_path, *path) == f": expected {expected}, found none"


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        ({"train": "4\n6\n"}, TRAIN, ":2: expected an index from 0 to 5, found 6"),
        ({"test": "-1\n2\n"}, TEST, ":1: expected an index from 0 to 5, found -1"),
        ({"train": "4\n0.0\n"}, TRAIN, ":2: expected an index, an integer, found '0.0'"),
        ({"train": "4\n\n0\n"}, TRAIN, ":2: expected an index, an integer, found ''"),
        ({"train": "4,0,3\n"}, TRAIN, ":1: expected an index, an integer, found '4,0,3'"),
        ({"train": "0\n4\n0\n"}, TRAIN, ":3: expected an index of its own, found 0, as in "),
        ({"test": "5\n3\n"}, TEST, ":2: expected an index of its own, found 3, as in "),
        ({"train": "4\n"}, TRAIN, ": expected two indices or more, found 1"),
        ({"test": ""}, TEST, ": expected two indices or more, found 0"),
    ],
)
def test_index_files_that_are_wrong(tmp_path, files, path, message):
    raw.write(tmp_path, **files)
    assert refused(tmp_path, *path).startswith(message)


def test_the_message_names_where_an_index_stood_before(tmp_path):
    raw.write(tmp_path, test="5\n3\n")
    assert refused(tmp_path, *TEST).endswith("found 3, as in index_train_01.csv:3")


@pytest.mark.parametrize(
    ("changed", "expected", "found"),
    [
        ({"forces": None}, "an array 'forces'", "none"),
        ({"energies": np.zeros((6, 1))}, "real numbers [6] in 'energies'", "float64 [6, 1]"),
        ({"coords": np.zeros((5, 3, 3))}, f"{SHAPE} in 'coords'", "float64 [5, 3, 3]"),
        ({"forces": np.zeros((6, 2, 3))}, f"{SHAPE} in 'forces'", "float64 [6, 2, 3]"),
        ({"coords": np.zeros((6, 3, 3), complex)}, f"{SHAPE} in 'coords'", "complex128 [6, 3, 3]"),
        (
            {"nuclear_charges": np.array([8.0, 1.0, 1.0])},
            "integers [3] in 'nuclear_charges'",
            "float64 [3]",
        ),
        (
            {"nuclear_charges": np.array([8, 0, 1])},
            "atomic numbers in 'nuclear_charges'",
            "0",
        ),
        (
            {"energies": np.array([*raw.ENERGIES[:5], np.nan])},
            "finite numbers in every structure's 'energies'",
            "others in that of index 5",
        ),
        (
            {"energies": np.array(raw.ENERGIES, object)},
            "an undamaged .npz file",
            "'Object arrays cannot be loaded when allow_pickle=False'",
        ),
    ],
)
def test_arrays_that_are_wrong(tmp_path, changed, expected, found):
    raw.write(tmp_path, **changed)
    assert refused(tmp_path, *NPZ) == f": expected {expected}, found {found}"


def test_a_number_that_is_not_finite_where_no_index_points_is_not_read(tmp_path):
    raw.write(tmp_path, energies=np.where(np.arange(6) == 2, np.inf, raw.ENERGIES))
    assert np.isfinite(md17(tmp_path, "ethanol").structures.targets["energy_eV"]).all()


def test_a_file_that_is_cut_off_at_any_place(tmp_path):
    path = raw.write(tmp_path)
    data = path.read_bytes()
    for size in (0, 1, 100, len(data) // 2, len(data) - 30, len(data) - 1):
        path.write_bytes(data[:size])
        message = refused(tmp_path, *NPZ)
        assert message == ": expected a whole .npz file, found another, or a part of one"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_with_a_damaged_byte(tmp_path, save):
    path = raw.write(tmp_path)
    save(path, **raw.arrays())
    with zipfile.ZipFile(path) as file:
        end = file.getinfo("old_indices.npy").header_offset  # of the forces before it
    data = bytearray(path.read_bytes())
    data[end - 20] ^= 0xFF
    path.write_bytes(bytes(data))
    found = "\"Bad CRC-32 for file 'forces.npy'\""
    assert refused(tmp_path, *NPZ) == f": expected an undamaged .npz file, found {found}"


def test_a_file_of_another_kind(tmp_path):
    raw.write(tmp_path).write_text("index\n")
    assert "expected a whole .npz file" in refused(tmp_path, *NPZ)
