"""Numbers, lines and encodings, as Fortran programs, editors and spreadsheets leave them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twobody import ParseError
from twobody.text import (
    decode,
    find_line,
    parse_integer,
    parse_number,
    quote,
    read_bytes,
    read_text,
    split_lines,
)


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("0.25", 0.25),
        ("-0.00030000", -0.0003),
        ("+3", 3.0),
        ("7.", 7.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("-0.48898846E+00", -0.48898846),
        ("1e-8", 1e-8),
        ("0.125D+01", 1.25),
        ("0.125d-01", 0.0125),
        ("-0.123-101", -0.123e-101),  # Fortran leaves the E out where the exponent needs its place
        ("0.123+101", 0.123e101),
        ("0.0", 0.0),
        ("-0.00000000", 0.0),
        ("0.0-101", 0.0),
        ("4.9406564584124654e-324", 5e-324),  # the smallest number there is
        ("1.7976931348623157e308", 1.7976931348623157e308),  # and the largest
    ],
)
def test_a_number_is_read_as_fortran_prints_it(token, value):
    assert parse_number(token, "f", 1, "x") == value


@pytest.mark.parametrize(
    "token",
    [
        *("", " ", "-", ".", "E5", "abc", "1.2.3", "--1", "1e", "1e+", "0x10", "1_000", "1,5"),
        *("**********", "1.0*", "NaN", "nan", "+NaN", "Infinity", "-Infinity", "inf", "-inf"),
        *("1.0 2.0", " 1.0", "1.0\n", "1.0\x00", "-1000.00000000-2000.00000000"),
        *("0.1-1", "0.1-10", "0.1-1000"),  # not an exponent of three digits
        *("1\u0660", "\u0661", "\uff11", "1.0\u00a0"),  # digits of other scripts, a no-break space
    ],
)
def test_what_is_no_number_is_refused(token):
    with pytest.raises(ParseError) as caught:
        parse_number(token, "run/detailed.out", 12, "a population")
    assert caught.value.expected == "a population, a number"
    assert caught.value.line == 12


@pytest.mark.parametrize("token", ["1e999", "-1e309", "1.8e308", "0.1+999", "1e-999", "-0.1-999"])
def test_a_number_out_of_the_range_of_float64_is_refused_and_does_not_become_inf_or_0(token):
    with pytest.raises(ParseError, match="a number in the range of float64"):
        parse_number(token, "f", 1, "x")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float64_survives_printing_and_reading(value):
    assert parse_number(repr(value), "f", 1, "x") == value


@given(st.text())
def test_any_text_is_a_finite_number_or_a_parse_error(token):
    try:
        value = parse_number(token, "f", 1, "x")
    except ParseError:
        return
    assert float("-inf") < value < float("inf")


@pytest.mark.parametrize(("token", "value"), [("7", 7), ("-3", -3), ("+2", 2), ("00012", 12)])
def test_an_integer_is_read(token, value):
    assert parse_integer(token, "f", 1, "x") == value


@pytest.mark.parametrize(
    "token", ["", "-", "1.0", "1e3", "*****", "0x1", "1_0", " 1", "\u0661", "9" * 19, "9" * 5000]
)
def test_what_is_no_integer_of_64_bits_is_refused(token):
    with pytest.raises(ParseError) as caught:
        parse_integer(token, "f", 4, "an index")
    assert (caught.value.line, caught.value.expected) == (4, "an index, an integer")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb\n", ["a", "b", ""]),
        ("a\r\nb\r\n", ["a", "b", ""]),
        ("a\nb", ["a", "b"]),
        ("  a \t \nb  ", ["  a", "b"]),
        ("", [""]),
        ("\n\n", ["", "", ""]),
        ("a\rb\n", ["a\rb", ""]),
        (
            "a\x0bb\x0cc\u2028d\x85e\n",
            ["a\x0bb\x0cc\u2028d\x85e", ""],
        ),  # str.splitlines splits here
    ],
)
def test_lines_end_where_an_editor_ends_them_and_lose_their_trailing_blanks(text, lines):
    assert split_lines(text) == lines


def test_find_line_gives_the_last_line_that_holds_the_phrase_counted_from_1():
    text = "one\ntwo\r\none more\nthree\n"
    assert find_line(text, "one") == 3
    assert find_line(text, "three") == 4
    assert find_line(text, "four") is None


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfenergy\n", b"energy\n"], ids=["BOM", "no BOM"])
def test_a_byte_order_mark_is_not_part_of_the_text(data):
    assert decode(data, "f") == "energy\n"


@pytest.mark.parametrize(
    ("data", "line", "byte"),
    [
        (b"\xff\xfea\x00", 1, "0xff"),  # UTF-16
        (b"ab\ncd\ne\xe9f\n", 3, "0xe9"),  # Latin-1
        (b"a\r\nb\xc3", 2, "0xc3"),  # cut in the middle of a character
    ],
)
def test_bytes_that_are_not_utf8_are_refused_with_their_line(data, line, byte):
    with pytest.raises(ParseError) as caught:
        decode(data, "run/geo_end.xyz")
    assert str(caught.value) == f"run/geo_end.xyz:{line}: expected UTF-8 text, found byte {byte}"


@given(st.binary())
def test_any_bytes_are_text_or_a_parse_error(data):
    try:
        text = decode(data, "f")
    except ParseError:
        return
    assert text.encode() in (data, data.removeprefix(b"\xef\xbb\xbf"))


def test_a_file_is_read_whole(tmp_path):
    path = tmp_path / "band.out"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert read_bytes(path) == b"\xef\xbb\xbfa\r\nb"
    assert read_text(path) == "a\r\nb"


def test_a_missing_file_and_a_folder_are_parse_errors_without_a_line(tmp_path):
    for path, kind in ((tmp_path / "detailed.out", "readable"), (tmp_path, "regular")):
        with pytest.raises(ParseError) as caught:
            read_bytes(path)
        assert (caught.value.path, caught.value.line) == (str(path), None)
        assert str(caught.value).startswith(f"{path}: expected a {kind} file, found ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "detailed.out")
    with pytest.raises(
        ParseError, match="expected a regular file, found a folder, named pipe or device"
    ):
        read_bytes(tmp_path / "detailed.out")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices")
def test_a_file_without_an_end_is_refused():
    with pytest.raises(
        ParseError, match="expected a regular file, found a folder, named pipe or device"
    ):
        read_bytes("/dev/zero")


def test_a_file_of_more_bytes_than_the_bound_is_refused(tmp_path):
    path = tmp_path / "band.out"
    path.write_bytes(b"12345")
    assert read_bytes(path, largest=5) == b"12345"
    with pytest.raises(ParseError, match="expected at most 4 bytes, found more"):
        read_bytes(path, largest=4)


def test_a_sparse_file_of_a_terabyte_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "band.out"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(ParseError, match="expected at most 67108864 bytes, found more"):
        read_bytes(path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  H 1.0  ", "'H 1.0'"),
        ("a\tb\x00", r"'a\tb\x00'"),
        ("x" * 80, "'" + "x" * 80 + "'"),
        ("x" * 81, "'" + "x" * 77 + "...'"),
        ("a\nb", r"'a\nb'"),
    ],
)
def test_what_was_found_is_shown_on_one_short_line(text, shown):
    assert quote(text) == shown


def test_the_message_of_a_parse_error_says_where_what_and_what_instead():
    error = ParseError("Ag_Al/detailed.out", 28, "the row of atom 2", "'3 0.1'")
    assert str(error) == "Ag_Al/detailed.out:28: expected the row of atom 2, found '3 0.1'"
    assert error.reason == "expected the row of atom 2, found '3 0.1'"
    assert isinstance(error, ValueError)


def test_the_message_names_no_line_where_there_is_none_and_text_where_there_is_no_file():
    assert str(ParseError("a", None, "x", "y")) == "a: expected x, found y"
    assert str(ParseError(None, 3, "x", "y")) == "<text>:3: expected x, found y"


def test_a_parse_error_comes_whole_out_of_another_process():
    error = ParseError("a", 3, "x", "y")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (copy.path, copy.line, copy.expected, copy.found) == ("a", 3, "x", "y")
    assert str(copy) == str(error)
