"""Numbers that describe an element: known for every element, whether a model has seen it or not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.periodic import BLOCKS, place
from twobody.elements import COVALENT_RADII, SYMBOLS
from twobody.encodings.valence import valence_shells

NAMES: tuple[str, ...] = (
    "period",
    "group",
    *(f"block_{block}" for block in BLOCKS),  # 0 or 1
    "covalent_radius",  # [Å]
    *(f"occupation_{l}" for l in BLOCKS),  # [e] of the valence shells of the free atom
    *(f"exponent_{l}" for l in BLOCKS),  # [1 / bohr], Slater's; 0 where there is no such shell
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
    shells = valence_shells(atomic_number)
    occupations = [0.0 if shell is None else float(shell.occupation) for shell in shells]
    exponents = [0.0 if shell is None else shell.exponent for shell in shells]
    of_block = [float(block == name) for name in BLOCKS]
    return [period, group, *of_block, radius, *occupations, *exponents]
