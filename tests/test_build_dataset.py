"""``python build_dataset.py``: the whole build, and every kind of bad input it has to refuse."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from shipped import RAW_DATA, ROOT, SMALL, below

import build_dataset
from twobody.analysis import ANALYSIS_FILES, PUBLISHED, SKIPPED_CSV
from twobody.archive.container import Container
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE

NOT_CONVERGED = "SCC is NOT converged, maximal SCC iterations exceeded"


def build(raw_data: Path, output: Path, *options: str) -> Result:
    return CliRunner().invoke(build_dataset.main, [str(raw_data), str(output), *options])


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A folder with the output of an earlier build, or what stands for it."""
    folder = tmp_path / "out"
    (folder / "analysis").mkdir(parents=True)
    for name in ("dataset_combined.npz", *(f"analysis/{file}" for file in ANALYSIS_FILES)):
        (folder / name).write_text("of an earlier build", encoding="utf-8")
    return folder


# The build of everything that is shipped


def test_the_committed_analysis_is_what_the_build_makes(archive):
    committed = tree(ROOT / "analysis")
    assert set(committed) == set(ANALYSIS_FILES) - {SKIPPED_CSV}
    assert tree(archive.parent / "analysis") == committed


def test_the_archive_holds_all_pairs_in_the_order_of_their_names(archive):
    with Container(archive) as built:
        names = built.read("pair_names").tolist()
    assert names == sorted(path.name for path in RAW_DATA.iterdir() if path.is_dir())
    assert len(names) == 2850
    assert (names[0], names[1], names[-1]) == ("Ag_Ag", "Ag_Al", "Zr_Zr")


def labels_of(archive: Path) -> dict[str, np.ndarray]:
    with Container(archive) as built:
        return dict(zip(built.read("label_names"), built.read("label_values").T, strict=True))


def test_labels_cover_as_many_pairs_as_their_meaning_allows(archive):
    labels = labels_of(archive)
    present = {name: int((~np.isnan(values)).sum()) for name, values in labels.items()}
    # He_He, He_Ne and Ne_Ne have no virtual level, and 2112 pairs no gap: 2850 - 3 - 2112 = 735.
    of_a_virtual_level = ("e_lumo_ev", "e_g_ev", "a_ev", "chi_ev", "mu_ev", "eta_ev")
    of_a_gap = ("softness_evinv", "electrophilicity_ev")
    assert present == {
        **dict.fromkeys(labels, 2850),
        **dict.fromkeys(of_a_virtual_level, 2847),
        **dict.fromkeys(of_a_gap, 735),
    }
    assert labels["metal_like"].sum() == 2112
    assert labels["no_virtual_in_basis"].sum() == 3
    assert int((labels["e_g_ev"] > 0).sum()) == 735
    assert labels["scc_converged"].sum() == labels["geom_converged"].sum() == 2850


def test_no_population_is_lost_on_the_way_to_the_images(archive):
    """Negative ones neither: s, p, d and f together are the electrons of the pair."""
    with Container(archive) as built:
        amplitudes = built.read("image_amplitudes")
        populations = built.read("geometries")[:, :, 3].astype(np.float64)
    orbitals = amplitudes[:, 2, 0] + amplitudes[:, 3, 0]
    np.testing.assert_allclose(orbitals, amplitudes[:, 7].sum(axis=1), rtol=0, atol=2e-7)
    np.testing.assert_allclose(amplitudes[:, 7], populations, rtol=2**-24)
    assert (amplitudes[:, 3, 0] < 0).sum() == 137  # pairs with fewer than no d electrons
    assert not amplitudes[:, 1].any()  # all bonds lie on z


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("e_g_ev", 0.07), ("total_energy_ev", 0.3), ("distance_ang", 0.09)],
)
def test_mean_and_spread_are_close_to_the_published_ones(archive, name, tolerance):
    mean, std, *_ = PUBLISHED[name]
    values = labels_of(archive)[name]
    assert np.nanmean(values) == pytest.approx(mean, abs=tolerance)
    assert np.nanstd(values) == pytest.approx(std, abs=tolerance)


def test_the_share_of_metal_like_pairs_is_the_published_one(archive):
    assert labels_of(archive)["metal_like"].mean() == pytest.approx(0.74, abs=0.005)


def test_provenance_says_what_was_made_of_what_without_paths_or_times(archive):
    with Container(archive) as built:
        provenance = json.loads(str(built.read("provenance")))
    assert set(provenance) == {
        *("format_version", "package_version", "encoding", "pairs", "units", "input_sha256")
    }
    assert provenance["pairs"] == {"found": 2850, "kept": 2850, "skipped": 0}
    assert provenance["encoding"] == "published"
    assert provenance["units"]["e_g_ev"] == "eV"
    assert len(provenance["input_sha256"]) == 64


