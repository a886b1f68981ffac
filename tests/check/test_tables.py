"""Values and tables as text."""

import numpy as np
import pytest

from twobody.check.tables import aligned, number, plain, wrapped


def test_the_first_columns_are_flush_left_and_the_others_right():
    assert aligned([("a", "long", "1"), ("bcd", "x", "10")], left=2) == [
        "a    long   1",
        "bcd  x     10",
    ]


def test_words_are_wrapped_between_words_only():
    lines = wrapped([f"H_X{i}" for i in range(50)])
    assert max(map(len, lines)) <= 100
    assert "".join(line.strip() + " " for line in lines).split(", ")[:2] == ["H_X0", "H_X1"]
    assert all(line.startswith("  H_X") for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (-0.0, "0"), (1.0, "1"), (-90.790912, "-90.791"), (1e-10, "1e-10")],
)
def test_numbers_have_five_digits_and_no_negative_zero(value, text):
    assert number(value) == text


def test_nan_is_none_and_everything_else_is_what_it_was():
    values = np.array([1.5, np.nan])
    assert [plain(value) for value in values] == [1.5, None]
    assert plain(np.array(["H"])[0]) == "H"
