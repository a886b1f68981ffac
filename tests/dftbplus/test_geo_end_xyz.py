"""The reader of geo_end.xyz, layout by layout; then what it does with damaged files."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import RAW_DATA, real

from twobody import ParseError
from twobody.dftbplus import parse_geo_end_xyz, read_geo_end_xyz

H_LI = real("H_Li", "geo_end.xyz")
Z = -0.09238595, 1.68238595  # [Å], by eye from the file
POPULATIONS = 1.40784956, 0.59215044


def frame(*rows: str, comment: str = "Geometry Step: 5") -> str:
    return f"{len(rows):5d}\n{comment}\n" + "".join(f"{row}\n" for row in rows)


def row(symbol: str, *numbers: float) -> str:
    """Print (A5, nF16.8)."""
    return f"{symbol:>5}" + "".join(f"{number:16.8f}" for number in numbers)


def test_geometry_of_a_real_file():
    geometry = read_geo_end_xyz(RAW_DATA / "H_Li" / "geo_end.xyz")
    assert geometry.symbols == ("H", "Li")
    np.testing.assert_array_equal(geometry.positions, [[0, 0, Z[0]], [0, 0, Z[1]]])
    np.testing.assert_array_equal(geometry.populations, POPULATIONS)
    assert geometry.line == 3
    assert geometry.positions.dtype == geometry.populations.dtype == np.float64


def test_every_real_file_is_read_as_by_column():
    for path in sorted(RAW_DATA.glob("*/geo_end.xyz")):
        text = path.read_text()
        geometry, expected = parse_geo_end_xyz(text, path), oracle.geo_end_xyz(text)
        assert geometry.symbols == expected["symbols"], path
        assert geometry.positions.tolist() == expected["positions"], path
        assert geometry.populations.tolist() == expected["populations"], path


@pytest.mark.parametrize(
    ("columns", "populations"),
    [
        ([], None),
        ([[1.5], [0.5]], [1.5, 0.5]),
        ([[9.0, 8.0, 7.0], [6.0, 5.0, 4.0]], None),
        ([[1.5, 9.0, 8.0, 7.0], [0.5, 6.0, 5.0, 4.0]], [1.5, 0.5]),
    ],
    ids=["4 positions", "5 populations", "7 velocities", "8 populations and velocities"],
)
def test_the_number_of_columns_says_whether_there_are_populations(columns, populations):
    more = columns or [[], []]
    text = frame(row("H", 0.1, 0.2, 0.3, *more[0]), row("Li", 1.1, 1.2, 1.3, *more[1]))
    geometry = parse_geo_end_xyz(text)
    assert geometry.positions.tolist() == [[0.1, 0.2, 0.3], [1.1, 1.2, 1.3]]
    assert (geometry.populations is None) == (populations is None)
    if populations:
        assert geometry.populations.tolist() == populations


@pytest.mark.parametrize(
    ("comment", "step"),
    [
        ("", None),
        (" Velocity in AA/ps", None),
        ("MD iter: 7", None),
        ("2", None),
        ("Geometry Step: 5, Lattice step: 1", None),
        ("Geometry Step: 0", 0),
        (" Geometry Step:   12  ", 12),
    ],
)
def test_the_comment_may_say_anything_the_step_too(comment, step):
    text = frame(row("H", 0, 0, 0), row("H", 0, 0, 1), comment=comment)
    assert parse_geo_end_xyz(text).symbols == ("H", "H")
    assert parse_geo_end_xyz(text).step == step


@pytest.mark.parametrize("n_atoms", [1, 3, 120])
def test_any_number_of_atoms_is_legal(n_atoms):
    geometry = parse_geo_end_xyz(frame(*(row("C", i, 0, 0, 4) for i in range(n_atoms))))
    assert geometry.positions[:, 0].tolist() == list(range(n_atoms))


def test_numbers_that_fill_their_columns_need_no_blank_between_them():
    text = frame(row("H", 1.0, -100000.5, -200000.25, -300000.125), row("H", 0, 0, 0, 1))
    assert "-100000.50000000-200000.25000000-300000.12500000" in text
    geometry = parse_geo_end_xyz(text)
    assert geometry.positions[0].tolist() == [1.0, -100000.5, -200000.25]
    assert geometry.populations.tolist() == [-300000.125, 1.0]


@pytest.mark.parametrize("damaged", ["2.48555493.90751824", "2.48555493-2.90751824"])
def test_numbers_that_lost_what_stood_between_them_are_refused(damaged):
    text = frame(f"    H      0.00000000      0.00000000      {damaged}")
    with pytest.raises(ParseError, match=r"<text>:3: expected a (?:symbol and|coordinate)"):
        parse_geo_end_xyz(text)


@pytest.mark.parametrize("first", ["-100000.00000000", "****************"])
def test_a_number_glued_to_the_symbol_is_refused_and_the_rest_not_taken_for_the_position(first):
    text = frame(f"    H{first}      1.00000000      2.00000000      3.00000000")
    with pytest.raises(ParseError, match=r"<text>:3: expected a symbol and 3, 4, 6 or 7 numbers"):
        parse_geo_end_xyz(text)


def test_of_many_frames_the_last_complete_one_counts():
    frames = [frame(row("H", 0, 0, z, 1.0), row("H", 0, 0, -z, 1.0)) for z in (1.0, 2.0, 3.0)]
    assert parse_geo_end_xyz("".join(frames)).positions[0, 2] == 3.0
    assert parse_geo_end_xyz("".join(frames)).line == 11
    for length in range(len(frames[2]) - 1):
        cut = parse_geo_end_xyz(frames[0] + frames[1] + frames[2][:length])
        assert cut.positions[0, 2] == 2.0


@pytest.mark.parametrize(
    "data",
    [
        H_LI.replace("\n", "\r\n").encode(),
        H_LI.replace("\n", "  \t \n").encode(),
        b"\xef\xbb\xbf" + H_LI.encode(),
        H_LI.removesuffix("\n").encode(),
        (H_LI + "\n\n").encode(),
    ],
    ids=["CRLF", "trailing blanks", "BOM", "no last newline", "more empty lines"],
)
def test_line_ends_and_blanks_do_not_matter(tmp_path, data):
    path = tmp_path / "geo_end.xyz"
    path.write_bytes(data)
    geometry = read_geo_end_xyz(path)
    assert geometry.positions[:, 2].tolist() == list(Z)
    assert geometry.populations.tolist() == list(POPULATIONS)


@pytest.mark.parametrize("n_numbers", [3, 4, 6, 7])
def test_a_file_cut_at_any_byte_but_its_last_newline_is_refused(n_numbers):
    text = frame(row("H", *range(n_numbers)), row("Li", *range(n_numbers)))
    for length in range(len(text) - 1):
        with pytest.raises(ParseError):
            parse_geo_end_xyz(text[:length])


@pytest.mark.parametrize(
    ("old", "new", "line", "expected", "found"),
    [
        (H_LI, "", 1, "a number of atoms", "the end of the file"),
        (H_LI, "\n \n", 1, "a number of atoms", "the end of the file"),
        ("    2\n", "    0\n", 1, "at least one atom", "0"),
        ("    2\n", "   -2\n", 1, "at least one atom", "-2"),
        ("    2\n", "*****\n", 1, "the number of atoms, an integer", "'*****'"),
        ("    2\n", "    3\n", 4, "3 atoms and all their columns", "the end of the file"),
        ("    2\n", "    1\n", 4, "the number of atoms, an integer", "'Li  "),
        ("    2\n", "9" * 5000 + "\n", 1, "the number of atoms, an integer", "..."),
        ("Geometry Step: 5\n", "", 3, "2 atoms and all their columns", "the end of the file"),
        (
            "     -0.09238595",
            "*" * 16,
            3,
            "a coordinate or population, a number",
            "'0.00000000****",
        ),
        ("1.40784956", "NaN", 3, "a coordinate or population, a number", "'NaN'"),
        ("0.59215044", "1e999", 4, "a coordinate or population, a number in the range", "'1e999'"),
        ("0.59215044", "0.592E200", 4, "a coordinate or population, a number below 1e+07", "E200'"),
        ("1.68238595", "-1.6E+155", 4, "a coordinate or population, a number below 1e+07", "155'"),
        ("1.68238595", "Infinity", 4, "a coordinate or population, a number", "'Infinity'"),
        ("      1.40784956", "", 4, "3 numbers, as in the row above", "4"),
        ("      0.59215044", "", 4, "4 numbers, as in the row above", "3"),
        ("1.40784956", "1.40784956 2.0", 3, "a symbol and 3, 4, 6 or 7 numbers", "'H "),
        ("    H ", "      ", 3, "a symbol and 3, 4, 6 or 7 numbers", "'0.0000"),
        ("    H ", "    1 ", 3, "a symbol and 3, 4, 6 or 7 numbers", "'1 "),
        ("    H ", "\n    H ", 5, "the number of atoms, an integer", "'Li "),
    ],
)
def test_a_fault_is_named_with_its_line(old, new, line, expected, found):
    assert old in H_LI
    with pytest.raises(ParseError) as caught:
        parse_geo_end_xyz(H_LI.replace(old, new, 1), "H_Li/geo_end.xyz")
    error = caught.value
    assert (error.path, error.line) == ("H_Li/geo_end.xyz", line)
    assert expected in error.expected
    assert found in error.found
    assert str(error) == f"H_Li/geo_end.xyz:{line}: expected {error.expected}, found {error.found}"


@given(st.integers(0, len(H_LI) - 1), st.integers(0, 127))
def test_after_any_change_of_a_byte_the_geometry_is_the_one_that_stands_in_the_file(at, code):
    mutated = H_LI[:at] + chr(code) + H_LI[at + 1 :]
    try:
        geometry = parse_geo_end_xyz(mutated)
    except ParseError:
        return
    rows = [line.split() for line in mutated.split("\n")[2:4]]
    assert geometry.symbols == tuple(row[0] for row in rows)
    standing = np.array([[oracle.number(token) for token in row[1:]] for row in rows])
    np.testing.assert_array_equal(geometry.positions, standing[:, :3])
    np.testing.assert_array_equal(geometry.populations, standing[:, 3])


@given(st.text())
def test_any_text_is_a_geometry_or_a_parse_error(text):
    with suppress(ParseError):
        assert len(parse_geo_end_xyz(text).symbols) > 0
