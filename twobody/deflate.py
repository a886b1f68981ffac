"""The compressor: Intel's ISA-L where it is installed (the extra ``fast``), zlib otherwise.

Both make and read the same format. ISA-L is some six times as fast as zlib and its output 1 %
larger; what is compressed does not depend on it, only the compressed bytes do.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import IO

try:
    from isal import isal_zlib as library
except ImportError:
    import zlib as library  # type: ignore[no-redef]

LIBRARY: str = library.__name__

Chunk = bytes | memoryview

# For images level 6 of zlib takes half as long again as 1, for 2 % less; 2 is ISA-L's smallest.
_LEVEL = 1 if LIBRARY == "zlib" else 2
_MOST_MEMORY = 9  # a tenth faster with zlib than its default

LAST_BLOCK = b"\x03\x00"
"""An empty block that says that it is the last of its stream."""

_READ, _UNPACKED = 1 << 16, 1 << 18  # bytes at a time: what is in work stays in the cache

InflateError: type[Exception] = library.error  # type: ignore[assignment]  # isal calls it an instance
crc32 = library.crc32


def deflate(chunk: Chunk) -> bytes:
    """Compress `chunk` so that such pieces, one after the other, are one raw deflate stream.

    Each ends on a byte border and refers to nothing before itself (a full flush).

    Raises
    ------
    OSError
        It does not inflate to what it was made of.
    """
    packer = library.compressobj(_LEVEL, library.DEFLATED, -library.MAX_WBITS, _MOST_MEMORY)
    packed: bytes = packer.compress(chunk) + packer.flush(library.Z_FULL_FLUSH)
    if not _inflates_to(chunk, packed):
        raise OSError(errno.EIO, f"{LIBRARY} does not inflate to what it deflated")
    return packed


def _inflates_to(chunk: Chunk, packed: bytes) -> bool:
    try:
        unpacked = library.decompress(packed + LAST_BLOCK, -library.MAX_WBITS, len(chunk) + 1)
    except library.error:  # type: ignore[misc]  # see InflateError
        return False
    return len(unpacked) == len(chunk) and crc32(unpacked) == crc32(chunk)


def inflate(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what the raw deflate stream in `file` holds.

    Raises
    ------
    EOFError
        The stream is cut off.
    InflateError
        It is no deflate stream.
    """
    unpacker = library.decompressobj(-library.MAX_WBITS)
    while not unpacker.eof:
        packed = unpacker.unconsumed_tail or file.read(_READ)
        chunk = unpacker.decompress(packed, _UNPACKED)
        if not packed and not chunk:
            raise EOFError("its data end early")
        yield chunk
