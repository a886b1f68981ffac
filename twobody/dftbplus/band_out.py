"""Reader of ``band.out``: one-electron levels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.errors import ParseError
from twobody.text import PathLike, parse_integer, parse_number, quote, read_text, split_lines

_BLOCK = re.compile(r"\s*KPT\s+([0-9]{1,18})\s+SPIN\s+([0-9]{1,18})\s+KWEIGHT\s+(\S+)")


class Block(NamedTuple):
    """The heading of the levels of a spin at a k-point."""

    k_point: int
    spin: int
    weight: float
    line: int  # counted from 1; the levels stand below it, one a line


@dataclass(frozen=True, eq=False)
class Levels:
    """One-electron levels of a ``band.out``, in the order of the file.

    Attributes
    ----------
    energies : float64 [n]
        [eV]
    occupations : float64 [n]
        [e]; up to 2 per level, up to 1 where the run is spin-polarised.
    spins, k_points : int64 [n]
        Counted from 1.
    blocks : tuple of Block
        What the levels stand in, all of one size, in the order of the file.
    """

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    spins: NDArray[np.int64]
    k_points: NDArray[np.int64]
    blocks: tuple[Block, ...]


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
    rows: list[tuple[float, float, int, int]] = []
    blocks: list[Block] = []
    seen: set[tuple[int, int]] = set()
    size = 0
    i = 0
    while i < len(lines):
        if not lines[i]:
            i += 1
            continue
        match = _BLOCK.fullmatch(lines[i])
        if match is None:
            raise ParseError(path, i + 1, "'KPT (n) SPIN (n) KWEIGHT (number)'", quote(lines[i]))
        weight = parse_number(match[3], path, i + 1, "the weight of the k-point")
        k_point, spin = int(match[1]), int(match[2])
        levels, stop = _block(lines, i + 1, path)
        size = size or len(levels)
        if (k_point, spin) in seen or len(levels) != size:
            expected = "a new k-point or spin with as many levels as the first"
            raise ParseError(path, i + 1, expected, f"{quote(lines[i])} with {len(levels)}")
        seen.add((k_point, spin))
        blocks.append(Block(k_point, spin, weight, i + 1))
        rows += [(energy, occupation, spin, k_point) for energy, occupation in levels]
        i = stop
    if not rows:
        raise ParseError(path, 1, "a block 'KPT ... SPIN ... KWEIGHT ...'", "an empty file")
    energies, occupations, spins, k_points = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return Levels(energies, occupations, spins, k_points, tuple(blocks))


def _block(
    lines: list[str], start: int, path: PathLike | None
) -> tuple[list[tuple[float, float]], int]:
    """Read the levels of a block (energy, occupation) and say where it ends."""
    levels: list[tuple[float, float]] = []
    width = 0
    for i in range(start, len(lines)):
        tokens = lines[i].split()
        if not tokens and i < len(lines) - 1:
            if not levels:
                raise ParseError(path, i + 1, "a level", "an empty line")
            return levels, i + 1
        if not tokens:
            break
        width = width or len(tokens)  # up to 17.1 without the index
        if len(tokens) != width or width not in (2, 3):
            raise ParseError(path, i + 1, "index, energy and occupation", quote(lines[i]))
        if width == 3 and parse_integer(tokens[0], path, i + 1, "an index") != len(levels) + 1:
            raise ParseError(path, i + 1, f"level {len(levels) + 1}", quote(lines[i]))
        energy = parse_number(tokens[-2], path, i + 1, "an energy")
        levels.append((energy, parse_number(tokens[-1], path, i + 1, "an occupation")))
    raise ParseError(path, len(lines), "the empty line that ends a block", "the end of the file")
