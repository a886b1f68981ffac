"""With --skip-invalid every pair is accounted for: kept, or skipped for a reason that is listed."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import layouts
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mode import LONG

import build_dataset
from twobody.archive.container import Container
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE

pytestmark = pytest.mark.trust


def edited(file: str, old: str, new: str) -> Callable[[Path, str], None]:
    """Return a fault: `old`, a regular expression, is replaced in a file of the pair."""

    def fault(raw_data: Path, pair: str) -> None:
        path = raw_data / pair / file
        text, count = re.subn(old, new, path.read_text(encoding="utf-8"), count=1)
        assert count
        path.write_text(text, encoding="utf-8", newline="\n")

    return fault


def edited_row(file: str, change: Callable[[list[str]], list[list[str]]]) -> Callable[..., None]:
    """Return a fault: the row of the pair in a CSV file becomes others."""

    def fault(raw_data: Path, pair: str) -> None:
        path = raw_data / file
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        changed = [new for row in rows for new in (change(row) if row[0] == pair else [row])]
        text = "\n".join(map(",".join, changed)) + "\n"
        path.write_text(text, encoding="utf-8", newline="\n")

    return fault


def with_third_atom(raw_data: Path, pair: str) -> None:
    path = raw_data / pair / "detailed.out"
    path.write_text(layouts.with_third_atom(path.read_text(encoding="utf-8")), encoding="utf-8")


FAULTS: dict[str, tuple[str, Callable[[Path, str], None]]] = {  # kind: pair, how it is damaged
    "no detailed.out": ("Ag_Al", lambda raw, pair: (raw / pair / "detailed.out").unlink()),
    "no geo_end.xyz": ("Al_N", lambda raw, pair: (raw / pair / "geo_end.xyz").unlink()),
    "cut": ("C_O", edited("detailed.out", r"(?s)\nTotal energy.*", "\n")),
    "asterisks": ("Ca_O", edited("detailed.out", r"(Fermi level: +)\S+", r"\1**********")),
    "NaN": ("Cl_Na", edited("geo_end.xyz", r"\S+\n$", "NaN\n")),
    "a section missing": ("F_H", edited("detailed.out", r"Atom populations \(up\)", "Atoms")),
    "sums that differ": (
        "Fe_O",
        edited("detailed.out", r"(?m)^(    1 +1 +0 +0 +)\S+", r"\g<1>9.0"),
    ),
    "three atoms": ("H_H", with_third_atom),
    "not converged": (
        "H_He",
        edited(
            "detailed.out",
            "SCC converged",
            "SCC is NOT converged, maximal SCC iterations exceeded",
        ),
    ),
    "not UTF-8": (
        "H_Li",
        lambda raw, pair: (raw / pair / "geo_end.xyz").write_bytes(b"    2\n\xff\xfe\n"),
    ),
    "other elements": ("H_N", edited("geo_end.xyz", r"\n +H ", "\n   He ")),
    "other populations": ("H_O", edited("geo_end.xyz", r"\S+\n$", "0.12345678\n")),
    "another bond length": ("I_Xe", edited_row(BONDS_FILE, lambda row: [[*row[:-1], "9.0"]])),
    "no row": ("K_O", edited_row(LABELS_FILE, lambda _: [])),
    "two rows": ("Mg_O", edited_row(BONDS_FILE, lambda row: [row, row])),
    "a bad cell": ("N_N", edited_row(LABELS_FILE, lambda row: [[row[0], "-", *row[2:]]])),
    "a short row": ("N_Na", edited_row(LABELS_FILE, lambda row: [row[:-3]])),
    "a row without a folder": ("O_O", lambda raw, pair: shutil.rmtree(raw / pair)),
    "a folder that is no pair's": ("Zr_Zr", lambda raw, _: (raw / "results").mkdir()),
}
WHOLE = {"He_He", "Zr_Zr"}  # the second stays whole: its fault is another folder


@pytest.fixture(scope="module")
def raw_data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "raw_data"
    names = {pair for pair, _ in FAULTS.values()} | WHOLE
    for name in names:
        shutil.copytree(layouts.RAW_DATA / name, folder / name)
    for file in (LABELS_FILE, BONDS_FILE):
        header, *rows = (layouts.RAW_DATA / file).read_text(encoding="utf-8").splitlines(True)
        kept = [row for row in rows if row.split(",")[0] in names]
        (folder / file).write_text("".join([header, *kept]), encoding="utf-8", newline="\n")
    return folder


def account(raw_data: Path, tmp_path: Path, kinds: set[str]) -> None:
    """Damage a copy of `raw_data`, build, and compare all that is said of what was left out."""
    damaged = tmp_path / "raw_data"
    output = tmp_path / "out"
    for folder in (damaged, output):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(raw_data, damaged)
    names = {path.name for path in raw_data.iterdir() if path.is_dir()}
    for kind in sorted(kinds):
        pair, fault = FAULTS[kind]
        fault(damaged, pair)
    bad = {FAULTS[kind][0] for kind in kinds} - WHOLE
    if "a folder that is no pair's" in kinds:
        bad.add("results")
    result = CliRunner().invoke(build_dataset.main, [str(damaged), str(output), "--skip-invalid"])
    assert result.exit_code == 0, result.output
    counts = re.search(r"pairs +([0-9]+) found, ([0-9]+) kept, ([0-9]+) skipped", result.stdout)
    found, kept, skipped = (int(number) for number in counts.groups())
    with Container(output / "dataset_combined.npz") as archive:
        assert set(archive.read("pair_names").tolist()) == names - bad
        provenance = json.loads(str(archive.read("provenance")))
    assert provenance["pairs"] == {"found": found, "kept": kept, "skipped": skipped}
    assert (found, kept, skipped) == (len(names | bad), len(names - bad), len(bad))
    listed = output / "analysis" / "skipped_pairs.csv"
    assert listed.exists() == bool(bad)
    if bad:
        with listed.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["pair"] for row in rows} == bad
        assert all(row["file"] and row["reason"].startswith("expected ") for row in rows)


@pytest.mark.parametrize("kind", FAULTS)
def test_one_bad_pair_of_each_kind_is_accounted_for(raw_data, tmp_path, kind):
    account(raw_data, tmp_path, {kind})


@settings(
    max_examples=1_000 if LONG else 50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kinds=st.sets(st.sampled_from(sorted(FAULTS))))
def test_any_bad_pairs_together_are_accounted_for(raw_data, tmp_path, kinds):
    account(raw_data, tmp_path, kinds)


def test_where_every_pair_is_bad_nothing_is_written(small_raw_data, tmp_path):
    for path in small_raw_data.glob("*/geo_end.xyz"):
        path.unlink()
    output = tmp_path / "out"
    result = CliRunner().invoke(
        build_dataset.main, [str(small_raw_data), str(output), "--skip-invalid"]
    )
    assert result.exit_code == 1
    assert not list(tmp_path.rglob("*.npz"))
