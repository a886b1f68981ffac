"""The two CSV files of labels: every legal way of writing them is read, every fault is named."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from shipped import RAW_DATA, SMALL, below
from hypothesis import given
from hypothesis import strategies as st

from twobody.errors import NO_PAIR, PairProblem
from twobody.files import InputDigest
from twobody.labels import NUMERIC_LABELS, Label
from twobody.raw_data import label_csv
from twobody.raw_data.derive import collect_pair
from twobody.raw_data.label_csv import (
    BONDS_FILE,
    LABELS_FILE,
    LabelTable,
    PairLabels,
    read_label_files,
    write_label_files,
)

NUMBERS = [label.name for label in NUMERIC_LABELS]
H_LI = SMALL.index("H_Li")

Rows = list[list[str]]  # the header first


def read(raw_data: Path, names: tuple[str, ...] = SMALL) -> tuple[LabelTable, list[PairProblem]]:
    return read_label_files(raw_data, names, InputDigest())


def messages(raw_data: Path, names: tuple[str, ...] = SMALL) -> list[str]:
    return [below(raw_data, problem.error) for problem in read(raw_data, names)[1]]


def edit(path: Path, change: Callable[[Rows], object]) -> None:
    """Change the cells of a CSV file in place."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def set_cell(path: Path, pair: str, column: str, value: str) -> None:
    def change(rows: Rows) -> None:
        row = next(row for row in rows if row[0] == pair)
        row[rows[0].index(column)] = value

    edit(path, change)


def test_values_are_those_of_the_files(small_raw_data):
    table, problems = read(small_raw_data)
    assert problems == []
    assert table.values.shape == (6, 36)
    assert table.values[H_LI, NUMBERS.index("e_g_ev")] == 3.157
    assert table.values[H_LI, NUMBERS.index("distance_ang")] == 1.7747719
    assert table.values[H_LI, NUMBERS.index("metal_like")] == 0.0
    assert table.texts[:, 0].tolist() == list(SMALL)
    assert table.positions[H_LI].tolist() == [[0, 0, -0.09238595], [0, 0, 1.68238595]]
    assert {file: lines.tolist() for file, lines in table.lines.items()} == {
        LABELS_FILE: [2, 3, 4, 5, 6, 7],
        BONDS_FILE: [2, 3, 4, 5, 6, 7],
    }


def test_an_empty_cell_is_missing_and_nothing_else_is(small_raw_data):
    table, _ = read(small_raw_data)
    missing = {
        SMALL[i]: {NUMBERS[k] for k in np.flatnonzero(np.isnan(row))}
        for i, row in enumerate(table.values)
    }
    of_no_gap = {"softness_evinv", "electrophilicity_ev"}
    of_no_lumo = of_no_gap | {"e_lumo_ev", "e_g_ev", "a_ev", "chi_ev", "mu_ev", "eta_ev"}
    assert missing == {
        "Al_N": set(),
        "H_H": set(),
        "H_He": of_no_gap,
        "H_Li": set(),
        "He_He": of_no_lumo,
        "N_Na": of_no_gap,
    }


def in_upper_case(rows: Rows) -> None:
    rows[0] = [name.upper() for name in rows[0]]


def in_lower_case(rows: Rows) -> None:
    rows[0] = [name.lower() for name in rows[0]]


def columns_reversed(rows: Rows) -> None:
    rows[:] = [row[::-1] for row in rows]


def rows_reversed(rows: Rows) -> None:
    rows[1:] = rows[:0:-1]


def path_with_slashes(rows: Rows) -> None:
    rows[1:] = [[f"/scratch/a b/{row[0]}/", *row[1:]] for row in rows[1:]]


def path_with_backslashes(rows: Rows) -> None:
    rows[1:] = [[f"C:\\runs\\{row[0]}", *row[1:]] for row in rows[1:]]


