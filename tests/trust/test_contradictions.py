"""Every cell of the two label files, changed alone in every pair, is a problem of the build."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from shipped import RAW_DATA

from twobody.labels import NUMERIC_LABELS
from twobody.raw_data import read as reader
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE

pytestmark = pytest.mark.trust

COLUMNS = {  # by file: column, kind
    LABELS_FILE: {x.column: x.kind for x in NUMERIC_LABELS if x.column != "distance_Ang"},
    BONDS_FILE: dict.fromkeys(("distance_Ang", "x1", "y1", "z1", "x2", "y2", "z2"), "number"),
}


def other(cell: str, kind: str) -> str:
    """Return another value, legal for a label of this kind where there is one."""
    value = float(cell)
    if kind == "flag":
        return str(int(1 - value))
    return str(int(value) + 1 if kind == "count" else value + max(0.002, 0.01 * abs(value)))


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_every_cell_changed_alone_is_a_problem_of_its_pair(tmp_path, monkeypatch, report):
    for folder in RAW_DATA.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    pairs = reader.read_pairs(RAW_DATA, reader.find_pairs(RAW_DATA)[0], reader.InputDigest())
    monkeypatch.setattr(reader, "read_pairs", lambda *_, **__: (*pairs[:2], list(pairs[2])))
    changed = 0
    for file, columns in COLUMNS.items():
        path = tmp_path / file
        with (RAW_DATA / file).open(newline="", encoding="utf-8") as whole:
            rows = list(csv.DictReader(whole))
        for column, kind in columns.items():
            has_value = {row["run_dir"] for row in rows if row[column]}
            path.unlink()
            write(path, [{**row, column: row[column] and other(row[column], kind)} for row in rows])
            assert reader.read(tmp_path, allow_unconverged=False).bad == has_value, column
            changed += len(has_value)
        path.unlink()
        path.symlink_to(RAW_DATA / file)
    report(f"{changed} changed cells, all of them refused")
