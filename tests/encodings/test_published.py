"""The ten channels against the formulas of the contract, evaluated pixel by pixel with `math`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from shipped import RAW_DATA, pairs_of

from twobody import ParseError
from twobody.dftbplus import read_detailed_out
from twobody.encodings import published
from twobody.encodings.published import PUBLISHED
from twobody.pairs import empty_rows

PAIRS = (
    "Ag_Al",  # the example of the publication
    "Al_N",  # a negative d population
    "H_Li",  # no d or f shells: channel 3 is 0
    "He_He",  # homonuclear: no charges
    "Th_Th",  # nine orbitals an atom
)
NAMES = (
    *("o_map_radial", "o_map_angular", "rip_gaf_sp", "rip_gaf_df", "rip_mtf_dipole"),
    *("rip_mtf_quadrupole", "com_charge", "com_orbital", "q_image_positive", "q_image_negative"),
)


class System(NamedTuple):
    """What the formulas need: charges q, populations N, dipole mu, orbitals (atom, l, m, p)."""

    q: list[float]
    n: list[float]
    mu: list[float]
    orbitals: list[tuple[int, int, int, float]]


def system_of(name: str) -> System:
    d = read_detailed_out(RAW_DATA / name / "detailed.out")
    columns = (d.orbitals.atom, d.orbitals.l, d.orbitals.m, d.orbitals.population)
    orbitals = list(zip(*(column.tolist() for column in columns), strict=True))
    charges, populations = d.gross_charges.tolist(), d.atom_populations.tolist()
    return System(charges, populations, d.dipole_moment.tolist(), orbitals)


def formula(  # noqa: C901, PLR0911 - one case a channel, as in the contract's table
    system: System, channel: int, y: int, x: int, size: int = 32
) -> list[float]:
    """Evaluate the terms of one pixel as the contract has them; their sum is the pixel."""
    q, n, mu, orbitals = system
    atoms = range(len(q))

    def gauss(i: int, sigma: float) -> float:
        column = size / 2 + (i - len(q) / 2 + 1 / 2) * (size // (len(q) + 1))
        return math.exp(-((x - column) ** 2 + (y - size / 2) ** 2) / (2 * sigma**2))

    gx, gy = (-1 + 2 * k / (size - 1) for k in (x, y))
    r, theta = math.sqrt(gx**2 + gy**2), math.atan2(gy, gx)
    rho = r + 1e-6

    def total(shells: tuple[int, ...]) -> float:
        return math.fsum(p for _, l, _, p in orbitals if l in shells)

    def radial(i: int) -> float:
        return math.fsum(p * (l + 1) / 3 for atom, l, _, p in orbitals if atom == i)

    def angular(i: int) -> float:
        return abs(math.fsum(m * p for atom, _, m, p in orbitals if atom == i))

    match channel:
        case 0:
            return [gauss(i, 3) * radial(i) for i in atoms]
        case 1:
            return [gauss(i, 3) * angular(i) for i in atoms]
        case 2:
            return [math.exp(-(r**2) / 0.3) * total((0, 1))]
        case 3:
            return [math.exp(-(r**2) / 0.5) * (1 + math.cos(4 * theta)) * total((2, 3))]
        case 4:
            return [rho * math.exp(-(rho**2) / 0.4) * math.sqrt(sum(c**2 for c in mu))]
        case 5:
            factor = (3 * math.cos(theta) ** 2 - 1) * math.exp(-(rho**2) / 0.4)
            return [factor * abs(q[0] - q[1])]
        case 6:
            return [gauss(i, 4) * 10 * abs(q[i]) for i in atoms]
        case 7:
            return [gauss(i, 4) * n[i] for i in atoms]
        case 8:
            return [gauss(i, 3.5) * 10 * q[i] for i in atoms if q[i] > 0]
        case _:
            return [gauss(i, 3.5) * 10 * abs(q[i]) for i in atoms if q[i] <= 0]


def amplitudes_of(system: System) -> np.ndarray:
    rows = empty_rows(1)
    rows["charges"], rows["atom_populations"], rows["dipole"] = system.q, system.n, system.mu
    orbitals = rows["orbital_populations"][0]
    for atom, l, m, p in system.orbitals:
        orbitals[atom, l * l + l + m] = np.nansum([orbitals[atom, l * l + l + m], p])
    return published.amplitudes_of(rows)


def pixels(size: int) -> Iterator[tuple[int, int]]:
    return ((y, x) for y in range(size) for x in range(size))


def two_units(terms: list[float], least: float = float(np.finfo(np.float32).tiny)) -> float:
    """Return two units of the last float32 place of a pixel or of its largest term: the larger.

    The basis images are rounded, each term by 2^-24 of itself, and then the sum by as much. For
    terms of one sign that is at most 1.5 units of the sum. Where two cancel, the sum of |t1|, |t2|
    and |t1 + t2| is twice the larger term, and 2^-24 of that less than two of its units. The
    smallest normal number stands in for what is too small to have that many digits.
    """
    return 2 * float(np.spacing(np.float32(max(least, abs(math.fsum(terms)), *map(abs, terms)))))


def assert_within_two_ulp(image: np.ndarray, system: System, channel: int) -> None:
    for y, x in pixels(len(image)):
        terms = formula(system, channel, y, x, len(image))
        assert abs(float(image[y, x]) - math.fsum(terms)) <= two_units(terms)


@pytest.fixture(scope="module")
def real() -> dict[str, tuple[System, np.ndarray]]:
    """The system and the ten images of each of `PAIRS`, as the build makes them."""
    rendered = PUBLISHED.draw(pairs_of(PAIRS))
    return {name: (system_of(name), rendered[i]) for i, name in enumerate(PAIRS)}


def test_the_channels_are_the_ten_of_the_contract():
    assert PUBLISHED.name == "published"
    assert PUBLISHED.channel_names == NAMES


def test_the_two_atoms_sit_at_columns_11_and_21():
    assert published.atom_columns().tolist() == [11.0, 21.0]


@pytest.mark.parametrize(
    ("n_atoms", "size", "columns"),
    [
        (1, 32, [16.0]),  # 16 + 0
        (3, 32, [8.0, 16.0, 24.0]),  # floor(32 / 4) = 8 apart
        (2, 48, [16.0, 32.0]),  # 24 -+ floor(48 / 3) / 2
        (2, 64, [21.5, 42.5]),  # 32 -+ floor(64 / 3) / 2
    ],
)
def test_atoms_of_other_numbers_and_sizes_sit_where_the_formula_says(n_atoms, size, columns):
    assert published.atom_columns(n_atoms, size).tolist() == columns
    assert published.basis_images(n_atoms, size).shape == (10, n_atoms, size, size)


@pytest.mark.parametrize("channel", range(10), ids=NAMES)
@pytest.mark.parametrize("name", PAIRS)
def test_each_channel_of_a_real_pair_is_the_formula(real, name, channel):
    system, rendered = real[name]
    assert_within_two_ulp(rendered[channel], system, channel)


@pytest.mark.parametrize("name", PAIRS)
def test_the_angular_channel_of_a_bond_along_z_is_exactly_zero(real, name):
    assert not real[name][1][1].any()


def test_the_channel_of_d_and_f_is_exactly_zero_without_such_shells(real):
    assert not real["H_Li"][1][3].any()
    assert real["Al_N"][1][3].any()


def test_a_homonuclear_pair_has_no_charge_channels(real):
    assert not real["He_He"][1][[4, 5, 6, 8, 9]].any()


orbital_rows = st.tuples(st.integers(0, 3), st.floats(0, 2, allow_subnormal=False)).flatmap(
    lambda lp: st.tuples(
        st.integers(0, 1), st.just(lp[0]), st.integers(-lp[0], lp[0]), st.just(lp[1])
    )
)
charges = st.floats(-3, 3, allow_subnormal=False)
systems = st.builds(
    System,
    st.lists(charges, min_size=2, max_size=2),
    st.lists(st.floats(0, 20, allow_subnormal=False), min_size=2, max_size=2),
    st.lists(charges, min_size=3, max_size=3),
    st.lists(orbital_rows, min_size=1, max_size=30),
)


# In row 26, column 15 both terms of channel 0 are below 2^-9 and their sum is above: its units are
# twice as large, and the error is 2.05 of the smaller.
INTO_THE_NEXT_BINADE = System(
    [0.0, 0.0],
    [0.0, 0.0],
    [0.0, 0.0, 0.0],
    [(1, 1, 0, 1.375), (1, 2, 0, 1.994140625), (0, 3, 0, 0.8238758597269051)],
)


@given(systems, st.integers(0, 31), st.integers(0, 31))
@example(INTO_THE_NEXT_BINADE, 26, 15)
@settings(deadline=None)
def test_a_pixel_of_any_pair_is_the_formula(system, y, x):
    rendered = published.render(amplitudes_of(system), published.basis_images())[0]
    for channel in range(10):
        terms = formula(system, channel, y, x)
        least = float(np.finfo(np.float32).tiny)
        if channel == 1:  # sums of m p cancel: compare with what went into them
            least = max(least, 1e-8 * math.fsum(abs(m * p) for _, _, m, p in system.orbitals))
        assert abs(float(rendered[channel, y, x]) - math.fsum(terms)) <= two_units(terms, least)


@pytest.mark.parametrize("size", [16, 33])
def test_three_atoms_follow_the_same_formulas(size):
    orbitals = [(0, 0, 0, 1.5), (1, 1, -1, 6.75), (2, 2, 2, 3.75)]
    system = System([0.5, -0.75, 0.25], [1.5, 6.75, 3.75], [0.0, 0.0, -1.25], orbitals)
    amplitudes = np.zeros((1, 10, 3))
    # 1.5 / 3, 6.75 * 2 / 3, 3.75 * 3 / 3; |m p|; s and p; d; the norm of mu; |q_0 - q_1| ...
    amplitudes[0, [0, 1, 6, 7]] = [0.5, 4.5, 3.75], [0, 6.75, 7.5], [5, 7.5, 2.5], [1.5, 6.75, 3.75]
    amplitudes[0, 2:6, 0] = 8.25, 3.75, 1.25, 1.25
    amplitudes[0, [8, 9]] = [5, 0, 2.5], [0, 7.5, 0]
    rendered = published.render(amplitudes, published.basis_images(3, size))[0]
    assert rendered.shape == (10, size, size)
    for channel in range(10):
        assert_within_two_ulp(rendered[channel], system, channel)


@pytest.mark.parametrize("size", [16, 33])
def test_one_atom_follows_the_same_formulas(size):
    system = System([0.25], [3.75], [0.0, 0.75, 1.0], [(0, 0, 0, 2.25), (0, 1, 1, 1.5)])
    # 2.25 / 3 + 1.5 * 2 / 3; 1.5; 2.25 + 1.5; no d or f; norm of mu; no second charge; 10 q; N; ...
    amplitudes = np.array([1.75, 1.5, 3.75, 0, 1.25, 0, 2.5, 3.75, 2.5, 0]).reshape(1, 10, 1)
    rendered = published.render(amplitudes, published.basis_images(1, size))[0]
    for channel in (0, 1, 2, 3, 4, 6, 7, 8, 9):  # channel 5 is made from two charges
        assert_within_two_ulp(rendered[channel], system, channel)


any_amplitudes = arrays(
    np.float64, st.tuples(st.integers(1, 5), st.just(10), st.just(2)), elements=st.floats(-50, 50)
)


@given(any_amplitudes)
@settings(deadline=None)
def test_a_pixel_is_the_sum_in_float64_rounded_to_float32_once(amplitudes):
    basis = published.basis_images()
    a, b = amplitudes[..., None, None], basis.astype(np.float64)
    expected = (a[:, :, 0] * b[:, 0] + a[:, :, 1] * b[:, 1]).astype(np.float32)
    assert published.render(amplitudes, basis).tobytes() == expected.tobytes()


@given(any_amplitudes, st.integers(1, 5))
@settings(deadline=None)
def test_images_made_in_chunks_are_those_made_at_once(amplitudes, n):
    basis = published.basis_images()
    whole = published.render(amplitudes, basis)
    starts = range(0, len(amplitudes), n)
    chunks = [published.render(amplitudes[start : start + n], basis) for start in starts]
    assert np.concatenate(chunks).tobytes() == whole.tobytes()


@pytest.mark.parametrize("channel", [c for c in PUBLISHED.channels if c.non_negative])
def test_a_channel_that_is_said_to_be_non_negative_is(real, channel):
    i = PUBLISHED.channels.index(channel)
    assert all((rendered[i] >= 0).all() for _, rendered in real.values())
    assert (published.basis_images()[i] >= 0).all()


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.floats(-1, 2, allow_nan=False)), min_size=1, max_size=20
    )
)
def test_equal_populations_of_m_and_minus_m_leave_exactly_nothing(shells):
    orbitals = [(0, m, sign * m, p) for m, p in shells for sign in (-1, 1)]
    system = System([0.0, 0.0], [1.0, 1.0], [0.0, 0.0, 0.0], orbitals)
    assert amplitudes_of(system)[0, 1].tolist() == [0.0, 0.0]


def test_pairs_do_not_mix():
    together = PUBLISHED.encode(pairs_of(PAIRS)).amplitudes
    for i, name in enumerate(PAIRS):
        alone = PUBLISHED.encode(pairs_of([name])).amplitudes
        assert alone.tobytes() == together[i : i + 1].tobytes()


@pytest.mark.parametrize("column", ["charges", "atom_populations", "dipole", "orbital_populations"])
def test_pairs_that_lack_what_it_is_drawn_from_are_refused(column):
    pairs = pairs_of(["H_Li"])
    pairs.rows[column] = np.nan
    with pytest.raises(ParseError, match="charges, populations and a dipole moment of every pair"):
        PUBLISHED.encode(pairs)


def test_amplitudes_and_basis_are_found_again_in_pixels():
    rendered = PUBLISHED.encode(pairs_of(PAIRS))
    amplitudes, basis = PUBLISHED.products(rendered[:])
    np.testing.assert_array_equal(basis, rendered.basis)
    np.testing.assert_allclose(amplitudes, rendered.amplitudes, rtol=0, atol=2e-6)


def test_other_pixels_are_products_of_nothing():
    rng = np.random.default_rng(0)
    assert PUBLISHED.products(rng.random((2, 10, 32, 32), np.float32)) is None
    assert PUBLISHED.products(np.full((2, 10, 32, 32), np.nan, np.float32)) is None
