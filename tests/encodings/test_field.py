"""The encoding `field`: its own checks, its values against a slow reference, and bad input."""

from __future__ import annotations

from pathlib import Path

import field_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from twobody import ParseError
from twobody.dftbplus import read_detailed_out, read_geo_end_xyz
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings import atoms, field
from twobody.encodings.valence import HEAVIEST, valence_shells

RAW_DATA = Path(__file__).resolve().parents[2] / "raw_data"
NAMED = ("H_H", "H_O", "Cl_Na", "Ag_Al", "Cs_Cs", "Th_Th", "He_Ne", "Al_N")
SPATIAL = [i for i, channel in enumerate(field.CHANNELS) if not channel.matrix]
MATRICES = [i for i, channel in enumerate(field.CHANNELS) if channel.matrix]


def inputs_of(*names):
    """Read pairs from the raw data: atomic numbers, bond lengths, orbital populations, charges."""
    numbers, lengths, populations, charges = [], [], [], []
    for name in names:
        result = read_detailed_out(RAW_DATA / name / "detailed.out")
        geometry = read_geo_end_xyz(RAW_DATA / name / "geo_end.xyz")
        orbitals = result.orbitals
        table = np.full((2, 16), np.nan)
        for atom, l, m, population in zip(
            orbitals.atom, orbitals.l, orbitals.m, orbitals.population, strict=True
        ):
            place = atom, l * l + l + m
            table[place] = population if np.isnan(table[place]) else table[place] + population
        numbers.append([ATOMIC_NUMBERS[symbol] for symbol in geometry.symbols])
        lengths.append(np.linalg.norm(geometry.positions[1] - geometry.positions[0]))
        populations.append(table)
        charges.append(result.gross_charges)
    return np.array(numbers), np.array(lengths), np.array(populations), np.array(charges)


def one_atom(atomic_number, l_populations):
    """Describe a pair whose atom 0 has these electrons of l = 0 ... and whose atom 1 has none."""
    populations = np.zeros((1, 2, 16))
    for l, electrons in enumerate(l_populations):
        populations[0, 0, l * l : (l + 1) ** 2] = electrons / (2 * l + 1)
    return atoms.describe(np.array([[atomic_number, 1]]), populations, np.zeros((1, 2)))


