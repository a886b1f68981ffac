"""The ten image channels of a pair, encoding ``field``: densities, potential and co-occupancy.

Everything is made of the two elements, the bond length, and the populations of the orbitals and
charges of the atoms. Atoms are spheres of Slater-type shells (`twobody.encodings.valence`), filled
with these populations; the heavier one is atom 0, at (-R/2, 0), the other one at (R/2, 0).

The frame is the plane of the bond, 10 x 10 angstrom, 32 x 32 pixels. A pixel is the mean of 2 x 2
sample points; formulas are in atomic units: bohr, e / bohr^3, hartree / e.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import lgamma
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.elements import SYMBOLS
from twobody.encodings.valence import N_L, valence_shells
from twobody.errors import ParseError

ENCODING = "field"
SIZE = 32
BOHR = 0.529177210903  # angstrom, CODATA 2018
FRAME = 10 / BOHR
"""Width and height of the frame [bohr]."""
BLOCK = 8
"""Pairs that are drawn at a time: their arrays fit into the cache."""

DENSITY_SCALE = 1e-4
"""Density from which the logarithm counts [e / bohr^3]."""
DEFORMATION_SCALE = 1e-3
"""Angular part of the density up to which a pixel is linear in it [e / bohr^3]."""
POTENTIAL_SCALE = 1e-2
"""Potential up to which a pixel is linear in it [hartree / e]."""
NEAREST = 0.3
"""Distance from a nucleus below which its potential stays what it is there [bohr]."""
N_BINS = 8
"""Soft bins of the Markov transition field."""
GRID = 4096
"""Points of a radial table; they lie closer the nearer they are to the nucleus."""
RADIUS = 32.0
"""End of a radial table [bohr]: a shell that ends there looks like a point from farther away."""

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Channel:
    """One image channel.

    Attributes
    ----------
    name, unit, formula : str
        The unit is that of the pixels.
    non_negative : bool
        Whether no pixel is below 0.
    matrix : bool
        Whether rows and columns both run over the same profile or orbitals, so that the channel is
        no picture of space and swapping the atoms mirrors both axes.
    """

    name: str
    unit: str
    formula: str
    non_negative: bool
    matrix: bool = False


CHANNELS: tuple[Channel, ...] = (
    Channel("o_map_radial", "1", "2 lg(rho_sph)", True),
    Channel("o_map_angular", "1", "2 sym(rho - rho_sph, 0.001)", False),
    Channel("rip_gaf_sp", "1", "u_i u_j - sqrt(1 - u_i^2) sqrt(1 - u_j^2), u(rho_sp)", False, True),
    Channel("rip_gaf_df", "1", "u_i u_j - sqrt(1 - u_i^2) sqrt(1 - u_j^2), u(rho_df)", False, True),
    Channel("rip_mtf", "1", "m(i)^T W m(j), u(rho)", True, True),
    Channel("rip_potential", "1", "2 sym(V, 0.01)", False),
    Channel("com_occupation", "e", "sqrt(v_i v_j)", True, True),
    Channel("com_transfer", "e", "sqrt(v_i h_j)", True, True),
    Channel("q_image_gain", "1", "2 lg(rho - rho_free)", True),
    Channel("q_image_loss", "1", "2 lg(rho_free - rho)", True),
)
"""lg(a) = log10(1 + max(a, 0) / 1e-4) / 4, sym(a, k) = asinh(a / k) / asinh(1 / k); densities, V:
see `Densities`; u: see `profile`; m, W: see `markov_field`; v, h: see `co_occupancy`."""

CHANNEL_NAMES: tuple[str, ...] = tuple(channel.name for channel in CHANNELS)

_MATRIX = np.array([channel.matrix for channel in CHANNELS])

ANGULAR_WEIGHTS: _Float = np.array(
    [
        # c^0, c^2, c^4, c^6 of |m| = 0, 1, 2, 3
        [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
        np.array([[0, 6, 0, 0], [3, -3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]) / 2,
        np.array([[10, -60, 90, 0], [0, 60, -60, 0], [15, -30, 15, 0], [0, 0, 0, 0]]) / 8,
        np.array(
            [[0, 252, -840, 700], [21, -231, 735, -525], [0, 210, -420, 210], [35, -105, 105, -35]]
        )
        / 16,
    ]
)
"""Density of a real orbital (l, |m|) over that of its shell's sphere, averaged over the azimuth.