# The same input gives the same output


@pytest.mark.parametrize("options", [("--jobs", "1"), ("--jobs", "2"), ("--jobs", "3")])
def test_the_bytes_do_not_depend_on_jobs_directory_order_or_times(
    small_raw_data, tmp_path, monkeypatch, options
):
    assert build(small_raw_data, tmp_path / "first").exit_code == 0
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(iterdir(path))))
    for path in small_raw_data.rglob("*"):
        os.utime(path, (10**9, 10**9))
    assert build(small_raw_data, tmp_path / "second", *options).exit_code == 0
    assert tree(tmp_path / "first") == tree(tmp_path / "second")


def test_nor_do_they_depend_on_where_the_input_and_the_output_are(small_raw_data, tmp_path):
    shutil.copytree(small_raw_data, tmp_path / "elsewhere" / "copy")
    assert build(small_raw_data, tmp_path / "first").exit_code == 0
    assert build(tmp_path / "elsewhere" / "copy", tmp_path / "x" / "y.npz").exit_code == 0
    first, second = tree(tmp_path / "first"), tree(tmp_path / "x")
    assert first["dataset_combined.npz"] == second["y.npz"]


def content_line(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return next(line for line in result.stdout.splitlines() if line.startswith("  content"))


def test_another_input_gives_another_digest(small_raw_data, tmp_path):
    first = content_line(build(small_raw_data, tmp_path / "first"))
    replace(small_raw_data / BONDS_FILE, "\nH_Li,", "\nruns/H_Li,")
    assert content_line(build(small_raw_data, tmp_path / "second")) != first


def test_storing_changes_the_file_and_not_its_content(small_raw_data, tmp_path):
    first = content_line(build(small_raw_data, tmp_path / "first"))
    assert content_line(build(small_raw_data, tmp_path / "second", "--store")) == first
    sizes = [(tmp_path / n / "dataset_combined.npz").stat().st_size for n in ("first", "second")]
    assert sizes[1] > 6 * 10 * 32 * 32 * 4 > sizes[0]


# Where the output goes, and what is said


def test_an_output_that_ends_in_npz_is_the_file(small_raw_data, tmp_path):
    result = build(small_raw_data, tmp_path / "new" / "pairs.npz")
    assert result.exit_code == 0, result.output
    assert set(tree(tmp_path / "new")) == {
        *("pairs.npz", "analysis/all_labels.csv", "analysis/geometry_data.csv"),
        "analysis/labels_detailed_summary.txt",
    }


def test_any_other_output_is_a_folder(small_raw_data, tmp_path):
    assert build(small_raw_data, tmp_path / "new.d").exit_code == 0
    assert "dataset_combined.npz" in tree(tmp_path / "new.d")


def test_by_default_raw_data_becomes_dataset_combined_npz(small_raw_data, monkeypatch):
    monkeypatch.chdir(small_raw_data.parent)
    result = CliRunner().invoke(build_dataset.main, [])
    assert result.exit_code == 0, result.output
    assert (small_raw_data.parent / "dataset_combined.npz").is_file()
    assert (small_raw_data.parent / "analysis" / "all_labels.csv").is_file()


def test_the_summary_counts_and_nothing_goes_to_standard_error_when_piped(small_raw_data, tmp_path):
    result = build(small_raw_data, tmp_path / "out")
    assert result.stderr == ""
    assert "  pairs     6 found, 6 kept, 0 skipped\n" in result.stdout
    assert (
        "  labels    37 per pair, 12 values missing\n" in result.stdout
    )  # He_He 8, H_He 2, N_Na 2
    assert "  images    6 x 10 x 32 x 32 float32, encoding published\n" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("done in ")


def test_the_printed_sha_256_is_that_of_the_file(small_raw_data, tmp_path):
    result = build(small_raw_data, tmp_path / "out")
    data = (tmp_path / "out" / "dataset_combined.npz").read_bytes()
    assert f"  SHA-256   {hashlib.sha256(data).hexdigest()}\n" in result.stdout


def test_importing_the_build_imports_neither_torch_nor_pandas():
    code = "import build_dataset, sys; print({'torch', 'pandas'} & sys.modules.keys())"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_pair_files_are_written_beside_the_archive(small_raw_data, tmp_path):
    pairs = tmp_path / "pairs"
    result = build(small_raw_data, tmp_path / "out", "--per-pair-files", str(pairs))
    assert result.exit_code == 0, result.output
    assert set(tree(pairs)) == {f"{name}.npz" for name in SMALL}


# Bad input: one pair, H_Li, has one fault; its row is line 5 of both CSV files.


def removed(file: str) -> Callable[[Path], None]:
    return lambda raw_data: (raw_data / file).unlink()


def edited(file: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda raw_data: replace(raw_data / file, old, new)


def rewritten(file: str, text: str) -> Callable[[Path], None]:
    return lambda raw_data: (raw_data / file).write_text(text, encoding="utf-8") and None


def unreadable(raw_data: Path) -> None:
    """Put a folder where the file should be: root may read any file."""
    path = raw_data / "H_Li" / "geo_end.xyz"
    path.unlink()
    path.mkdir()


def without_line(file: str, start: str) -> Callable[[Path], None]:
    def damage(raw_data: Path) -> None:
        lines = (raw_data / file).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(start)]
        assert len(kept) == len(lines) - 1
        (raw_data / file).write_text("".join(kept), encoding="utf-8", newline="\n")

    return damage


def row_twice(raw_data: Path) -> None:
    path = raw_data / BONDS_FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines, lines[4]]), encoding="utf-8", newline="\n")