def integrate_around(described, atom, bond_length=3.0):
    """Integrate the fields of `Densities` over all space, in polar coordinates around an atom."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    edges = np.array([0, 0.2, 0.5, 1, 2, 4, 8, 16, 32, 64])
    width = np.diff(edges)[:, None]
    r = (edges[:-1, None] + width * (nodes + 1) / 2).ravel()
    r_weight = (width * weights / 2).ravel() * r**2
    cosine, angle_weight = np.polynomial.legendre.leggauss(64)
    x = (atom - 0.5) * bond_length + r[:, None] * cosine
    y = r[:, None] * np.sqrt(1 - cosine**2)
    values = atoms.densities(described, np.array([bond_length]), x.ravel(), y.ravel())
    volume = 2 * np.pi * r_weight[:, None] * angle_weight
    return [float((value.reshape(volume.shape) * volume).sum()) for value in values]


def random_pairs(n_pairs):
    """Draw populations of s and p orbitals, and of d orbitals on some."""
    rng = np.random.default_rng(7)
    populations = rng.uniform(-0.1, 2, (n_pairs, 2, 16))
    populations[:, :, 9:] = np.nan
    populations[::3, 0, 4:] = np.nan
    numbers = rng.integers(11, 89, (n_pairs, 2))
    return numbers, rng.uniform(0.8, 5, n_pairs), populations, rng.uniform(-1, 1, (n_pairs, 2))


# Densities


@pytest.mark.parametrize("l", range(4))
def test_angular_weights_average_to_one_over_the_sphere(l):
    averages = atoms.angular_weights()[l] @ (1 / np.array([1, 3, 5, 7]))
    assert averages[: l + 1] == pytest.approx(1, abs=1e-13)
    assert not averages[l + 1 :].any()


@pytest.mark.parametrize("l", range(4))
def test_angular_weights_are_those_of_the_real_orbitals(l):
    for m in range(l + 1):
        for cosine in (0.0, 0.3, -0.8, 1.0):
            weights = atoms.angular_weights()[l, m]
            value = np.polynomial.polynomial.polyval(cosine**2, weights)
            assert value == pytest.approx(field_reference.angular_weight(l, m, cosine), abs=1e-12)


@pytest.mark.parametrize("atomic_number", range(1, HEAVIEST + 1))
def test_a_shell_holds_its_electrons(atomic_number):
    for l, shell in enumerate(valence_shells(atomic_number)):
        if shell:
            described = one_atom(atomic_number, [0.0] * l + [1.5])
            spherical, total, _, _ = integrate_around(described, 0)
            assert (spherical, total) == pytest.approx((1.5, 1.5), abs=1e-8)


def test_an_evenly_filled_shell_is_a_sphere():
    x, y = np.random.default_rng(1).uniform(0.1, 9, (2, 500))
    result = atoms.densities(one_atom(90, [1, 2, 3, 4]), np.array([4.0]), x, y)
    assert result.total == pytest.approx(result.spherical, rel=1e-12)


def test_densities_of_s_and_p_and_of_d_add_up_to_the_whole():
    numbers, lengths, populations, charges = inputs_of("Ag_Al", "Lu_S", "Al_N")
    x, y = field.sample_points()
    totals = []
    for kept in ((0, 4), (4, 16), (0, 16)):
        part = np.where(np.isnan(populations), np.nan, 0)
        part[..., slice(*kept)] = populations[..., slice(*kept)]
        described = atoms.describe(numbers, part, charges)
        totals.append(atoms.densities(described, lengths / field.BOHR, x, y).total)
    assert totals[0] + totals[1] == pytest.approx(totals[2], abs=1e-14)


@pytest.mark.parametrize("name", ["H_O", "Ag_Al", "Al_N", "Hg_Zn", "Lu_S"])
def test_densities_hold_the_populations_and_deformations_the_gained_electrons(name):
    numbers, _, populations, charges = inputs_of(name)
    for atom in (0, 1):
        alone = populations.copy()
        alone[:, 1 - atom] = 0
        charge = charges.copy()
        charge[:, 1 - atom] = 0
        described = atoms.describe(numbers, alone, charge)
        spherical, total, free, _ = integrate_around(described, atom)
        assert (spherical, total) == pytest.approx((np.nansum(alone),) * 2, abs=1e-7)
        assert total - free == pytest.approx(-charge[0, atom], abs=1e-7)


def test_a_free_atom_has_the_valence_shells_of_the_calculation():
    for symbol, n_valence, free in (
        ("Zn", 12, (2, 0, 10, 0)),  # the 3d shell is in the valence
        ("Hg", 2, (2, 0, 0, 0)),  # 5d and 4f are in the core
        ("Hf", 4, (2, 0, 2, 0)),
        ("Pd", 10, (0, 0, 10, 0)),
        ("Gd", 10, (2, 0, 1, 7)),
    ):
        described = one_atom(ATOMIC_NUMBERS[symbol], [n_valence])
        assert described.free[0, 0] == pytest.approx(free)


def test_far_away_the_potential_is_that_of_the_gross_charges():
    numbers, lengths, populations, charges = inputs_of("Cl_Na")
    described = atoms.describe(numbers, populations, charges)
    bond = lengths / field.BOHR
    x, y = np.array([0.0, 60.0]), np.array([60.0, 1.0])
    distances = np.hypot(x - np.array([[-0.5], [0.5]]) * bond, y)
    potential = atoms.densities(described, bond, x, y).potential[0]
    assert potential == pytest.approx((charges[0, :, None] / distances).sum(axis=0), abs=1e-9)


# Overlaps


@pytest.mark.parametrize("bond_length", [0.9, 1.6, 4.0, 9.0])
def test_the_overlap_of_two_1s_orbitals(bond_length):
    integral = atoms.overlaps(one_atom(1, [1]), np.array([bond_length]))[0, 0, 0]
    expected = np.exp(-bond_length) * (1 + bond_length + bond_length**2 / 3)
    assert integral == pytest.approx(expected, abs=1e-6)


def test_two_atoms_that_meet_have_the_same_orbitals_along_opposite_axes():
    described = atoms.describe(np.array([[90, 90]]), np.ones((1, 2, 16)), np.zeros((1, 2)))
    integrals = atoms.overlaps(described, np.array([1e-3]))[0]
    parity = [(-1) ** (l - abs(m)) for l, m in atoms.ORBITALS]
    assert integrals == pytest.approx(np.diag(parity), abs=2e-3)


def test_atoms_far_apart_do_not_overlap():
    described = atoms.describe(np.array([[55, 55]]), np.ones((1, 2, 16)), np.zeros((1, 2)))
    assert atoms.overlaps(described, np.array([80.0])) == pytest.approx(0, abs=1e-4)


def test_only_orbitals_of_the_same_m_that_both_atoms_have_overlap():
    numbers, lengths, populations, charges = inputs_of("Ag_H")
    described = atoms.describe(numbers, populations, charges)
    integrals = atoms.overlaps(described, lengths / field.BOHR)[0]
    some = [(atoms.ORBITALS[i], atoms.ORBITALS[k]) for i, k in np.argwhere(integrals)]
    assert some == [((0, 0), (0, 0)), ((1, 0), (0, 0)), ((2, 0), (0, 0))]
    assert (integrals[:3, 0] > 0)[[0, 2]].all()  # s and p orbitals point to the other atom


# Images


@pytest.mark.parametrize("name", NAMED)
def test_pixels_against_a_slow_independent_evaluation(name):
    numbers, lengths, populations, charges = inputs_of(name)
    order = np.argsort(-numbers[0], kind="stable")
    symbols = tuple(np.array(name.split("_"))[order])
    expected = field_reference.draw(symbols, lengths[0], populations[0, order], charges[0, order])
    images = field.draw(numbers, lengths, populations, charges)[0]
    rounding = np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64) / 2
    assert (np.abs(images - expected) <= rounding + 2e-4).all()


def test_one_of_the_named_pairs_has_a_negative_population():
    assert np.nanmin(inputs_of("Al_N")[2]) < -0.05


def test_pixels_are_float32_with_the_precision_of_float16():
    images = field.draw(*inputs_of(*NAMED))
    assert images.dtype == np.float32
    assert images.shape == (len(NAMED), 10, 32, 32)
    assert np.array_equal(images.astype(np.float16).astype(np.float32), images)


def test_channels_that_are_said_to_be_non_negative_are():
    lowest = field.draw(*random_pairs(50)).min(axis=(0, 2, 3))
    assert [bool(value >= 0) for value in lowest] == [c.non_negative for c in field.CHANNELS]


def test_a_homonuclear_pair_is_its_own_mirror_image():
    images = field.draw(*inputs_of("H_H", "Cs_Cs", "N_N", "Th_Th"))
    # The two atoms' populations are printed with eight decimals, so they may differ in the last.
    assert images[:, SPATIAL] == pytest.approx(images[:, SPATIAL, :, ::-1], abs=2e-3)
    assert images[:, MATRICES] == pytest.approx(images[:, MATRICES, ::-1, ::-1], abs=2e-3)


def test_pictures_of_space_are_symmetric_about_the_bond():
    images = field.draw(*random_pairs(9))
    assert np.array_equal(images[:, SPATIAL], images[:, SPATIAL, ::-1])


def test_the_order_of_the_atoms_changes_nothing():
    numbers, lengths, populations, charges = inputs_of("H_O", "Ag_Al", "Al_N", "He_Ne")
    swapped = numbers[:, ::-1], lengths, populations[:, ::-1], charges[:, ::-1]
    assert np.array_equal(field.draw(numbers, lengths, populations, charges), field.draw(*swapped))


@given(
    arrays.arrays(np.float64, (2, 9), elements=st.floats(-0.2, 2.2)),
    st.floats(0.6, 6),
    st.integers(1, HEAVIEST),
)
@settings(max_examples=15, deadline=None)
def test_flip_is_what_swapping_two_equal_elements_does(populations, length, atomic_number):
    table = np.full((1, 2, 16), np.nan)
    table[0, :, :9] = populations
    numbers, charges = np.full((1, 2), atomic_number), np.array([[0.25, -0.5]])
    images = field.draw(numbers, np.array([length]), table, charges)
    swapped = field.draw(numbers, np.array([length]), table[:, ::-1], charges[:, ::-1])
    assert np.isfinite(images).all()
    assert field.FIELD.flip(images) == pytest.approx(swapped, abs=2e-3)


def test_flip_is_an_involution():
    images = field.draw(*random_pairs(5))
    assert not np.array_equal(field.FIELD.flip(images), images)
    assert np.array_equal(field.FIELD.flip(field.FIELD.flip(images)), images)
    assert np.array_equal(field.FIELD.flip(images[2]), field.FIELD.flip(images)[2])


def test_no_electrons_leave_nothing_but_holes():
    numbers, lengths, populations, charges = inputs_of(*NAMED)
    images = field.draw(numbers, lengths, populations * 0, charges * 0)
    overlap_of_holes = field.FIELD.channel_names.index("rip_overlap_empty")
    assert images[:, overlap_of_holes].any()
    assert not np.delete(images, overlap_of_holes, axis=1).any()


def test_a_pair_does_not_depend_on_the_pairs_beside_it():
    together = random_pairs(2 * field.BLOCK + 3)
    images = field.draw(*together)
    for pair in (0, 1, field.BLOCK, len(images) - 1):
        alone = field.draw(*(values[pair : pair + 1] for values in together))
        assert np.array_equal(alone[0], images[pair])


def test_no_pairs_give_no_images():
    assert field.draw(*random_pairs(0)).shape == (0, 10, 32, 32)


# Bad input


def test_populations_that_a_version_1_archive_does_not_hold():
    numbers, lengths, populations, charges = inputs_of("H_O", "Ag_Al")
    populations[1] = np.nan
    with pytest.raises(ParseError) as error:
        field.draw(numbers, lengths, populations, charges)
    assert str(error.value) == (
        "pair 1 (Ag-Al): expected orbital populations of both atoms, found none: an archive of "
        "format version 1 has none, so build it again from the raw data"
    )


def test_an_element_without_exponents():
    numbers, lengths, populations, charges = inputs_of("H_O")
    numbers[0, 0] = 104
    with pytest.raises(ParseError, match="Slater exponents, Z = 1 to 103, found Z = 104"):
        field.draw(numbers, lengths, populations, charges)


def test_f_populations_on_an_atom_without_an_f_shell():
    numbers, lengths, populations, charges = inputs_of("Ag_Al")
    populations[0, 0, 9:] = 0.1  # silver has a 4f shell
    field.draw(numbers, lengths, populations, charges)
    populations[0, 1, 9:] = 0.1
    with pytest.raises(ParseError) as error:
        field.draw(numbers, lengths, populations, charges)
    assert str(error.value) == (
        "pair 0 (Ag-Al): expected f populations on elements with an f shell only (potassium and "
        "heavier ones), found some on a lighter one"
    )


@pytest.mark.parametrize("length", [0.0, -1.0, np.nan, np.inf])
def test_a_bond_length_that_is_none(length):
    numbers, _, populations, charges = inputs_of("H_O")
    with pytest.raises(ParseError, match=r"pair 0 \(H-O\): expected a bond length above 0"):
        field.draw(numbers, np.array([length]), populations, charges)


def test_a_missing_charge():
    numbers, lengths, populations, charges = inputs_of("H_O")
    charges[0, 1] = np.nan
    with pytest.raises(ParseError, match=r"pair 0 \(H-O\): expected a bond length above 0 and two"):
        field.draw(numbers, lengths, populations, charges)
