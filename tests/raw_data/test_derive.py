"""The labels of a pair: worked out by hand from DFTB+ output, and all that is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import layouts
import numpy as np
import pytest
from shipped import RAW_DATA, SMALL, below
from hypothesis import given
from hypothesis import strategies as st

from twobody.check import laws
from twobody.dftbplus import DetailedOut, Levels, read_band_out, read_detailed_out
from twobody.labels import LABELS, LabelValue
from twobody.raw_data.derive import collect_pair, derive_labels
from twobody.raw_data.label_csv import PairLabels, write_label_files
from twobody.raw_data.read import read

# Energies: the H column of detailed.out times 27.211386245988 eV/H. Levels: band.out.
BY_HAND: dict[str, dict[str, LabelValue]] = {
    "H_Li": {  # five levels, one of them full: a gap
        "total_energy_ev": -13.292942241629066,  # -0.4885066171 H
        "mermin_free_energy_ev": -13.292942241629066,  # the same: TS = 0
        "band_energy_ev": -10.413534390398024,  # -0.3826903303 H
        "repulsive_energy_ev": 0.01311150713738061,  # 0.0004818390 H
        "fermi_level_ev": -3.6281568667497087,  # -0.1333323056 H
        "e_homo_ev": -5.207,  # level 1, the only one with electrons
        "e_lumo_ev": -2.050,  # level 2
        "e_g_ev": 3.157,  # -2.050 + 5.207
        "q_absmean": 0.40784956,  # q = -0.40784956, 0.40784956
        "q_maxabs": 0.40784956,
        "q_std": 0.40784956,  # both are this far from their mean, 0
        "total_charge": 0.0,
        "i_ev": 5.207,
        "a_ev": 2.050,
        "chi_ev": 3.6285,  # (5.207 + 2.050) / 2
        "mu_ev": -3.6285,
        "eta_ev": 1.5785,  # 3.157 / 2
        "softness_evinv": 0.6335128286347799,  # 1 / 1.5785
        "electrophilicity_ev": 4.170418831168831,  # 3.6285^2 / (2 * 1.5785)
        "n_levels": 5.0,
        "max_occupancy": 2.0,
        "metal_like": 0.0,
        "no_virtual_in_basis": 0.0,
        "dipole_x_d": 0.0,
        "dipole_y_d": 0.0,
        "dipole_z_d": 3.476751144655813,  # 1.36785914 au * 2.541746473
        "dipole_mag_d": 3.476751144655813,
        "distance_ang": 1.7747719,
        "geom_opt_step": 5.0,
        "scc_last_iter": 4.0,
        "scc_last_total_elec_eh": -0.48898846,
        "scc_last_diff_elec": -0.59087403e-06,
        "scc_last_error": 0.16582330e-08,
        "geom_converged": 1.0,
        "scc_converged": 1.0,
        "n_atoms": 2.0,
        "system_id_guess": "H_Li",
    },
    "H_He": {  # metal-like: level 2 holds one electron, so it is occupied and not full
        "total_energy_ev": -38.026187155793254,  # -1.3974366029 H
        "mermin_free_energy_ev": -38.06202567803061,  # -1.3987536443 H
        "fermi_level_ev": -6.424776625034223,  # -0.2361061861 H
        "e_homo_ev": -6.425,
        "e_lumo_ev": -6.425,
        "e_g_ev": 0.0,
        "i_ev": 6.425,
        "a_ev": 6.425,
        "chi_ev": 6.425,
        "mu_ev": -6.425,
        "eta_ev": 0.0,
        "softness_evinv": None,  # 1 / 0
        "electrophilicity_ev": None,
        "n_levels": 2.0,
        "max_occupancy": 2.0,
        "metal_like": 1.0,
        "no_virtual_in_basis": 0.0,
        "dipole_z_d": 0.03866281061037976,  # 0.01521112 au * 2.541746473
        "q_absmean": 0.00433472,
    },
    "He_He": {  # two levels, both full: nothing that needs a virtual level exists
        "total_energy_ev": -63.056836502283008,  # -2.3172960000 H
        "repulsive_energy_ev": 0.0,
        "fermi_level_ev": 10.0910656427199926,  # 0.3708398224 H
        "e_homo_ev": -15.764,
        "e_lumo_ev": None,
        "e_g_ev": None,
        "i_ev": 15.764,
        "a_ev": None,
        "chi_ev": None,
        "mu_ev": None,
        "eta_ev": None,
        "softness_evinv": None,
        "electrophilicity_ev": None,
        "n_levels": 2.0,
        "metal_like": 0.0,
        "no_virtual_in_basis": 1.0,
        "geom_opt_step": 17.0,
    },
    "H_H": {  # homonuclear: no charges, no dipole moment
        "total_energy_ev": -18.254831563789057,  # -0.6708526864 H
        "e_homo_ev": -9.239,
        "e_lumo_ev": 1.508,
        "e_g_ev": 10.747,  # 1.508 + 9.239
        "a_ev": -1.508,  # an affinity may be negative
        "chi_ev": 3.8655,  # (9.239 - 1.508) / 2
        "eta_ev": 5.3735,  # 10.747 / 2
        "softness_evinv": 0.18609844607797525,  # 1 / 5.3735
        "electrophilicity_ev": 1.3903498883409324,  # 3.8655^2 / (2 * 5.3735)
        "q_absmean": 0.0,
        "q_maxabs": 0.0,
        "q_std": 0.0,
        "dipole_mag_d": 0.0,
        "metal_like": 0.0,
    },
    "Al_N": {  # orbital d_z2 of Al holds -0.07362421 e; that changes no label
        "total_energy_ev": -81.33086182416721,  # -2.9888540440 H
        "repulsive_energy_ev": 0.5649778164821334,  # 0.0207625518 H
        "e_homo_ev": -5.180,  # level 4
        "e_lumo_ev": -4.091,  # level 5
        "e_g_ev": 1.089,
        "chi_ev": 4.6355,  # (5.180 + 4.091) / 2
        "softness_evinv": 1.8365472910927456,  # 1 / 0.5445
        "electrophilicity_ev": 19.731735766758494,  # 4.6355^2 / (2 * 0.5445)
        "q_absmean": 0.41935880,
        "dipole_z_d": -3.0236138194471076,  # -1.18958120 au * 2.541746473
        "dipole_mag_d": 3.0236138194471076,
        "n_levels": 13.0,
    },
}
BOND_LENGTHS = {  # geo_end.xyz: the difference of the z coordinates [Å]
    "H_Li": 1.7747719,  # 1.68238595 + 0.09238595
    "H_He": 1.85695476,  # 1.22347738 + 0.63347738
    "He_He": 3.84089894,  # 2.20044947 + 1.64044947
    "H_H": 0.83751012,  # 0.72875506 + 0.10875506
    "Al_N": 1.50109956,  # 1.71054978 - 0.20945022
}


def derived(name: str) -> dict[str, LabelValue]:
    folder = RAW_DATA / name
    detailed = read_detailed_out(folder / "detailed.out")
    return derive_labels(name, detailed, read_band_out(folder / "band.out"), BOND_LENGTHS[name])


def levels_of(energies: list[float], occupations: list[float], n_spins: int = 1) -> Levels:
    n = len(energies)
    spins = np.repeat(np.arange(1, n_spins + 1), n // n_spins)
    return Levels(np.array(energies), np.array(occupations), spins, np.ones(n, np.int64), ())


def of_levels(levels: Levels, detailed: DetailedOut | None = None) -> dict[str, LabelValue]:
    detailed = detailed or read_detailed_out(RAW_DATA / "H_H" / "detailed.out")
    return derive_labels("H_H", detailed, levels, 0.8)


@pytest.mark.parametrize("name", BY_HAND)
def test_labels_are_those_worked_out_by_hand(name):
    labels = derived(name)
    for label, value in BY_HAND[name].items():
        if isinstance(value, float):
            assert labels[label] == pytest.approx(value, rel=4e-15, abs=0), label
        else:
            assert labels[label] == value, label


def test_all_37_labels_of_a_pair_were_worked_out_by_hand_once():
    assert list(derived("H_Li")) == list(BY_HAND["H_Li"]) == [label.name for label in LABELS]


@pytest.mark.parametrize("name", BY_HAND)
def test_numbers_are_python_floats_and_missing_ones_none(name):
    labels = derived(name)
    assert {type(value) for value in labels.values()} <= {float, str, type(None)}


def test_in_a_spin_polarised_run_a_level_is_full_with_one_electron():
    # Up: full, empty. Down: half full (0.5 e), empty. Of two possible electrons nothing is full.
    polarised = of_levels(levels_of([-5.0, 1.0, -4.0, 2.0], [1.0, 0.0, 0.5, 0.0], n_spins=2))
    assert polarised["e_homo_ev"] == -4.0
    assert polarised["e_lumo_ev"] == -4.0  # occupation 0.5 < 0.99; the level at -5 is full
    assert polarised["metal_like"] == 1.0

    closed = of_levels(levels_of([-5.0, 1.0, -4.0, 2.0], [1.0, 0.0, 1.0, 0.0], n_spins=2))
    assert (closed["e_homo_ev"], closed["e_lumo_ev"], closed["e_g_ev"]) == (-4.0, 1.0, 5.0)
    assert closed["metal_like"] == 0.0


def test_in_a_non_collinear_run_a_level_is_full_with_one_electron():
    detailed = read_detailed_out(RAW_DATA / "H_H" / "detailed.out")
    levels = levels_of([-5.0, -4.0, 1.0, 2.0], [1.0, 1.0, 0.0, 0.0])
    non_collinear = of_levels(levels, replace(detailed, spin_channels=("q", "x", "y", "z")))
    assert (non_collinear["e_homo_ev"], non_collinear["e_lumo_ev"]) == (-4.0, 1.0)
    assert non_collinear["metal_like"] == 0.0
    # The same levels in a run without spin, where a level holds two electrons: half full.
    assert of_levels(levels)["metal_like"] == 1.0


@pytest.mark.parametrize(
    ("occupation", "metal_like", "homo", "lumo"),
    [
        pytest.param(0.01, 0.0, -5.0, -3.0, id="at the lower border a level is empty"),
        pytest.param(0.01001, 1.0, -3.0, -3.0, id="above it is occupied"),
        pytest.param(1.98999, 1.0, -3.0, -3.0, id="below the upper border it is not full"),
        pytest.param(1.99, 0.0, -3.0, 1.0, id="at the upper border it is full"),
    ],
)
def test_a_level_is_partly_filled_between_the_borders(occupation, metal_like, homo, lumo):
    labels = of_levels(levels_of([-5.0, -3.0, 1.0], [2.0, occupation, 0.0]))
    assert labels["metal_like"] == metal_like
    assert (labels["e_homo_ev"], labels["e_lumo_ev"]) == (homo, lumo)


def test_a_gap_is_never_negative():
    # Two partly filled levels: HOMO is the upper, LUMO the lower one.
    labels = of_levels(levels_of([-3.1, -3.0], [1.9, 0.1]))
    assert (labels["e_homo_ev"], labels["e_lumo_ev"], labels["e_g_ev"]) == (-3.0, -3.1, 0.0)
    assert labels["softness_evinv"] is None


def test_what_detailed_out_does_not_hold_is_missing():
    nothing = dict.fromkeys(
        (
            *("total_charge", "gross_charges", "fermi_level", "band_energy", "mermin_free_energy"),
            *("repulsive_energy", "dipole_moment", "geometry_step", "geometry_converged"),
            *("scc_iteration", "scc_total_electronic", "scc_diff_electronic", "scc_error"),
            "scc_converged",
        )
    )
    detailed = read_detailed_out(RAW_DATA / "H_H" / "detailed.out")
    labels = of_levels(levels_of([-1.0, 1.0], [2.0, 0.0]), replace(detailed, **nothing))
    missing = {name for name, value in labels.items() if value is None}
    assert missing == {
        *("total_charge", "q_absmean", "q_maxabs", "q_std", "fermi_level_ev", "band_energy_ev"),
        *("mermin_free_energy_ev", "repulsive_energy_ev"),
        *("dipole_x_d", "dipole_y_d", "dipole_z_d", "dipole_mag_d"),
        *("geom_opt_step", "geom_converged", "scc_converged", "scc_last_iter"),
        *("scc_last_total_elec_eh", "scc_last_diff_elec", "scc_last_error"),
    }


energies = st.integers(-100_000, 100_000).map(lambda n: n / 1000)  # three decimals, as printed


@given(st.lists(st.tuples(energies, st.floats(0, 2)), min_size=1, max_size=20))
def test_labels_of_any_levels_obey_the_identities_of_koopmans(rows):
    labels = of_levels(levels_of(*map(list, zip(*rows, strict=True))))
    homo, lumo, gap = labels["e_homo_ev"], labels["e_lumo_ev"], labels["e_g_ev"]
    assert (homo is None) == (labels["i_ev"] is None)
    assert (lumo is None) == (labels["a_ev"] is None) == (labels["no_virtual_in_basis"] == 1.0)
    assert (gap is None) == (homo is None or lumo is None)
    if labels["metal_like"]:
        assert gap == 0.0
    if gap is None:
        assert labels["chi_ev"] is labels["mu_ev"] is labels["eta_ev"] is None
    else:
        assert gap == max(lumo - homo, 0.0)
        assert labels["i_ev"] == -homo
        assert labels["a_ev"] == -lumo
        assert labels["chi_ev"] == (labels["i_ev"] + labels["a_ev"]) / 2
        assert labels["mu_ev"] == -labels["chi_ev"]
        assert labels["eta_ev"] == gap / 2
    if gap:
        eta, mu = labels["eta_ev"], labels["mu_ev"]
        assert labels["softness_evinv"] * eta == pytest.approx(1)
        assert labels["electrophilicity_ev"] * 2 * eta == pytest.approx(mu**2)
    else:
        assert labels["softness_evinv"] is labels["electrophilicity_ev"] is None


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=2))
def test_charge_labels_of_two_atoms_obey_their_definitions(charges):
    detailed = read_detailed_out(RAW_DATA / "H_H" / "detailed.out")
    labels = of_levels(
        levels_of([-1.0, 1.0], [2.0, 0.0]), replace(detailed, gross_charges=np.array(charges))
    )
    first, second = charges
    assert labels["q_absmean"] == pytest.approx((abs(first) + abs(second)) / 2)
    assert labels["q_maxabs"] == max(abs(first), abs(second))
    assert labels["q_std"] == pytest.approx(abs(first - second) / 2)


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
    """Print a block for H-Li, whose two electrons have -10.4135 eV, wherever they are."""
    heading = f" KPT {k_point:12d}  SPIN {spin:12d}  KWEIGHT {weight:21.16f}     \n"
    rows = [f"{i:6d}    -5.207{occupation:9.5f}\n" for i, occupation in enumerate(occupations, 1)]
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
        *(
            (layout, block(1, 2, 0, 0, 0, 0))
            for layout in (layouts.static, layouts.single_point, layouts.without_scc)
        ),
        (layouts.version_17_1, block(1, 2, 0, 0, 0, 0)),
    ],
    ids=[
        *("Fermi", "Methfessel-Paxton", "k-points", "spin-polarised", "non-collinear"),
        *("static", "single point", "without SCC", "17.1"),
    ],
)
def test_levels_of_any_kind_of_run_are_taken(small_raw_data, layout, band_out):
    folder = small_raw_data / "H_Li"
    if layout is not None:
        text = layout(layouts.real("H_Li"))
        (folder / "detailed.out").write_text(text, encoding="utf-8", newline="\n")
    (folder / "band.out").write_text(band_out, encoding="utf-8", newline="\n")
    if layout in (layouts.static, layouts.single_point):
        replace_in(folder / "geo_end.xyz", "Geometry Step: 5", "Geometry Step: 0")
    assert errors_of(folder) == []
    # A build finds no fault in the labels that are collected either.
    write_label_files(small_raw_data, {name: collect_pair(small_raw_data / name)[0] for name in SMALL})
    result = read(small_raw_data, allow_unconverged=False)
    assert result.problems == []
    assert list(laws.problems(result.pairs)) == []


def test_levels_of_another_calculation_are_named_by_their_energy(small_raw_data):
    folder = small_raw_data / "H_Li"
    replace_in(folder / "band.out", "-5.207", "-5.208")
    expected = "levels whose electrons have the band energy of detailed.out, -0.382690 H"
    assert errors_of(folder) == [f"band.out:1: expected {expected}, found -10.416 eV"]


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


def test_an_optimisation_that_may_make_no_step_is_taken_without_labels_of_its_geometry(
    small_raw_data,
):
    folder = small_raw_data / "H_Li"
    text = layouts.single_point(layouts.real("H_Li"))
    (folder / "detailed.out").write_text(text, encoding="utf-8", newline="\n")
    replace_in(folder / "geo_end.xyz", "Geometry Step: 5", "Geometry Step: 0")
    pair, errors = collect_pair(folder)
    assert errors == []
    missing = {name for name, value in pair.labels.items() if value is None}
    assert missing == {"geom_opt_step", "geom_converged"}