D, G, B = "H_Li/detailed.out", "H_Li/geo_end.xyz", "H_Li/band.out"
ATOM_1 = "    H      0.00000000      0.00000000     -0.09238595      1.40784956\n"
ATOM_2 = "   Li      0.00000000      0.00000000      1.68238595      0.59215044\n"
BOND = "1.7747719"
NO_FILE = "expected a readable file, found No such file or directory"
COLLECT = "python -m twobody generate collect RAW_DATA"
NO_CSV = f"expected a file of labels, as `{COLLECT}` makes it, found none"
NO_FILE_THERE = "expected a regular file, found a folder, named pipe or device"
FLOAT64 = "expected a value of the SCC row, a number in the range of float64"
SUM = "expected 0.31396810, the sum over the orbitals"
CHARGE = "expected the sum of the gross charges, 0.81569912"
ENERGY = "expected total energy in H and the same in eV (13.2929)"
BAND_ENERGY = "levels whose electrons have the band energy of detailed.out, -0.382690 H"
ATOM_1_AT = "expected atom 1 where detailed.out has it, at (0.000000, 0.000000, -0.092386) Å"

BAD_INPUT = {
    "a missing file": (removed(D), f"{D}: {NO_FILE}"),
    "another missing file": (removed(G), f"{G}: {NO_FILE}"),
    "a missing CSV file": (removed(BONDS_FILE), f"{BONDS_FILE}: {NO_CSV}"),
    "an unreadable file": (
        unreadable,
        f"{G}: {NO_FILE_THERE}",
    ),
    "a missing section": (
        edited(D, " Atomic gross charges (e)", " Charges"),
        f"{D}: expected gross charges, found none",
    ),
    "a missing value": (
        edited(D, "    1      -0.40784956\n", "    1\n"),
        f"{D}:19: expected a row of the table, 2 columns, found '1'",
    ),
    "a missing line": (
        without_line(D, "Total energy:"),
        f"{D}:66: expected 'Total energy:' in the step, found none up to here",
    ),
    "a missing atom": (
        edited(G, ATOM_2, ""),
        f"{G}:3: expected 2 atoms and all their columns, found the end of the file",
    ),
    "a missing atom in detailed.out": (
        edited(D, "    2       0.59215044\n", ""),
        f"{D}:25: expected 2 atoms, found 1",
    ),
    "one atom": (
        rewritten(G, f"    1\nGeometry Step: 5\n{ATOM_1}"),
        f"{G}:1: expected two atoms, found 1",
    ),
    "three atoms": (
        rewritten(G, f"    3\nGeometry Step: 5\n{ATOM_1}{ATOM_2}{ATOM_1}"),
        f"{G}:1: expected two atoms, found 3",
    ),
    "a count in the CSV file that disagrees": (
        edited(BONDS_FILE, "H_Li,2,H", "H_Li,3,H"),
        f"{BONDS_FILE}:5: expected natoms = 2, found '3'",
    ),
    "asterisks": (
        edited(G, "-0.09238595", "***********"),
        f"{G}:3: expected a coordinate or population, a number, found '***********'",
    ),
    "NaN": (
        edited(G, "-0.09238595", "        NaN"),
        f"{G}:3: expected a coordinate or population, a number, found 'NaN'",
    ),
    "infinity": (
        edited(D, "-0.48898846E+00", "       -Infinity"),
        f"{D}:8: expected a value of the SCC row, a number, found '-Infinity'",
    ),
    "an overflow": (
        edited(D, "-0.48898846E+00", "-0.48898846E+999"),
        f"{D}:8: {FLOAT64}, found '-0.48898846E+999'",
    ),
    "a bad cell": (
        edited(LABELS_FILE, "H_Li,-13.292942241629065", "H_Li,?"),
        f"{LABELS_FILE}:5: expected total_energy_eV, a number, found '?'",
    ),
    "populations that do not add up": (
        edited(D, "0.21396810  p_z", "0.31396810  p_z"),
        f"{D}:32: {SUM}, found '2   2   1       0.21396810'",
    ),
    "populations that differ between the files": (
        edited(G, "1.40784956", "1.40884956"),
        f"{G}:3: expected the population of atom 1 in detailed.out, 1.40784956, found 1.40884956",
    ),
    "wrong elements": (
        edited(G, "   Li", "   Na"),
        f"{G}:3: expected the elements of the folder, H and Li, found H and Na",
    ),
    "a level that is cut off": (
        edited(B, "     5     1.962  0.00000\n", ""),
        f"{B}:1: expected 5 levels, one an orbital, for k-point 1, spin 1, found 4",
    ),
    "levels of another calculation": (
        edited(B, "-5.207", "-5.307"),
        f"{B}:1: expected {BAND_ENERGY}, found -10.614 eV",
    ),
    "a number of levels that is off": (
        edited(LABELS_FILE, ",5,2.0,0,0,", ",6,2.0,0,0,"),
        f"{LABELS_FILE}:5: expected n_levels of {B}, 5, found 6",
    ),
    "a bond length that is off": (
        edited(BONDS_FILE, BOND, "1.7757820"),
        f"{BONDS_FILE}:5: expected the bond length of {G}, 1.7747719 Å, found 1.775782 Å",
    ),
    "a flipped sign in detailed.out": (
        edited(D, "    1      -0.40784956", "    1       0.40784956"),
        f"{D}:15: {CHARGE}, found 'Total charge:     0.00000000'",
    ),
    "a flipped sign of an energy": (
        edited(D, "Total energy:                       -", "Total energy:                        "),
        f"{D}:53: {ENERGY}, found 'Total energy: {' ' * 23}0.4885066171 H          -13.2929 eV'",
    ),
    "a flipped sign in geo_end.xyz": (
        edited(G, "     -0.09238595", "      0.09238595"),
        f"{G}:3: {ATOM_1_AT}, found (0.000000, 0.000000, 0.092386) Å",
    ),
    "a flipped sign in the CSV file": (
        edited(BONDS_FILE, f",{BOND}", f",-{BOND}"),
        f"{BONDS_FILE}:5: expected the bond length of {G}, 1.7747719 Å, found -1.7747719 Å",
    ),
    "a pair without a row": (
        without_line(LABELS_FILE, "H_Li"),
        f"{LABELS_FILE}: expected a row for H_Li, found none",
    ),
    "a row twice": (
        row_twice,
        f"{BONDS_FILE}:8: expected one row for 'H_Li', found a second one (the first is line 5)",
    ),
    "a stray folder": (
        lambda raw_data: (raw_data / "H_Li.bak").mkdir(),
        "H_Li.bak: expected a folder named after two elements (A_B), found 'H_Li.bak'",
    ),
    "SCC that did not converge": (
        edited(D, "SCC converged", NOT_CONVERGED),
        f"{D}:60: expected 'SCC converged', found 'SCC is NOT converged'",
    ),
}
OF_THE_WHOLE = ("a missing CSV file",)


