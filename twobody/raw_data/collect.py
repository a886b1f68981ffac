"""The labels of a pair folder, worked out from all three of its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from twobody.dftbplus import POPULATION_TOLERANCE, DetailedOut, Levels, read_band_out
from twobody.errors import ParseError
from twobody.raw_data.label_csv import PairLabels
from twobody.labels import derive_labels
from twobody.raw_data.folders import BAND_OUT, DETAILED_OUT, read_pair

_OCCUPATION_ROUNDING = 5e-6
"""Half of the last place that ``band.out`` prints of an occupation [e]."""

_OVERSHOOT = 0.1
"""How far below 0 and above full a level may be, in parts of full.

Methfessel-Paxton filling goes so far: by 0.035 in first order, by below 0.1 in any.
"""


def collect_pair(folder: Path) -> tuple[PairLabels | None, list[ParseError]]:
    """Return geometry and labels of the pair in `folder`, or everything that is wrong with it.

    Pairs whose SCC did not converge are taken: a label says so.
    """
    pair, errors = read_pair(folder, allow_unconverged=True)
    try:
        levels = read_band_out(folder / BAND_OUT)
        if pair is not None:
            _check_levels(levels, pair.detailed, folder / BAND_OUT)
    except ParseError as error:
        errors.append(error)
    if pair is None or errors:
        return None, errors
    labels = derive_labels(pair.name, pair.detailed, levels, pair.bond_length)
    return PairLabels(pair.geometry, labels), []


def _check_levels(levels: Levels, detailed: DetailedOut, path: Path) -> None:
    """Check that no level, spin or electron of `detailed` is missing among the levels."""
    if detailed.orbitals is None or detailed.atom_populations is None:
        return
    n_channels = len(detailed.spin_channels)
    non_collinear = n_channels == 4  # one block for both spins
    _check_blocks(
        levels,
        spins=(1, 2) if n_channels == 2 else (1,),
        n_levels=len(detailed.orbitals.atom) * (2 if non_collinear else 1),
        path=path,
    )
    capacity = 2.0 if n_channels == 1 else 1.0
    _check_occupations(levels, capacity, float(detailed.atom_populations.sum()), path)


def _check_blocks(levels: Levels, spins: Sequence[int], n_levels: int, path: Path) -> None:
    """Check that every k-point has a block for each spin, with a level for each (spin) orbital."""
    found = len(levels.energies) // len(levels.blocks)
    missing = dict.fromkeys((k_point, s) for k_point, *_ in levels.blocks for s in spins)
    for k_point, spin, _, line in levels.blocks:
        if spin not in spins:
            what = f"spin {' or '.join(map(str, spins))}, as in {DETAILED_OUT}"
            raise ParseError(path, line, what, f"spin {spin}")
        if found != n_levels:
            what = f"{n_levels} levels, one an orbital, for k-point {k_point}, spin {spin}"
            raise ParseError(path, line, what, f"{found}")
        del missing[k_point, spin]
    for k_point, spin in missing:
        line = levels.blocks[-1].line + found
        raise ParseError(path, line, f"a block for k-point {k_point}, spin {spin}", "none")


def _check_occupations(levels: Levels, capacity: float, electrons: float, path: Path) -> None:
    """Check that levels are filled as far as they can be, and together with all electrons."""
    total, tolerance = 0.0, POPULATION_TOLERANCE
    occupations = levels.occupations.reshape(len(levels.blocks), -1)
    for block, filled in zip(levels.blocks, occupations, strict=True):
        for i, occupation in enumerate(filled.tolist(), start=1):
            if abs(occupation / capacity - 0.5) > 0.5 + _OVERSHOOT:
                what = f"an occupation from 0 to {capacity:g}"
                raise ParseError(path, block.line + i, what, f"{occupation:.5f}")
        total += block.weight * float(filled.sum())
        tolerance += abs(block.weight) * len(filled) * _OCCUPATION_ROUNDING
    if abs(total - electrons) > tolerance:
        what = f"occupations that add up to the electrons of {DETAILED_OUT}, {electrons:.5f}"
        raise ParseError(path, levels.blocks[0].line, what, f"{total:.5f}")
