"""``dataset_combined.npz``: what it holds, and how it is read without pickle.

`MEMBERS` is the layout: every array with its dtype and shape. `Archive` opens a file, checks names,
sizes, dtypes and shapes before anything is allocated, and reads members as plain arrays. Members
that hold pickles are there for users of ``numpy.load(..., allow_pickle=True)``, and in archives of
the original project; they are decoded on request, without a pickle being run.

Formats: NEP 1 (.npy), PKWARE APPNOTE.TXT (zip).
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from twobody.archive.deflate import InflateError, crc32, inflate
from twobody.archive.npy import read_npy_header
from twobody.archive.pickles import unpickle_array
from twobody.errors import ParseError
from twobody.text import PathLike, is_text, quote

ARCHIVE = "dataset_combined.npz"
FORMAT_VERSION = 1

_READ = 1 << 20  # bytes read at a time
_MAX_DEFLATE_RATIO = 1032  # RFC 1951: a deflate stream cannot expand further
# What a whole archive may expand to, against bombs: images, ten to one at most, are nearly all of
# it; in a small archive headers and padding weigh more.
_MAX_EXPANSION, _ALWAYS_ALLOWED = 100, 1 << 26  # ratio; bytes

MEMBERS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "images": ("<f4", ("N", 10, "size", "size")),
    "geometries": ("<f4", ("N", 2, 4)),
    "elements": ("U", ("N", 2)),
    "pair_names": ("U", ("N",)),
    "labels": ("O", ("N",)),
    "metadata": ("O", ("N",)),
    "label_names": ("U", ("L",)),
    "label_units": ("U", ("L",)),
    "label_values": ("<f8", ("N", "L")),
    "text_label_names": ("U", ("T",)),
    "text_label_values": ("U", ("N", "T")),
    "metadata_values": ("<f8", ("N", "M")),
    "metadata_names": ("U", ("M",)),
    "channels": ("U", (10,)),
    "image_amplitudes": ("<f8", ("N", 10, 2)),
    "image_basis": ("<f4", (10, 2, "size", "size")),
    "provenance": ("U", ()),
}
"""Name: dtype (U: text of any length; O: pickled dicts) and shape. Letters stand for sizes: N
pairs, L numeric labels, T text labels, M metadata; one letter is one number all over an archive."""

MEANINGS: dict[str, str] = {
    "images": "the ten channels: channel, row y, column x",
    "geometries": "x, y, z [Å], Mulliken population [e] of each atom",
    "elements": "symbols",
    "pair_names": "`A_B`, sorted",
    "labels": "a dict a pair, for `numpy.load(..., allow_pickle=True)`",
    "metadata": "the same: charge [e], energies [H], dipole [au], bond length [Å]",
    "label_names": "the numeric labels",
    "label_units": "their units",
    "label_values": "their values; NaN where missing",
    "text_label_names": "the text labels",
    "text_label_values": "their values; empty where missing",
    "metadata_values": "the metadata as numbers; NaN where missing",
    "metadata_names": "what they are",
    "channels": "names of the channels",
    "image_amplitudes": "the numbers that `images` are drawn from",
    "image_basis": "the images that they multiply; summed over the 2 this is `images`, bit for bit",
    "provenance": "JSON: versions, units, counts, hash of the input",
}
"""What each member holds, for people."""


class ContentDigest:
    """SHA-256 over the members in order: name, dtype, shape, data."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def begin(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Begin a member."""
        self._hash.update(f"{name}\0{dtype.str}\0{','.join(map(str, shape))}\0".encode())

    def add(self, chunk: bytes | memoryview) -> None:
        """Take in data of the member."""
        self._hash.update(chunk)

    def hexdigest(self) -> str:
        """Return the digest of all members so far."""
        return self._hash.hexdigest()


