"""The ten image channels of a pair, encoding ``field``: densities, potential, overlaps.

Everything is made of the two elements, the bond length, and the populations of the orbitals and
charges of the atoms. Atoms are shells of Slater orbitals with these populations
(`twobody.encodings.atoms`); the heavier one is atom 0, at (-R/2, 0), the other one at (R/2, 0).

The frame is the plane of the bond, 8 x 8 angstrom, 32 x 32 pixels. A pixel is the mean of 2 x 2
sample points; formulas are in atomic units: bohr, e / bohr^3, hartree / e.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twobody.elements import SYMBOLS
from twobody.encodings.atoms import densities, describe, overlaps
from twobody.encodings.encoding import Channel, Encoding
from twobody.encodings.valence import valence_shells
from twobody.errors import ParseError
from twobody.pairs import Float, Image, Pairs

SIZE = 32
BOHR = 0.529177210903  # angstrom, CODATA 2018
FRAME = 8 / BOHR  # width and height of the frame [bohr]
BLOCK = 16  # pairs that are drawn at a time: their arrays fit into the cache

DENSITY_SCALE = 1e-3  # e / bohr^3; the density from which the logarithm counts
DEFORMATION_SCALE = 1e-2  # e / bohr^3; up to it a pixel is linear in the density's angular part
POTENTIAL_SCALE = 1e-2  # hartree / e; up to it a pixel is linear in the potential

_Int = NDArray[np.int64]


CHANNELS: tuple[Channel, ...] = (
    Channel("o_map_radial", "1", "2 lg(rho_sph)", True),
    Channel("o_map_angular", "1", "2 sym(rho - rho_sph, 0.01)", False),
    Channel("rip_overlap_filled", "e", "sqrt(v_i v_j) S_ij", False, True),
    Channel("rip_overlap_transfer", "e", "sqrt(v_i h_j) S_ij", False, True),
    Channel("rip_overlap_empty", "e", "sqrt(h_i h_j) S_ij", False, True),
    Channel("rip_potential", "1", "2 sym(V, 0.01)", False),
    Channel("com_occupation", "e", "sqrt(v_i v_j)", True, True),
    Channel("com_transfer", "e", "sqrt(v_i h_j)", True, True),
    Channel("q_image_gain", "1", "2 lg(rho - rho_free)", True),
    Channel("q_image_loss", "1", "2 lg(rho_free - rho)", True),
)


def draw(
    atomic_numbers: _Int, bond_lengths: Float, orbital_populations: Float, charges: Float
) -> Image:
    """Draw the images of n pairs.

    A pair's pixels depend neither on the other pairs nor on the order of its atoms (but where both
    are of one element, the first one is atom 0). `atomic_numbers` are int64 [n, 2], `bond_lengths`
    float64 [n] in angstrom, `orbital_populations` [n, 2, 16] as in `ROW`, with the bond along z,
    `charges` [n, 2] in e. Returns float32 [n, 10, 32, 32], rounded to the precision of float16.

    Raises a ParseError where an atom has no populations at all (an archive of format version 1
    holds none), no Slater exponents, or f populations and no f shell; where a bond length or charge
    is no number.
    """
    _check(atomic_numbers, bond_lengths, orbital_populations, charges)
    numbers, populations, charges = heavier_first(atomic_numbers, orbital_populations, charges)
    bond_lengths = bond_lengths / BOHR
    images = np.empty((len(numbers), len(CHANNELS), SIZE, SIZE), np.float32)
    # glibc gives memory back to the system after every use, and clears it before the next one (half
    # of the time of all that follows), until it has seen a block freed that is larger than these.
    np.empty(1 << 24, np.uint8)
    for start in range(0, len(images), BLOCK):
        block = slice(start, start + BLOCK)
        atoms = describe(numbers[block], populations[block], charges[block])
        spherical, total, free, potential = (
            samples.reshape(-1, 4, SIZE // 2, SIZE).mean(axis=1)
            for samples in densities(atoms, bond_lengths[block], *sample_points())
        )
        upper_halves = {
            0: logarithm(spherical),
            1: symmetric(total - spherical, DEFORMATION_SCALE),
            5: symmetric(potential, POTENTIAL_SCALE),
            8: logarithm(total - free),
            9: logarithm(free - total),
        }
        for channel, upper in upper_halves.items():
            images[block, channel] = 2 * np.concatenate([upper[:, ::-1], upper], axis=1)
        filled, transfer, empty = co_occupancy(populations[block])
        overlap = overlap_matrix(overlaps(atoms, bond_lengths[block]))
        matrices = (filled * overlap, transfer * overlap, empty * overlap, filled, transfer)
        for channel, matrix in zip((2, 3, 4, 6, 7), matrices, strict=True):
            images[block, channel] = matrix
        images[block] = images[block].astype(np.float16)
    return images


def heavier_first(
    atomic_numbers: _Int, orbital_populations: Float, charges: Float
) -> tuple[_Int, Float, Float]:
    """Make the heavier atom of each pair atom 0; equal ones stay where they are."""
    order = np.argsort(-atomic_numbers, axis=1, kind="stable")
    populations = np.take_along_axis(orbital_populations, order[..., None], axis=1)
    numbers = np.take_along_axis(atomic_numbers, order, axis=1)
    return numbers, populations, np.take_along_axis(charges, order, axis=1)


def _check(
    atomic_numbers: _Int, bond_lengths: Float, orbital_populations: Float, charges: Float
) -> None:
    """Raise a `ParseError` for the first pair that cannot be drawn; see `draw`."""
    without_f = [z for z in set(atomic_numbers.flat) if valence_shells(int(z))[3] is None]
    known = np.isfinite(orbital_populations)
    f_without_shell = known[:, :, 9:].any(axis=2) & np.isin(atomic_numbers, without_f)
    are_numbers = np.isfinite(bond_lengths + charges.sum(axis=1)) & (bond_lengths > 0)
    without = "none: an archive of format version 1 has none, so build it again from the raw data"
    only = "f populations on elements with an f shell only (potassium and heavier ones)"
    for at_fault, expected, found in (
        ((known.sum(axis=2) == 0).any(axis=1), "orbital populations of both atoms", without),
        (f_without_shell.any(axis=1), only, "some on a lighter one"),
        (~are_numbers, "a bond length above 0 and two charges", "others"),
    ):
        if at_fault.any():
            pair = int(at_fault.argmax())
            symbols = "-".join(SYMBOLS[z - 1] for z in atomic_numbers[pair])
            raise ParseError(f"pair {pair} ({symbols})", None, expected, found)


def sample_points() -> tuple[Float, Float]:
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


def logarithm(density: Float) -> Float:
    """Return lg: 0 for no density, 1 for 1 e / bohr^3, logarithmic above `DENSITY_SCALE`."""
    ratio = np.maximum(density, 0) / DENSITY_SCALE
    return np.asarray(np.log10(1 + ratio) / -np.log10(DENSITY_SCALE))


def symmetric(values: Float, scale: float) -> Float:
    """Return sym: 1 for 1, of either sign, linear up to `scale` and logarithmic beyond."""
    return np.asarray(np.arcsinh(values / scale) / np.arcsinh(1 / scale))


def co_occupancy(orbital_populations: Float) -> tuple[Float, Float, Float]:
    """Pair the electrons and the holes of the orbitals of n pairs with each other.

    Rows and columns are the orbitals of both atoms, from the last one (f) of atom 0 over the s
    orbitals in the middle to the last one of atom 1. v are the populations and h what is missing to
    2 in orbitals that exist, neither below 0. Returns ``sqrt(v_i v_j)``, ``sqrt(v_i h_j)`` and
    ``sqrt(h_i h_j)``, float64 [n, 32, 32] each.
    """
    line = np.concatenate([orbital_populations[:, 0, ::-1], orbital_populations[:, 1]], axis=1)
    electrons = np.sqrt(np.nan_to_num(np.maximum(line, 0)))
    holes = np.sqrt(np.nan_to_num(np.maximum(2 - line, 0)))
    return (
        electrons[:, :, None] * electrons[:, None, :],
        electrons[:, :, None] * holes[:, None, :],
        holes[:, :, None] * holes[:, None, :],
    )


def overlap_matrix(integrals: Float) -> Float:
    """Return S of the orbitals of both atoms [n, 32, 32], in the order of `co_occupancy`.

    From the integrals between the atoms [n, 16, 16]; orbitals of one atom are orthonormal.
    """
    half = integrals.shape[1]
    matrix = np.zeros((len(integrals), 2 * half, 2 * half))
    matrix[:] = np.eye(2 * half)
    matrix[:, :half, half:] = integrals[:, ::-1]
    matrix[:, half:, :half] = integrals[:, ::-1].swapaxes(1, 2)
    return matrix


class Field(Encoding):
    """Densities on the plane of the bond, and orbitals against orbitals."""

    name = "field"
    channels = CHANNELS
    size = SIZE
    mirrored = True
    legend = (
        "rho is the density of both atoms [e/bohr^3], rho_sph with shells filled evenly over m, "
        "rho_free that of the free atoms, V the electrostatic potential [hartree/e]; "
        "lg(a) = log10(1 + max(a, 0)/0.001)/3, sym(a, k) = asinh(a/k)/asinh(1/k). v_i are the "
        "populations of the orbitals of both atoms, h_i what they lack to 2, S_ij their overlaps. "
        "The heavier atom is on the left; pictures show 8 x 8 angstrom."
    )

    def draw(self, pairs: Pairs) -> Image:
        """Draw the images; see `draw`."""
        columns = (pairs.rows[c] for c in ("bond_length", "orbital_populations", "charges"))
        try:
            return draw(pairs.atomic_numbers, *columns)
        except ParseError as error:
            found = f"in {error.path} {error.found}"
            raise ParseError(pairs.path, None, error.expected, found) from error

    def atom_pixels(self, channel: Channel, pair: Pairs) -> Float:
        """Return column and row of the atoms where a channel is a picture of space."""
        if channel.matrix:
            return np.empty((0, 2))
        first, second = pair.atomic_numbers[0]
        half = pair.rows["bond_length"][0] / 2 * SIZE / (FRAME * BOHR)
        columns = [-half, half] if first >= second else [half, -half]
        return np.column_stack([np.add(columns, (SIZE - 1) / 2), np.full(2, (SIZE - 1) / 2)])


FIELD = Field()