def blanks_around_cells(rows: Rows) -> None:
    """Text labels stay as they are: there a blank could be meant."""
    last = len(rows[0]) - 1
    rows[:] = [[f" {c} " if i < last else c for i, c in enumerate(row)] for row in rows]


def numbers_as_floats(rows: Rows) -> None:
    n = rows[0].index
    if "n_levels" in rows[0]:
        for row in rows[1:]:
            for column in ("n_levels", "metal_like", "n_atoms"):
                row[n(column)] += ".0"


def flags_as_words(rows: Rows) -> None:
    if "metal_like" in rows[0]:
        for row in rows[1:]:
            for column in ("metal_like", "no_virtual_in_basis", "scc_converged"):
                i = rows[0].index(column)
                row[i] = {"0": "FALSE", "1": "True"}[row[i]]


@pytest.mark.parametrize(
    "rewrite",
    [
        in_upper_case,
        in_lower_case,
        columns_reversed,
        rows_reversed,
        path_with_slashes,
        path_with_backslashes,
        blanks_around_cells,
        numbers_as_floats,
        flags_as_words,
    ],
)
def test_another_way_of_writing_the_same_gives_the_same_labels(small_raw_data, rewrite):
    expected, _ = read(small_raw_data)
    for file in (LABELS_FILE, BONDS_FILE):
        edit(small_raw_data / file, rewrite)
    table, problems = read(small_raw_data)
    assert problems == []
    np.testing.assert_array_equal(table.values, expected.values)
    np.testing.assert_array_equal(table.texts, expected.texts)


@pytest.mark.parametrize(
    "rewrite",
    [
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="byte-order mark"),
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: text.replace(b"\n", b"\n\n"), id="empty lines"),
        pytest.param(lambda text: text.replace(b"\n", b"\n, ,,,\n,\n"), id="lines of commas"),
        pytest.param(lambda text: text.replace(b"H_Li", b'"H_Li"'), id="quotes"),
    ],
)
def test_another_encoding_of_the_same_gives_the_same_labels(small_raw_data, rewrite):
    expected, _ = read(small_raw_data)
    for file in (LABELS_FILE, BONDS_FILE):
        path = small_raw_data / file
        path.write_bytes(rewrite(path.read_bytes()))
    table, problems = read(small_raw_data)
    assert problems == []
    np.testing.assert_array_equal(table.values, expected.values)


def test_geometry_columns_that_the_first_file_repeats_are_no_labels(small_raw_data):
    expected, _ = read(small_raw_data)

    def repeat(rows: Rows) -> None:
        rows[0] += ["natoms", "Species_1", "X1", "pair", "distance_Ang"]
        for row in rows[1:]:
            row += ["2", "Xx", "no number", "pair", "99"]

    edit(small_raw_data / LABELS_FILE, repeat)
    table, problems = read(small_raw_data)
    assert problems == []
    np.testing.assert_array_equal(table.values, expected.values)


@pytest.mark.parametrize("text", ["Na", "N", "None", "NaN", "null", "0", "True", "NA"])
def test_text_stays_text(small_raw_data, text):
    set_cell(small_raw_data / LABELS_FILE, "N_Na", "system_id_guess", text)
    table, problems = read(small_raw_data)
    assert problems == []
    assert table.texts[SMALL.index("N_Na"), 0] == text


