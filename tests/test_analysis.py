"""analysis/: numbers that read back as they were, and a summary that counts what is there."""

from __future__ import annotations

import csv
import math
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shipped import SMALL

from twobody import ParseError
from twobody.analysis import _rows, _write_csv, summary, write_analysis, write_skipped
from twobody.errors import PairProblem
from twobody.labels import LABELS, NUMERIC_LABELS
from twobody.pairs import Pairs

LARGEST = float(np.finfo(np.float32).max)  # of a label that is legal


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("analysis")
    write_analysis(folder, small)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def with_label(pairs: Pairs, name: str, values: list[float]) -> Pairs:
    changed = pairs.label_values.copy()
    changed[:, pairs.label_names.tolist().index(name)] = values
    return replace(pairs, label_values=changed)


def paragraph(text: str, name: str) -> list[str]:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name} ["))
    return lines[start : lines.index("", start) if "" in lines[start:] else None]


def test_all_labels_csv_has_the_name_of_the_pair_and_the_37_labels(folder):
    rows = rows_of(folder / "all_labels.csv")
    assert list(rows[0]) == ["pair_name", *(label.name for label in LABELS)]
    assert [row["pair_name"] for row in rows] == list(SMALL)
    assert [row["system_id_guess"] for row in rows] == list(SMALL)
    assert rows[SMALL.index("H_Li")]["e_g_ev"] == "3.157"


@given(
    st.lists(
        st.tuples(
            st.floats(allow_infinity=False),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
        ),
        min_size=1,
    )
)
@example([(math.nan, 'a "b", c'), (-0.0, "\r\n"), (5e-324, "\n\0")])
def test_any_numbers_and_texts_come_back_from_a_csv_file(rows):
    numbers, texts = zip(*rows, strict=True)
    names = np.array(["H_H"] * len(rows))
    columns = {
        "pair_name": names,
        "number": np.array(numbers),
        "text": np.array(texts, dtype=object),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        _write_csv(path, columns, _rows(columns))
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file, strict=True)
    assert header == ["pair_name", "number", "text"]
    assert lines == [["H_H", "" if math.isnan(n) else repr(n + 0.0), text] for n, text in rows]


def test_counts_and_flags_are_integers_and_no_zero_has_a_sign(folder):
    rows = rows_of(folder / "all_labels.csv")
    whole = [label.name for label in NUMERIC_LABELS if label.kind in ("count", "flag")]
    assert len(whole) == 8
    assert all(re.fullmatch("[0-9]+", row[name]) for row in rows for name in whole)
    for table in (rows, rows_of(folder / "geometry_data.csv")):
        assert "-0.0" not in {cell for row in table for cell in row.values()}


def test_a_count_of_any_size_is_written_and_one_that_is_missing_is_empty(small, tmp_path):
    values = [3e38, np.nan, 0.0, 1.0, 2.0, -0.0]
    write_analysis(tmp_path, with_label(small, "n_levels", values))
    cells = [row["n_levels"] for row in rows_of(tmp_path / "all_labels.csv")]
    assert cells == [str(int(3e38)), "", "0", "1", "2", "0"]


def test_a_missing_label_is_an_empty_cell(folder):
    row = rows_of(folder / "all_labels.csv")[SMALL.index("He_He")]
    assert {name for name, cell in row.items() if not cell} == {
        *("e_lumo_ev", "e_g_ev", "a_ev", "chi_ev", "mu_ev", "eta_ev", "softness_evinv"),
        "electrophilicity_ev",
    }


def test_geometry_data_csv_has_the_atoms_of_each_pair(folder):
    rows = rows_of(folder / "geometry_data.csv")
    assert rows[SMALL.index("H_Li")] == {
        "pair_name": "H_Li",
        "element_1": "H",
        "element_2": "Li",
        "x1": "0.0",
        "y1": "0.0",
        "z1": "-0.09238595",
        "population_1": "1.40784956",
        "x2": "0.0",
        "y2": "0.0",
        "z2": "1.68238595",
        "population_2": "0.59215044",
        "bond_length_ang": "1.7747719",
    }
    assert list(rows[0]) == [
        *("pair_name", "element_1", "element_2"),
        *("x1", "y1", "z1", "population_1", "x2", "y2", "z2", "population_2", "bond_length_ang"),
    ]


def test_the_two_files_merge_on_the_name_of_the_pair(folder):
    tables = [
        pd.read_csv(folder / file, keep_default_na=False)
        for file in ("all_labels.csv", "geometry_data.csv")
    ]
    merged = tables[0].merge(tables[1], on="pair_name", validate="one_to_one")
    assert merged["pair_name"].tolist() == list(SMALL)
    assert merged.shape == (6, 38 + 11)
    assert merged["element_2"].tolist() == ["N", "H", "He", "Li", "He", "Na"]


def test_the_numbers_of_both_files_are_those_of_the_pairs(folder, small):
    labels = rows_of(folder / "all_labels.csv")
    for i, label in enumerate(NUMERIC_LABELS):
        cells = [float(row[label.name] or "nan") for row in labels]
        np.testing.assert_array_equal(cells, small.label_values[:, i])
    geometries = rows_of(folder / "geometry_data.csv")
    lengths = [float(row["bond_length_ang"]) for row in geometries]
    assert lengths == small.rows["bond_length"].tolist()


@given(st.lists(st.floats(-LARGEST, LARGEST), min_size=6, max_size=6))
@settings(deadline=None)
def test_any_number_reads_back_as_the_same_float64(small, values):
    with tempfile.TemporaryDirectory() as folder:
        write_analysis(Path(folder), with_label(small, "total_energy_ev", values))
        rows = rows_of(Path(folder, "all_labels.csv"))
    cells = [float(row["total_energy_ev"]) for row in rows]
    assert cells == values
    assert all(math.copysign(1, cell) == 1 for cell in cells if cell == 0)


def test_the_summary_begins_with_this_build_beside_the_published_dataset(archive):
    path = archive.parent / "analysis" / "labels_detailed_summary.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "2850 pairs, 37 labels"
    table = {line[:28].strip(): line[28:].split("  ") for line in lines[5:15]}
    table = {name: [cell.strip() for cell in cells if cell] for name, cells in table.items()}
    assert table == {
        "": ["this build", "published"],
        "e_g_ev mean, std": ["0.41, 1.13", "0.47, 1.19"],
        "e_g_ev min, max": ["0.00, 11.52", "0.00, 19.40"],
        "total_energy_ev mean, std": ["-90.79, 48.19", "-90.50, 48.10"],
        "total_energy_ev min, max": ["-305.64, -4.67", "-305.60, -2.30"],
        "distance_ang mean, std": ["2.66, 0.69", "2.58, 0.66"],
        "distance_ang min, max": ["0.84, 5.12", "0.70, 5.60"],
        "pairs with e_g_ev": ["2847", "2840"],
        "pairs with softness_evinv": ["735", "987"],
        "metal-like share": ["74.1%", "74%"],
    }


def test_the_summary_describes_every_label(folder):
    text = (folder / "labels_detailed_summary.txt").read_text(encoding="utf-8")
    for label in LABELS:
        assert paragraph(text, label.name)[0].endswith(f"({label.group}): {label.meaning}")


def test_the_statistics_of_a_number_are_over_the_pairs_that_have_it(small):
    values = [1.0, 2.0, 3.0, 10.0, np.nan, np.nan]
    text = summary(with_label(small, "e_g_ev", values).label_columns())
    assert paragraph(text, "e_g_ev")[2:] == [
        "  coverage   4 of 6 (66.7%)",
        "  mean, std  4, 3.53553",  # squares 9 + 4 + 1 + 36 = 50; sqrt(50 / 4)
        "  min, max   1, 10",
        "  median     2.5",
    ]


def test_the_distribution_of_a_flag_counts_its_values(small):
    values = [1.0, 1.0, 1.0, 0.0, np.nan, np.nan]
    text = summary(with_label(small, "metal_like", values).label_columns())
    assert paragraph(text, "metal_like")[2:] == [
        "  coverage   4 of 6 (66.7%)",
        "  1.0        3 (75.0%)",
        "  0.0        1 (25.0%)",
    ]


def test_the_distribution_of_a_text_counts_the_most_frequent_values(small):
    texts = np.array([["N"], ["Na"], ["N"], ["None"], [""], ["N"]])
    text = summary(replace(small, text_label_values=texts).label_columns())
    assert paragraph(text, "system_id_guess")[2:] == [
        "  coverage   5 of 6 (83.3%)",
        "  N          3 (60.0%)",
        "  Na         1 (20.0%)",
        "  None       1 (20.0%)",
    ]


def test_a_label_that_no_pair_has_is_called_empty(small):
    text = summary(with_label(small, "softness_evinv", [np.nan] * 6).label_columns())
    assert paragraph(text, "softness_evinv")[2:] == [
        "  coverage   0 of 6 (0.0%)",
        "  note       EMPTY: no pair has this label",
    ]


def test_a_label_that_is_the_same_for_all_pairs_is_called_constant(small):
    text = summary(with_label(small, "total_charge", [0.5] * 6).label_columns())
    note = "  note       CONSTANT: every pair that has this label has 0.5"
    assert paragraph(text, "total_charge")[-1] == note


def test_zeros_of_both_signs_are_one_constant_zero(small):
    text = summary(with_label(small, "dipole_y_d", [-0.0, 0.0] * 3).label_columns())
    assert paragraph(text, "dipole_y_d")[3:] == [
        "  mean, std  0, 0",
        "  min, max   0, 0",
        "  median     0",
        "  note       CONSTANT: every pair that has this label has 0.0",
    ]


def test_skipped_pairs_are_listed_with_file_line_and_reason(tmp_path):
    problems = [
        PairProblem("H_H", ParseError("raw_data/H_H/geo_end.xyz", 3, "a number", "'*, \"*'")),
        PairProblem("N_Na", ParseError("raw_data/N_Na", None, "two atoms", "3")),
    ]
    write_skipped(tmp_path / "skipped_pairs.csv", problems, Path("raw_data"))
    assert rows_of(tmp_path / "skipped_pairs.csv") == [
        {
            "pair": "H_H",
            "file": "H_H/geo_end.xyz",
            "line": "3",
            "reason": "expected a number, found '*, \"*'",
        },
        {
            "pair": "N_Na",
            "file": "N_Na",
            "line": "",
            "reason": "expected two atoms, found 3",
        },
    ]


def test_a_name_that_is_no_text_is_listed_too(tmp_path):
    problem = PairProblem("H\udcff", ParseError("raw_data/H\udcff", None, "a pair", "none"))
    write_skipped(tmp_path / "skipped_pairs.csv", [problem], Path("raw_data"))
    assert rows_of(tmp_path / "skipped_pairs.csv")[0]["pair"] == r"H\udcff"
