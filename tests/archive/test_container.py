"""`Container` reads what NumPy writes, and answers everything else with a ParseError."""

from __future__ import annotations

import io
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twobody import ParseError
from twobody.archive.container import Container, npy_header, read_npy_header

ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": np.array(["x", "yy"]),
    "c": np.array("text"),
    "d": np.zeros((0, 4), np.float32),
}


def saved(save: Callable[..., None] = np.savez, **arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, **(arrays or ARRAYS))
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def directory(data: bytes, name: str) -> int:
    """Return where the directory's entry of a member begins."""
    return data.rindex(name.encode()) - 46


def patched(data: bytes, offset: int, layout: str, value: int) -> bytes:
    packed = struct.pack(layout, value)
    return data[:offset] + packed + data[offset + len(packed) :]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.npz"


def read_all(path: Path) -> str:
    with Container(path) as archive:
        for name in archive.members:
            archive.read(name)
        return archive.content_digest()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_those_that_numpy_saved(path, save):
    path.write_bytes(saved(save))
    with Container(path) as archive:
        assert list(archive.members) == list(ARRAYS)
        for name, array in ARRAYS.items():
            assert archive.read(name).dtype == array.dtype
            np.testing.assert_array_equal(archive.read(name), array)


def test_the_digest_depends_on_content_and_order_and_not_on_compression(tmp_path):
    def digest(data: bytes) -> str:
        path = tmp_path / "test.npz"
        path.write_bytes(data)
        with Container(path) as archive:
            return archive.content_digest()

    expected = digest(saved(np.savez))
    assert digest(saved(np.savez_compressed)) == expected
    others = [
        dict(reversed(ARRAYS.items())),
        ARRAYS | {"a": ARRAYS["a"].astype(np.float32)},
        ARRAYS | {"a": ARRAYS["a"].reshape(3, 2)},
        ARRAYS | {"a": ARRAYS["a"] + 1},
        {"e" if name == "d" else name: array for name, array in ARRAYS.items()},
    ]
    assert expected not in {digest(saved(np.savez, **arrays)) for arrays in others}


def test_a_comment_of_the_zip_file_does_no_harm(path):
    path.write_bytes(saved())
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"a comment"
    with Container(path) as archive:
        np.testing.assert_array_equal(archive.read("a"), ARRAYS["a"])


def test_a_member_that_does_not_exist_is_refused(path):
    path.write_bytes(saved())
    with Container(path) as archive, pytest.raises(ParseError, match="a member 'x', found none"):
        archive.read("x")


def test_pickled_members_are_listed_and_never_decoded_as_plain_data(path):
    path.write_bytes(saved(labels=np.array([{"a": 1}], dtype=object)))
    with Container(path) as archive:
        assert archive.members["labels"].dtype == object
        with pytest.raises(ParseError, match="plain data in 'labels', found pickled objects"):
            archive.read("labels")


def test_where_no_file_is_the_message_says_what_makes_one(path):
    with pytest.raises(
        FileNotFoundError, match=r"`python -m twobody build` makes dataset_combined.*pairs.npz$"
    ):
        Container(path)


