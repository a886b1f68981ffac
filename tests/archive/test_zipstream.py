"""Zip files written as a stream: readable by everybody, the same bytes every time."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twobody import ParseError
from twobody.archive import zipstream
from twobody.archive.container import Container, npy_header
from twobody.archive.writer import write
from twobody.archive.zipstream import ALIGNMENT, Part, ZipStream

isal_zlib = pytest.importorskip("isal.isal_zlib", reason="ISA-L is not installed (extra 'fast')")

Members = Mapping[str, Sequence[bytes]]

MEMBERS: Members = {
    "a.npy": [b"abc" * 1000, b"", bytes(range(256)) * 50],
    "nothing.npy": [],
    "b.npy": [b"x"] * 40,
}


def parts(chunks: Iterable[bytes]) -> Iterator[Part]:
    """Return functions that make the chunks."""
    return (lambda chunk=chunk: chunk for chunk in chunks)


def written(members: Members, *, jobs: int = 1, store: bool = False) -> bytes:
    file = io.BytesIO()
    with ZipStream(file, jobs=jobs, store=store) as stream:
        for name, chunks in members.items():
            stream.add(name, b"", parts(chunks))
    return file.getvalue()


@pytest.mark.parametrize("store", [False, True], ids=["deflated", "stored"])
def test_the_standard_library_reads_what_was_written(store):
    with zipfile.ZipFile(io.BytesIO(written(MEMBERS, store=store))) as file:
        assert file.testzip() is None
        assert file.namelist() == list(MEMBERS)
        for name, chunks in MEMBERS.items():
            assert file.read(name) == b"".join(chunks)
        methods = {info.compress_type for info in file.infolist()}
        assert methods == {zipfile.ZIP_STORED if store else zipfile.ZIP_DEFLATED}


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
@pytest.mark.parametrize("store", [False, True], ids=["deflated", "stored"])
def test_unzip_finds_no_fault(tmp_path: Path, store):
    path = tmp_path / "test.zip"
    path.write_bytes(written(MEMBERS, store=store))
    result = subprocess.run(
        ["unzip", "-t", str(path)],  # noqa: S607 - wherever it is installed
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    assert "No errors detected" in result.stdout


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}\.npy", fullmatch=True), st.lists(st.binary(max_size=300))
    ),
    st.booleans(),
    st.integers(2, 4),
)
@settings(deadline=None)
def test_any_members_come_back_whatever_the_number_of_threads(members, store, jobs):
    data = written(members, store=store)
    assert written(members, store=store, jobs=jobs) == data
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert {name: file.read(name) for name in file.namelist()} == {
            name: b"".join(chunks) for name, chunks in members.items()
        }


@given(st.lists(st.binary(max_size=2000)), st.sampled_from([zlib, isal_zlib]))
@settings(deadline=None)
def test_whichever_library_packs_the_standard_library_unpacks(chunks, library):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipstream, "library", library)
        data = written({"a.npy": chunks})
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.read("a.npy") == b"".join(chunks)


def test_the_content_digest_depends_neither_on_the_library_nor_on_the_number_of_threads(
    small, monkeypatch
):
    digests, archives = set(), []
    for library in (zlib, isal_zlib):
        monkeypatch.setattr(zipstream, "library", library)
        for jobs in (1, 3):
            file = io.BytesIO()
            digests.add(write(file, small, jobs=jobs))
            archives.append(file.getvalue())
    assert len(digests) == 1
    assert archives[0] == archives[1] != archives[2] == archives[3]


class Wrong:
    """A compressor that changes what it gets."""

    def __init__(self, *options: int) -> None:
        self._packer = zlib.compressobj(*options)

    def compress(self, chunk: bytes) -> bytes:
        return self._packer.compress(bytes(chunk).replace(b"wrong", b"right"))

    def flush(self, mode: int) -> bytes:
        return self._packer.flush(mode)


class Less(Wrong):
    """One that leaves out the last byte."""

    def compress(self, chunk: bytes) -> bytes:
        return self._packer.compress(chunk[:-1])


class Ends(Wrong):
    """One that ends the stream, so that what follows is lost."""

    def flush(self, _: int) -> bytes:
        return self._packer.flush(zlib.Z_FINISH)


@pytest.mark.parametrize("compressor", [Wrong, Less, Ends])
def test_what_a_compressor_does_wrong_is_found_when_it_is_read(compressor, tmp_path, monkeypatch):
    library = SimpleNamespace(**{**vars(zlib), "compressobj": compressor})
    monkeypatch.setattr(zipstream, "library", library)
    path = tmp_path / "wrong.npz"
    with path.open("wb") as file, ZipStream(file, jobs=1, store=False) as stream:
        head = npy_header(np.dtype("S5"), (2,))
        stream.add("a.npy", head, [lambda: b"wrong", lambda: b"wrong"])
    with pytest.raises(ParseError, match="member 'a'"), Container(path) as archive:
        archive.read("a")


def test_stored_data_begin_at_a_multiple_of_64_bytes():
    data = written(MEMBERS, store=True)
    for name, chunks in MEMBERS.items():
        content = b"".join(chunks)
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            header = file.getinfo(name).header_offset
        extra_length = int.from_bytes(data[header + 28 : header + 30], "little")
        start = header + 30 + len(name) + extra_length
        assert start % ALIGNMENT == 0
        assert data[start : start + len(content)] == content


def test_nothing_of_time_machine_or_user_is_written():
    with zipfile.ZipFile(io.BytesIO(written(MEMBERS))) as file:
        for info in file.infolist():
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert (info.create_system, info.external_attr, info.comment) == (0, 0, b"")


def test_few_chunks_are_in_memory_at_a_time():
    alive = 0
    most = 0

    class Counted(bytes):
        def __new__(cls, data: bytes) -> Self:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            return super().__new__(cls, data)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    with ZipStream(io.BytesIO(), jobs=2, store=False) as stream:
        stream.add("a.npy", b"", [lambda: Counted(b"x" * 100)] * 100)
    assert most < 10


@pytest.mark.parametrize("store", [False, True], ids=["deflated", "stored"])
def test_every_part_is_seen_once_in_order_but_not_the_head(store):
    seen: list[bytes] = []
    chunks = [bytes([i]) * 1000 for i in range(50)]
    file = io.BytesIO()
    with ZipStream(file, jobs=4, store=store) as stream:
        stream.add("a.npy", b"head", parts(chunks), seen=seen.append)
    assert seen == chunks
    with zipfile.ZipFile(file) as archive:
        assert archive.read("a.npy") == b"".join([b"head", *chunks])


def fail() -> bytes:
    raise OSError(5, "Input/output error")


def parts_that_end_early() -> Iterator[Part]:
    yield lambda: b"data"
    fail()


@pytest.mark.parametrize(
    "wrong",
    [pytest.param(lambda: [lambda: b"data", fail], id="in a thread"), parts_that_end_early],
)
def test_an_error_in_the_data_ends_the_stream_without_a_directory(wrong):
    file = io.BytesIO()
    with (
        pytest.raises(OSError, match="Input/output error"),
        ZipStream(file, jobs=2, store=False) as stream,
    ):
        stream.add("a.npy", b"", wrong())
    assert not zipfile.is_zipfile(io.BytesIO(file.getvalue()))