float64 [l, |m|, power]: coefficients of the powers 0, 2, 4, 6 of c, the cosine of the angle to the
bond axis. Each polynomial averages to 1 over the sphere.
"""


class Element(NamedTuple):
    """The valence shells of an element as arrays over l = 0 to 3.

    Attributes
    ----------
    effective_n, exponents : float64 [4]
        n* and zeta [1 / bohr] of Slater's orbitals.
    log_norms : float64 [4]
        Of the norm of the density, ``(2 zeta)^(2 n* + 1) / Gamma(2 n* + 1) / 4 pi``.
    occupations : float64 [4]
        Electrons of the free atom [e].
    screening : float64 [4, GRID]
        Electrostatic potential of one electron times r, at ``r = RADIUS (i / (GRID - 1))^2``:
        0 at the nucleus, 1 far away.
    """

    effective_n: _Float
    exponents: _Float
    log_norms: _Float
    occupations: _Float
    screening: _Float


class Atoms(NamedTuple):
    """The atoms of n pairs.

    Attributes
    ----------
    elements : list of Element
        Of both atoms of each pair, 2 n in all.
    populations : float64 [n, 2, 4, 4]
        Electrons [e] in the orbitals l, |m|, both signs of m together; 0 where there are none.
    free : float64 [n, 2, 4]
        Electrons of the shells l of the free atoms [e].
    valence_charge : float64 [n, 2]
        Charge of the cores [e]: all populations and the gross charge.
    """

    elements: list[Element]
    populations: _Float
    free: _Float
    valence_charge: _Float


class Densities(NamedTuple):
    """Densities [e / bohr^3] and potential [hartree / e] at points, float64 [n, points] each.

    Attributes
    ----------
    spherical
        Shells filled evenly over m with the populations.
    sp, df
        Orbitals of l = 0, 1 and of l = 2, 3 with their populations and angular weights.
    free
        Free atoms.
    potential
        Electrostatic potential of cores and spherical shells.
    """

    spherical: _Float
    sp: _Float
    df: _Float
    free: _Float
    potential: _Float


def draw(
    atomic_numbers: _Int, bond_lengths: _Float, orbital_populations: _Float, charges: _Float
) -> Image:
    """Draw the images of n pairs.

    A pair's pixels depend neither on the other pairs nor on the order of its atoms (but where both
    are of one element, the first one is atom 0).

    Parameters
    ----------
    atomic_numbers : int64 [n, 2]
    bond_lengths : float64 [n]
        [angstrom]
    orbital_populations : float64 [n, 2, 16]
        Mulliken populations [e] of the orbitals, index ``l * l + l + m``, the bond along z; NaN
        where the atom has no such orbital.
    charges : float64 [n, 2]
        Gross charges [e].

    Returns
    -------
    float32 [n, 10, 32, 32]
        Each pixel is rounded to the precision of float16.

    Raises
    ------
    ParseError
        Where an atom has no populations at all (an archive of format version 1 holds none), no
        Slater exponents, or f populations and no f shell; where a bond length or charge is no
        number.
    """
    _check(atomic_numbers, bond_lengths, orbital_populations, charges)
    heavier_first = np.argsort(-atomic_numbers, axis=1, kind="stable")
    atomic_numbers = np.take_along_axis(atomic_numbers, heavier_first, axis=1)
    charges = np.take_along_axis(charges, heavier_first, axis=1)
    populations = np.take_along_axis(orbital_populations, heavier_first[..., None], axis=1)
    x, y = sample_points()
    images = np.empty((len(atomic_numbers), len(CHANNELS), SIZE, SIZE), np.float32)
    for start in range(0, len(images), BLOCK):
        block = slice(start, start + BLOCK)
        atoms = describe(atomic_numbers[block], populations[block], charges[block])
        samples = densities(atoms, bond_lengths[block] / BOHR, x, y)
        pixels = Densities(
            *(field.reshape(-1, 4, SIZE // 2, SIZE).mean(axis=1) for field in samples)
        )
        _paint(images[block], pixels, populations[block])
    return images


def _check(
    atomic_numbers: _Int, bond_lengths: _Float, orbital_populations: _Float, charges: _Float
) -> None:
    """Raise a `ParseError` for the first pair that cannot be drawn; see `draw`."""
    without_f = [z for z in set(atomic_numbers.flat) if valence_shells(int(z))[3] is None]
    known = np.isfinite(orbital_populations)
    n_known = known.sum(axis=2)
    f_without_shell = known[:, :, 9:].any(axis=2) & np.isin(atomic_numbers, without_f)
    are_numbers = np.isfinite(bond_lengths + charges.sum(axis=1)) & (bond_lengths > 0)
    for at_fault, expected, found in (
        (
            (n_known == 0).any(axis=1),
            "orbital populations of both atoms",
            "none: an archive of format version 1 has none, so build it again from the raw data",
        ),
        (
            f_without_shell.any(axis=1),
            "f populations on elements with an f shell only (potassium and heavier ones)",
            "some on a lighter one",
        ),
        (~are_numbers, "a bond length above 0 and two charges", "others"),
    ):
        if at_fault.any():
            pair = int(at_fault.argmax())
            symbols = "-".join(SYMBOLS[z - 1] for z in atomic_numbers[pair])
            raise ParseError(f"pair {pair} ({symbols})", None, expected, found)


def sample_points() -> tuple[_Float, _Float]:
    """Return x and y [bohr] of the sample points in the upper half of the frame, float64 [2048].

    Sorted by place within the pixel, so that ``reshape(4, 16, 32)`` has the pixels of one place
    each. The lower half mirrors the upper one.
    """
    place = np.array([0.25, 0.75])
    column, row = np.arange(SIZE) - SIZE / 2, np.arange(SIZE // 2)
    y, x = np.broadcast_arrays(
        (row[:, None] + place[:, None, None, None]) * FRAME / SIZE,
        (column + place[:, None, None]) * FRAME / SIZE,
    )
    return x.ravel(), y.ravel()


def describe(atomic_numbers: _Int, orbital_populations: _Float, charges: _Float) -> Atoms:
    """Sort the populations by l and |m|, and fill the free atoms.

    A free atom keeps the occupations of its element's ground state, but no full f shell, and no
    full d shell that the core holds here: the valence electrons of the calculation decide.
    """
    elements = [element(int(z)) for z in atomic_numbers.ravel()]
    known = np.nan_to_num(orbital_populations)
    populations = np.zeros((*known.shape[:2], N_L, N_L))
    for l in range(N_L):
        middle = l * l + l
        populations[..., l, 0] = known[..., middle]
        for m in range(1, l + 1):
            populations[..., l, m] = known[..., middle - m] + known[..., middle + m]
    valence_charge = known.sum(axis=2) + charges
    free = np.array([each.occupations for each in elements]).reshape(-1, 2, N_L)
    free[free[..., 3] == 14, 3] = 0
    core_d = (free[..., 2] == 10) & (free.sum(axis=2) > valence_charge + 0.5)
    free[core_d, 2] = 0
    total = free.sum(axis=2)
    free *= np.divide(valence_charge, total, out=np.zeros_like(total), where=total > 0)[..., None]
    return Atoms(elements, populations, free, valence_charge)


@cache
def element(atomic_number: int) -> Element:
    """Tabulate the shells of an element.

    A unit charge that has the density of a shell has the potential ``(1 / r) int_0^r R^2 s^2 ds +
    int_r^inf R^2 s ds = P(a + 1, x) / r + (1 - P(a, x)) zeta / n*``, where a = 2 n*, x = 2 zeta r,
    and P is the regularised lower incomplete gamma function, here from its power series.
    """
    effective_n, exponents, occupations = np.array(
        [shell[1:] if shell else (1, 1, 0) for shell in valence_shells(atomic_number)], np.float64
    ).T
    log_gamma = np.array([lgamma(2 * n + 1) for n in effective_n])
    log_norms = (2 * effective_n + 1) * np.log(2 * exponents) - log_gamma - np.log(4 * np.pi)

    n, zeta = effective_n[:, None], exponents[:, None]
    r = RADIUS * (np.arange(1, GRID) / (GRID - 1)) ** 2
    x = np.minimum(2 * zeta * r, 50)  # P is 1 to 12 digits from there on
    first = np.exp(2 * n * np.log(x) - x - log_gamma[:, None])
    term, inner = first, np.zeros_like(first)
    for k in range(1, 140):
        term = term * x / (2 * n + k)
        inner += term
    screening = inner + (1 - first - inner) * r * zeta / n
    return Element(
        effective_n, exponents, log_norms, occupations, np.pad(screening, ((0, 0), (1, 0)))
    )


def densities(atoms: Atoms, bond_lengths: _Float, x: _Float, y: _Float) -> Densities:
    """Evaluate the densities and the potential of n pairs at points of the plane.

    Parameters
    ----------
    atoms : Atoms
        Atom 0 of each pair is at (-R/2, 0), atom 1 at (R/2, 0).
    bond_lengths : float64 [n]
        R [bohr].
    x, y : float64 [points]
        [bohr]; no point may lie on a nucleus.
    """
    along = x - bond_lengths[:, None, None] * np.array([[-0.5], [0.5]])
    r_squared = along * along + y * y
    r = np.sqrt(r_squared)
    log_r = np.log(r)
    cosine_squared = along * along / r_squared
    n, zeta, log_norm = (
        np.array([each[i] for each in atoms.elements]).reshape(-1, 2, N_L) for i in range(3)
    )
    place = np.minimum(np.sqrt(r / RADIUS), 1) * (GRID - 1)
    index = np.minimum(place.astype(np.int64), GRID - 2)
    fraction = place - index
    index += GRID * np.arange(len(atoms.elements)).reshape(-1, 2, 1)
    spherical, free, sp, df, screening = np.zeros((5, *r.shape))
    for l in range(N_L):
        orbitals = atoms.populations[:, :, l]
        electrons = orbitals.sum(axis=2)[..., None]
        filled = atoms.free[:, :, l, None]
        if not (orbitals.any() or filled.any()):
            continue
        exponent = (2 * n[..., l, None] - 2) * log_r - 2 * zeta[..., l, None] * r
        shell = np.exp(exponent + log_norm[..., l, None])
        spherical += electrons * shell
        free += filled * shell
        weights = (orbitals[..., None] * ANGULAR_WEIGHTS[l]).sum(axis=2)
        angular = weights[..., l, None]
        for power in reversed(range(l)):
            angular = angular * cosine_squared + weights[..., power, None]
        (sp if l < 2 else df)[:] += angular * shell
        table = np.concatenate([each.screening[l] for each in atoms.elements])
        below = table[index]
        screening += electrons * (below + fraction * (table[index + 1] - below))
    potential = atoms.valence_charge[..., None] / np.maximum(r, NEAREST) - screening / r
    return Densities(*(field.sum(axis=1) for field in (spherical, sp, df, free, potential)))


def logarithm(density: _Float) -> _Float:
    """Return lg: 0 for no density, 1 for 1 e / bohr^3, logarithmic above `DENSITY_SCALE`."""
    result: _Float = np.log10(1 + np.maximum(density, 0) / DENSITY_SCALE) / -np.log10(DENSITY_SCALE)
    return result


def symmetric(values: _Float, scale: float) -> _Float:
    """Return sym: 1 for 1, of either sign, linear up to `scale` and logarithmic beyond."""
    result: _Float = np.arcsinh(values / scale) / np.arcsinh(1 / scale)
    return result


def profile(density: _Float) -> _Float:
    """Return u of densities on the pixels [n, 16, 32]: along the bond, from -1 to 1, [n, 32]."""
    marginal = density.mean(axis=1) * 10  # angstrom
    return np.clip(2 * logarithm(marginal) - 1, -1, 1)


def gramian_field(u: _Float) -> _Float:
    """Return the Gramian angular summation field of profiles [n, 32], [n, 32, 32].

    Z. Wang, T. Oates, arXiv:1506.00327: cos(phi_i + phi_j), where cos(phi) is the profile.
    """
    other = np.sqrt(1 - u * u)
    field: _Float = u[:, :, None] * u[:, None, :] - other[:, :, None] * other[:, None, :]
    return field


def markov_field(u: _Float) -> _Float:
    """Return the Markov transition field of profiles [n, 32], [n, 32, 32].

    W: how often a value of one bin stands beside a value of another one, in both directions, rows
    normalised; a value belongs to its two nearest bins, in part (m).
    """
    bins = np.arange(N_BINS)
    members = np.maximum(1 - np.abs((N_BINS - 1) * (u[..., None] + 1) / 2 - bins), 0)
    moves = members[:, :-1].swapaxes(1, 2) @ members[:, 1:]
    moves = moves + moves.swapaxes(1, 2)
    total = moves.sum(axis=2, keepdims=True)
    moves = np.divide(moves, total, out=np.zeros_like(moves), where=total > 0)
    field: _Float = members @ moves @ members.swapaxes(1, 2)
    return field


def co_occupancy(orbital_populations: _Float) -> tuple[_Float, _Float]:
    """Return the fields of electrons with electrons, and with holes, [n, 32, 32] each.

    Rows and columns are the orbitals from the far end of atom 0 (f) over s and s to the far end of
    atom 1. The columns of the second field are holes: places left in orbitals that exist.
    """
    line = np.concatenate([orbital_populations[:, 0, ::-1], orbital_populations[:, 1]], axis=1)
    electrons = np.sqrt(np.nan_to_num(np.maximum(line, 0)))
    holes = np.sqrt(np.nan_to_num(np.maximum(2 - line, 0)))
    return (
        electrons[:, :, None] * electrons[:, None, :],
        electrons[:, :, None] * holes[:, None, :],
    )


def _paint(images: Image, pixels: Densities, orbital_populations: _Float) -> None:
    """Fill images [n, 10, 32, 32] from densities on the pixels [n, 16, 32] and populations."""
    total = pixels.sp + pixels.df
    deformation = total - pixels.free
    for channel, upper_half in (
        (0, 2 * logarithm(pixels.spherical)),
        (1, 2 * symmetric(total - pixels.spherical, DEFORMATION_SCALE)),
        (5, 2 * symmetric(pixels.potential, POTENTIAL_SCALE)),
        (8, 2 * logarithm(deformation)),
        (9, 2 * logarithm(-deformation)),
    ):
        images[:, channel, SIZE // 2 :] = upper_half
        images[:, channel, : SIZE // 2] = upper_half[:, ::-1]
    images[:, 2] = gramian_field(profile(pixels.sp))
    images[:, 3] = gramian_field(profile(pixels.df))
    images[:, 4] = markov_field(profile(total))
    images[:, 6], images[:, 7] = co_occupancy(orbital_populations)
    images[:] = images.astype(np.float16)


def flip(images: Image) -> Image:
    """Swap the atoms in images [..., 10, 32, 32]: spatial channels mirror in x, matrices in both.

    Twice makes the images what they were.
    """
    flipped = images[..., ::-1].copy()
    flipped[..., _MATRIX, :, :] = flipped[..., _MATRIX, ::-1, :]
    return flipped
