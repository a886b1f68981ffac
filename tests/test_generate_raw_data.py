"""``python generate_raw_data.py collect``: both CSV files from the folders, or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from shipped import RAW_DATA, SMALL, below

import build_dataset
import generate_raw_data
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE

CSV_FILES = (LABELS_FILE, BONDS_FILE)


def collect(raw_data: Path, *options: str) -> Result:
    return CliRunner().invoke(generate_raw_data.main, ["collect", str(raw_data), *options])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_shipped_csv_files_are_what_collect_writes(tmp_path):
    raw_data = tmp_path / "raw_data"
    shutil.copytree(RAW_DATA, raw_data, ignore=shutil.ignore_patterns("*.csv"))
    result = collect(raw_data)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{raw_data / LABELS_FILE}, {raw_data / BONDS_FILE}: 2850 pairs\n"
    for file in CSV_FILES:
        assert (raw_data / file).read_bytes() == (RAW_DATA / file).read_bytes()


def test_rows_are_sorted_by_name_as_python_sorts_strings(small_raw_data):
    for file in CSV_FILES:
        (small_raw_data / file).unlink()
    assert collect(small_raw_data).exit_code == 0
    for file in CSV_FILES:
        rows = (small_raw_data / file).read_text(encoding="utf-8").splitlines()[1:]
        assert [row.split(",")[0] for row in rows] == list(SMALL)


def test_nothing_is_printed_on_standard_error_when_piped(small_raw_data):
    assert collect(small_raw_data).stderr == ""


def test_every_problem_is_listed_and_nothing_is_written(small_raw_data):
    (small_raw_data / "H_H" / "band.out").unlink()
    (small_raw_data / "H_Li" / "geo_end.xyz").write_text("2\n", encoding="utf-8")
    before = tree(small_raw_data)
    result = collect(small_raw_data)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert below(small_raw_data, result.stderr).splitlines() == [
        "H_H/band.out: expected a readable file, found No such file or directory",
        "H_Li/geo_end.xyz:1: expected 2 atoms and all their columns, found the end of the file",
        "Error: 2 problems; nothing was written",
    ]
    assert tree(small_raw_data) == before


def test_pairs_with_problems_may_be_left_out_and_the_build_leaves_them_out_too(
    small_raw_data, tmp_path
):
    (small_raw_data / "H_H" / "band.out").unlink()
    result = collect(small_raw_data, "--skip-invalid")
    assert result.exit_code == 0
    assert "H_H/band.out: expected a readable file" in result.stderr
    assert result.stdout.endswith(f": {len(SMALL) - 1} pairs, 1 left out\n")
    arguments = [str(small_raw_data), str(tmp_path / "out"), "--skip-invalid"]
    built = CliRunner().invoke(build_dataset.main, arguments)
    assert f"{len(SMALL)} found, {len(SMALL) - 1} kept, 1 skipped" in built.stdout


def test_a_pair_that_is_there_twice_is_left_out_once(small_raw_data):
    shutil.copytree(small_raw_data / "H_Li", small_raw_data / "Li_H")
    xyz = small_raw_data / "Li_H" / "geo_end.xyz"
    lines = xyz.read_text(encoding="utf-8").splitlines()
    assert (lines[2].split()[0], lines[3].split()[0]) == ("H", "Li")
    lines[2] = lines[2].replace("H", "Li", 1)
    lines[3] = lines[3].replace("Li", "H", 1)
    xyz.write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = collect(small_raw_data, "--skip-invalid")
    assert "Li_H: expected every pair of elements once, found H_Li too" in result.stderr
    assert result.stdout.endswith(f": {len(SMALL)} pairs, 1 left out\n")
    for file in CSV_FILES:
        rows = (small_raw_data / file).read_text(encoding="utf-8").splitlines()[1:]
        assert [row.split(",")[0] for row in rows] == list(SMALL)


def test_where_every_pair_has_a_problem_nothing_is_written(small_raw_data):
    for name in SMALL:
        (small_raw_data / name / "band.out").unlink()
    before = tree(small_raw_data)
    assert collect(small_raw_data, "--skip-invalid").exit_code == 1
    assert tree(small_raw_data) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda _: None,
            "expected a readable folder of pairs, found ",
            id="missing",
        ),
        pytest.param(
            Path.mkdir, "expected folders named after pairs (A_B), found none", id="empty"
        ),
    ],
)
def test_without_pairs_there_is_one_message(tmp_path, make, message):
    raw_data = tmp_path / "raw_data"
    make(raw_data)
    result = collect(raw_data)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {raw_data}: {message}")
    assert len(result.stderr.splitlines()) == 1
