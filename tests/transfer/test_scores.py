"""Errors and tables of the experiments, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from twobody import ParseError
from twobody.transfer import crystals, diatomics, scores
from twobody.transfer.scores import errors_of
from twobody.transfer.spectroscopy import QUANTITIES, GroundStates


def states(**lengths):
    names = sorted(lengths)
    values = {name: np.full(len(names), np.nan) for name in QUANTITIES}
    values["r_e_ang"] = np.array([lengths[name] for name in names])
    return GroundStates(np.array(names), values, (), "00" * 32)


def test_errors_are_means_and_draws_are_of_elements():
    numbers = np.array([[1, 1], [2, 2], [3, 3]])
    found = errors_of(np.array([0.1, 0.5, np.nan]), numbers)
    assert found.mae == pytest.approx(0.3)
    assert found.rmse == pytest.approx(np.sqrt(0.13))
    # Two elements drawn twice: 0.1, 0.3 or 0.5, with probabilities 1/4, 1/2, 1/4.
    assert set(np.round(found.draws, 9)) == {0.1, 0.3, 0.5}
    assert found.interval == (pytest.approx(0.1), pytest.approx(0.5))


def test_a_molecule_has_the_mean_of_the_errors_of_the_folds_that_test_it(monkeypatch):
    monkeypatch.setattr(diatomics, "MODELS", {"median": diatomics.MODELS["median"]})
    rows = [
        ("pair", "C1", "C_O", "median", 1.2),
        ("pair", "C1", "C_O", "median", 1.0),
        ("pair", "C1", "F_H", "median", 0.9),
        *((s, p, "C_O", "median", 1.5) for s, p in (("element", "C2"), ("element", "C3"))),
    ]
    table = pd.DataFrame(rows, columns=["split", "part", "pair", "model", "r_e_ang"])
    table[["ln_k", "d_e_ev"]] = np.nan
    cells = scores.diatomic_errors(table, states(C_O=1.1, F_H=0.93))
    assert cells["median"]["pair", "C1", "r_e_ang"].mae == pytest.approx((0.1 + 0.03) / 2)
    assert cells["median"]["element", "C2", "r_e_ang"].mae == pytest.approx(0.4)
    assert ("pair", "C1", "ln_k") not in cells["median"]  # nothing was measured


def test_the_raw_table_counts_by_period_and_group(monkeypatch):
    names = ["C_O", "H_Li", "F_H"]
    errors = pd.DataFrame({"r_ang": [0.1, -0.3, np.nan], "ip_ev": [np.nan, -2.0, -4.0]}, names)
    monkeypatch.setattr(scores, "FEWEST", 1)
    lines = [line.split(" | ") for line in scores.raw_table(errors).splitlines()[2:]]
    numbers = {
        title.removeprefix("| "): [n, *(cell.split()[0] for cell in cells)]
        for title, n, *cells in lines
    }
    assert numbers == {
        "R_e [Å], all": ["2", "0.200", "0.200", "−0.100"],
        "R_e [Å], heavier atom of period 2": ["2", "0.200", "0.200", "−0.100"],
        "R_e [Å], an atom of group 1": ["1", "0.300", "0.300", "−0.300"],
        "R_e [Å], an atom of group 14": ["1", "0.100", "0.100", "+0.100"],
        "R_e [Å], an atom of group 16": ["1", "0.100", "0.100", "+0.100"],
        "I [eV], Koopmans' theorem": ["2", "3.00", "3.00", "−3.000"],
    }
    monkeypatch.undo()
    assert len(scores.raw_table(errors).splitlines()) == 2  # no line of fewer than ten


def test_crystals_have_errors_and_r_squared_averaged_over_seeds(monkeypatch):
    monkeypatch.setattr(crystals, "MODELS", {"random": ("numbers", True)})
    rows = [("random", "0", "H", 1.0), ("random", "0", "He", 2.0)]
    rows += [("random", "1", "H", 3.0), ("random", "1", "He", 2.0)]
    table = pd.DataFrame(rows, columns=["model", "seed", "element", "ln_volume"])
    truth = {"ln_volume": np.array([1.0, 3.0])}
    cells, r_squared = scores.crystal_errors(table, ["H", "He"], truth)
    # Seed 0 errs by 0 and 1, seed 1 by 2 and 1; about their mean the values have 2.
    assert cells["random"]["ln_volume",].mae == pytest.approx(1.0)
    assert r_squared["random"]["ln_volume"] == pytest.approx(((1 - 1 / 2) + (1 - 5 / 2)) / 2)


def test_a_difference_is_bold_where_its_interval_leaves_out_zero():
    numbers = np.repeat(np.arange(1, 31)[:, None], 2, axis=1)
    one = errors_of(np.linspace(0.1, 0.2, 30), numbers)
    other = errors_of(np.linspace(0.1, 0.2, 30) + 0.5, numbers)
    assert scores._difference(one, other) == "**−0.500**<br>−0.500 to −0.500"
    assert scores._difference(one, one) == "+0.000<br>+0.000 to +0.000"


def test_only_marked_tables_that_are_given_are_replaced():
    page = (
        "a\n<!-- transfer: raw -->\nold\n<!-- end of transfer -->\n"
        "<!-- transfer: crystals -->\nkept\n<!-- end of transfer -->\nb\n"
    )
    assert scores.with_tables(page, {"raw": "| new |\n"}) == page.replace("old\n", "\n| new |\n\n")


def test_the_name_of_a_table_may_hold_digits_and_a_table_without_a_place_is_an_error():
    page = "<!-- transfer: qm9-errors -->\n<!-- end of transfer -->\n"
    filled = scores.with_tables(page, {"qm9-errors": "| new |\n"})
    assert filled == page.replace("-->\n<", "-->\n\n| new |\n\n<")
    with pytest.raises(ParseError, match="expected a place for the table raw in the page"):
        scores.with_tables(page, {"raw": "| new |\n"})
