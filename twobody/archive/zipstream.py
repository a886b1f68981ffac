"""Zip files written as a stream, in threads, with the same bytes every time.

The data of a member come in parts, each a function that makes them. A thread makes a part and
deflates it on its own, up to a byte border (a full flush), so that the pieces, one after the other,
are one deflate stream. Times, host and permissions are fixed. Nothing is inflated again: the CRC-32
of the data before they are deflated lets every reader find what a compressor did wrong.

Intel's ISA-L compresses where it is installed (the extra ``fast``), zlib otherwise. Both make the
same format (RFC 1951); ISA-L is some five times as fast and its output 1 % larger.
"""

from __future__ import annotations

import struct
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import IO

try:
    from isal import isal_zlib as library
except ImportError:
    import zlib as library  # type: ignore[no-redef]

Chunk = bytes | memoryview
Part = Callable[[], Chunk]

ALIGNMENT = 64  # bytes; of stored data, so that they can be memory-mapped

# For images level 6 of zlib takes half as long again as 1, for 2 % less; ISA-L's output is smallest
# at 2.
_LEVEL = 1 if library.__name__ == "zlib" else 2
_MOST_MEMORY = 9  # some percent faster with zlib than its default
_LAST_BLOCK = b"\x03\x00"  # an empty one, which says that it is the last of its stream
_PADDING_FIELD = 0xD935  # the extra field that zipalign and others use for alignment


class ZipStream(AbstractContextManager["ZipStream"]):
    """A zip file under construction in `file`, which is open for writing, at its start.

    `jobs` threads make and deflate parts; `store` writes all data as they are, aligned to
    `ALIGNMENT`.
    """

    def __init__(self, file: IO[bytes], *, jobs: int, store: bool) -> None:
        self._file, self._jobs, self._store = file, jobs, store
        self._entries: list[zipfile.ZipInfo] = []
        self._pool = ThreadPoolExecutor(jobs)

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if error is None:  # from here on the standard library writes a directory
            with zipfile.ZipFile(self._file, "w") as directory:
                directory.filelist += self._entries

    def add(
        self,
        name: str,
        head: bytes,
        parts: Iterable[Part],
        *,
        store: bool = False,
        seen: Callable[[Chunk], object] = len,
    ) -> None:
        """Write a member: `head`, then the parts, which threads make in any order.

        `store` writes its data as they are; `seen` is called with the data of each part, in order.
        """
        store = store or self._store
        entry = zipfile.ZipInfo(name)  # of 1980-01-01, where zip's time begins
        entry.create_system = 0  # on every machine
        entry.compress_type = zipfile.ZIP_STORED if store else zipfile.ZIP_DEFLATED
        entry.CRC = entry.file_size = entry.compress_size = 0
        entry.header_offset = self._file.tell()
        if store:
            start = entry.header_offset + len(entry.FileHeader(zip64=True)) + 4
            padding = -start % ALIGNMENT
            entry.extra = struct.pack("<2H", _PADDING_FIELD, padding) + bytes(padding)
        self._file.write(entry.FileHeader(zip64=True))
        start = self._file.tell()
        self._write(entry, *_make(lambda: head, store=store))
        for data, packed in self._made(parts, store=store):
            self._write(entry, data, packed)
            seen(data)
        if not store:
            self._file.write(_LAST_BLOCK)
        end = self._file.tell()
        entry.compress_size = end - start
        self._file.seek(entry.header_offset)
        self._file.write(entry.FileHeader(zip64=True))
        self._file.seek(end)
        entry.extra = b""  # the directory needs no padding
        self._entries.append(entry)

    def _write(self, entry: zipfile.ZipInfo, data: Chunk, packed: Chunk) -> None:
        entry.CRC = library.crc32(data, entry.CRC)
        entry.file_size += len(data)
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


def _make(part: Part, *, store: bool) -> tuple[Chunk, Chunk]:
    """Make the data of a part, and deflate them so that nothing before or after is referred to."""
    data = part()
    if store:
        return data, data
    packer = library.compressobj(_LEVEL, library.DEFLATED, -library.MAX_WBITS, _MOST_MEMORY)
    return data, packer.compress(data) + packer.flush(library.Z_FULL_FLUSH)
