"""The labels of a pair folder, from all three of its files or with all that is wrong with them."""

from __future__ import annotations

from pathlib import Path

import layouts
import pytest
from conftest import RAW_DATA, below

from twobody.raw_data.collect import collect_pair
from twobody.raw_data.label_csv import PairLabels


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
        "band.out:1: expected 5 levels, one an orbital, for k-point 1, spin 1, found 4"
    ]


def block(spin: int, *occupations: float, k_point: int = 1, weight: float = 1.0) -> str:
    """Print a block for H-Li, or any other pair: energies mean nothing here."""
    heading = f" KPT {k_point:12d}  SPIN {spin:12d}  KWEIGHT {weight:21.16f}     \n"
    rows = [f"{i:6d}{i:10.3f}{occupation:9.5f}\n" for i, occupation in enumerate(occupations, 1)]
    return heading + "".join(rows) + "\n"


@pytest.mark.parametrize(
    ("layout", "band_out"),
    [
        (None, block(1, 1.99994, 0.00003, 0.00003, 0, 0)),  # Fermi filling
        (None, block(1, 2.07, -0.07, 0, 0, 0)),  # Methfessel-Paxton filling
        (  # 0.75 * 1.5 e + 0.25 * 3.5 e are 2 e
            None,
            block(1, 1.5, 0, 0, 0, 0, weight=0.75)
            + block(1, 2, 1.5, 0, 0, 0, k_point=2, weight=0.25),
        ),
        (layouts.spin_polarised, block(1, 1, 0, 0, 0, 0) + block(2, 1, 0, 0, 0, 0)),
        (layouts.non_collinear, block(1, 1, 1, *[0] * 8)),
    ],
    ids=["Fermi", "Methfessel-Paxton", "k-points", "spin-polarised", "non-collinear"],
)
def test_levels_of_any_kind_of_run_are_taken(small_raw_data, layout, band_out):
    folder = small_raw_data / "H_Li"
    if layout is not None:
        text = layout(layouts.real("H_Li"))
        (folder / "detailed.out").write_text(text, encoding="utf-8", newline="\n")
    (folder / "band.out").write_text(band_out, encoding="utf-8", newline="\n")
    assert errors_of(folder) == []


ELECTRONS = "occupations that add up to the electrons of detailed.out, 2.00000"


@pytest.mark.parametrize(
    ("polarised", "band_out", "error"),
    [
        (True, block(1, 1, 1, 0, 0, 0), "6: expected a block for k-point 1, spin 2, found none"),
        (
            False,
            block(1, 1, 0, 0, 0, 0) + block(2, 1, 0, 0, 0, 0),
            "8: expected spin 1, as in detailed.out, found spin 2",
        ),
        (
            True,
            block(3, 1, 1, 0, 0, 0),
            "1: expected spin 1 or 2, as in detailed.out, found spin 3",
        ),
        (False, block(1, 1, 0, 0, 0, 0), f"1: expected {ELECTRONS}, found 1.00000"),
        (False, block(1, 2, 0, 0, 0, 0, weight=0.5), f"1: expected {ELECTRONS}, found 1.00000"),
        (False, block(1, 1.9997, 0, 0, 0, 0), f"1: expected {ELECTRONS}, found 1.99970"),
        (
            False,
            block(1, 2.5, 0.5, -1, 0, 0),
            "2: expected an occupation from 0 to 2, found 2.50000",
        ),
        (False, block(1, 2, 1, -1, 0, 0), "4: expected an occupation from 0 to 2, found -1.00000"),
        (
            True,
            block(1, 2, 0, 0, 0, 0) + block(2, 0, 0, 0, 0, 0),
            "2: expected an occupation from 0 to 1, found 2.00000",
        ),
    ],
)
def test_levels_that_are_not_those_of_detailed_out_are_named(
    small_raw_data, polarised, band_out, error
):
    folder = small_raw_data / "H_Li"
    if polarised:
        text = layouts.spin_polarised(layouts.real("H_Li"))
        (folder / "detailed.out").write_text(text, encoding="utf-8", newline="\n")
    (folder / "band.out").write_text(band_out, encoding="utf-8", newline="\n")
    assert errors_of(folder) == [f"band.out:{error}"]


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
