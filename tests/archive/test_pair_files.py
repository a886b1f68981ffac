"""One file per pair: what the archive holds of it, and nothing of the user's is touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shipped import SMALL

from twobody import ParseError
from twobody.archive.pair_files import pair_files
from twobody.archive.writer import write


@pytest.fixture(scope="module")
def archive_of_small(small, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "dataset_combined.npz"
    with path.open("wb") as file:
        write(file, small)
    return path


def test_a_pair_file_holds_what_the_archive_holds_of_the_pair(small, archive_of_small, tmp_path):
    with pair_files(tmp_path / "pairs", small):
        assert not list((tmp_path / "pairs").glob("*.npz"))
    names = sorted(file.name for file in (tmp_path / "pairs").iterdir())
    assert names == [f"{name}.npz" for name in SMALL]
    # As whoever has the files without this package reads them.
    with np.load(archive_of_small, allow_pickle=True) as whole:
        for i, name in enumerate(SMALL):
            with np.load(tmp_path / "pairs" / f"{name}.npz", allow_pickle=True) as single:
                assert set(single.files) == {
                    *("image", "geometry", "elements", "labels", "metadata", "pair_name")
                }
                assert single["image"].tobytes() == whole["images"][i].tobytes()
                assert (single["image"].dtype, single["image"].shape) == ("<f4", (10, 32, 32))
                np.testing.assert_array_equal(single["geometry"], whole["geometries"][i])
                np.testing.assert_array_equal(single["elements"], whole["elements"][i])
                assert single["labels"].item() == whole["labels"][i]
                assert single["metadata"].item() == whole["metadata"][i]
                assert single["pair_name"].item() == name


def write_pair_file(folder: Path, name: str) -> bytes:
    """Write what `pair_files` wrote of another pair before; return its bytes."""
    members = dict.fromkeys(
        ("image", "geometry", "elements", "labels", "metadata", "pair_name"), np.zeros(2)
    )
    np.savez(folder / f"{name}.npz", **members)
    return (folder / f"{name}.npz").read_bytes()


def test_pair_files_of_pairs_that_are_no_more_are_removed(small, tmp_path):
    write_pair_file(tmp_path, "Xe_Zn")
    with pair_files(tmp_path, small):
        assert (tmp_path / "Xe_Zn.npz").exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{name}.npz" for name in SMALL]


@pytest.mark.parametrize("foreign", ["thesis.tex", "dataset_combined.npz", "raw_data", "Xx_Yy.npz"])
def test_a_folder_that_holds_anything_else_is_refused(small, tmp_path, foreign):
    (tmp_path / foreign).mkdir()
    write_pair_file(tmp_path, "Xe_Zn")
    with pytest.raises(ParseError) as error, pair_files(tmp_path, small):
        pass
    expected = "a folder of pair files (A_B.npz) only"
    assert str(error.value) == f"{tmp_path}: expected {expected}, found '{foreign}'"
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["Xe_Zn.npz", foreign])


@pytest.mark.parametrize("name", ["H_H", "Xe_Zn"], ids=["to be replaced", "to be removed"])
@pytest.mark.parametrize("content", ["numbers of a user", "no archive"])
def test_a_file_of_the_users_with_the_name_of_a_pair_is_refused(small, tmp_path, name, content):
    path = tmp_path / f"{name}.npz"
    if content == "no archive":
        path.write_bytes(b"thesis")
    else:
        np.savez(path, spectrum=np.arange(3))
    before = path.read_bytes()
    with pytest.raises(ParseError, match=f"found '{name}.npz'"), pair_files(tmp_path, small):
        pass
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [before]


def test_pair_files_stay_as_they_were_where_what_goes_with_them_fails(small, tmp_path):
    before = write_pair_file(tmp_path, "H_H")

    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"), pair_files(tmp_path, small):
        fail()
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"H_H.npz": before}
