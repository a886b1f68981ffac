"""A .npz file, opened without trusting it: names, sizes, dtypes and shapes before any data.

Members that hold pickles are decoded on request, without a pickle being run. Everything is read
through the one file that was opened. Formats: NEP 1 (.npy), PKWARE APPNOTE.TXT (zip).
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.archive.layout import SHIPPED
from twobody.errors import ParseError
from twobody.text import PathLike, is_text, open_regular, quote

# RFC 1951: a deflate stream cannot expand further.
_MAX_RATIOS = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
# What a whole archive may expand to, against bombs: images, nearly all of it, are ten to one at
# most; in a small archive headers and padding weigh more.
_MAX_EXPANSION, _ALWAYS_ALLOWED = 100, 1 << 26  # ratio; bytes
_END_RECORD = 22  # bytes of the record that ends a zip file, without its comment
# Bytes of the record before a member, where it has the sizes of data, name and extra field, and
# what stands for a size of data that needs 64 bits.
_MEMBER_RECORD, _LENGTHS, _ZIP64 = 30, ((18, 22), (26, 28), (28, 30)), 0xFFFFFFFF

_MAGIC = b"\x93NUMPY\x01\x00"
_MAX_HEADER = 4096  # bytes; ours have 118
_MAX_DIMENSIONS = 32  # NumPy 1; 2 has 64
# Exactly what NumPy writes, with no need for a parser of Python.
_HEADER = re.compile(
    rb"\{'descr': '([<|][fiubUS][1-9][0-9]{0,8}|\|O)', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)

# What zipfile and zlib raise where a file is damaged.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(RuntimeError, ValueError, OverflowError),
)


def digest_entry(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return what content digests take in of a member before its data."""
    return f"{name}\0{dtype.str}\0{','.join(map(str, shape))}\0".encode()


def npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the .npy header of an array in C order, version 1.0."""
    buffer = io.BytesIO()
    description = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def read_npy_header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Read dtype, shape and size of the .npy header of a little-endian array in C order.

    Raises a ValueError where it is of another kind, damaged, or of an array that no machine holds.
    """
    start = file.read(len(_MAGIC) + 2)
    length = int.from_bytes(start[len(_MAGIC) :], "little")
    if not start.startswith(_MAGIC) or length > _MAX_HEADER:
        raise ValueError(f"{start!r}")
    header = file.read(length)
    match = _HEADER.fullmatch(header)
    if match is None:
        raise ValueError(header.decode("latin-1").strip() or "none")
    try:
        dtype = np.dtype(match[1].decode())
    except TypeError as error:
        raise ValueError(str(error)) from error
    shape = tuple(int(n) for n in match[2].split(b",") if n.strip())
    extent = dtype.itemsize * math.prod(n or 1 for n in shape)  # NumPy leaves zeros out, too
    if len(shape) > _MAX_DIMENSIONS or extent >= 2**63:
        raise ValueError(f"shape {list(shape)}")
    return dtype, shape, len(start) + length


def _described(error: Exception) -> str:
    return quote(str(error) or type(error).__name__)


