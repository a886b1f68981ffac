"""Reader of ``band.out``: one-electron levels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.errors import ParseError
from twobody.text import PathLike, parse_integer, parse_number, quote, read_text, split_lines

_Float = NDArray[np.float64]

LEVEL_FIELDS = (
    *("e_homo", "e_lumo"),  # [eV]
    *("n_levels", "max_occupancy", "metal_like", "no_virtual_in_basis"),
)
"""What labels hold of `Levels`."""

LEVEL_SUMS = ("level_electrons", "electrons_rounding", "level_energy", "energy_rounding")
"""What `level_sums` gives."""

_ROUNDING = 5e-4, 5e-6  # half of the last place that is printed of an energy [eV], an occupation
# How far below 0 and above full a level may be, in parts of full. Methfessel-Paxton filling goes so
# far: by 0.035 in first order, by below 0.1 in any.
_OVERSHOOT = 0.1
_OCCUPIED = 0.01  # [e] a level with more than this is occupied; one that lacks no more is full
_BLOCK = re.compile(r"\s*KPT\s+([0-9]{1,18})\s+SPIN\s+([0-9]{1,18})\s+KWEIGHT\s+(\S+)")


class Block(NamedTuple):
    """The heading of the levels of a spin at a k-point."""

    k_point: int
    spin: int
    weight: float
    line: int  # counted from 1; the levels stand below it, one a line


@dataclass(frozen=True, eq=False)
class Levels:
    """One-electron levels of a ``band.out``, in the order of the file."""

    energies: _Float  # [n] eV
    occupations: _Float  # [n] e; full is 2, or 1 where the run is spin-polarised
    spins: NDArray[np.int64]  # [n] counted from 1
    k_points: NDArray[np.int64]  # [n] counted from 1
    blocks: tuple[Block, ...]  # what the levels stand in, all of one size


def level_numbers(
    energies: _Float, occupations: _Float, starts: Sequence[int] | NDArray[np.int64], full: float
) -> dict[str, _Float]:
    """Work out `LEVEL_FIELDS`, [n] each, of the levels of n pairs, one pair behind the other.

    `starts` [n] says where the levels of each begin; `full` is what a level can hold [e]. With
    Fermi filling a partly filled level is both occupied and not full, so E_HOMO >= E_LUMO and the
    gap is 0. Where every level is full there is no LUMO, and it is NaN.
    """
    occupied, not_full = occupations > _OCCUPIED, occupations < full - _OCCUPIED
    homo = np.maximum.reduceat(np.where(occupied, energies, -np.inf), starts)
    lumo = np.minimum.reduceat(np.where(not_full, energies, np.inf), starts)
    values = (
        np.where(np.isinf(homo), np.nan, homo),
        np.where(np.isinf(lumo), np.nan, lumo),
        np.diff(starts, append=len(energies)).astype(np.float64),
        np.maximum.reduceat(occupations, starts),
        np.logical_or.reduceat(occupied & not_full, starts).astype(np.float64),
        np.isinf(lumo).astype(np.float64),
    )
    return dict(zip(LEVEL_FIELDS, values, strict=True))


def level_sums(
    energies: _Float,
    occupations: _Float,
    weights: _Float | float,
    starts: Sequence[int] | NDArray[np.int64],
) -> dict[str, _Float]:
    """Sum up electrons [e] and their energies [eV], and how far rounding may move both, [n] each.

    `weights` are those of the levels' k-points; the rest is as in `level_numbers`.
    """
    of_energy, of_occupation = _ROUNDING
    occupied, size = weights * occupations, np.abs(weights)
    terms = (
        occupied,
        np.broadcast_to(size * of_occupation, occupied.shape),
        occupied * energies,
        size * (of_energy * np.abs(occupations) + of_occupation * np.abs(energies)),
    )
    sums = (np.add.reduceat(term, starts) for term in terms)
    return dict(zip(LEVEL_SUMS, sums, strict=True))


def is_occupation(occupations: _Float, full: float) -> NDArray[np.bool_]:
    """Tell which occupations are from empty to `full` [e]."""
    return np.abs(occupations / full - 0.5) <= 0.5 + _OVERSHOOT


def read_band_out(path: PathLike) -> Levels:
    """Read a ``band.out``; see `parse_band_out`."""
    return parse_band_out(read_text(path), path)


def parse_band_out(text: str, path: PathLike | None = None) -> Levels:
    """Read the text of a ``band.out``.

    Raises
    ------
    ParseError
        A block, row or number is not what it has to be, or a block does not end with the empty line
        that DFTB+ writes after it: without that line nobody can tell that no level is missing.
    """
    lines = split_lines(text)
    blocks: list[Block] = []
    levels: list[list[tuple[float, float]]] = []
    seen: set[tuple[int, int]] = set()
    starts = (i for i, line in enumerate(lines) if line and not (i and lines[i - 1]))
    for i in starts:
        match = _BLOCK.fullmatch(lines[i])
        if match is None:
            raise ParseError(path, i + 1, "'KPT (n) SPIN (n) KWEIGHT (number)'", quote(lines[i]))
        weight = parse_number(match[3], path, i + 1, "the weight of the k-point")
        blocks.append(Block(int(match[1]), int(match[2]), weight, i + 1))
        levels.append(_levels(lines, i + 1, path))
        if blocks[-1][:2] in seen or len(levels[-1]) != len(levels[0]):
            expected = "a new k-point or spin with as many levels as the first"
            raise ParseError(path, i + 1, expected, f"{quote(lines[i])} with {len(levels[-1])}")
        seen.add(blocks[-1][:2])
    if not blocks:
        raise ParseError(path, 1, "a block 'KPT ... SPIN ... KWEIGHT ...'", "an empty file")
    energies, occupations = np.array(levels).reshape(-1, 2).T
    k_points, spins = np.repeat([block[:2] for block in blocks], len(levels[0]), axis=0).T
    return Levels(energies, occupations, spins, k_points, tuple(blocks))


def _levels(lines: list[str], start: int, path: PathLike | None) -> list[tuple[float, float]]:
    """Read the levels (energy, occupation) from line `start` to the empty line below them."""
    levels: list[tuple[float, float]] = []
    width = len(lines[start].split()) if start < len(lines) else 0  # up to 17.1 without the index
    for i in range(start, len(lines) - 1):  # what follows the last line end is no line
        tokens = lines[i].split()
        if not tokens:
            if not levels:
                raise ParseError(path, i + 1, "a level", "an empty line")
            return levels
        if len(tokens) != width or width not in (2, 3):
            raise ParseError(path, i + 1, "index, energy and occupation", quote(lines[i]))
        if width == 3 and parse_integer(tokens[0], path, i + 1, "an index") != len(levels) + 1:
            raise ParseError(path, i + 1, f"level {len(levels) + 1}", quote(lines[i]))
        energy = parse_number(tokens[-2], path, i + 1, "an energy")
        levels.append((energy, parse_number(tokens[-1], path, i + 1, "an occupation")))
    raise ParseError(path, len(lines), "the empty line that ends a block", "the end of the file")
