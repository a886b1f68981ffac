"""Values and tables as text, for terminals and for JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

WIDTH = 100  # columns that everything printed fits


def aligned(rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """Return the lines of a table.

    Parameters
    ----------
    rows : iterable of sequences of str
        Of one length.
    left : int
        How many columns, from the first, are flush left; the others are flush right.
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if k < left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def wrapped(words: Iterable[str], indent: str) -> list[str]:
    """Return words, separated by commas, on lines that begin with `indent`."""
    # Names hold no blanks; textwrap must not break them elsewhere.
    return textwrap.wrap(
        ", ".join(words),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def number(value: float | str | None, digits: int = 5) -> str:
    """Return a number with so many digits, a text as it is, a dash where there is none."""
    if isinstance(value, str):
        return value
    return "-" if value is None else f"{value + 0.0:.{digits}g}"  # + 0.0: no -0


def plain(value: Any) -> float | str | None:
    """Return a value as JSON has it: NaN, that is missing, as None; inf and all else as text."""
    item = value.item() if isinstance(value, np.generic) else value
    if isinstance(item, int | float) and not math.isfinite(item):
        return None if math.isnan(item) else str(item)
    return item if isinstance(item, int | float | str | None) else str(item)
