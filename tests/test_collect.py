"""The labels of a pair folder, from all three of its files or with all that is wrong with them."""

from __future__ import annotations

from pathlib import Path

from conftest import RAW_DATA, below

from twobody.collect import collect_pair
from twobody.label_files import PairLabels


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8", newline="\n")


def errors_of(folder: Path) -> list[str]:
    pair, errors = collect_pair(folder)
    assert (pair is None) == bool(errors)
    return [below(folder, error) for error in errors]


def test_a_pair_has_its_geometry_and_its_37_labels():
    pair, errors = collect_pair(RAW_DATA / "H_Li")
    assert errors == []
    assert isinstance(pair, PairLabels)
    assert pair.geometry.symbols == ("H", "Li")
    assert len(pair.labels) == 37
    assert pair.labels["distance_ang"] == 1.7747719  # 1.68238595 + 0.09238595
    assert pair.labels["system_id_guess"] == "H_Li"


def test_the_label_says_that_scc_did_not_converge(small_raw_data):
    folder = small_raw_data / "H_Li"
    not_converged = "SCC is NOT converged, maximal SCC iterations exceeded"
    replace_in(folder / "detailed.out", "SCC converged", not_converged)
    pair, errors = collect_pair(folder)
    assert errors == []
    assert pair is not None
    assert pair.labels["scc_converged"] == 0.0


def test_a_missing_band_out_is_named(small_raw_data):
    folder = small_raw_data / "H_Li"
    (folder / "band.out").unlink()
    assert errors_of(folder) == [
        "band.out: expected a readable file, found No such file or directory"
    ]


def test_a_level_too_few_is_named(small_raw_data):
    folder = small_raw_data / "H_Li"
    replace_in(folder / "band.out", "     5     1.962  0.00000\n", "")
    assert errors_of(folder) == [
        "band.out: expected 5 levels, one an orbital, for k-point 1, spin 1, found 4"
    ]


def test_what_is_wrong_with_each_file_is_listed(small_raw_data):
    folder = small_raw_data / "H_Li"
    replace_in(folder / "detailed.out", "0.48898846E+00", "0.4889*****+00")
    replace_in(folder / "geo_end.xyz", "1.68238595", "NaN")
    replace_in(folder / "band.out", "-5.207", "*****")
    assert errors_of(folder) == [
        "detailed.out:8: expected a value of the SCC row, a number, found '-0.4889*****+00'",
        "geo_end.xyz:4: expected a coordinate or population, a number, found 'NaN'",
        "band.out:2: expected an energy, a number, found '*****'",
    ]
