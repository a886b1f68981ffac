"""Arrays of dicts, as ``numpy.load(..., allow_pickle=True)`` reads them, written without a pickler.

`pickled_dicts` emits the few opcodes that such an array needs, a chunk at a time, the same bytes
under every version of Python and NumPy.

Opcodes: PEP 307, PEP 3154 and the standard library's ``pickletools``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

Plain = float | int | str | None | tuple[float | None, ...]

_CHUNK = 1 << 18  # bytes

_float = struct.Struct(">cd").pack

_HEAD = (
    b"\x80\x03"  # protocol 3, the first for Python 3
    b"cnumpy.core.multiarray\n_reconstruct\n"  # the name that NumPy 1 and 2 both answer to
    b"cnumpy\nndarray\n"
    b"K\x00\x85"  # shape (0,)
    b"C\x01b"
    b"\x87R"  # an empty array, to be filled by its state:
    b"(K\x01"  # version
)
_OBJECT_DTYPE = (
    b"cnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87R"  # dtype("O8", False, True)
    b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"  # and its state
)


def pickled_dicts(rows: Iterable[Mapping[str, Plain]], shape: tuple[int, ...]) -> Iterator[bytes]:
    """Yield, in chunks, the pickle of an object array of dicts.

    Parameters
    ----------
    rows : iterable of dicts
        str to float, bool, int of 32 bits, str, None or a tuple of these; as many as `shape` holds.
    shape : tuple of int

    Raises
    ------
    OverflowError
        An int needs more than 32 bits.
    UnicodeEncodeError
        A str is no Unicode text (half of a surrogate pair).
    """
    memo: dict[str, bytes] = {}
    parts = [_HEAD, _plain(shape), _OBJECT_DTYPE, b"\x89]("]
    size = 0
    for row in rows:
        parts.append(b"}(")
        for key, value in row.items():
            parts.append(memo[key] if key in memo else _key(key, memo))
            parts.append(_float(b"G", value) if type(value) is float else _plain(value))
        parts.append(b"u")
        size += 32 * len(row)
        if size > _CHUNK:
            yield b"".join(parts)
            parts, size = [], 0
    parts.append(b"etb.")
    yield b"".join(parts)


def _key(key: str, memo: dict[str, bytes]) -> bytes:
    """Emit a key for the first time; from then on it is only referred to."""
    number = struct.pack("<I", len(memo))
    memo[key] = b"j" + number
    return _plain(key) + b"r" + number


def _plain(value: Plain) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, float):
        return _float(b"G", value)
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if isinstance(value, str):
        encoded = value.encode()
        return b"X" + struct.pack("<I", len(encoded)) + encoded
    return b"(" + b"".join(map(_plain, value)) + b"t"
