"""The reader of band.out, layout by layout; then what it does with damaged files."""

from __future__ import annotations

import re
from contextlib import suppress

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import RAW_DATA, real

from twobody import ParseError
from twobody.dftbplus import parse_band_out, read_band_out

H_LI = real("H_Li", "band.out")
BLOCK = H_LI.partition("\n")[2]  # its rows and the empty line


def heading(k_point: int, spin: int, weight: str = "1.0000000000000000") -> str:
    return f" KPT {k_point:12d}  SPIN {spin:12d}  KWEIGHT    {weight}     \n"


def without_index(text: str) -> str:
    """Print levels as up to 17.1: F10.3, F9.5."""
    return re.sub(r"(?m)^.{6}(?=.{19}$)", "", text)


def test_levels_of_a_real_file():
    levels = read_band_out(RAW_DATA / "H_Li" / "band.out")
    np.testing.assert_array_equal(levels.energies, [-5.207, -2.050, -0.818, -0.818, 1.962])
    np.testing.assert_array_equal(levels.occupations, [2, 0, 0, 0, 0])
    np.testing.assert_array_equal(levels.spins, [1] * 5)
    np.testing.assert_array_equal(levels.k_points, [1] * 5)
    assert levels.energies.dtype == levels.occupations.dtype == np.float64
    assert levels.spins.dtype == levels.k_points.dtype == np.int64


def test_every_real_file_is_read_as_by_column():
    for path in sorted(RAW_DATA.glob("*/band.out")):
        text = path.read_text()
        levels, expected = parse_band_out(text, path), oracle.band_out(text)
        assert levels.energies.tolist() == expected["energies"], path
        assert levels.occupations.tolist() == expected["occupations"], path


def test_levels_without_the_index_column_of_17_1():
    text = without_index(H_LI)
    assert text.splitlines()[1] == "    -5.207  2.00000"
    np.testing.assert_array_equal(parse_band_out(text).energies, parse_band_out(H_LI).energies)


def test_two_spins_at_two_k_points():
    text = "".join(heading(k, s, "0.5") + BLOCK for s in (1, 2) for k in (1, 2))
    levels = parse_band_out(text)
    assert levels.spins.tolist() == [1] * 10 + [2] * 10
    assert levels.k_points.tolist() == ([1] * 5 + [2] * 5) * 2
    assert levels.energies.tolist() == [-5.207, -2.050, -0.818, -0.818, 1.962] * 4
    assert levels.blocks == ((1, 1, 0.5, 1), (2, 1, 0.5, 8), (1, 2, 0.5, 15), (2, 2, 0.5, 22))


@pytest.mark.parametrize(
    ("change", "to"),
    [("\n", "\r\n"), ("\n", "  \t\n"), ("^", "\ufeff"), ("^", "\n\n"), ("$", "\n\n")],
    ids=["CRLF", "trailing blanks", "BOM", "leading empty lines", "more empty lines"],
)
def test_line_ends_and_blanks_do_not_matter(tmp_path, change, to):
    path = tmp_path / "band.out"
    path.write_bytes(re.sub(rf"{change}(?!\Z)" if change == "^" else change, to, H_LI).encode())
    assert read_band_out(path).energies.tolist() == [-5.207, -2.050, -0.818, -0.818, 1.962]


@pytest.mark.parametrize("layout", [H_LI, without_index(H_LI)], ids=["24.1", "17.1"])
def test_a_file_cut_at_any_byte_is_refused(layout):
    # The empty line that ends a block is the only sign that no level is missing.
    for length in range(len(layout)):
        with pytest.raises(ParseError):
            parse_band_out(layout[:length])


def test_a_file_cut_in_a_later_block_is_refused():
    text = heading(1, 1) + BLOCK + heading(1, 2) + BLOCK
    for length in range(len(heading(1, 1) + BLOCK) + 1, len(text)):
        if text[:length].strip() != (heading(1, 1) + BLOCK).strip():
            with pytest.raises(ParseError):
                parse_band_out(text[:length])


@pytest.mark.parametrize(
    ("old", "new", "line", "expected", "found"),
    [
        (H_LI, "", 1, "a block 'KPT ... SPIN ... KWEIGHT ...'", "an empty file"),
        (H_LI, "\n\n", 1, "a block 'KPT ... SPIN ... KWEIGHT ...'", "an empty file"),
        (" KPT ", " KPTS", 1, "'KPT (n) SPIN (n) KWEIGHT (number)'", "'KPTS"),
        ("SPIN            1", "SPIN            *", 1, "'KPT (n) SPIN (n)", "SPIN            *"),
        ("SPIN            1", "SPIN " + "9" * 5000, 1, "'KPT (n) SPIN (n)", "..."),
        ("1.0000000000000000", "NaN", 1, "the weight of the k-point, a number", "'NaN'"),
        ("    -5.207", "**********", 2, "an energy, a number", "'1**********'"),
        ("     1    -5.207", "     1-55555.207", 2, "an energy, a number", "'1-55555.207'"),
        ("-2.050", "NaN", 3, "an energy, a number", "'NaN'"),
        ("2.00000", "1e999", 2, "an occupation, a number in the range of float64", "'1e999'"),
        ("     2    -2.050  0.00000\n", "", 3, "level 2", "'3    -0.818  0.00000'"),
        ("     5 ", "     6 ", 6, "level 5", "'6     1.962  0.00000'"),
        ("     3 ", "       ", 4, "index, energy and occupation", "'-0.818  0.00000'"),
        ("  0.00000\n\n", "  0.00000\n", 7, "the empty line that ends a block", "the end of the"),
        (BLOCK, "\n", 2, "a level", "an empty line"),
        (BLOCK, BLOCK + heading(1, 1) + BLOCK, 8, "a new k-point or spin", "with 5"),
        (BLOCK, BLOCK + heading(1, 2) + "     1 0.0 2.0\n\n", 8, "as many levels as", "with 1"),
        (BLOCK, BLOCK + "garbage\n", 8, "'KPT (n) SPIN (n) KWEIGHT (number)'", "'garbage'"),
    ],
)
def test_a_fault_is_named_with_its_line(old, new, line, expected, found):
    assert old in H_LI
    with pytest.raises(ParseError) as caught:
        parse_band_out(H_LI.replace(old, new, 1), "H_Li/band.out")
    error = caught.value
    assert (error.path, error.line) == ("H_Li/band.out", line)
    assert expected in error.expected
    assert found in error.found
    assert str(error) == f"H_Li/band.out:{line}: expected {error.expected}, found {error.found}"


@given(st.integers(0, len(H_LI) - 1), st.integers(0, 127))
def test_after_any_change_of_a_byte_the_levels_are_those_that_stand_in_the_file(at, code):
    mutated = H_LI[:at] + chr(code) + H_LI[at + 1 :]
    try:
        levels = parse_band_out(mutated)
    except ParseError:
        return
    rows = [line.split() for line in mutated.split("\n") if "KPT" not in line]
    standing = [(oracle.number(row[-2]), oracle.number(row[-1])) for row in rows if row]
    assert list(zip(levels.energies, levels.occupations, strict=True)) == standing


@given(st.text())
def test_any_text_is_levels_or_a_parse_error(text):
    with suppress(ParseError):
        assert len(parse_band_out(text).energies) > 0
