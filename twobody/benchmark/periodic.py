"""Where an element stands in the periodic table: period, group, block."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from twobody.elements import PERIOD_STARTS, SYMBOLS

BLOCKS = ("s", "p", "d", "f")


class Place(NamedTuple):
    """A place in the periodic table of 18 groups.

    Attributes
    ----------
    period : int
        1 to 7.
    group : int
        1 to 18; 3 for the f block, as for the elements that it stands beside.
    block : "s", "p", "d" or "f"
        The f block is La to Yb and Ac to No (IUPAC, provisional report of 2021 on group 3).
    """

    period: int
    group: int
    block: str


def place(atomic_number: int) -> Place:
    """Return the place of an element."""
    period = bisect_right(PERIOD_STARTS, atomic_number)
    end = PERIOD_STARTS[period] if period < len(PERIOD_STARTS) else len(SYMBOLS) + 1
    column = atomic_number - PERIOD_STARTS[period - 1] + 1
    from_right = end - atomic_number  # 1 for the noble gas
    if atomic_number == 2:
        return Place(1, 18, "s")
    if column <= 2:
        return Place(period, column, "s")
    if from_right <= 6:
        return Place(period, 19 - from_right, "p")
    if from_right <= 16:
        return Place(period, 19 - from_right, "d")
    return Place(period, 3, "f")
