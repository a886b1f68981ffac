"""Zip files written as a stream, in threads, with the same bytes every time.

The data of a member come in parts, each a function that makes them. A thread makes a part and
deflates it on its own, up to a byte border (a full flush), so that the pieces, one after the other,
are one deflate stream. Times, host and permissions are fixed. Sizes always stand in the zip64
fields: one layout for small and large files.

Format: PKWARE APPNOTE.TXT 6.3.10; RFC 1951.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Self

from twobody.archive.deflate import LAST_BLOCK, Chunk, crc32, deflate

Part = Callable[[], Chunk]

ALIGNMENT = 64  # bytes; of stored data, so that they can be memory-mapped

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")

_VERSION = 45  # 4.5, the first with zip64; the host byte above it is 0 on every machine
_STORED, _DEFLATED = 0, 8
_TIME, _DATE = 0, 1 << 5 | 1  # 1980-01-01 00:00, where zip's time begins
_SEE_ZIP64 = 0xFFFFFFFF
_PADDING_FIELD = 0xD935  # the extra field that zipalign and others use for alignment


@dataclass
class _Entry:
    """What headers and directory say of a member."""

    name: bytes
    offset: int
    store: bool
    crc: int = 0
    packed_size: int = 0
    size: int = 0


class ZipStream:
    """A zip file under construction.

    Parameters
    ----------
    file : binary file, open for writing, at its start
    jobs : int
        Threads that make parts and deflate them.
    store : bool
        Write all data as they are, aligned to `ALIGNMENT`.
    """

    def __init__(self, file: IO[bytes], *, jobs: int, store: bool) -> None:
        self._file = file
        self._jobs = jobs
        self._store = store
        self._entries: list[_Entry] = []
        self._pool = ThreadPoolExecutor(jobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if error is None:
            self._write_directory()

    def add(
        self,
        name: str,
        head: bytes,
        parts: Iterable[Part],
        *,
        store: bool = False,
        seen: Callable[[Chunk], object] = len,
    ) -> None:
        """Write a member; header and directory get its sizes and checksum.

        Parameters
        ----------
        name : str
        head : bytes
            What comes before the parts.
        parts : iterable of functions
            Called in any order, in threads.
        store : bool
            Write this member's data as they are.
        seen : function
            Called with the data of each part, in their order.

        Raises
        ------
        OSError
            The file cannot be written, or the compressor failed; see `twobody.archive.deflate`.
        """
        entry = _Entry(name.encode(), self._file.tell(), self._store or store)
        self._file.write(self._local_header(entry))
        start = self._file.tell()
        self._write(entry, *_make(lambda: head, store=entry.store))
        for data, packed in self._made(parts, store=entry.store):
            self._write(entry, data, packed)
            seen(data)
        if not entry.store:
            self._file.write(LAST_BLOCK)
        end = self._file.tell()
        entry.packed_size = end - start
        self._file.seek(entry.offset)
        self._file.write(self._local_header(entry))
        self._file.seek(end)
        self._entries.append(entry)

    def _write(self, entry: _Entry, data: Chunk, packed: Chunk) -> None:
        entry.crc = crc32(data, entry.crc)
        entry.size += len(data)
        self._file.write(packed)

    def _made(self, parts: Iterable[Part], *, store: bool) -> Iterator[tuple[Chunk, Chunk]]:
        """Yield the data of each part and what is written for them; few are in memory at a time."""
        in_work: deque[Future[tuple[Chunk, Chunk]]] = deque()
        for part in parts:
            in_work.append(self._pool.submit(_make, part, store=store))
            if len(in_work) > self._jobs + 1:
                yield in_work.popleft().result()
        while in_work:
            yield in_work.popleft().result()

    def _local_header(self, entry: _Entry) -> bytes:
        extra = struct.pack("<2H2Q", 1, 16, entry.size, entry.packed_size)
        if entry.store:
            padding = -(entry.offset + _LOCAL.size + len(entry.name) + len(extra) + 4) % ALIGNMENT
            extra += struct.pack("<2H", _PADDING_FIELD, padding) + bytes(padding)
        sizes = (_SEE_ZIP64, _SEE_ZIP64, len(entry.name), len(extra))
        return (
            _LOCAL.pack(b"PK\3\4", _VERSION, 0, _method(entry), _TIME, _DATE, entry.crc, *sizes)
            + entry.name
            + extra
        )

    def _write_directory(self) -> None:
        start = self._file.tell()
        for entry in self._entries:
            self._file.write(self._directory_entry(entry))
        end = self._file.tell()
        n = len(self._entries)
        self._file.write(
            _END_64.pack(b"PK\6\6", 44, _VERSION, _VERSION, 0, 0, n, n, end - start, start)
            + _LOCATOR_64.pack(b"PK\6\7", 0, end, 1)
            + _END.pack(b"PK\5\6", 0, 0, n, n, _SEE_ZIP64, _SEE_ZIP64, 0)
        )

    def _directory_entry(self, entry: _Entry) -> bytes:
        extra = struct.pack("<2H3Q", 1, 24, entry.size, entry.packed_size, entry.offset)
        sizes = (_SEE_ZIP64, _SEE_ZIP64, len(entry.name), len(extra))
        comment_disk_attributes = (0, 0, 0, 0)
        return (
            _CENTRAL.pack(
                b"PK\1\2",
                _VERSION,
                _VERSION,
                0,
                _method(entry),
                _TIME,
                _DATE,
                entry.crc,
                *sizes,
                *comment_disk_attributes,
                _SEE_ZIP64,
            )
            + entry.name
            + extra
        )


def _make(part: Part, *, store: bool) -> tuple[Chunk, Chunk]:
    data = part()
    return data, data if store else deflate(data)


def _method(entry: _Entry) -> int:
    return _STORED if entry.store else _DEFLATED
