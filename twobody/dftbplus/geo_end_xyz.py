"""Reader of ``geo_end.xyz``: the geometry, and the Mulliken populations of the atoms."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twobody.errors import ParseError
from twobody.text import PathLike, parse_integer, parse_number, quote, read_text, split_lines

# F16.8: a number that stands without a blank behind another fills all 16 columns.
_FULL = r"(?:-[0-9]{6}|[0-9]{7})\.[0-9]{8}"
_GLUED = re.compile(rf"(?<=[0-9]\.[0-9]{{8}})(?=(?:{_FULL})+(?:\s|$))")
_LIMIT = 1e7  # what F16.8 cannot print
_STEP = re.compile(r"\s*Geometry Step:\s*([0-9]{1,18})")
_SYMBOL = re.compile(r"[A-Za-z][^.*]*")  # points and asterisks are of a number glued to it
_WHOLE = re.compile(r".*\.[0-9]{8}")


@dataclass(frozen=True, eq=False)
class Geometry:
    """The last complete frame of a ``geo_end.xyz``."""

    symbols: tuple[str, ...]
    positions: NDArray[np.float64]  # [n_atoms, 3] Å
    populations: NDArray[np.float64] | None  # [n_atoms] e, not charges; None without such a column
    line: int  # of the first atom's row, counted from 1; for messages
    step: int | None  # geometry step; None where the comment does not say it


def read_geo_end_xyz(path: PathLike) -> Geometry:
    """Read a ``geo_end.xyz``; see `parse_geo_end_xyz`."""
    return parse_geo_end_xyz(read_text(path), path)


def parse_geo_end_xyz(text: str, path: PathLike | None = None) -> Geometry:
    """Read the text of a ``geo_end.xyz``: its last complete frame.

    Columns are the symbol, x, y, z and, by their number, nothing more (4), the Mulliken population
    (5), a velocity (7), or both (8).

    Raises
    ------
    ParseError
        No frame is complete, or a count, a row or a number is not what it has to be.
    """
    lines = split_lines(text)
    end = max((i for i, line in enumerate(lines, start=1) if line), default=0)
    frame: tuple[int, int] | None = None
    start = 0
    while start < end:
        n_atoms = parse_integer(lines[start].strip(), path, start + 1, "the number of atoms")
        if n_atoms < 1:
            raise ParseError(path, start + 1, "at least one atom", f"{n_atoms}")
        stop = start + 2 + n_atoms
        if stop > end:
            break
        if stop == len(lines):  # without a line end the last number has to be whole
            widths = {len(row.split()) for row in lines[start + 2 :]}
            if len(widths) > 1 or _WHOLE.fullmatch(lines[-1]) is None:
                break
        frame = (start + 2, stop)
        start = stop
    if frame is None:
        expected = f"{lines[0].strip()} atoms and all their columns" if end else "a number of atoms"
        raise ParseError(path, max(end, 1), expected, "the end of the file")
    return _frame(lines, *frame, path)


def _frame(lines: list[str], start: int, stop: int, path: PathLike | None) -> Geometry:
    symbols: list[str] = []
    values: list[list[float]] = []
    for i in range(start, stop):
        symbol, *fields = _GLUED.sub(" ", lines[i]).split() or [""]
        if _SYMBOL.fullmatch(symbol) is None or len(fields) not in (3, 4, 6, 7):
            raise ParseError(path, i + 1, "a symbol and 3, 4, 6 or 7 numbers", quote(lines[i]))
        if values and len(fields) != len(values[0]):
            expected = f"{len(values[0])} numbers, as in the row above"
            raise ParseError(path, i + 1, expected, f"{len(fields)}")
        what = "a coordinate or population"
        row = [parse_number(field, path, i + 1, what) for field in fields]
        for field, value in zip(fields, row, strict=True):
            if abs(value) >= _LIMIT:
                raise ParseError(path, i + 1, f"{what}, a number below {_LIMIT:.0e}", quote(field))
        symbols.append(symbol)
        values.append(row)
    table = np.array(values)
    populations = table[:, 3] if table.shape[1] in (4, 7) else None
    match = _STEP.fullmatch(lines[start - 1])
    step = int(match[1]) if match else None
    return Geometry(tuple(symbols), table[:, :3], populations, start + 1, step)