@pytest.mark.parametrize("fault", BAD_INPUT)
def test_bad_input_is_named_once_and_nothing_is_written(small_raw_data, output, fault):
    damage, message = BAD_INPUT[fault]
    damage(small_raw_data)
    before = tree(output)
    result = build(small_raw_data, output)
    assert result.exit_code == 1
    assert result.stdout == ""
    *problems, closing = below(small_raw_data, result.stderr).splitlines()
    assert problems == [message]
    pairs = "0 pairs" if fault in OF_THE_WHOLE else "1 pair"
    assert closing.startswith(f"Error: 1 problem, {pairs}; nothing was written")
    assert tree(output) == before
    assert sorted(path.name for path in output.iterdir()) == ["analysis", "dataset_combined.npz"]


@pytest.mark.parametrize("fault", [fault for fault in BAD_INPUT if fault not in OF_THE_WHOLE])
def test_with_skip_invalid_the_pair_is_left_out_and_listed(small_raw_data, output, fault):
    damage, message = BAD_INPUT[fault]
    damage(small_raw_data)
    result = build(small_raw_data, output, "--skip-invalid")
    assert result.exit_code == 0, result.output
    bad = "H_Li.bak" if fault == "a stray folder" else "H_Li"
    kept = [name for name in SMALL if name != bad]
    with Container(output / "dataset_combined.npz") as built:
        assert built.read("pair_names").tolist() == kept
        counts = json.loads(str(built.read("provenance")))["pairs"]
    assert counts == {"found": len(kept) + 1, "kept": len(kept), "skipped": 1}
    counted = f"{len(kept) + 1} found, {len(kept)} kept, 1 skipped"
    assert f"  pairs     {counted}\n" in result.stdout
    with (output / "analysis" / SKIPPED_CSV).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["pair"] for row in rows] == [bad]
    place = ":".join([rows[0]["file"], *([rows[0]["line"]] if rows[0]["line"] else [])])
    assert below(small_raw_data, f"{place}: {rows[0]['reason']}") == message


