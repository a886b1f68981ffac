"""Many texts of one fixed-width layout at a time: checked byte by byte, their numbers as columns.

A `Layout` is made from a text in which numbers stand as Fortran edit descriptors. What a text holds
outside of them must be the layout's to the byte, and inside of them a number as Fortran prints it.
Here is no tolerance and no message: a text that does not fit is left to a reader that has both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FIELD = re.compile(r"\{(\w*):([FEI])([0-9]+)(?:\.([0-9]+))?\}")

_BLANK, _MINUS, _DIGIT, _OTHER = range(4)
_KIND = np.full(256, _OTHER, np.uint8)
_KIND[ord(" ")], _KIND[ord("-")], _KIND[ord("0") : ord("9") + 1] = _BLANK, _MINUS, _DIGIT

_EXACT = 2.0**53  # whole numbers below this are exact in float64
_TEN_TO = np.array([float(f"1e{k}") for k in range(128)])  # exact up to 1e22


class Layout:
    """A layout that many texts share.

    Parameters
    ----------
    template : str
        With at least one field: ``{name:F16.8}`` (a name may come many times; without one the
        value is checked but not wanted), ``{:E18.8}`` (an exponent of two digits), ``{:I5}``, or
        ``{:I2.2}`` (as many digits as the field is wide, never wanted). The first byte of other
        fields must be blank, so that each number stands apart from what is before it.
    """

    def __init__(self, template: str) -> None:
        self._lowest, self._highest = bytearray(), bytearray()
        self._signs: list[int] = []  # columns of the signs of exponents
        self._exponential: list[int] = []  # which fields these belong to
        names: list[str] = []
        places: list[list[int]] = []
        decimals: list[int] = []
        position = 0
        for field in _FIELD.finditer(template):
            self._literal(template[position : field.start()])
            if field[2] == "E":
                self._exponential.append(len(names))
            if columns := self._field(field[2], int(field[3]), int(field[4] or 0)):
                names.append(field[1])
                places.append(columns)
                decimals.append(int(field[4] or 0))
            position = field.end()
        self._literal(template[position:])
        self._index = {
            name: [i for i, other in enumerate(names) if other == name] for name in {*names} - {""}
        }
        # Short fields begin with their first column, a blank, as often as the longest takes.
        longest = max(map(len, places))
        self._places = np.array([[p[0]] * (longest - len(p)) + p for p in places])
        self._powers = np.array([float(10**k) for k in reversed(range(longest))])
        self._decimals = np.array(decimals)

    @property
    def size(self) -> int:
        """Bytes of a text."""
        return len(self._lowest)

    def _literal(self, text: str) -> None:
        self._span(text, text)

    def _span(self, lowest: str, highest: str) -> None:
        """Add columns by the lowest and the highest byte that they may hold."""
        self._lowest += lowest.encode()
        self._highest += highest.encode()

    def _field(self, kind: str, width: int, decimals: int) -> list[int]:
        """Add a field; return the columns of its sign and digits, but for those of an exponent."""
        start = self.size
        if kind == "I" and decimals:
            self._span("0" * width, "9" * width)
            return []
        exponent = len("E+00") if kind == "E" else 0
        whole = width - exponent - (decimals + 1 if decimals else 0)
        self._span(" " * (whole - 1) + "0", " " + "9" * (whole - 1))
        if decimals:
            self._span("." + "0" * decimals, "." + "9" * decimals)
        point, end = start + whole, self.size
        if exponent:
            self._signs.append(self.size + 1)
            self._span("E+00", "E-99")
        return [*range(start, point), *range(point + 1, end)]

    def read(
        self, texts: Sequence[bytes]
    ) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.float64]]]:
        """Read `texts`.

        Returns
        -------
        bool [n]
            Which texts fit; what the columns hold of the others means nothing.
        dict of str to float64 [n, k]
            The values of the k fields of each name, bit for bit those of ``float()``; with an
            exponent beyond 1e-14 or 1e30 maybe another in the last place.
        """
        # A text of another size cannot fit, and neither do the null bytes in its place.
        joined = b"".join(text if len(text) == self.size else bytes(self.size) for text in texts)
        characters = np.frombuffer(joined, np.uint8).reshape(len(texts), self.size)
        lowest, highest = (np.frombuffer(b, np.uint8) for b in (self._lowest, self._highest))
        fits = (characters - lowest <= highest - lowest).all(axis=1)  # below `lowest` wraps around
        fits &= (characters[:, self._signs] != ord(",")).all(axis=1)  # it lies between + and -
        numbers = characters[:, self._places]
        kinds = _KIND[numbers]
        # Blanks, at most one minus, digits: kinds go up, and only blanks and digits repeat.
        here, following = kinds[..., :-1], kinds[..., 1:]
        ordered = (here < following) | ((here == following) & (here != _MINUS))
        fits &= ordered.all(axis=(1, 2))
        # The digits without the point are a whole number; divided by a power of ten, both exact in
        # float64, it is rounded once, as ``float()`` does.
        whole = np.where(kinds == _DIGIT, numbers - ord("0"), 0) @ self._powers
        fits &= (whole < _EXACT).all(axis=1)
        negative = (kinds == _MINUS).any(axis=2)
        whole = np.where(negative, -whole, whole)
        values = whole / _TEN_TO[self._decimals]
        power = self._exponents(characters) - self._decimals[self._exponential]
        mantissa = whole[:, self._exponential]
        values[:, self._exponential] = np.where(
            power < 0, mantissa / _TEN_TO[np.abs(power)], mantissa * _TEN_TO[np.abs(power)]
        )
        return fits, {name: values[:, index] for name, index in self._index.items()}

    def _exponents(self, characters: NDArray[np.uint8]) -> NDArray[np.intp]:
        """Return the exponents [n, k] of the k fields that have one."""
        signs = np.array(self._signs, np.intp)
        tens, ones = (characters[:, signs + i].astype(np.intp) - ord("0") for i in (1, 2))
        digits = np.clip(10 * tens + ones, 0, 99)  # bytes that do not fit mean nothing
        exponents: NDArray[np.intp] = np.where(characters[:, signs] == ord("-"), -digits, digits)
        return exponents