def test_the_species_na_and_n_are_read_as_text(small_raw_data):
    set_cell(small_raw_data / BONDS_FILE, "N_Na", "species_2", "")
    assert messages(small_raw_data) == [
        f"{BONDS_FILE}:7: expected species_2 = Na, found ''",
    ]


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("total_energy_eV", "*****", "total_energy_eV, a number"),
        ("total_energy_eV", "nan", "total_energy_eV, a number"),
        ("total_energy_eV", "NaN", "total_energy_eV, a number"),
        ("total_energy_eV", "inf", "total_energy_eV, a number"),
        ("total_energy_eV", "-Infinity", "total_energy_eV, a number"),
        ("total_energy_eV", "abc", "total_energy_eV, a number"),
        ("total_energy_eV", "None", "total_energy_eV, a number"),
        ("total_energy_eV", "1,5", "total_energy_eV, a number"),
        ("total_energy_eV", "1_0", "total_energy_eV, a number"),
        ("total_energy_eV", "0x10", "total_energy_eV, a number"),
        ("total_energy_eV", "12-101", "total_energy_eV, a number"),
        ("total_energy_eV", "1e999", "total_energy_eV, a number in the range of float64"),
        ("total_energy_eV", "3.5e38", "total_energy_eV, in the range of float32"),
        ("total_energy_eV", "-3.5e38", "total_energy_eV, in the range of float32"),
        ("total_energy_eV", "1e-999", "total_energy_eV, a number in the range of float64"),
        ("metal_like", "2", "metal_like, 0 or 1"),
        ("metal_like", "0.5", "metal_like, 0 or 1"),
        ("metal_like", "yes", "metal_like, 0 or 1"),
        ("n_levels", "1.5", "n_levels, a whole number"),
        ("n_levels", "-1", "n_levels, a whole number"),
        ("n_levels", "1e400", "n_levels, a number in the range of float64"),
        ("n_atoms", "3", "n_atoms = 2"),
    ],
)
def test_a_bad_cell_is_named_and_never_becomes_a_number(small_raw_data, column, cell, expected):
    set_cell(small_raw_data / LABELS_FILE, "H_Li", column, cell)
    assert messages(small_raw_data) == [f"{LABELS_FILE}:5: expected {expected}, found {cell!r}"]
    assert math.isnan(read(small_raw_data)[0].values[H_LI, NUMBERS.index(column.lower())])


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("distance_Ang", "", "distance_Ang, a number, found an empty cell"),
        ("distance_Ang", "far", "distance_Ang, a number, found 'far'"),
        ("z2", "far", "z2, a number, found 'far'"),
        ("natoms", "3", "natoms = 2, found '3'"),
        ("species_1", "Li", "species_1 = H, found 'Li'"),
        ("species_1", "H.0", "species_1 = H, found 'H.0'"),
        ("pair", "H_Na", "pair = H_Li, found 'H_Na'"),
        ("pair", "", "pair = H_Li, found ''"),
        ("pair_sorted", "H_Li_H", "pair_sorted = H_Li, found 'H_Li_H'"),
    ],
)
def test_a_bad_cell_of_the_bond_file_is_named(small_raw_data, column, cell, expected):
    set_cell(small_raw_data / BONDS_FILE, "H_Li", column, cell)
    assert messages(small_raw_data) == [f"{BONDS_FILE}:5: expected {expected}"]


def test_every_bad_cell_is_listed_once(small_raw_data):
    set_cell(small_raw_data / LABELS_FILE, "H_Li", "total_energy_eV", "x")
    set_cell(small_raw_data / LABELS_FILE, "H_Li", "metal_like", "x")
    set_cell(small_raw_data / BONDS_FILE, "H_H", "distance_Ang", "x")
    problems = read(small_raw_data)[1]
    assert [(p.pair_name, p.error.line) for p in problems] == [("H_Li", 5), ("H_Li", 5), ("H_H", 3)]


def remove_column(rows: Rows) -> None:
    i = rows[0].index("E_HOMO_eV")
    rows[:] = [row[:i] + row[i + 1 :] for row in rows]


def add_column(rows: Rows) -> None:
    rows[:] = [[*row, "1"] for row in rows]
    rows[0][-1] = "bandgap"