@pytest.mark.parametrize("length", ["1.7757", "1.7738"])
def test_a_bond_length_may_differ_by_the_tolerance(small_raw_data, output, length):
    replace(small_raw_data / BONDS_FILE, BOND, length)  # 1.7747719 +- less than 1e-3
    assert build(small_raw_data, output).exit_code == 0


def test_what_the_checks_of_archives_would_find_is_a_problem_of_the_build(small_raw_data, output):
    for pair in ("H_Li", "Al_N"):
        (small_raw_data / pair / "band.out").unlink()  # which would contradict the label
    replace(small_raw_data / LABELS_FILE, ",5,2.0,0,0,", ",5,2.0,1,0,")
    before = tree(output)
    result = build(small_raw_data, output)
    assert result.exit_code == 1
    passes = "what passes the check 'gap flags' of check_npz.py --verify"
    assert below(small_raw_data, result.stderr).splitlines() == [
        f"H_Li: expected {passes}, found is metal_like and has a gap",
        "Error: 1 problem, 1 pair; nothing was written (--skip-invalid leaves bad pairs out)",
    ]
    assert tree(output) == before


def test_a_row_without_a_folder_is_named_in_both_files(small_raw_data, output):
    shutil.rmtree(small_raw_data / "H_Li")
    before = tree(output)
    result = build(small_raw_data, output)
    assert result.exit_code == 1
    assert below(small_raw_data, result.stderr).splitlines()[:-1] == [
        f"{BONDS_FILE}:5: expected a folder 'H_Li' for this row, found none",
        f"{LABELS_FILE}:5: expected a folder 'H_Li' for this row, found none",
    ]
    assert tree(output) == before


def test_one_extra_row_is_named(small_raw_data, output):
    path = small_raw_data / BONDS_FILE
    text = path.read_text(encoding="utf-8")
    extra = text.splitlines(keepends=True)[-1].replace("N_Na", "N_Nb").replace(",Na,", ",Nb,")
    path.write_text(text + extra, encoding="utf-8", newline="\n")
    result = build(small_raw_data, output)
    assert result.exit_code == 1
    assert below(small_raw_data, result.stderr).splitlines() == [
        f"{BONDS_FILE}:8: expected a folder 'N_Nb' for this row, found none",
        "Error: 1 problem, 1 pair; nothing was written (--skip-invalid leaves bad pairs out)",
    ]


def test_all_problems_of_all_files_are_listed_each_once(small_raw_data, output):
    faults = ("a missing CSV file", "wrong elements", "a bad cell", "infinity", "a stray folder")
    for fault in faults:
        BAD_INPUT[fault][0](small_raw_data)
    (small_raw_data / "H_H" / "geo_end.xyz").unlink()
    result = build(small_raw_data, output, "--skip-invalid")
    assert result.exit_code == 1  # a whole CSV file is missing: no pair can be left out for that
    *problems, closing = below(small_raw_data, result.stderr).splitlines()
    expected = [BAD_INPUT[fault][1] for fault in faults] + [f"H_H/geo_end.xyz: {NO_FILE}"]
    assert sorted(problems) == sorted(expected)
    assert closing == "Error: 6 problems, 3 pairs; nothing was written"


def test_with_allow_unconverged_a_pair_is_taken_that_did_not_converge(small_raw_data, output):
    BAD_INPUT["SCC that did not converge"][0](small_raw_data)
    replace(small_raw_data / LABELS_FILE, ",1,1,2,H_Li", ",1,0,2,H_Li")  # scc_converged
    result = build(small_raw_data, output, "--allow-unconverged")
    assert result.exit_code == 0, result.output
    assert "  pairs     6 found, 6 kept, 0 skipped\n" in result.stdout


