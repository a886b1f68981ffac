import csv
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from twobody.campaign.run_log import Attempt, append

ATTEMPT = Attempt(
    "H_O", 1.0, 0, "as given: 300 K", "converged", "", -95.5, 1.09, True, chosen=True, seconds=0.1
)
FAILED = replace(
    ATTEMPT, outcome="crashed", reason='said "no", left', energy_ev=None, bond_length_ang=None,
    physical=None, chosen=False,
)  # fmt: skip


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_has_a_column_a_field_and_what_is_missing_is_empty(tmp_path):
    append(tmp_path / "log.csv", [ATTEMPT, FAILED])
    first, second = rows(tmp_path / "log.csv")
    assert first == {
        "pair": "H_O",
        "start_factor": "1.0",
        "rung": "0",
        "settings": "as given: 300 K",
        "outcome": "converged",
        "reason": "",
        "energy_ev": "-95.5",
        "bond_length_ang": "1.09",
        "physical": "1",
        "chosen": "1",
        "seconds": "0.1",
    }
    assert second["reason"] == 'said "no", left'
    assert second["energy_ev"] == second["bond_length_ang"] == second["physical"] == ""


def test_rows_are_added_to_those_that_are_there(tmp_path):
    for _ in range(3):
        append(tmp_path / "log.csv", [ATTEMPT])
    assert len(rows(tmp_path / "log.csv")) == 3


@pytest.mark.parametrize("kept", ["pair,start_factor", ""])
def test_a_row_that_was_cut_off_is_removed_by_the_next_append(tmp_path, kept):
    path = tmp_path / "log.csv"
    append(path, [ATTEMPT])
    whole = path.read_bytes()
    path.write_bytes((whole if kept else b"") + b"H_O,1.0,0,as gi")
    append(path, [FAILED])
    assert path.read_bytes().startswith(whole[: whole.index(b"\n") + 1])
    assert [row["outcome"] for row in rows(path)] == ["converged", "crashed"][0 if kept else 1 :]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no limit of file sizes")
def test_an_append_that_fails_in_the_middle_leaves_the_log_as_it_was(tmp_path):
    path = tmp_path / "log.csv"
    append(path, [ATTEMPT])
    before = path.read_bytes()
    size = len(before) + 100  # room for one row and a half
    code = f"""
import resource
from pathlib import Path
from twobody.campaign.run_log import Attempt, append
row = {ATTEMPT!r}
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
append(Path({str(path)!r}), [row, row, row])
"""
    failed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "File too large" in failed.stderr
    assert path.read_bytes() == before
