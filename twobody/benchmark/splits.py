"""The splits of the benchmark, shipped as names: which pair is trained on and tested where.

``splits.csv`` beside this file has a row per pair and a column per fold; its SHA-256 is part of the
identity of a result. ``python -m twobody.benchmark.splits`` writes it again, to the byte: orders
come from hashes of names, so that no version of a random generator matters.

Elements without any pair in training are the cold start of Y. Park & E. M. Marcotte, Nat. Methods
9, 1134 (2012), doi:10.1038/nmeth.2259; C1, C2 and C3 are their names of the three kinds of pairs.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.periodic import BLOCKS, place
from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import ParseError
from twobody.text import read_bytes

FOLDS: dict[str, tuple[int, ...]] = {
    "pair": (1, 2, 3, 4, 5),
    "element": (1, 2, 3, 4, 5),
    "period": (4, 5, 6),
}
"""The folds of each split; those of `period` are named for the period that is left out."""

PARTS: dict[str, tuple[str, ...]] = {
    "pair": ("C1",),
    "element": ("C2", "C3"),
    "period": ("C2", "C3"),
}
"""The test parts of each split: C1, C2, C3 for no, one, both elements absent from training."""

N_VALIDATION_ELEMENTS = 8
_VALIDATION_SHARE = 10  # a tenth of what the pair split does not test

SPLITS_CSV = Path(__file__).with_name("splits.csv")
SPLITS_SHA256 = "008c6ef11b6f54a7784dd81d016952ca4ffdffe889214d38702e3aeb70e58371"

TRAINING = "T"
"""The cell of a pair that is trained on. V1, V2, V3 are for validation and C1, C2, C3 for the test,
by the number of elements, less one, that no pair of training has."""


@cache
def read_splits(path: Path = SPLITS_CSV) -> tuple[NDArray[np.str_], dict[str, NDArray[np.str_]]]:
    """Read the splits that ship with the package.

    Returns
    -------
    str [2850]
        Names of the pairs, sorted.
    dict of str to str [2850]
        The cells (T, V1 ... V3, C1 ... C3) of each fold, under ``SPLIT-FOLD``.

    Raises
    ------
    ParseError
        The file is not the one that was shipped.
    """
    data = read_bytes(path)
    if (found := hashlib.sha256(data).hexdigest()) != SPLITS_SHA256:
        raise ParseError(path, None, f"the splits of SHA-256 {SPLITS_SHA256[:12]}…", found[:12])
    header, *rows = csv.reader(io.StringIO(data.decode()))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return columns[0], dict(zip(header[1:], columns[1:], strict=True))


def make_splits(names: Sequence[str]) -> str:
    """Return the text of the file of splits for all pairs A_B of some elements."""
    pairs = {name: frozenset(name.split("_")) for name in sorted(names)}
    elements = sorted(frozenset().union(*pairs.values()), key=ATOMIC_NUMBERS.__getitem__)
    columns = {
        f"{split}-{fold}": cells
        for split, make in (("element", _element_folds), ("period", _period_folds))
        for fold, cells in make(elements, pairs)
    }
    columns = {**{f"pair-{fold}": cells for fold, cells in _pair_folds(list(pairs))}, **columns}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["pair_name", *columns])
    table.writerows([name, *(cells[name] for cells in columns.values())] for name in pairs)
    return text.getvalue()


def _pair_folds(names: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    shuffled = sorted(names, key=lambda name: _hash("pair", name))
    n_folds = len(FOLDS["pair"])
    for fold in FOLDS["pair"]:
        test = shuffled[fold - 1 :: n_folds]
        rest = sorted(set(names) - set(test), key=lambda name: _hash(f"pair-{fold}", name))
        cells = dict.fromkeys(names, TRAINING)
        cells |= dict.fromkeys(rest[: len(rest) // _VALIDATION_SHARE], "V1")
        yield fold, cells | dict.fromkeys(test, "C1")


def _element_folds(
    elements: Sequence[str], pairs: Mapping[str, frozenset[str]]
) -> Iterator[tuple[int, dict[str, str]]]:
    hands = _deal("element", elements, len(FOLDS["element"]))
    for fold, test in zip(FOLDS["element"], hands, strict=True):
        yield fold, _cold_cells(f"element-{fold}", fold, elements, test, pairs)


def _period_folds(
    elements: Sequence[str], pairs: Mapping[str, frozenset[str]]
) -> Iterator[tuple[int, dict[str, str]]]:
    for fold in FOLDS["period"]:
        test = [symbol for symbol in elements if place(ATOMIC_NUMBERS[symbol]).period == fold]
        yield fold, _cold_cells(f"period-{fold}", fold, elements, test, pairs)


def _cold_cells(
    name: str,
    fold: int,
    elements: Sequence[str],
    test: Sequence[str],
    pairs: Mapping[str, frozenset[str]],
) -> dict[str, str]:
    """Return the cells of a fold that tests the elements `test` and validates on eight others."""
    rest = [symbol for symbol in elements if symbol not in test]
    hands = _deal(name, rest, len(rest) // N_VALIDATION_ELEMENTS)
    validation = set(hands[fold % len(hands)][:N_VALIDATION_ELEMENTS])
    cells = {}
    for pair, members in pairs.items():
        # The one atom of a homonuclear pair stands for both.
        new, held = members & set(test), members & validation
        if new:
            cells[pair] = "C3" if new == members else "C2"
        elif held:
            cells[pair] = "V3" if held == members else "V2"
        else:
            cells[pair] = TRAINING
    return cells


def _deal(name: str, elements: Sequence[str], n: int) -> list[list[str]]:
    """Deal elements to `n` hands like cards, sorted by block and period, shuffled within these.

    No hand has two elements more than another of any block, or of any period of a block.
    """

    def order(symbol: str) -> tuple[int, int, bytes]:
        period, _, block = place(ATOMIC_NUMBERS[symbol])
        return BLOCKS.index(block), period, _hash(name, symbol)

    ordered = sorted(elements, key=order)
    return [ordered[hand::n] for hand in range(n)]


def _hash(*words: str) -> bytes:
    return hashlib.sha256("/".join(("twobody", *words)).encode()).digest()


if __name__ == "__main__":
    shipped, _ = read_splits()
    SPLITS_CSV.write_text(make_splits(shipped.tolist()), encoding="utf-8", newline="\n")