def test_the_next_clean_build_removes_the_list_of_skipped_pairs(small_raw_data, output):
    replace(small_raw_data / "H_Li" / "geo_end.xyz", "Li", "Na")
    assert build(small_raw_data, output, "--skip-invalid").exit_code == 0
    skipped = (output / "analysis" / SKIPPED_CSV).read_text(encoding="utf-8")
    assert "H_Li,H_Li/geo_end.xyz," in skipped  # no path of the machine
    replace(small_raw_data / "H_Li" / "geo_end.xyz", "Na", "Li")
    assert build(small_raw_data, output).exit_code == 0
    assert not (output / "analysis" / SKIPPED_CSV).exists()


def test_where_no_pair_is_valid_all_problems_are_listed(small_raw_data, output):
    before = tree(output)
    for name in SMALL:
        (small_raw_data / name / "geo_end.xyz").unlink()
    result = build(small_raw_data, output, "--skip-invalid")
    assert result.exit_code == 1
    *problems, closing = below(small_raw_data, result.stderr).splitlines()
    assert problems == [f"{name}/geo_end.xyz: {NO_FILE}" for name in SMALL]
    assert closing == "Error: 6 problems, 6 pairs; nothing was written"
    assert tree(output) == before


def test_without_raw_data_there_is_one_message(tmp_path, output):
    result = build(tmp_path / "nothing", output)
    assert result.exit_code == 1
    message = f"Error: {tmp_path / 'nothing'}: expected a readable folder of pairs, found "
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1


def test_an_empty_raw_data_has_no_pairs(tmp_path, output):
    (tmp_path / "empty").mkdir()
    result = build(tmp_path / "empty", output)
    assert result.exit_code == 1
    assert "empty: expected folders named after pairs (A_B), found none" in result.stderr


# Faults of the output: the earlier one stays as it was


