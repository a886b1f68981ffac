"""Configurations and Slater exponents against values worked out by hand."""

from __future__ import annotations

import pytest

from twobody import ParseError
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings.valence import HEAVIEST, configuration, valence_shells


def valence(symbol):
    shells = valence_shells(ATOMIC_NUMBERS[symbol])
    return {
        f"{shell.n}{'spdf'[l]}": (round(shell.exponent, 4), shell.occupation)
        for l, shell in enumerate(shells)
        if shell
    }


@pytest.mark.parametrize("atomic_number", range(1, HEAVIEST + 1))
def test_a_neutral_atom_has_as_many_electrons_as_protons(atomic_number):
    subshells = configuration(atomic_number)
    assert sum(subshells.values()) == atomic_number
    assert all(0 < electrons <= 2 * (2 * l + 1) for (_, l), electrons in subshells.items())


@pytest.mark.parametrize(
    ("symbol", "shells"),
    [
        ("H", {"1s": (1.0, 1), "2p": (1.0, 0), "3d": (1.0, 0)}),
        ("He", {"1s": (1.7, 2), "2p": (1.7, 0), "3d": (1.7, 0)}),
        # Slater's own example is iron: 3.75 for 4s and 6.25 for 3d.
        ("Fe", {"4s": (1.0135, 2), "4p": (1.0135, 0), "3d": (2.0833, 6), "4f": (1.0135, 0)}),
        ("Cr", {"4s": (0.7973, 1), "4p": (0.7973, 0), "3d": (1.5333, 5), "4f": (0.7973, 0)}),
        ("Ga", {"4s": (1.3514, 2), "4p": (1.3514, 1), "4d": (1.3514, 0), "4f": (1.3514, 0)}),
        # No 5s electron in palladium: the exponent of silver's, 3.7 / 4.
        ("Pd", {"5s": (0.925, 0), "5p": (0.925, 0), "4d": (1.8514, 10), "4f": (0.925, 0)}),
        ("Lu", {"6s": (0.7143, 2), "6p": (0.7143, 0), "5d": (0.75, 1), "4f": (5.527, 14)}),
        ("Th", {"7s": (0.7326, 2), "7p": (0.7326, 0), "6d": (0.869, 2), "5f": (0.7326, 0)}),
    ],
)
def test_shells_by_hand(symbol, shells):
    assert valence(symbol) == shells


@pytest.mark.parametrize(
    ("symbol", "outer"),
    [
        ("Cu", {(3, 2): 10, (4, 0): 1}),
        ("Nb", {(4, 2): 4, (5, 0): 1}),
        ("La", {(5, 2): 1, (6, 0): 2}),
        ("Gd", {(4, 3): 7, (5, 2): 1, (6, 0): 2}),
        ("Au", {(4, 3): 14, (5, 2): 10, (6, 0): 1}),
        ("U", {(5, 3): 3, (6, 2): 1, (7, 0): 2}),
        ("Lr", {(5, 3): 14, (7, 0): 2, (7, 1): 1}),
    ],
)
def test_exceptions_of_the_aufbau_order(symbol, outer):
    noble = {"Cu": 18, "Nb": 36, "La": 54, "Gd": 54, "Au": 54, "U": 86, "Lr": 86}[symbol]
    core = configuration(noble)
    assert {
        k: v for k, v in configuration(ATOMIC_NUMBERS[symbol]).items() if k not in core
    } == outer


@pytest.mark.parametrize("atomic_number", [-1, 0, HEAVIEST + 1, 200])
def test_an_element_without_a_measured_ground_state(atomic_number):
    with pytest.raises(ParseError, match=f"Z = 1 to 103, found Z = {atomic_number}"):
        valence_shells(atomic_number)
