"""The fast ways through raw data give what the tolerant readers give, bit for bit, or give way."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from conftest import RAW_DATA, SMALL
from hypothesis import example, given
from hypothesis import strategies as st

from twobody.dftbplus.fixed_width import Layout
from twobody.dftbplus.usual_layout import Texts, read_standard
from twobody.errors import NO_PAIR
from twobody.files import InputDigest
from twobody.labels import NUMERIC_LABELS
from twobody.raw_data import folders as pairs
from twobody.raw_data import label_csv as label_files
from twobody.raw_data.folders import DETAILED_OUT, GEO_END_XYZ, PairTable, find_pairs, tabulate

ALL_PAIRS = find_pairs(RAW_DATA)[0]


def pair_files(name: str) -> pairs._Files:
    return pairs._read_files(str(RAW_DATA / name))


def assert_same_bits(here: PairTable, there: PairTable) -> None:
    for field in fields(PairTable):
        a, b = getattr(here, field.name), getattr(there, field.name)
        assert a.shape == b.shape
        if a.dtype.kind == "f":
            np.testing.assert_array_equal(a.view(np.uint64), b.view(np.uint64), field.name)
        else:
            np.testing.assert_array_equal(a, b, field.name)


def read_both_ways(files: pairs._Files, *, allow_unconverged: bool) -> bool:
    """Check that both ways agree; return whether the pair is without fault."""
    pair, errors = pairs._parse_pair(files, allow_unconverged=allow_unconverged)
    parts, problems = pairs._parse_batch([files], allow_unconverged=allow_unconverged)
    assert [str(problem.error) for problem in problems] == [str(error) for error in errors]
    table = PairTable.empty(0 if pair is None else 1)
    for index, part in parts:
        table.put(index, part)
    assert_same_bits(table, tabulate([] if pair is None else [pair]))
    return pair is not None


def fits(files: pairs._Files) -> bool:
    texts = Texts(files.elements, *files.contents.values())
    return any(len(index) for index, _ in read_standard([texts]))


def test_every_shipped_pair_is_read_in_bulk_with_the_bits_of_the_tolerant_readers():
    table, problems = pairs.read_pairs(RAW_DATA, ALL_PAIRS, InputDigest())
    one_by_one = [
        pairs._parse_pair(pair_files(name), allow_unconverged=False) for name in ALL_PAIRS
    ]
    assert problems == []
    assert_same_bits(table, tabulate([pair for pair, _ in one_by_one if pair is not None]))
    assert all(fits(pair_files(name)) for name in ALL_PAIRS)


def test_pairs_that_do_not_fit_keep_their_place_among_those_that_do(tmp_path):
    names = ["H_H", "H_He", "H_Li"]
    for name in names:
        (tmp_path / name).mkdir()
        for file, data in pair_files(name).contents.items():
            (tmp_path / name / file).write_bytes(data)
    detailed = tmp_path / "H_He" / DETAILED_OUT
    detailed.write_bytes(detailed.read_bytes().replace(b"\n", b"\r\n"))
    table, problems = pairs.read_pairs(tmp_path, names, InputDigest())
    assert problems == []
    assert_same_bits(table, pairs.read_pairs(RAW_DATA, names, InputDigest())[0])


def test_what_is_read_is_hashed_in_the_order_of_the_names_whatever_reads_it():
    expected, found = InputDigest(), InputDigest()
    for name in SMALL:
        for file, data in pair_files(name).contents.items():
            expected.add(f"{name}/{file}", data)
    pairs.read_pairs(RAW_DATA, SMALL, found)
    assert found.hexdigest() == expected.hexdigest()


BYTES = b" \n\r\t-+.,0123456789eEdDnN*/:\x00\xff"


@st.composite
def mutated(draw: st.DrawFn) -> pairs._Files:
    """A shipped pair in which a few bytes of one file are another, missing or doubled."""
    files = pair_files(draw(st.sampled_from(SMALL)))
    file = draw(st.sampled_from([DETAILED_OUT, GEO_END_XYZ]))
    data = bytearray(files.contents[file])
    for _ in range(draw(st.integers(1, 3))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["replace", "digit", "delete", "insert", "cut", "double"]))
        if kind == "replace":
            data[at] = draw(st.sampled_from(BYTES))
        elif kind == "digit":  # the nearest digit from there on
            at = next((i for i in range(at, len(data)) if 48 <= data[i] < 58), at)
            data[at] = draw(st.sampled_from(b"0123456789"))
        elif kind == "delete":
            del data[at]
        elif kind == "insert":
            data.insert(at, draw(st.sampled_from(BYTES)))
        elif kind == "cut":
            del data[at + 1 :]
        else:
            line = data[:at].rfind(b"\n") + 1
            data[line:line] = data[line : data.find(b"\n", at) + 1]
    return pairs._Files(
        files.folder, files.name, files.elements, files.contents | {file: bytes(data)}, []
    )


@given(mutated(), st.booleans())
def test_mutated_files_are_read_or_refused_both_ways_alike(files, allow_unconverged):
    read_both_ways(files, allow_unconverged=allow_unconverged)


@pytest.mark.parametrize(
    ("file", "old", "new", "legal"),
    [
        (DETAILED_OUT, b"SCC converged", b"Non-SCC calculation", True),
        (DETAILED_OUT, b"Geometry converged", b"!!! Geometry did NOT converge!", True),
        (DETAILED_OUT, b"\n", b"\r\n", True),
        (DETAILED_OUT, b"Fermi level", b"Fermi energy", True),
        (DETAILED_OUT, b" eV\n", b" EV\n", False),
        (DETAILED_OUT, b"    1   1   0   0", b"    1   1   0   1", False),
        (DETAILED_OUT, b"    2   1   0  ", b"    2   2   0  ", False),
        (
            DETAILED_OUT,
            b"Nr. of electrons (up):      2.0",
            b"Nr. of electrons (up):      2.1",
            False,
        ),
        (DETAILED_OUT, b"Total energy:  ", b"Total energy: 1", False),
        (DETAILED_OUT, b"    1   -0.67907629E+00", b"    0   -0.67907629E+00", False),
        (DETAILED_OUT, b"    1   -0.67907629E+00", b"   -1   -0.67907629E+00", False),
        (DETAILED_OUT, b"-0.67907629E+00", b"-0.67917629E+00", False),
        (DETAILED_OUT, b"-0.67907629E+00", b"-0.67907629E-01", False),
        (DETAILED_OUT, b" 0.22204460E-15", b"-0.22204460E-15", False),
        (GEO_END_XYZ, b"    H", b"    D", False),
        (GEO_END_XYZ, b"    2\n", b"    3\n", False),
        (GEO_END_XYZ, b"Geometry Step:", b"another comment", True),
        (GEO_END_XYZ, b"Geometry Step: ", b"Geometry Step: 1", False),
        (GEO_END_XYZ, b"Geometry Step: ", b"Geometry Step:  ", True),
        (DETAILED_OUT, b"optimization step: ", b"optimization step: 1", False),
        (GEO_END_XYZ, b"    1.0", b"    1.1", False),
        (GEO_END_XYZ, b"    H   ", b"H   ", True),
    ],
)
def test_another_layout_is_left_to_the_tolerant_readers(file, old, new, legal):
    files = pair_files("H_H")
    assert old in files.contents[file]
    changed = files.contents | {file: files.contents[file].replace(old, new)}
    files = pairs._Files(files.folder, files.name, files.elements, changed, [])
    assert not fits(files)
    assert read_both_ways(files, allow_unconverged=False) == legal


@given(st.integers(-99_999_999, 99_999_999), st.integers(-99, 99))
@example(22204460, -15)
@example(12345678, 31)
def test_exponents_count_and_the_usual_ones_to_the_last_bit(digits, exponent):
    number = f"{'-' if digits < 0 else ''}0.{abs(digits):08}E{exponent:+03}"
    fits, columns = Layout("x{value:E18.8}").read([f"x{number:>18}".encode()])
    value = columns["value"][0, 0]
    assert fits.all()
    assert value == pytest.approx(float(number), rel=1e-15, abs=0)
    if -14 <= exponent <= 30:
        assert value == float(number)


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.sampled_from([4, 8, 10]), st.booleans())
def test_fields_have_the_bits_of_float(digits, decimals, negative_zero):
    sign = "-" if digits < 0 or negative_zero else ""
    whole, fraction = divmod(abs(digits), 10**decimals)
    number = f"{sign}{whole}.{fraction:0{decimals}}"
    layout = Layout(f"x{{value:F20.{decimals}}}")
    fit, columns = layout.read([f"x{number:>20}".encode()])
    assert fit.all()
    assert columns["value"][0, 0].tobytes() == np.float64(float(number)).tobytes()


@pytest.mark.parametrize(
    "field",
    [
        "1234567.8", "12345678.", " 1 345.78", " - 345.78", "  --45.78", "   +45.78", "     -.78",
        "      .78", " 12345.7 ", "12345.78 ", "********", "     nan", "  1e3.78", " 1234,678",
        " 123-5.78", "         ", "  1_23.78",
    ],
)  # fmt: skip
def test_what_is_no_plain_number_in_its_columns_does_not_fit(field):
    fit, _ = Layout("{value:F9.2}").read([f"{field:>9}".encode()])
    assert not fit.any()


def test_a_number_of_more_digits_than_a_float64_holds_exactly_does_not_fit():
    layout = Layout("{value:F19.10}")
    texts = [b" 999999.9999999999", b" 900719.9254740991", b" 900719.9254740992"]
    fit, _ = layout.read([b" " * (19 - len(text)) + text for text in texts])
    assert fit.tolist() == [False, True, False]


def test_texts_of_another_size_do_not_fit_and_disturb_no_other():
    fit, columns = Layout("{value:F5.1}\n").read([b"  1.5\n", b"  1.5", b"", b" -2.5\n"])
    assert fit.tolist() == [True, False, False, True]
    assert columns["value"][fit, 0].tolist() == [1.5, -2.5]


@pytest.mark.parametrize("exponent", ["E+01", "E-99", "E,01", "E 01", "e+01", "E+1 ", "D+01"])
def test_exponents_have_a_sign_and_two_digits(exponent):
    fit, _ = Layout("{:E18.8}").read([f"    0.12345678{exponent}".encode()])
    assert fit.all() == (exponent in ("E+01", "E-99"))


CELLS = ["", "1", "-0.0", "1e5", "1E-400", "1e999", "0e5", ".5", "5.", "1.5D3", "1_0", "nan", "x"]
CELLS += ["inf", " 2", "2", "2.0", "True", "0x1", "--1", "1-101", "0.1-101", "١", "5e-324", "-3"]


@given(st.sampled_from(NUMERIC_LABELS), st.lists(st.sampled_from(CELLS), min_size=1, max_size=3))
def test_a_column_of_label_cells_is_read_as_cell_by_cell_or_left(label, cells):
    values = label_files._plain_numbers(cells, label)
    if values is None:
        return
    one_by_one = [label_files._cell(cell, label, Path("file"), 1) for cell in cells]
    expected = np.array([np.nan if value is None else value for value in one_by_one], np.float64)
    assert values.tobytes() == expected.tobytes()


def test_the_shipped_label_files_are_read_in_bulk_with_the_bits_of_the_tolerant_way(monkeypatch):
    in_bulk, problems = label_files.read_label_files(RAW_DATA, ALL_PAIRS, InputDigest())
    merged = []
    plain = label_files._merge_plain
    monkeypatch.setattr(
        label_files, "_merge_plain", lambda *a: merged.append(plain(*a)) or merged[-1]
    )
    label_files.read_label_files(RAW_DATA, ALL_PAIRS, InputDigest())
    assert merged
    assert all(merged)
    monkeypatch.setattr(label_files, "_merge_plain", lambda *_: False)
    row_by_row, more = label_files.read_label_files(RAW_DATA, ALL_PAIRS, InputDigest())
    assert problems == more == []
    assert in_bulk.values.tobytes() == row_by_row.values.tobytes()
    assert in_bulk.texts.tolist() == row_by_row.texts.tolist()
    assert in_bulk.bond_lines.tolist() == row_by_row.bond_lines.tolist()


def test_rows_before_one_that_is_no_csv_are_merged_and_checked(small_raw_data):
    path = small_raw_data / label_files.BONDS_FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[1] = lines[1].rsplit(",", 1)[0] + ",abc\n"
    lines[3] = '"H_He"x' + lines[3]
    path.write_text("".join(lines), encoding="utf-8")
    table, problems = label_files.read_label_files(small_raw_data, SMALL, InputDigest())
    assert [(p.pair_name, p.error.line) for p in problems] == [("Al_N", 2), (NO_PAIR, 4)]
    assert table.bond_lines.tolist() == [2, 3, 0, 0, 0, 0]
