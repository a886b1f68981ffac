"""Outputs appear whole or not at all, and what killed runs left behind goes away."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from twobody import files
from twobody.files import InputDigest, publish, publish_folder, sha256, staging


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def staged_files(folder: Path, *names: str) -> list[tuple[Path, Path]]:
    for name in names:
        (folder / name).write_text("new", encoding="utf-8")
    return [(folder / name, folder.parent / name) for name in names]


def test_the_input_digest_is_sha_256_over_name_size_and_bytes():
    digest = InputDigest()
    digest.add("H_H/detailed.out", b"text")
    digest.add("H_H/geo_end.xyz", b"")
    expected = hashlib.sha256(b"H_H/detailed.out\x004\x00textH_H/geo_end.xyz\x000\x00")
    assert digest.hexdigest() == expected.hexdigest()


def test_names_and_bytes_cannot_be_taken_for_each_other():
    first, second = InputDigest(), InputDigest()
    first.add("ab", b"c")
    second.add("a", b"bc")
    assert first.hexdigest() != second.hexdigest()


def test_the_staging_folder_is_hidden_inside_the_folder_and_gone_at_the_end(tmp_path):
    with staging(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith(".twobody-")
        (folder / "file").touch()
    assert list(tmp_path.iterdir()) == []


def test_the_staging_folder_is_gone_after_an_error_too(tmp_path):
    def fail(folder: Path) -> None:
        (folder / "file").touch()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught, staging(tmp_path) as folder:
        fail(folder)
    assert caught.value.filename == str(tmp_path)  # the error of a full disk names no file
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_behind_is_removed(tmp_path):
    left = tmp_path / ".twobody-killed.part"
    left.mkdir()
    (left / "dataset_combined.npz").touch()
    with staging(tmp_path):
        assert not left.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows locks the open files in the folder instead")
def test_the_folder_of_a_live_run_stays(tmp_path):
    with staging(tmp_path) as first:
        (first / "file").touch()
        with staging(tmp_path) as second:
            assert second != first
            assert (first / "file").exists()
        assert (first / "file").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_with_the_name_of_a_killed_run_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / ".twobody-x.part")
    with staging(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".twobody-x.part"]


def test_hidden_folders_of_others_stay(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".twobody-notes").mkdir()
    with staging(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", ".twobody-notes"]


def test_published_files_replace_what_was_there(tmp_path):
    (tmp_path / "a").write_text("old", encoding="utf-8")
    with staging(tmp_path) as folder:
        publish(staged_files(folder, "a", "b"), tmp_path)
    assert contents(tmp_path) == {"a": "new", "b": "new"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_published_files_have_the_permissions_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        with staging(tmp_path) as folder:
            publish(staged_files(folder, "a"), tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_linked_target_is_replaced_and_what_it_pointed_to_stays(tmp_path):
    (tmp_path / "elsewhere").write_text("old", encoding="utf-8")
    try:
        (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    except OSError:
        pytest.skip("no right to make links")
    with staging(tmp_path) as folder:
        publish(staged_files(folder, "a"), tmp_path)
    assert not (tmp_path / "a").is_symlink()
    assert contents(tmp_path) == {"a": "new", "elsewhere": "old"}


def test_a_published_folder_replaces_the_one_that_was_there_with_all_below_it(tmp_path):
    old = tmp_path / "release"
    (old / "sub").mkdir(parents=True)
    (old / "sub" / "gone").write_text("old", encoding="utf-8")
    with staging(tmp_path) as staged:
        new = staged / "release"
        (new / "below").mkdir(parents=True)
        (new / "below" / "file").write_text("new", encoding="utf-8")
        publish_folder(new, old)
    assert contents(tmp_path) == {str(Path("release", "below", "file")): "new"}


def test_where_the_move_of_a_folder_fails_the_one_before_is_back(tmp_path):
    old = tmp_path / "release"
    old.mkdir()
    (old / "file").write_text("old", encoding="utf-8")
    with staging(tmp_path) as staged, pytest.raises(FileNotFoundError):
        publish_folder(staged / "never made", old)
    assert contents(tmp_path) == {str(Path("release", "file")): "old"}


@pytest.mark.parametrize("system", ["with an exchange", "without"])
def test_a_kill_at_any_call_of_the_system_loses_no_published_folder(tmp_path, system, monkeypatch):
    """Stop after each of the calls that move folders, as a kill would, and start anew."""
    if system == "without":
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    for n_calls in range(4):
        folder = tmp_path / str(n_calls)
        (folder / "release").mkdir(parents=True)
        (folder / "release" / "file").write_text("old", encoding="utf-8")
        script = KILLED.format(folder=str(folder), n_calls=n_calls, exchange=system != "without")
        subprocess.run([sys.executable, "-c", script], check=False)
        with staging(folder):
            pass
        assert contents(folder) in (
            {str(Path("release", "file")): "old"},
            {str(Path("release", "file")): "new"},
        )


KILLED = """
import os
from pathlib import Path
from twobody import files

left = {n_calls}

def counted(function):
    def call(*arguments, **options):
        global left
        if not left:
            os._exit(9)
        left -= 1
        return function(*arguments, **options)
    return call

Path.rename = counted(Path.rename)
files._exchange = counted(files._exchange) if {exchange} else lambda *_: False
with files.staging(Path({folder!r})) as staged:
    (staged / "release").mkdir()
    (staged / "release" / "file").write_text("new", encoding="utf-8")
    files.shutil.rmtree = counted(files.shutil.rmtree)
    files.publish_folder(staged / "release", Path({folder!r}, "release"))
"""


def test_sha_256_of_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    assert sha256(path) == expected
