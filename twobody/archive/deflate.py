"""The compressor: Intel's ISA-L where it is installed (the extra ``fast``), zlib otherwise.

Both make and read the same format. ISA-L is some five times as fast as zlib and its output 1 %
larger; what is compressed does not depend on it, only the compressed bytes do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

try:
    from isal import isal_zlib as library
except ImportError:
    import zlib as library  # type: ignore[no-redef]

LIBRARY: str = library.__name__

Chunk = bytes | memoryview

# For images level 6 of zlib takes half as long again as 1, for 2 % less; ISA-L's output is smallest
# at 2.
_LEVEL = 1 if LIBRARY == "zlib" else 2
_MOST_MEMORY = 9  # some percent faster with zlib than its default

LAST_BLOCK = b"\x03\x00"
"""An empty block that says that it is the last of its stream."""
_END = b"!"
_STORED_END = b"\x01\x01\x00\xfe\xff" + _END  # a last block that holds it, not deflated

_READ, _UNPACKED = 1 << 16, 1 << 18  # bytes at a time: what is in work stays in the cache

InflateError: type[Exception] = library.error  # type: ignore[assignment]  # isal calls it an instance
crc32 = library.crc32


def deflate(chunk: Chunk) -> bytes:
    """Compress `chunk` so that such pieces, one after the other, are one raw deflate stream.

    Each ends on a byte border and refers to nothing before itself (a full flush).

    Raises
    ------
    OSError
        It does not inflate to `chunk`.
    """
    packer = library.compressobj(_LEVEL, library.DEFLATED, -library.MAX_WBITS, _MOST_MEMORY)
    packed: bytes = packer.compress(chunk) + packer.flush(library.Z_FULL_FLUSH)
    if not _inflates_to(chunk, packed):
        expected = "data that inflate to what they were made of"
        raise OSError(f"compressor {LIBRARY}: expected {expected}, found others")
    return packed


def _inflates_to(chunk: Chunk, packed: bytes) -> bool:
    """Tell whether the stream goes on after `packed`, and holds `chunk` until there."""
    size = len(chunk) + len(_END)
    try:
        unpacked = library.decompress(packed + _STORED_END, -library.MAX_WBITS, size)
    except library.error:  # type: ignore[misc]  # see InflateError
        return False
    # Comparing the bytes themselves would take twenty times as long: one side is a memoryview.
    return len(unpacked) == size and crc32(unpacked) == crc32(_END, crc32(chunk))


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