def double_column(name: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[:] = [[*row, "1"] for row in rows]
        rows[0][-1] = name

    return change


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (LABELS_FILE, remove_column, "expected a column 'E_HOMO_eV', found none"),
        (LABELS_FILE, add_column, "expected only columns of the label schema, found 'bandgap'"),
        (
            LABELS_FILE,
            double_column("e_homo_EV"),
            "expected one column 'e_homo_ev', found 2",
        ),
        (BONDS_FILE, double_column("X1"), "expected one column 'x1', found 2"),
        (BONDS_FILE, double_column("run_dir"), "expected one column 'run_dir', found 2"),
        (BONDS_FILE, list.clear, "expected a column 'run_dir', found none"),
    ],
    ids=["missing", "unknown", "doubled label", "doubled geometry", "doubled name", "empty file"],
)
def test_columns_that_are_not_the_schemas_are_a_problem(small_raw_data, file, change, message):
    edit(small_raw_data / file, change)
    assert messages(small_raw_data) == [f"{file}:1: {message}"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param(lambda row: row[:-1], 12, id="too short"),
        pytest.param(lambda row: [*row, ""], 14, id="too long"),
    ],
)
def test_a_row_of_another_length_is_named(small_raw_data, change, found):
    edit(small_raw_data / BONDS_FILE, lambda rows: rows.__setitem__(4, change(rows[4])))
    assert messages(small_raw_data) == [f"{BONDS_FILE}:5: expected 13 cells, found {found}"]


def test_a_quote_that_is_never_closed_is_a_problem(small_raw_data):
    path = small_raw_data / BONDS_FILE
    path.write_text(path.read_text(encoding="utf-8").replace("H_Li", '"H_Li', 1), encoding="utf-8")
    assert messages(small_raw_data) == [
        f"{BONDS_FILE}:7: expected a row of a CSV file, found unexpected end of data"
    ]


def test_a_carriage_return_alone_ends_no_row_and_no_number(small_raw_data):
    path = small_raw_data / BONDS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-4] + b"\r" + whole[-4:])
    assert messages(small_raw_data) == [
        f"{BONDS_FILE}:7: expected lines that end with LF or CRLF, found CR alone"
    ]


def test_a_null_character_is_a_problem_of_its_line(small_raw_data):
    path = small_raw_data / LABELS_FILE
    path.write_bytes(path.read_bytes()[:-1] + b"\0\n")
    assert messages(small_raw_data) == [f"{LABELS_FILE}:7: expected text, found a null character"]


WITHOUT = "without which the file may be cut off"


@pytest.mark.parametrize("file", [LABELS_FILE, BONDS_FILE])
def test_a_file_without_its_last_line_end_may_be_cut_off(small_raw_data, file):
    path = small_raw_data / file
    path.write_bytes(path.read_bytes()[:-1])
    assert [(p.pair_name, below(small_raw_data, p.error)) for p in read(small_raw_data)[1]] == [
        (
            NO_PAIR,
            f"{file}:7: expected a line end after the last row, {WITHOUT}, found none",
        )
    ]


@pytest.mark.parametrize(("separator", "found"), [(";", "semicolons"), ("\t", "tabs")])
def test_cells_that_another_character_separates_are_called_that(small_raw_data, separator, found):
    path = small_raw_data / LABELS_FILE
    text = path.read_text(encoding="utf-8").replace(",", separator)
    path.write_text(text, encoding="utf-8", newline="\n")
    assert messages(small_raw_data) == [
        f"{LABELS_FILE}:1: expected columns separated by commas, found {found}"
    ]


def test_a_text_label_longer_than_any_name_is_a_problem(small_raw_data):
    set_cell(small_raw_data / LABELS_FILE, "H_Li", "system_id_guess", "x" * 201)
    assert messages(small_raw_data) == [
        f"{LABELS_FILE}:5: expected system_id_guess, at most 200 characters, found 201"
    ]


def test_bytes_that_are_no_utf_8_are_a_problem_of_their_line(small_raw_data):
    path = small_raw_data / LABELS_FILE
    path.write_bytes(path.read_bytes().replace(b"H_Li", b"H_\xffi", 1))
    assert messages(small_raw_data) == [f"{LABELS_FILE}:5: expected UTF-8 text, found byte 0xff"]


