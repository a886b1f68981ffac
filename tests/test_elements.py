"""Symbols, atomic numbers, periods and covalent radii."""

from twobody.elements import ATOMIC_NUMBERS, COVALENT_RADII, PERIOD_STARTS, SYMBOLS


def test_there_are_118_elements_and_each_symbol_gives_its_number():
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 118
    assert [ATOMIC_NUMBERS[symbol] for symbol in ("H", "C", "Ag", "Th", "Og")] == [
        1,
        6,
        47,
        90,
        118,
    ]


def test_periods_begin_after_the_noble_gases():
    noble = ("He", "Ne", "Ar", "Kr", "Xe", "Rn")
    assert PERIOD_STARTS == (1, *(ATOMIC_NUMBERS[symbol] + 1 for symbol in noble))


def test_covalent_radii_are_those_of_cordero_for_the_elements_1_to_96():
    assert list(COVALENT_RADII) == list(SYMBOLS[:96])
    some = {"H": 0.31, "C": 0.76, "Mn": 1.39, "Fe": 1.32, "Co": 1.26, "Cs": 2.44, "Cm": 1.69}
    assert {symbol: COVALENT_RADII[symbol] for symbol in some} == some
    assert min(COVALENT_RADII, key=COVALENT_RADII.__getitem__) == "He"
    assert max(COVALENT_RADII, key=COVALENT_RADII.__getitem__) == "Fr"
