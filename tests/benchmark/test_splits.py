"""Splits: complete, disjoint, cold where they say so, balanced, and made again to the byte."""

from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
import pytest

from twobody import ParseError
from twobody.benchmark import splits
from twobody.benchmark.periodic import place
from twobody.elements import ATOMIC_NUMBERS

NAMES, CELLS = splits.read_splits()
ELEMENTS = sorted({symbol for name in NAMES.tolist() for symbol in name.split("_")})
COLD = [f"{split}-{fold}" for split in ("element", "period") for fold in splits.FOLDS[split]]


def pairs_in(fold, cell):
    return [frozenset(name.split("_")) for name in NAMES[CELLS[fold] == cell].tolist()]


def homonuclear(fold, cell):
    return {symbol for pair in pairs_in(fold, cell) if len(pair) == 1 for symbol in pair}


def test_the_pairs_are_all_pairs_of_75_elements():
    assert len(ELEMENTS) == 75
    pairs = {frozenset(name.split("_")) for name in NAMES.tolist()}
    assert pairs == {frozenset(pair) for pair in combinations_with_replacement(ELEMENTS, 2)}
    assert len(NAMES) == len(pairs) == 2850


def test_the_names_are_those_of_the_raw_data(archive):
    with np.load(archive) as file:
        assert NAMES.tolist() == file["pair_names"].tolist()


def test_the_file_is_made_again_to_the_byte():
    text = splits.make_splits(NAMES[::-1].tolist())
    assert text.encode() == splits.SPLITS_CSV.read_bytes()


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_bytes(splits.SPLITS_CSV.read_bytes().replace(b"C3", b"C2", 1))
    with pytest.raises(ParseError, match="the splits of SHA-256"):
        splits.read_splits(path)


@pytest.mark.parametrize(
    ("fold", "cells"),
    [
        *((f"pair-{fold}", {"T": 2052, "V1": 228, "C1": 570}) for fold in range(1, 6)),
        *(
            (f"element-{fold}", {"T": 1378, "V2": 416, "V3": 36, "C2": 900, "C3": 120})
            for fold in range(1, 6)
        ),
        ("period-4", {"T": 1225, "V2": 392, "V3": 36, "C2": 1026, "C3": 171}),
        ("period-5", {"T": 1225, "V2": 392, "V3": 36, "C2": 1026, "C3": 171}),
        ("period-6", {"T": 1176, "V2": 384, "V3": 36, "C2": 1064, "C3": 190}),
    ],
)
def test_every_pair_has_one_place_in_every_fold(fold, cells):
    assert Counter(CELLS[fold].tolist()) == cells


def test_there_are_no_other_folds():
    assert set(CELLS) == {f"pair-{fold}" for fold in range(1, 6)} | set(COLD)


def test_pair_folds_test_every_pair_once_among_seen_elements():
    tested = [name for k in range(1, 6) for name in NAMES[CELLS[f"pair-{k}"] == "C1"].tolist()]
    assert sorted(tested) == NAMES.tolist()
    for k in range(1, 6):
        assert frozenset().union(*pairs_in(f"pair-{k}", "T")) == set(ELEMENTS)


@pytest.mark.parametrize("fold", COLD)
def test_classes_count_the_elements_that_training_has_not(fold):
    """Also those of the validation part, none of which are trained on or tested as new."""
    seen = frozenset().union(*pairs_in(fold, "T"))
    validation, test = homonuclear(fold, "V3"), homonuclear(fold, "C3")
    assert not seen & validation
    assert not seen & test
    assert not validation & test
    assert seen | validation | test == set(ELEMENTS)
    assert len(validation) == 8
    assert all(pair <= test for pair in pairs_in(fold, "C3"))
    assert all(len(pair & test) == 1 and len(pair) == 2 for pair in pairs_in(fold, "C2"))
    assert all(pair <= validation for pair in pairs_in(fold, "V3"))
    assert all(len(pair & validation) == 1 and not pair & test for pair in pairs_in(fold, "V2"))


def test_element_folds_share_the_elements_out_evenly_over_blocks_and_periods():
    tests = [homonuclear(f"element-{fold}", "C3") for fold in range(1, 6)]
    assert sorted(symbol for test in tests for symbol in test) == ELEMENTS
    assert {len(test) for test in tests} == {15}
    for test in tests:
        places = [place(ATOMIC_NUMBERS[symbol]) for symbol in test]
        blocks = Counter(spot.block for spot in places)
        assert (blocks["p"], blocks["d"]) == (6, 6)
        assert blocks["s"] in (2, 3)
        periods = Counter(spot.period for spot in places)
        assert all(3 <= periods[period] <= 4 for period in (4, 5, 6))
        assert all(1 <= periods[period] <= 3 for period in (2, 3))


@pytest.mark.parametrize("period", [4, 5, 6])
def test_period_folds_leave_out_a_row_of_the_periodic_table(period):
    row = {symbol for symbol in ELEMENTS if place(ATOMIC_NUMBERS[symbol]).period == period}
    assert homonuclear(f"period-{period}", "C3") == row


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("H", (1, 1, "s")),
        ("He", (1, 18, "s")),
        ("B", (2, 13, "p")),
        ("Ne", (2, 18, "p")),
        ("Mg", (3, 2, "s")),
        ("Sc", (4, 3, "d")),
        ("Zn", (4, 12, "d")),
        ("Ga", (4, 13, "p")),
        ("La", (6, 3, "f")),
        ("Yb", (6, 3, "f")),
        ("Lu", (6, 3, "d")),
        ("Hg", (6, 12, "d")),
        ("Rn", (6, 18, "p")),
        ("Th", (7, 3, "f")),
        ("Lr", (7, 3, "d")),
        ("Og", (7, 18, "p")),
    ],
)
def test_places_in_the_periodic_table(symbol, expected):
    assert place(ATOMIC_NUMBERS[symbol]) == expected