@pytest.mark.parametrize("written", ["by this project", "by NumPy"])
def test_a_download_that_was_stopped_is_called_that_with_sizes(written, archive, path):
    if written == "by NumPy":
        np.savez_compressed(path, **ARRAYS)
        whole = path.read_bytes()
    else:
        whole = archive.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as file:
        ends = [entry.header_offset for entry in file.infolist()[1:]] + [file.start_dir]
    for size in (0, 100, ends[0] - 1, ends[-1] // 2, ends[-1]):
        path.write_bytes(whole[:size])
        with pytest.raises(ParseError) as caught:
            Container(path)
        found = re.search(r"the first (\d+) of at least (\d+) bytes: download", str(caught.value))
        assert found, caught.value
        assert int(found[1]) == size
        needed = min(end for end in ends if end >= size) if size else 0
        assert int(found[2]) == needed + 22 <= len(whole)


def test_what_is_no_archive_is_not_called_cut_off(path):
    path.write_bytes(b"<!DOCTYPE html><title>404</title>")
    with pytest.raises(ParseError, match=r"a \.npz archive, found 'File is not a zip file'"):
        Container(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(path):
    os.mkfifo(path)
    with pytest.raises(ParseError, match="a regular file, found a folder, named pipe or device"):
        Container(path)


@pytest.mark.parametrize(
    "path", ["/dev/zero", "/dev/null", "/dev/tty", os.fspath(Path(__file__).parent)]
)
def test_a_device_or_folder_is_refused(path):
    with pytest.raises(ParseError, match=r"a (regular|readable) file"):
        Container(path)


def test_a_link_to_a_file_is_opened(path):
    path.with_suffix(".real").write_bytes(saved())
    path.symlink_to(path.with_suffix(".real"))
    assert read_all(path)


def test_a_file_that_is_replaced_meanwhile_is_read_to_its_end(path):
    path.write_bytes(saved())
    with Container(path) as archive:
        other = path.with_suffix(".other")
        other.write_bytes(
            saved(**{name: array[:0] for name, array in ARRAYS.items() if array.ndim})
        )
        other.replace(path)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(archive.read(name), array)


def test_nothing_is_left_open_where_a_file_is_refused(path):
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("the system does not list open files")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for data in (b"", b"text", saved() + b"more", zipped(("../a.npy", b""))):
        path.write_bytes(data)
        with pytest.raises(ParseError):
            Container(path)
    with pytest.raises(ParseError):
        Container(path.parent)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("data", [b"", b"text", b"\x93NUMPY", b"PK\3\4" + bytes(100)])
def test_what_is_no_zip_file_is_refused(path, data):
    path.write_bytes(data)
    with pytest.raises(ParseError, match=r"expected a \.npz archive, found"):
        Container(path)


def test_a_file_that_is_cut_off_anywhere_is_refused(path):
    data = saved(np.savez_compressed)
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(ParseError):
            Container(path)


def overlapping() -> bytes:
    """Make the second member begin where the first does."""
    data = zipped(("a.npy", npy(np.zeros(2))), ("b.npy", npy(np.zeros(2))))
    return patched(data, directory(data, "b.npy") + 42, "<I", 0)


def running_into_the_directory() -> bytes:
    """Make the data of the only member go on into the directory, its checksum included."""
    data = npy(np.zeros(2)).replace(b"(2,)", b"(4,)")
    whole = zipped(("a.npy", data))
    start = whole.index(b"PK\1\2")
    longer = data + whole[start : start + 16]
    entry = directory(whole, "a.npy")
    whole = patched(whole, entry + 20, "<I", len(longer))
    return patched(whole, entry + 24, "<I", len(longer))


def swallowed_member() -> bytes:
    """Make the directory's entry of the first member take the second for its comment."""
    data = zipped(("a.npy", npy(np.zeros(2))), ("b.npy", npy(np.zeros(2))))
    return patched(data, directory(data, "a.npy") + 32, "<H", 46 + len("b.npy"))


def size_that_lies(offset: int, size: int, method: int = zipfile.ZIP_STORED) -> bytes:
    data = zipped(("a.npy", npy(np.zeros(2))), method=method)
    return patched(data, directory(data, "a.npy") + offset, "<I", size)


def flagged(bit: int) -> bytes:
    data = zipped(("a.npy", npy(np.zeros(2))))
    return patched(data, directory(data, "a.npy") + 8, "<H", bit)


def with_header(old: bytes, new: bytes) -> bytes:
    """Change the .npy header; its padding takes up the difference."""
    data = npy(np.zeros((2, 3)))
    changed = data.replace(old, new)
    difference = len(changed) - len(data)
    padding = b" " * difference if difference > 0 else b""
    changed = changed.replace(padding + b"\n", b"\n", 1)
    return zipped(("a.npy", changed))


def two_with_one_name() -> bytes:
    data = zipped(("a.npy", npy(np.zeros(2))), ("b.npy", npy(np.zeros(2))))
    return data.replace(b"b.npy", b"a.npy")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        pytest.param(two_with_one_name(), "each once, found 'a.npy'", id="duplicate"),
        pytest.param(overlapping(), "data that run into what follows", id="overlap"),
        pytest.param(
            running_into_the_directory(), "data that run into what follows", id="directory overlap"
        ),
        pytest.param(swallowed_member(), "a directory of 2 members, found 1", id="count"),
        pytest.param(b"#!" + saved(), "at the start of the file, found other data", id="prefix"),
        pytest.param(saved() + b"more", "found other data behind it", id="suffix"),
        pytest.param(size_that_lies(24, 2**25), "a size of 33554432", id="size, stored"),
        pytest.param(
            size_that_lies(24, 2**25, zipfile.ZIP_DEFLATED),
            "a size of 33554432",
            id="size, deflated",
        ),
        pytest.param(size_that_lies(24, 2**31), "bytes when unpacked, found 2147483648", id="bomb"),
        pytest.param(size_that_lies(24, 140), "Bad CRC-32", id="size too small"),
        pytest.param(size_that_lies(20, 2**31), "run into what follows", id="packed size"),
        pytest.param(flagged(1), "another method or encryption", id="encrypted"),
        pytest.param(flagged(32), "found", id="patched data"),
        pytest.param(
            zipped(("a.npy", npy(np.zeros(2))), method=zipfile.ZIP_BZIP2),
            "another method or encryption",
            id="bzip2",
        ),
        pytest.param(
            zipped(("a.npy", npy(np.zeros(2))), method=zipfile.ZIP_LZMA),
            "another method or encryption",
            id="lzma",
        ),
        pytest.param(zipped(("a.npy", b"text")), "a .npy header in member 'a'", id="no .npy"),
        pytest.param(zipped(("a.npy", b"")), "a .npy header in member 'a'", id="empty"),
        pytest.param(with_header(b"False", b"True"), "a .npy header", id="Fortran order"),
        pytest.param(with_header(b"<f8", b">f8"), "a .npy header", id="big endian"),
        pytest.param(with_header(b"(2, 3)", b"(2, 4)"), "found 176", id="shape too large"),
        pytest.param(with_header(b"(2, 3)", b"(2, 2)"), "found 176", id="shape too small"),
        pytest.param(
            with_header(b"(2, 3)", b"(2, 30000000000000)"), "found 176", id="absurd shape"
        ),
        pytest.param(
            with_header(b"(2, 3)", b"(0, 999999999999999999, 999)"), "a .npy header", id="2**70"
        ),
    ],
)
def test_headers_that_lie_are_refused_before_anything_is_read(path, data, found):
    path.write_bytes(data)
    with pytest.raises(ParseError) as error:
        Container(path)
    assert found in str(error.value)
    assert str(error.value).startswith(f"{path}: expected ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "../a.npy",
        "/a.npy",
        "C:a.npy",
        "x/a.npy",
        "x\\a.npy",
        "a.txt",
        "a",
        ".npy",
        "ä.npy",
        "a.npy/",
    ],
)
def test_a_name_that_is_not_plain_is_refused(path, name):
    path.write_bytes(zipped((name, npy(np.zeros(2)))))
    with pytest.raises(ParseError, match=r"expected members NAME\.npy, each once"):
        Container(path)