class MemberInfo(NamedTuple):
    """What the headers say of a member, checked against each other and the file's size."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    header_size: int  # bytes of the .npy header
    size: int  # bytes of header and data
    packed_size: int  # bytes in the file
    entry: zipfile.ZipInfo


class Container(AbstractContextManager["Container"]):
    """An open .npz file; a context manager.

    Where there is none a FileNotFoundError says what makes one. A ParseError is raised where it is
    not a regular file or not a zip file of .npy members, is cut off, or its headers contradict each
    other or the file's size; no data have been read or allocated by then.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        try:
            handle, self.file_size = open_regular(path)
        except ParseError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            message = (
                f"{error}; `python -m twobody build` makes dataset_combined.npz from raw_data; "
                f"the pairs that come with the package are in {SHIPPED}"
            )
            raise FileNotFoundError(message) from error
        with ExitStack() as stack:
            self._file = stack.enter_context(os.fdopen(handle, "rb"))
            self.allowed_size = max(_MAX_EXPANSION * self.file_size, _ALWAYS_ALLOWED)
            """Bytes that all members may take together, and any array made of what is in them."""
            try:
                self._zip = stack.enter_context(zipfile.ZipFile(self._file))
            except _DAMAGE as error:
                found = self._cut_off() or _described(error)
                raise ParseError(path, None, "a .npz archive", found) from error
            self._check_directory()
            members = map(self._checked_member, self._zip.infolist())
            self.members = {member.name: member for member in members}
            self.close = stack.pop_all().close

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str) -> NDArray[Any]:
        """Read a member whole; its checksum is checked.

        Raises a ParseError where there is no such member, it holds pickles, or is damaged.
        """
        member = self._member(name)
        array = np.empty(member.shape, member.dtype)
        view = array.reshape(-1).view(np.uint8).data
        position = 0
        for chunk in self._data(name):
            view[position : position + len(chunk)] = chunk
            position += len(chunk)
        if member.dtype.kind == "U" and not is_text(array):
            raise self.error(name, "text", "invalid characters")
        return array

    def read_objects(self, name: str) -> NDArray[Any]:
        """Decode a member that holds the pickle of an array; see `twobody.archive.pickles`.

        Raises a ParseError where there is no such member, it is damaged, or anything else is in the
        pickle than plain objects in an array of the shape in the header.
        """
        # Hardly anybody has one, and the loaders do without.
        from twobody.archive.pickles import unpickle_array  # noqa: PLC0415

        member = self._member(name, plain=False)
        data = b"".join(self._data(name))
        try:
            array = unpickle_array(data, member.packed_size)
        except ValueError as error:
            raise self.error(name, "plain data", quote(str(error))) from error
        if array.dtype != member.dtype or array.shape != member.shape:
            expected = f"{member.dtype.str} {list(member.shape)}, as the header says,"
            raise self.error(name, expected, f"{array.dtype.str} {list(array.shape)}")
        return array

    def blocks(self, name: str, rows: int) -> Iterator[NDArray[Any]]:
        """Yield a member in blocks of up to `rows` of its rows; errors are as in `read`."""
        member = self._member(name)
        row_shape = member.shape[1:]
        for chunk in self._data(name, rows * math.prod(row_shape) * member.dtype.itemsize):
            yield np.frombuffer(chunk, member.dtype).reshape(-1, *row_shape)

    def content_digest(self) -> str:
        """Read everything; return the SHA-256 over the members in order (name, dtype, shape, data).

        It does not depend on compression; pickled members count as the bytes they are.
        """
        digest = hashlib.sha256()
        for name, member in self.members.items():
            digest.update(digest_entry(name, member.dtype, member.shape))
            for chunk in self._data(name):
                digest.update(chunk)
        return digest.hexdigest()

    def error(self, name: str, expected: str, found: str) -> ParseError:
        """Return the error for a fault in the member `name`."""
        return ParseError(self.path, None, f"{expected} in member {name!r}", found)

    def _member(self, name: str, *, plain: bool = True) -> MemberInfo:
        if name not in self.members:
            raise ParseError(self.path, None, f"a member {name!r}", "none")
        if plain and self.members[name].dtype.hasobject:
            raise ParseError(self.path, None, f"plain data in {name!r}", "pickled objects")
        return self.members[name]

    def _data(self, name: str, chunk_size: int = 1 << 20) -> Iterator[bytes]:
        """Yield what follows the .npy header: exactly as many bytes as the directory says."""
        member = self.members[name]
        left = member.size - member.header_size
        with self._open(member.entry, "undamaged data") as file:
            file.read(member.header_size)
            while chunk := file.read(chunk_size):  # the last one checks the CRC-32
                left -= len(chunk)
                yield chunk
            if left:
                raise EOFError("its data end early")

    @contextmanager
    def _open(self, entry: zipfile.ZipInfo, expected: str) -> Iterator[IO[bytes]]:
        """Open a member; what is raised where it is damaged becomes a ParseError."""
        try:
            with self._zip.open(entry) as file:
                yield file
        except _DAMAGE as error:
            name = entry.filename.removesuffix(".npy")
            raise self.error(name, expected, _described(error)) from error

    def _cut_off(self) -> str | None:
        """Say that a file ends before its directory, as a download does that was stopped."""
        end = 0
        while end < self.file_size:  # from member to member
            self._file.seek(end)
            head = self._file.read(_MEMBER_RECORD)
            if not head.startswith(b"PK\3\4"):
                return None
            size, name, extra = (int.from_bytes(head[i:j], "little") for i, j in _LENGTHS)
            if size == _ZIP64:  # then it ends the extra field
                self._file.seek(name + extra - 8, os.SEEK_CUR)
                size = int.from_bytes(self._file.read(8), "little")
            end += _MEMBER_RECORD + name + extra + size
        needed = end + _END_RECORD
        return f"the first {self.file_size} of at least {needed} bytes: download the file again"

    def _check_directory(self) -> None:
        """Check that names are plain, and that members fill the file without sharing bytes."""
        entries = self._zip.infolist()
        if (unpacked := sum(entry.file_size for entry in entries)) > self.allowed_size:
            expected = f"at most {self.allowed_size} bytes when unpacked"
            found = f"{unpacked} bytes in a file of {self.file_size}"
            raise ParseError(self.path, None, expected, found)
        self._file.seek(-_END_RECORD - len(self._zip.comment), os.SEEK_END)
        record = self._file.read(_END_RECORD)
        if not record.startswith(b"PK\5\6"):
            raise ParseError(self.path, None, "a zip directory at the end", "other data behind it")
        # Python's reader skips members that it takes for the comment of another.
        if (n := int.from_bytes(record[10:12], "little")) != len(entries):
            raise ParseError(self.path, None, f"a directory of {n} members", f"{len(entries)}")
        seen = set()
        end = self._zip.start_dir
        for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
            name = entry.filename
            if re.fullmatch(r"[A-Za-z0-9_]+\.npy", name) is None or name in seen:
                raise ParseError(self.path, None, "members NAME.npy, each once", quote(name))
            seen.add(name)
            if entry.header_offset + _MEMBER_RECORD + len(name) + entry.compress_size > end:
                raise self.error(name, "data of its own", "data that run into what follows")
            end = entry.header_offset
        if end != 0:
            raise ParseError(self.path, None, "a member at the start of the file", "other data")

    def _checked_member(self, entry: zipfile.ZipInfo) -> MemberInfo:
        name = entry.filename.removesuffix(".npy")
        ratio = _MAX_RATIOS.get(entry.compress_type)
        size, packed_size = entry.file_size, entry.compress_size
        if entry.flag_bits & 0x1 or ratio is None:
            raise self.error(name, "stored or deflated data", "another method or encryption")
        if size > ratio * packed_size:
            expected = f"at most {ratio} times {packed_size} bytes"
            raise self.error(name, expected, f"a size of {size}")
        with self._open(entry, "a .npy header") as file:
            dtype, shape, header_size = read_npy_header(file)
        if not dtype.hasobject and size != (n := header_size + math.prod(shape) * dtype.itemsize):
            raise self.error(name, f"{n} bytes for {dtype.str} {list(shape)}", f"{size}")
        return MemberInfo(name, dtype, shape, header_size, size, packed_size, entry)
