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
_KIND = bytes(
    _BLANK if c == ord(" ") else _MINUS if c == ord("-") else _DIGIT if 48 <= c <= 57 else _OTHER
    for c in range(256)
)

_EXACT = 2.0**53  # whole numbers below this are exact in float64


class Layout:
    """A layout that many texts share.

    Parameters
    ----------
    template : str
        With fields ``{name:F16.8}`` (a name may come many times; without one the value is checked
        but not wanted), ``{:E18.8}`` (an exponent of two digits), ``{:I5}`` and ``{:I2.2}`` (as
        many digits as the field is wide). The first byte of other fields must be blank, so that
        each number stands apart from what is before it.
    """

    def __init__(self, template: str) -> None:
        self._lowest, self._highest = bytearray(), bytearray()
        self._whole: list[int] = []  # columns before a point, but for the last of each field
        self._signs: list[int] = []  # columns of the signs of exponents
        self._fields: dict[tuple[int, int], list[tuple[str, int]]] = {}  # (width, decimals): ...
        position = 0
        for field in _FIELD.finditer(template):
            self._literal(template[position : field.start()])
            self._field(field[1], field[2], int(field[3]), int(field[4] or 0))
            position = field.end()
        self._literal(template[position:])

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

    def _field(self, name: str, kind: str, width: int, decimals: int) -> None:
        start = self.size
        if kind == "I" and decimals:
            self._span("0" * width, "9" * width)
            return
        exponent = len("E+00") if kind == "E" else 0
        whole = width - exponent - (decimals + 1 if decimals else 0)
        self._span(" " * (whole - 1) + "0", " " + "9" * (whole - 1))
        self._whole += range(start, start + whole - 1)
        if decimals:
            self._span("." + "0" * decimals, "." + "9" * decimals)
        if exponent:
            self._signs.append(self.size + 1)
            self._span("E+00", "E-99")
        if name:
            self._fields.setdefault((width, decimals), []).append((name, start))

    def read(
        self, texts: Sequence[bytes]
    ) -> tuple[NDArray[np.bool_], dict[str, NDArray[np.float64]]]:
        """Read `texts`.

        Returns
        -------
        bool [n]
            Which texts fit; what the columns hold of the others means nothing.
        dict of str to float64 [n, k]
            The values of the k fields of each name, bit for bit those of ``float()``.
        """
        # A text of another size cannot fit, and neither do the null bytes in its place.
        joined = b"".join(text if len(text) == self.size else bytes(self.size) for text in texts)
        characters = np.frombuffer(joined, np.uint8).reshape(len(texts), self.size)
        kinds = np.frombuffer(joined.translate(_KIND), np.uint8).reshape(characters.shape)
        lowest, highest = (np.frombuffer(b, np.uint8) for b in (self._lowest, self._highest))
        fits = (characters - lowest <= highest - lowest).all(axis=1)  # below `lowest` wraps around
        fits &= (characters[:, self._signs] != ord(",")).all(axis=1)  # it lies between + and -
        # Blanks, at most one minus, digits: kinds go up, and only blanks and digits repeat.
        here, following = kinds[:, self._whole], kinds[:, np.array(self._whole, np.intp) + 1]
        fits &= ((here < following) | ((here == following) & (here != _MINUS))).all(axis=1)
        columns: dict[str, NDArray[np.float64]] = {}
        for (width, decimals), fields in self._fields.items():
            names = np.array([name for name, _ in fields])
            starts = np.array([start for _, start in fields])
            values, exact = _values(characters, kinds, starts, width, decimals)
            fits &= exact
            columns |= {name: values[:, names == name] for name in dict.fromkeys(names.tolist())}
        return fits, columns


def _values(
    characters: NDArray[np.uint8],
    kinds: NDArray[np.uint8],
    starts: NDArray[np.intp],
    width: int,
    decimals: int,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the numbers [n, k] in the fields at `starts`, and in which texts all are exact.

    The digits without the point are a whole number; divided by a power of ten, both exact in
    float64, it is rounded once, as ``float()`` does.
    """
    offsets = np.delete(np.arange(width), width - decimals - 1)
    places = starts[:, None] + offsets
    digits = np.where(kinds[:, places] == _DIGIT, characters[:, places] - ord("0"), 0.0)
    whole = digits @ np.array([float(10**k) for k in reversed(range(width - 1))])
    negative = (kinds[:, places] == _MINUS).any(axis=2)
    values = np.where(negative, -whole, whole) / float(10**decimals)
    return values, (whole < _EXACT).all(axis=1)