@dataclass(frozen=True)
class MemberInfo:
    """What the headers say of a member, checked against each other and the file's size.

    Attributes
    ----------
    dtype, shape
        Of the array.
    header_size, size : int
        Bytes of the .npy header, and of header and data together.
    packed_size : int
        Bytes in the file.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    header_size: int
    size: int
    packed_size: int
    entry: zipfile.ZipInfo


class Archive:
    """An open .npz file; a context manager.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    path : Path
    members : dict of str to MemberInfo
        In the order of the file.

    Raises
    ------
    ParseError
        The file is missing, is no zip file of .npy members, or its headers contradict each other
        or the file's size. Nothing of the data has been read or allocated by then.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except OSError as error:
            raise ParseError(path, None, "a readable file", error.strerror or str(error)) from error
        except _DAMAGE as error:
            raise ParseError(path, None, "a .npz archive", _damage(error)) from error
        try:
            self.members = dict(self._checked_members())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def read(self, name: str) -> NDArray[Any]:
        """Read a member whole; its checksum is checked.

        Raises
        ------
        ParseError
            There is no such member, it holds pickles, or its data are damaged.
        """
        member = self._plain_member(name)
        array = np.empty(member.shape, member.dtype)
        view = array.reshape(-1).view(np.uint8).data
        position = 0
        for chunk in self._data(member):
            view[position : position + len(chunk)] = chunk
            position += len(chunk)
        if member.dtype.kind == "U" and not is_text(array):
            raise self._error(name, "text", "characters that are none")
        return array

    def read_objects(self, name: str) -> NDArray[Any]:
        """Decode a member that holds the pickle of an array; see `twobody.archive.pickles`.

        Raises
        ------
        ParseError
            There is no such member, its data are damaged, or anything else is in the pickle than
            plain objects in an array of the shape in the header.
        """
        member = self._member(name)
        array = unpickle_array(b"".join(self._data(member)), self.path, name)
        if array.dtype != member.dtype or array.shape != member.shape:
            expected = f"{member.dtype.str} {list(member.shape)}, as the header says,"
            raise self._error(name, expected, f"{array.dtype.str} {list(array.shape)}")
        return array

    def blocks(self, name: str, rows: int) -> Iterator[NDArray[Any]]:
        """Yield a member that has rows in blocks of up to `rows` of them, as `read` would.

        Raises
        ------
        ParseError
            As `read`; blocks before the damage have been yielded by then.
        """
        member = self._plain_member(name)
        row_shape = member.shape[1:]
        size = rows * math.prod(row_shape) * member.dtype.itemsize
        buffer = bytearray()
        for chunk in self._data(member):
            buffer += chunk
            while len(buffer) >= size:
                yield np.frombuffer(bytes(buffer[:size]), member.dtype).reshape(-1, *row_shape)
                del buffer[:size]
        if buffer:
            yield np.frombuffer(bytes(buffer), member.dtype).reshape(-1, *row_shape)

    def content_digest(self) -> str:
        """Read everything; return the SHA-256 over the members in order (name, dtype, shape, data).

        It does not depend on compression; pickled members count as the bytes they are.
        """
        digest = ContentDigest()
        for member in self.members.values():
            digest.begin(member.name, member.dtype, member.shape)
            for chunk in self._data(member):
                digest.add(chunk)
        return digest.hexdigest()

    def _plain_member(self, name: str) -> MemberInfo:
        member = self._member(name)
        if member.dtype.hasobject:
            raise ParseError(self.path, None, f"plain data in {name!r}", "pickled objects")
        return member

    def _member(self, name: str) -> MemberInfo:
        if name not in self.members:
            raise ParseError(self.path, None, f"a member {name!r}", "none")
        return self.members[name]

    def _data(self, member: MemberInfo) -> Iterator[bytes]:
        """Yield what follows the .npy header: exactly as many bytes as the directory says."""
        entry = member.entry
        header, left, crc = member.header_size, member.size, 0
        try:
            with self._zip.open(_as_it_lies(entry)) as file:
                stored = entry.compress_type == zipfile.ZIP_STORED
                for chunk in iter(lambda: file.read(_READ), b"") if stored else inflate(file):
                    left -= len(chunk)
                    if left < 0:
                        raise EOFError("its data go on beyond their size")
                    crc = crc32(chunk, crc)
                    yield chunk[header:]
                    header -= min(header, len(chunk))
            if left:
                raise EOFError("its data end early")
            if crc != entry.CRC:
                raise zipfile.BadZipFile(f"Bad CRC-32 for file {entry.filename!r}")
        except _DAMAGE as error:
            raise self._error(member.name, "undamaged data", _damage(error)) from error

    def _error(self, name: str, expected: str, found: str) -> ParseError:
        return ParseError(self.path, None, f"{expected} in member {name!r}", found)

    def _checked_members(self) -> Iterator[tuple[str, MemberInfo]]:
        size = self.path.stat().st_size
        allowed = max(_MAX_EXPANSION * size, _ALWAYS_ALLOWED)
        if (unpacked := sum(entry.file_size for entry in self._zip.infolist())) > allowed:
            found = f"{unpacked} bytes in a file of {size}"
            raise ParseError(self.path, None, f"at most {allowed} bytes when unpacked", found)
        self._check_count()
        seen = set()
        end = self._zip.start_dir
        for entry in sorted(self._zip.infolist(), key=lambda e: e.header_offset, reverse=True):
            name = entry.filename
            if re.fullmatch(r"[A-Za-z0-9_]+\.npy", name) is None or name in seen:
                raise ParseError(self.path, None, "members NAME.npy, each once", quote(name))
            seen.add(name)
            if entry.header_offset + 30 + len(name) + entry.compress_size > end:
                raise self._error(name, "data of its own", "data that run into what follows")
            end = entry.header_offset
        if end != 0:
            raise ParseError(self.path, None, "a member at the start of the file", "other data")
        for entry in self._zip.infolist():
            name = entry.filename.removesuffix(".npy")
            yield name, self._checked_member(name, entry)

    def _check_count(self) -> None:
        """Check that the file ends with a directory, and that it lists as many members as it says.

        Python's reader skips members that it takes for the comment of another.
        """
        size_of_end = 22
        with self.path.open("rb") as file:
            file.seek(-size_of_end - len(self._zip.comment), os.SEEK_END)
            record = file.read(size_of_end)
        if not record.startswith(b"PK\5\6"):
            raise ParseError(self.path, None, "a zip directory at the end", "other data behind it")
        n, listed = int.from_bytes(record[10:12], "little"), len(self._zip.infolist())
        if n != listed:
            raise ParseError(self.path, None, f"a directory of {n} members", f"{listed}")

    def _checked_member(self, name: str, entry: zipfile.ZipInfo) -> MemberInfo:
        ratio = _MAX_DEFLATE_RATIO if entry.compress_type == zipfile.ZIP_DEFLATED else 1
        if entry.flag_bits & 0x1 or entry.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):
            raise self._error(name, "stored or deflated data", "another method or encryption")
        if entry.file_size > ratio * entry.compress_size:
            expected = f"at most {ratio} times {entry.compress_size} bytes"
            raise self._error(name, expected, f"a size of {entry.file_size}")
        try:
            with self._zip.open(entry) as file:
                dtype, shape, header_size = read_npy_header(file)
        except (*_DAMAGE, ValueError) as error:
            raise self._error(name, "a .npy header", _damage(error)) from error
        if not dtype.hasobject:
            size = header_size + math.prod(shape) * dtype.itemsize
            if size != entry.file_size:
                expected = f"{size} bytes for {dtype.str} {list(shape)}"
                raise self._error(name, expected, f"{entry.file_size}")
        return MemberInfo(
            name, dtype, shape, header_size, entry.file_size, entry.compress_size, entry
        )


_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    InflateError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
)


def _as_it_lies(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return an entry that makes ``zipfile`` hand out the bytes in the file: it inflates slowly."""
    stored = copy(entry)
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, entry.compress_size
    del stored.CRC  # which is that of the inflated data
    return stored


def _damage(error: Exception) -> str:
    return quote(str(error)) if str(error) else type(error).__name__
