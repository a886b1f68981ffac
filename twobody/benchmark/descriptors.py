"""Numbers that describe an element: known for every element, whether a model has seen it or not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.periodic import BLOCKS, place
from twobody.elements import COVALENT_RADII, SYMBOLS

NAMES: tuple[str, ...] = (
    "period",
    "group",
    *(f"block_{block}" for block in BLOCKS),
    "covalent_radius",  # [Å]
)
"""What the numbers of an element are, in their order."""


def descriptors(atomic_numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Describe atoms by their elements.

    Parameters
    ----------
    atomic_numbers : int64 [...]

    Returns
    -------
    float64 [..., D]
        The numbers `NAMES`, neither centred nor scaled.
    """
    known, inverse = np.unique(atomic_numbers, return_inverse=True)
    table = np.array([_describe(z) for z in known.tolist()])
    return table[inverse.reshape(atomic_numbers.shape)]


def _describe(atomic_number: int) -> list[float]:
    period, group, block = place(atomic_number)
    radius = COVALENT_RADII[SYMBOLS[atomic_number - 1]]
    return [period, group, *(float(block == name) for name in BLOCKS), radius]
