"""A folder of Slater-Koster files: its elements, the shells of their basis, what a run reads.

Format: "Format of the v1.0 Slater-Koster files" (slakoformat), dftb.org. Numbers are separated by
blanks or commas; ``n*x`` is n times x. DFTB+ reads one row less than the number of grid points, and
sets exist that have no more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import ParseError
from twobody.text import decode, parse_integer, parse_number, quote, read_bytes, split_lines

# Where a row holds the sigma overlap of two shells of one kind, counted from its end. The row ends
# Sdd0 Sdd1 Sdd2 Spd0 Spd1 Spp0 Spp1 Ssd0 Ssp0 Sss0, and in the extended format
# Sff0 Sff1 Sff2 Sff3 Sdf0 Sdf1 Sdf2 Sdd0 Sdd1 Sdd2
# Spf0 Spf1 Spd0 Spd1 Spp0 Spp1 Ssf0 Ssd0 Ssp0 Sss0.
_OVERLAPS = {"s": -1, "p": -5, "d": -10}
_EXTENDED_OVERLAPS = {"s": -1, "p": -6, "d": -13, "f": -20}

# A row that `float` reads as Fortran does; no exponent in it overflows or underflows.
_PLAIN = re.compile(r" *(?:[+-]?[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]{1,2})?(?: +|$))*")


class SlaterKosterFiles:
    """The files ``A-B.skf`` of a folder (`folder` is its absolute path); each is read once.

    A `ParseError` of its methods names a file that is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._files: dict[tuple[str, str], tuple[str, str]] = {}

    def elements(self) -> list[str]:
        """Return the elements that have a homonuclear file, sorted; no element is an error."""
        names = {path.name for path in self.folder.glob("*-*.skf")}
        found = [symbol for symbol in sorted(ATOMIC_NUMBERS) if f"{symbol}-{symbol}.skf" in names]
        if not found:
            expected = "a folder of Slater-Koster files (A-A.skf, A-B.skf, ...)"
            raise ParseError(self.folder, None, expected, "none")
        return found

    def highest_shell(self, symbol: str) -> str:
        """Return the letter of the largest angular momentum of an element; see `highest_shell`."""
        return self._file(symbol, symbol)[1]

    def digest(self, elements: tuple[str, str]) -> str:
        """Return the SHA-256 over the files that a run of the pair `elements` reads."""
        pairs = sorted(set(product(elements, repeat=2)))
        listing = "".join(f"{self._file(a, b)[0]}  {a}-{b}.skf\n" for a, b in pairs)
        return hashlib.sha256(listing.encode()).hexdigest()

    def _file(self, a: str, b: str) -> tuple[str, str]:
        """Check a file; return its SHA-256 and, where it is homonuclear, the highest shell."""
        if (a, b) not in self._files:
            path = self.folder / f"{a}-{b}.skf"
            data = read_bytes(path)
            lines = split_lines(decode(data, path))
            shell = highest_shell(lines, path) if a == b else ""
            if a != b:
                for _ in _rows(lines, path, 2):
                    pass
            self._files[a, b] = hashlib.sha256(data).hexdigest(), shell
        return self._files[a, b]


def highest_shell(lines: list[str], path: Path) -> str:
    """Return the letter of the largest angular momentum in the basis of a homonuclear file.

    A shell is in the basis where its overlap with the same shell of the other atom (the columns
    Sss0, Spp0, Sdd0, Sff0) is not zero at every distance. The on-site line cannot tell: an empty
    shell of the basis has no occupation (d of Al), and some parameter sets give on-site energies or
    Hubbard values of shells that they do not have. But an occupied shell must have an overlap. A
    shell left out below the highest is a `ParseError`: DFTB+ then needs more than the highest.
    """
    extended = lines[0].startswith("@")
    overlaps = _EXTENDED_OVERLAPS if extended else _OVERLAPS
    what = "the on-site values of a shell"
    on_site = _numbers(lines, 2 if extended else 1, path, 3 * len(overlaps) + 1, what)
    occupations = dict(zip(overlaps, reversed(on_site), strict=False))
    rows = list(_rows(lines, path, 3))
    shells = "".join(s for s, column in overlaps.items() if any(row[column] for row in rows))
    for shell, occupation in occupations.items():
        if occupation > 0.0 and shell not in shells:
            expected = f"an overlap of the occupied {shell} shell"
            raise ParseError(path, None, expected, "zero at every distance")
    if not shells or not "spdf".startswith(shells):
        expected = "overlaps of all shells from s up to the highest"
        raise ParseError(path, None, expected, f"overlaps of {shells or 'none'}")
    return shells[-1]


def _rows(lines: list[str], path: Path, first: int) -> Iterator[list[float]]:
    """Yield the integrals at each distance, which start `first` lines below the grid's line."""
    grid, count = (1, 40) if lines[0].startswith("@") else (0, 20)
    tokens = lines[grid].replace(",", " ").split() if grid < len(lines) else []
    if len(tokens) < 2:  # some sets add the number of shells
        found = quote(lines[grid]) if grid < len(lines) else "the end of the file"
        raise ParseError(path, grid + 1, "grid distance and number of grid points", found)
    if parse_number(tokens[0], path, grid + 1, "the grid distance") <= 0.0:
        raise ParseError(path, grid + 1, "a grid distance above 0", tokens[0])
    n_points = parse_integer(tokens[1], path, grid + 1, "the number of grid points")
    if n_points < 2:
        raise ParseError(path, grid + 1, "at least two grid points", tokens[1])
    for i in range(grid + first, grid + first + n_points - 1):
        yield _numbers(lines, i, path, count, "an integral")


def _numbers(lines: list[str], i: int, path: Path, count: int, what: str) -> list[float]:
    """Read the `count` numbers of line `i` (counted from 0)."""
    text = lines[i].replace(",", " ") if i < len(lines) else ""
    if _PLAIN.fullmatch(text):  # most rows, and four times as fast
        values = [float(token) for token in text.split()]
    else:
        values = []
        for token in text.split():
            repeat, star, value = token.rpartition("*")
            n = parse_integer(repeat, path, i + 1, "a repeat count") if star else 1
            number = parse_number(value, path, i + 1, what)
            values += [number] * min(n, count + 1 - len(values))
    if len(values) != count:
        raise ParseError(path, i + 1, f"{count} numbers", f"{len(values)}")
    return values
