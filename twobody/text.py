"""Text as Fortran programs and spreadsheets leave it: decoding, lines and numbers, strictly."""

from __future__ import annotations

import math
import os
import re
import stat

import numpy as np
from numpy.typing import NDArray

from twobody.errors import ParseError

PathLike = str | os.PathLike[str]

LARGEST_FILE = 1 << 26
"""Bytes that a text of DFTB+ may have: so much is read and parsed in a minute at most."""

_READ = 1 << 12  # bytes more than a file should have
# Opening a named pipe does not wait for its other end; O_BINARY is Windows'.
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

# Fortran may write D for double precision.
_NUMBER = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[EeDd]([+-]?[0-9]+))?")
# Fortran drops the E of a three-digit exponent, but never the decimal point: -0.123-101.
_BARE_EXPONENT = re.compile(r"([+-]?(?:[0-9]+\.[0-9]*|\.[0-9]+))([+-][0-9]{3})")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def quote(text: str) -> str:
    """Show `text` in a message: blanks trimmed, control characters escaped, at most 80 long."""
    text = text.strip()
    return repr(text if len(text) <= 80 else text[:77] + "...")


def vector(components: NDArray[np.float64]) -> str:
    """Write a vector for a message: (0.000000, 0.000000, 1.234568)."""
    return f"({', '.join(f'{x + 0.0:.6f}' for x in components)})"  # + 0.0: no -0


def counted(n: int, noun: str) -> str:
    """Write a number of things: 1 pair, 2 pairs."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def is_text(array: NDArray[np.str_]) -> bool:
    """Tell whether every character of an array of strings is one that Unicode has for text."""
    codes = np.ascontiguousarray(array).reshape(-1).view(np.uint32)
    return not bool(((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any())


def open_regular(path: PathLike) -> tuple[int, int]:
    """Open a file to read; return its handle and its size in bytes.

    A `ParseError` tells of a missing or unreadable file, and of what may have no end.
    """
    try:
        handle = os.open(path, _OPEN)
    except OSError as error:
        raise ParseError(path, None, "a readable file", error.strerror or str(error)) from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise ParseError(path, None, "a regular file", "a folder, named pipe or device")
    return handle, status.st_size


def read_bytes(path: PathLike, largest: int = LARGEST_FILE) -> bytes:
    """Read a file; one of more than `largest` bytes is a `ParseError`. See `open_regular`."""
    handle, size = open_regular(path)
    data = b""
    try:
        # Without a file object, which takes longer to make than a small file to read.
        while size <= largest and (part := os.read(handle, size + _READ)):
            data += part
            if len(data) == size:
                return data
            size = max(size, len(data))  # it may grow meanwhile
    except OSError as error:
        raise ParseError(path, None, "a readable file", error.strerror or str(error)) from error
    finally:
        os.close(handle)
    if size > largest:
        raise ParseError(path, None, f"at most {largest} bytes", "more")
    return data


def decode(data: bytes, path: PathLike) -> str:
    """Decode UTF-8, with or without a byte-order mark; other bytes are a `ParseError`."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ParseError(path, line, "UTF-8 text", f"byte 0x{data[error.start]:02x}") from error


def split_lines(text: str) -> list[str]:
    """Split at LF or CRLF only, as editors do; the last item is what follows the last line end."""
    return [line.rstrip() for line in text.split("\n")]


def read_text(path: PathLike) -> str:
    """Read a UTF-8 file; see `read_bytes` and `decode`."""
    return decode(read_bytes(path), path)


def find_line(text: str, phrase: str) -> int | None:
    """Return the number of the last line that holds `phrase`, for a message; None without one."""
    lines = split_lines(text)
    return max((i for i, line in enumerate(lines, start=1) if phrase in line), default=None)


def parse_number(token: str, path: PathLike | None, line: int | None, what: str) -> float:
    """Read a finite decimal number as Fortran prints it.

    A `ParseError` tells of asterisks (an overflowed field), NaN, infinity, what is out of the range
    of a float64, or no number at all.
    """
    match = _NUMBER.fullmatch(token) or _BARE_EXPONENT.fullmatch(token)
    if match is None:
        raise ParseError(path, line, f"{what}, a number", quote(token))
    mantissa, exponent = match.groups()
    value = float(f"{mantissa}e{exponent or 0}")
    if math.isinf(value) or (value == 0.0 and mantissa.strip("+-0.")):
        raise ParseError(path, line, f"{what}, a number in the range of float64", quote(token))
    return value


def parse_integer(token: str, path: PathLike | None, line: int | None, what: str) -> int:
    """Read a decimal integer of at most 18 digits; see `parse_number`."""
    if _INTEGER.fullmatch(token) is None:
        raise ParseError(path, line, f"{what}, an integer", quote(token))
    return int(token)
