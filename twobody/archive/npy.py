"""The header of a .npy file in C order, version 1.0: written, and read without trusting it.

Format: NEP 1.
"""

from __future__ import annotations

import io
import math
import re
from typing import IO, Any

import numpy as np

_MAGIC = b"\x93NUMPY\x01\x00"
_MAX_HEADER = 4096  # bytes; ours have 118
_MAX_DIMENSIONS = 32  # NumPy 1; 2 has 64
# Exactly what NumPy writes, with no need for a parser of Python.
_HEADER = re.compile(
    rb"\{'descr': '([<|][fiubUS][1-9][0-9]{0,8}|\|O)', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)


def npy_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Return the header of an array in C order."""
    buffer = io.BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def read_npy_header(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Read dtype, shape and size of the header of a little-endian array in C order.

    Raises
    ------
    ValueError
        The header is of another kind, damaged, or of an array that no machine can hold.
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