def test_a_fault_of_a_whole_file_is_a_problem_of_no_pair_and_hides_no_other(small_raw_data):
    (small_raw_data / LABELS_FILE).unlink()
    set_cell(small_raw_data / BONDS_FILE, "H_Li", "natoms", "3")
    problems = read(small_raw_data)[1]
    assert [(p.pair_name, below(small_raw_data, p.error)) for p in problems] == [
        (
            NO_PAIR,
            f"{LABELS_FILE}: expected a file of labels, as `python -m twobody generate collect "
            "RAW_DATA` makes it, found none",
        ),
        ("H_Li", f"{BONDS_FILE}:5: expected natoms = 2, found '3'"),
    ]


def test_a_row_that_comes_twice_is_named_with_the_line_of_the_first(small_raw_data):
    edit(small_raw_data / LABELS_FILE, lambda rows: rows.append(["x/H_Li", *rows[4][1:]]))
    assert messages(small_raw_data) == [
        f"{LABELS_FILE}:8: expected one row for 'H_Li', found a second one (the first is line 5)"
    ]


def test_a_row_without_a_folder_is_named(small_raw_data):
    without = tuple(name for name in SMALL if name != "H_Li")
    assert messages(small_raw_data, without) == [
        f"{LABELS_FILE}:5: expected a folder 'H_Li' for this row, found none",
        f"{BONDS_FILE}:5: expected a folder 'H_Li' for this row, found none",
    ]


def test_rows_without_a_name_are_problems_of_no_pair(small_raw_data):
    edit(small_raw_data / LABELS_FILE, lambda rows: rows.extend(["/", *rows[4][1:]] for _ in "12"))
    problems = read(small_raw_data)[1]
    assert [(p.pair_name, below(small_raw_data, p.error)) for p in problems] == [
        (
            NO_PAIR,
            f"{LABELS_FILE}:{line}: expected run_dir, ending with the name of a pair, found none",
        )
        for line in (8, 9)
    ]


def test_a_pair_without_a_row_is_named(small_raw_data):
    edit(small_raw_data / BONDS_FILE, lambda rows: rows.pop(4))
    assert messages(small_raw_data) == [f"{BONDS_FILE}: expected a row for H_Li, found none"]


def test_the_line_of_a_row_counts_the_line_ends_within_quotes(small_raw_data):
    def change(rows: Rows) -> None:
        rows[1][0] = "a\nb/Al_N"
        rows[4][1] = "3"

    edit(small_raw_data / BONDS_FILE, change)
    assert messages(small_raw_data) == [f"{BONDS_FILE}:6: expected natoms = 2, found '3'"]


def test_rows_before_one_that_is_no_csv_are_merged_and_checked(small_raw_data):
    path = small_raw_data / BONDS_FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[1] = lines[1].rsplit(",", 1)[0] + ",abc\n"
    lines[3] = '"H_He"x' + lines[3]
    path.write_text("".join(lines), encoding="utf-8")
    table, problems = read(small_raw_data)
    assert [(p.pair_name, p.error.line) for p in problems] == [("Al_N", 2), (NO_PAIR, 4)]
    assert table.lines[BONDS_FILE].tolist() == [2, 3, 0, 0, 0, 0]


CELLS = ["", "1", "-0.0", "1e5", "1E-400", "1e999", "0e5", ".5", "5.", "1.5D3", "1_0", "nan", "x"]
CELLS += ["inf", " 2", "2", "2.0", "True", "0x1", "--1", "1-101", "0.1-101", "١", "5e-324", "-3"]
CELLS += ["00", "1e0", "+1", "1,5", "-0", "TRUE", "3e-330", "4e38"]


@given(st.sampled_from(NUMERIC_LABELS), st.lists(st.sampled_from(CELLS), min_size=1, max_size=3))
def test_a_column_is_read_at_once_as_cell_by_cell_or_not_at_all(label, cells):
    values = label_csv._numbers(cells, label)
    if values is not None:
        one_by_one = [label_csv._cell(cell, label, Path("file"), 1) for cell in cells]
        assert values.tobytes() == np.array(one_by_one, np.float64).tobytes()


