"""Values and tables as text, for terminals and for JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

WIDTH = 100  # columns that everything printed fits


def aligned(rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Return the lines of a table: the first `left` columns flush left, the others flush right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    row_format = "  ".join(f"{{:{'<' if k < left else '>'}{n}}}" for k, n in enumerate(widths))
    return [row_format.format(*row).rstrip() for row in rows]


def wrapped(words: Iterable[str]) -> list[str]:
    """Return words, separated by commas, on indented lines; none is broken."""
    text = textwrap.TextWrapper(WIDTH, "  ", "  ", break_long_words=False, break_on_hyphens=False)
    return text.wrap(", ".join(words))


def number(value: float | str | None, digits: int = 5) -> str:
    """Return a number with so many digits, a text as it is, a dash where there is none."""
    if isinstance(value, str):
        return value
    return "-" if value is None else f"{value + 0.0:.{digits}g}"  # + 0.0: no -0


def plain(value: Any) -> float | str | None:
    """Return a value as JSON has it: NaN, that is missing, as None; inf and all else as text."""
    item = value.item() if isinstance(value, np.generic) else value
    if isinstance(item, float) and not math.isfinite(item):
        return None if math.isnan(item) else str(item)
    return item if isinstance(item, int | float | str | None) else str(item)