def no_space(*_: object, **__: object) -> Iterator[None]:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("function", ["write", "write_analysis", "sha256", "Container", "publish"])
def test_a_write_that_fails_leaves_the_earlier_output(
    small_raw_data, output, monkeypatch, function
):
    before = tree(output)
    monkeypatch.setattr(build_dataset, function, no_space)
    pairs = output.parent / "pairs"
    result = build(small_raw_data, output, "--per-pair-files", str(pairs))
    assert result.exit_code == 1
    assert result.stderr == f"Error: [Errno 28] No space left on device: '{output}'\n"
    assert tree(output) == before
    assert tree(pairs) == {}
    assert [path for path in output.iterdir() if path.name.startswith(".")] == []


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Build in a process of its own."""
    command = [sys.executable, ROOT / "build_dataset.py", *arguments]
    defaults = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.run(command, check=False, **defaults | options)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the full device")
def test_where_standard_output_is_full_the_dataset_is_there_and_one_line_says_why_it_ends(
    small_raw_data, tmp_path
):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        result = run(small_raw_data, tmp_path / "out", stdout=full)
    assert result.returncode == 1
    assert result.stderr == "Error: [Errno 28] No space left on device\n"
    with Container(tmp_path / "out" / "dataset_combined.npz") as built:
        assert built.members


def test_it_ends_quietly_where_nobody_reads_on(small_raw_data, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does, before anything has come
    with os.fdopen(writer, "w") as closed:
        assert run(small_raw_data, tmp_path / "out", stdout=closed).stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_file_larger_than_may_be_is_one_line_that_names_the_folder(small_raw_data, output):
    import resource

    before = tree(output)
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (40_000, 40_000))
    result = run(small_raw_data, output, preexec_fn=limit)
    assert result.returncode == 1
    assert result.stderr == f"Error: [Errno 27] File too large: '{output}'\n"
    assert tree(output) == before


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("write", MemoryError(), "not enough memory"),
        ("write", MemoryError("Unable to allocate 9 MiB"), "Unable to allocate 9 MiB"),
        ("ThreadPoolExecutor", RuntimeError("can't start new thread"), "can't start new thread"),
        (
            "summarise",
            FileNotFoundError(2, "No such file", "o.npz"),
            "[Errno 2] No such file: 'o.npz'",
        ),
    ],
)
def test_memory_and_threads_that_run_out_and_an_archive_that_is_gone_are_one_line(
    small_raw_data, output, monkeypatch, function, error, message
):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(build_dataset, function, fail)
    result = build(small_raw_data, output)
    assert result.exit_code == 1
    assert result.stderr == f"Error: {message}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux")
@pytest.mark.parametrize(("name", "shown"), [("a\nb", r"a\nb"), ("a\udcffb", r"a\udcffb")])
def test_a_folder_whose_name_is_no_line_of_text_is_named_on_one(
    small_raw_data, tmp_path, name, shown
):
    strange = small_raw_data.rename(tmp_path / name)
    assert run(strange, strange.with_name(f"{name} out"), env={}).returncode == 0
    (strange / "H_Li" / "geo_end.xyz").unlink()
    problem, _ = run(strange, tmp_path / "out", env={}).stderr.splitlines()
    expected = "expected a readable file, found No such file or directory"
    assert problem == f"{tmp_path}/{shown}/H_Li/geo_end.xyz: {expected}"


def test_an_archive_beside_another_says_whose_the_analysis_is(small_raw_data, tmp_path):
    first = build(small_raw_data, tmp_path / "a.npz")
    assert " alone" not in first.stdout
    second = build(small_raw_data, tmp_path / "b.npz")
    assert second.stdout.splitlines()[-2] == (
        "  of b.npz alone, not of the 1 other archive beside it"
    )


def test_an_archive_that_its_reader_refuses_is_not_published(small_raw_data, output, monkeypatch):
    before = tree(output)
    monkeypatch.setattr("twobody.archive.container._ALWAYS_ALLOWED", 0)
    monkeypatch.setattr("twobody.archive.container._MAX_EXPANSION", 1)
    result = build(small_raw_data, output)
    assert result.exit_code == 1
    assert "bytes when unpacked, found " in result.stderr
    assert tree(output) == before


@pytest.mark.parametrize(("cores", "jobs"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_there_are_as_many_threads_as_cores_but_no_more_than_help(cores, jobs, monkeypatch):
    monkeypatch.setattr(build_dataset, "n_cores", lambda: cores)
    assert build_dataset.default_jobs() == jobs


@pytest.mark.parametrize("n", range(4))
def test_a_move_that_fails_leaves_whole_files_and_the_archive_for_the_last(
    small_raw_data, output, monkeypatch, n
):
    """The four moves follow each other; that of the archive, which all others go with, is last."""
    before = tree(output)
    replace_path = Path.replace
    moved: list[str] = []

    def fail(path: Path, target: Path) -> Path:
        if len(moved) == n:
            raise PermissionError(13, "Permission denied")
        moved.append(target.name)
        return replace_path(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    result = build(small_raw_data, output)
    assert result.exit_code == 1
    assert result.stderr == f"Error: [Errno 13] Permission denied: '{output}'\n"
    after = tree(output)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {
        f"analysis/{name}" for name in moved
    }
    assert "dataset_combined.npz" not in moved


def test_what_a_killed_build_left_behind_is_removed(small_raw_data, output):
    left = output / ".twobody-killed.part"
    left.mkdir()
    assert build(small_raw_data, output).exit_code == 0
    assert not left.exists()


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        pytest.param(
            lambda output: (output / "pairs.npz").mkdir(),
            ["pairs.npz"],
            "pairs.npz: expected a file, or nothing, found a folder",
            id="a folder in the archive's place",
        ),
        pytest.param(
            lambda output: (output / "analysis").touch(),
            ["pairs.npz"],
            "analysis: expected a folder, or nothing, found a file",
            id="a file in the place of analysis",
        ),
        pytest.param(
            lambda output: (output / "text").touch(),
            ["text"],
            "text: expected a folder, or nothing, found a file",
            id="a file in the place of the output's folder",
        ),
        pytest.param(
            lambda output: (output / "x").symlink_to("nowhere"),
            [".", "--per-pair-files", "x"],
            "x: expected a folder, or nothing, found something else",
            id="a broken link in the place of pair files",
        ),
        pytest.param(
            lambda output: (output / "TwoBody").symlink_to("nowhere"),
            [".", "--release", "."],
            "TwoBody: expected nothing, or only what SHA256SUMS there lists, found TwoBody",
            id="a broken link in the place of the release",
        ),
        pytest.param(
            lambda output: (output / "pairs" / "H_O.npz").mkdir(parents=True),
            [".", "--per-pair-files", "pairs"],
            "pairs: expected a folder of pair files (A_B.npz) only, found 'H_O.npz'",
            id="a folder with the name of a pair file",
        ),
    ],
)
def test_a_place_that_the_output_cannot_take_is_refused(
    small_raw_data, tmp_path, monkeypatch, make, arguments, message
):
    output = tmp_path / "new"
    output.mkdir()
    make(output)
    before = tree(output)
    monkeypatch.chdir(output)
    result = CliRunner().invoke(build_dataset.main, [str(small_raw_data), *arguments])
    assert result.exit_code == 1
    assert result.stderr == f"Error: {message}\n"
    assert tree(output) == before


@pytest.mark.parametrize("arguments", [["lo"], ["out", "--release", "lo"]])
def test_a_link_to_itself_is_an_error_of_one_line(small_raw_data, tmp_path, arguments):
    (tmp_path / "lo").symlink_to("lo")
    command = [sys.executable, ROOT / "build_dataset.py", small_raw_data, *arguments]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fails_once_while_the_archive_is_flushed_ends_the_build(
    small_raw_data, output, monkeypatch
):
    before = tree(output)
    failures = iter([OSError(errno.EIO, "Input/output error")])

    def fsync(_handle: int) -> None:
        for failure in failures:
            raise failure

    monkeypatch.setattr(os, "fsync", fsync)
    result = build(small_raw_data, output)
    assert result.stderr == f"Error: [Errno 5] Input/output error: '{output}'\n"
    assert tree(output) == before


def test_a_folder_of_other_files_takes_no_pair_files_and_no_archive_is_written(
    small_raw_data, output
):
    before = tree(output)
    foreign = output.parent / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").touch()
    result = build(small_raw_data, output, "--per-pair-files", str(foreign))
    assert result.exit_code == 1
    assert "expected a folder of pair files (A_B.npz) only, found 'thesis.tex'" in result.stderr
    assert tree(output) == before
    assert list(tree(foreign)) == ["thesis.tex"]


@pytest.mark.parametrize(
    ("archive", "pairs", "release"),
    [
        ("out/H_Li.npz", "out", None),  # a pair file of this name would take its place
        ("out/d.npz", ".", None),
        ("out/d.npz", "out/analysis", None),
        ("out/d.npz", "pairs/TwoBody", "pairs"),
        ("out/d.npz", "pairs", "pairs/new"),
    ],
)
def test_pair_files_beside_or_among_other_output_are_refused(
    small_raw_data, tmp_path, monkeypatch, archive, pairs, release
):
    monkeypatch.chdir(tmp_path)
    options = ["--release", release] if release else []
    result = build(small_raw_data, archive, "--per-pair-files", pairs, *options)
    assert result.exit_code == 1
    assert (
        result.stderr
        == f"Error: {pairs}: expected a folder of its own, found that of other output\n"
    )
    assert list(tmp_path.iterdir()) == [small_raw_data]


def test_a_linked_archive_is_replaced_and_what_it_pointed_to_stays(small_raw_data, tmp_path):
    (tmp_path / "elsewhere.npz").write_text("mine", encoding="utf-8")
    link = tmp_path / "linked.npz"
    try:
        link.symlink_to(tmp_path / "elsewhere.npz")
    except OSError:
        pytest.skip("no right to make links")
    assert build(small_raw_data, link).exit_code == 0
    assert not link.is_symlink()
    assert (tmp_path / "elsewhere.npz").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("options", [[], ["--per-pair-files"], ["--release"]])
def test_output_inside_the_raw_data_is_refused_before_anything_is_read(
    small_raw_data, tmp_path, options
):
    before = tree(small_raw_data)
    inside = small_raw_data / "new"
    output = tmp_path / "out" if options else inside
    result = build(small_raw_data, output, *(part for o in options for part in (o, str(inside))))
    assert result.exit_code == 1
    assert result.stderr.endswith("expected a place outside of the raw data, found one inside\n")
    assert tree(small_raw_data) == before
    assert not output.exists()


def test_a_pair_that_is_there_in_both_orders_of_its_elements_is_refused(small_raw_data, tmp_path):
    shutil.copytree(small_raw_data / "H_Li", small_raw_data / "Li_H")
    result = build(small_raw_data, tmp_path / "out")
    expected = f"{small_raw_data / 'Li_H'}: expected every pair of elements once, found H_Li too"
    assert expected in result.stderr.splitlines()


def test_atoms_in_one_place_are_refused(small_raw_data, tmp_path):
    geometry = small_raw_data / "H_H" / "geo_end.xyz"
    lines = geometry.read_text(encoding="utf-8").splitlines()
    lines[3] = lines[2]
    geometry.write_text("\n".join([*lines, ""]), encoding="utf-8")
    detailed = small_raw_data / "H_H" / "detailed.out"
    lines = detailed.read_text(encoding="utf-8").splitlines()
    first = lines.index("Coordinates of moved atoms (au):") + 1
    lines[first + 1] = lines[first].replace("    1 ", "    2 ")
    detailed.write_text("\n".join([*lines, ""]), encoding="utf-8")
    bonds = small_raw_data / BONDS_FILE
    rows = [row.split(",") for row in bonds.read_text(encoding="utf-8").splitlines()]
    rows = [[*row[:-1], "0.0"] if row[0] == "H_H" else row for row in rows]
    bonds.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    result = build(small_raw_data, tmp_path / "out")
    assert result.stderr.splitlines()[0] == (
        f"{geometry}: expected two atoms apart, found both in one place"
    )