def test_the_shipped_files_are_read_by_columns(monkeypatch):
    def text_only(text: str, label: Label, *_: object) -> str:
        assert label.kind == "text"
        return text

    monkeypatch.setattr(label_csv, "_cell", text_only)
    names = tuple(sorted(path.name for path in RAW_DATA.iterdir() if path.is_dir()))
    assert read(RAW_DATA, names)[1] == []


def test_batches_make_the_same_table_as_one_batch(small_raw_data, monkeypatch):
    expected, _ = read(small_raw_data)
    monkeypatch.setattr(label_csv, "_BATCH", 4)
    table, problems = read(small_raw_data)
    assert problems == []
    assert table.values.tobytes() == expected.values.tobytes()
    assert table.texts.tolist() == expected.texts.tolist()


def test_the_shipped_files_are_read_without_a_problem():
    names = tuple(sorted(path.name for path in RAW_DATA.iterdir() if path.is_dir()))
    table, problems = read(RAW_DATA, names)
    assert problems == []
    assert table.texts[:, 0].tolist() == list(names)
    assert len(names) == 2850


def labels_of(name: str) -> PairLabels:
    pair = collect_pair(RAW_DATA / name)[0]
    assert isinstance(pair, PairLabels)
    return pair


@given(st.floats(-3e38, 3e38, allow_subnormal=False))
def test_a_number_reads_back_as_the_same_float64(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("raw_data")
    pair = labels_of("H_Li")
    labels = dict(pair.labels) | {"total_energy_ev": value}
    write_label_files(folder, {"H_Li": PairLabels(pair.geometry, labels)})
    table, _ = read(folder, ("H_Li",))
    assert table.values[0, 0].tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize(
    ("column", "value", "cell"),
    [
        ("total_energy_eV", None, ""),
        ("total_energy_eV", -13.29, "-13.29"),
        ("n_levels", 18.0, "18"),
        ("metal_like", 1.0, "1"),
        ("system_id_guess", "N_Na", "N_Na"),
    ],
)
def test_a_cell_is_written_as_short_as_its_kind_allows(tmp_path, column, value, cell):
    pair = labels_of("H_Li")
    labels = dict(pair.labels) | {column.lower(): value}
    write_label_files(tmp_path, {"H_Li": PairLabels(pair.geometry, labels)})
    with (tmp_path / LABELS_FILE).open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row[column] == cell


def test_what_is_written_reads_back_the_same(small_raw_data):
    expected, _ = read(small_raw_data)
    pairs = {name: collect_pair(small_raw_data / name)[0] for name in reversed(SMALL)}
    before = [(small_raw_data / file).read_bytes() for file in (LABELS_FILE, BONDS_FILE)]
    for file in (LABELS_FILE, BONDS_FILE):
        (small_raw_data / file).unlink()
    write_label_files(small_raw_data, pairs)
    table, problems = read(small_raw_data)
    assert problems == []
    np.testing.assert_array_equal(table.values, expected.values)
    # Also byte for byte, whatever the order of the pairs was.
    assert [(small_raw_data / f).read_bytes() for f in (LABELS_FILE, BONDS_FILE)] == before


def test_a_write_that_fails_leaves_both_files_as_they_were(small_raw_data, monkeypatch):
    pair = collect_pair(small_raw_data / "H_Li")[0]
    assert isinstance(pair, PairLabels)
    before = {path.name: path.read_bytes() for path in small_raw_data.glob("*.csv")}
    path_open = Path.open

    def fail(path: Path, *args: object, **kwargs: object) -> object:
        if path.name == BONDS_FILE:
            raise OSError(28, "No space left on device")
        return path_open(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(OSError, match="No space left"):
        write_label_files(small_raw_data, {"H_Li": pair})
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in small_raw_data.glob("*.csv")} == before
    assert sorted(p.name for p in small_raw_data.iterdir() if p.is_dir()) == list(SMALL)