def test_flipped_data_are_found_by_the_checksum(path):
    numbers = np.arange(10_000.0)
    data = bytearray(saved(a=numbers, b=ARRAYS["b"]))
    data[data.index(np.float64(9000).tobytes())] ^= 1
    path.write_bytes(data)
    with Container(path) as archive:
        with pytest.raises(ParseError, match=r"undamaged data in member 'a', found .*CRC-32"):
            archive.read("a")
        with pytest.raises(ParseError, match=r"undamaged data in member 'a', found .*CRC-32"):
            archive.content_digest()
        np.testing.assert_array_equal(archive.read("b"), ARRAYS["b"])


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_blocks_are_the_rows_of_the_member_one_after_the_other(path, rows):
    numbers = np.arange(40.0).reshape(10, 4)
    path.write_bytes(saved(a=numbers))
    with Container(path) as archive:
        blocks = list(archive.blocks("a", rows))
    assert {len(block) for block in blocks[:-1]} <= {rows}
    np.testing.assert_array_equal(np.concatenate(blocks), numbers)


COMPRESSED = saved(np.savez_compressed)


@given(st.integers(0, len(COMPRESSED) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=300)
def test_a_flipped_byte_anywhere_is_refused_or_changes_nothing(tmp_path_factory, place, flip):
    path = tmp_path_factory.getbasetemp() / "flipped.npz"
    path.write_bytes(COMPRESSED)
    expected = read_all(path)
    damaged = bytearray(COMPRESSED)
    damaged[place] ^= flip
    path.write_bytes(damaged)
    try:
        assert read_all(path) == expected
    except ParseError as error:
        assert str(error).startswith(f"{path}: expected ")  # noqa: PT017 - both are legal here


@given(st.integers(0, len(COMPRESSED)), st.integers(0, 50), st.binary(max_size=50))
@settings(deadline=None, max_examples=300)
def test_any_other_damage_is_refused_or_changes_nothing(tmp_path_factory, start, length, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(COMPRESSED)
    expected = read_all(path)
    path.write_bytes(COMPRESSED[:start] + data + COMPRESSED[start + length :])
    try:
        assert read_all(path) == expected
    except ParseError as error:
        assert str(error).startswith(f"{path}: expected ")  # noqa: PT017 - both are legal here


# The header of a .npy file: as NumPy writes it, and nothing else is taken for one.


def file_of(header: str, version: bytes = b"\x01\x00") -> io.BytesIO:
    data = header.encode("latin-1")
    return io.BytesIO(b"\x93NUMPY" + version + len(data).to_bytes(2, "little") + data)


def npy_text(descr: str = "'<f8'", order: str = "False", shape: str = "(2, 3)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}   \n"


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i8", "|u1", "|b1", "<U7", "|S3", "|O"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 10, 32, 32)])
def test_a_header_is_the_one_that_numpy_writes_and_reads_back(dtype, shape):
    data = npy_header(np.dtype(dtype), shape)
    file = io.BytesIO()
    np.save(file, np.zeros(shape, dtype))
    assert file.getvalue().startswith(data)
    assert read_npy_header(io.BytesIO(data)) == (np.dtype(dtype), shape, len(data))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(npy_text(order="True"), id="Fortran order"),
        pytest.param(npy_text(descr="'>f8'"), id="big endian"),
        pytest.param(npy_text(descr="'<c16'"), id="complex numbers"),
        pytest.param(npy_text(descr="'<M8[ns]'"), id="times"),
        pytest.param(npy_text(descr="'|V8'"), id="raw bytes"),
        pytest.param(npy_text(descr="[('a', '<f8')]"), id="records"),
        pytest.param(npy_text(descr="('<f8', (2,))"), id="subarrays"),
        pytest.param(npy_text(descr="'<f3'"), id="a float of three bytes"),
        pytest.param(npy_text(descr="'<U0'"), id="items of no size"),
        pytest.param(npy_text(descr="None"), id="no dtype"),
        pytest.param(npy_text(shape="(-1, 3)"), id="negative shape"),
        pytest.param(npy_text(shape="(True, 3)"), id="a flag as shape"),
        pytest.param(npy_text(shape="(2L,)"), id="Python 2"),
        pytest.param(npy_text(shape="3"), id="no tuple"),
        pytest.param(npy_text(shape="(0, 1180591620717411303424)"), id="2**70"),
        pytest.param(npy_text(shape="(99999999999999999, 999, 0)"), id="more than 2**63 bytes"),
        pytest.param(npy_text(shape=f"({'1, ' * 33})"), id="33 dimensions"),
        pytest.param("[" * 1000, id="deep nesting"),
        pytest.param("{[]: 1}", id="an unhashable key"),
        pytest.param("'''", id="an open string"),
        pytest.param("__import__('os').system('true')", id="code"),
        pytest.param(npy_text().rstrip("\n"), id="no line end"),
        pytest.param("", id="nothing"),
        pytest.param(" " * 5000, id="too long"),
    ],
)
def test_another_header_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read_npy_header(file_of(text))


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x00\x01", b""])
def test_another_version_is_refused(version):
    with pytest.raises(ValueError, match="NUMPY"):
        read_npy_header(file_of(npy_text(), version))


@pytest.mark.parametrize("length", range(0, 128, 9))
def test_a_header_that_is_cut_off_is_refused(length):
    data = npy_header(np.dtype("<f8"), (2, 3))
    with pytest.raises(ValueError, match=r"."):
        read_npy_header(io.BytesIO(data[:length]))


@given(st.binary(max_size=200))
def test_no_bytes_bring_about_another_error(data):
    with pytest.raises(ValueError, match=r"."):
        read_npy_header(io.BytesIO(b"\x93NUMPY\x01\x00" + data))
