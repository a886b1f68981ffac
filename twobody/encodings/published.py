"""The ten image channels of a pair, encoding ``published``.

Every channel is a sum, over the atoms, of an amplitude (numbers of the pair) times a basis image
(the same for all pairs). `amplitudes` makes the first from DFTB+ results, `basis_images` the
second, and `render` is the one function that makes pixels of them: every route to an image gives
its bits.

Formulas: "QuantumCanvas", arXiv 2512.01519, as its published script evaluates them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENCODING = "published"
SIZE = 32
N_ATOMS = 2
BLOCK = 24
"""Pairs that are rendered at a time: 1 MB of images, made from 4 MB of float64 in the cache."""

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]
Image = NDArray[np.float32]


@dataclass(frozen=True)
class Channel:
    """One image channel: its name, the unit of its pixels, its formula, and whether it is >= 0."""

    name: str
    unit: str
    formula: str
    non_negative: bool


CHANNELS: tuple[Channel, ...] = (
    # A population may be slightly negative, so the channels that sum them are not bounded by 0.
    Channel("o_map_radial", "e", "sum_i G_i(3) sum_orb p (l + 1) / 3", False),
    Channel("o_map_angular", "e", "sum_i G_i(3) |sum_orb m p|", True),
    Channel("rip_gaf_sp", "e", "exp(-r^2 / 0.3) sum p over l = 0, 1", False),
    Channel("rip_gaf_df", "e", "exp(-r^2 / 0.5) (1 + cos 4 theta) sum p over l = 2, 3", False),
    Channel("rip_mtf_dipole", "e a0", "rho exp(-rho^2 / 0.4) |mu|, rho = r + 1e-6", True),
    Channel("rip_mtf_quadrupole", "e", "(3 cos^2 theta - 1) exp(-rho^2 / 0.4) |q_0 - q_1|", False),
    Channel("com_charge", "0.1 e", "sum_i G_i(4) 10 |q_i|", True),
    Channel("com_orbital", "e", "sum_i G_i(4) N_i", True),
    Channel("q_image_positive", "0.1 e", "sum over q_i > 0 of G_i(3.5) 10 q_i", True),
    Channel("q_image_negative", "0.1 e", "sum over q_i <= 0 of G_i(3.5) 10 |q_i|", True),
)
"""G_i(s): Gaussian of width s pixels on atom i; p, l, m: orbital populations and quantum numbers;
q, N: gross charges and populations of the atoms; mu: dipole moment; r, theta: polar coordinates."""

CHANNEL_NAMES: tuple[str, ...] = tuple(channel.name for channel in CHANNELS)


def atom_pixels(n_atoms: int = N_ATOMS, size: int = SIZE) -> _Float:
    """Return the pixel column of each atom, float64 [n_atoms]; the row of all is ``size / 2``."""
    offsets = np.arange(n_atoms, dtype=np.float64) - n_atoms / 2 + 0.5
    return size / 2 + offsets * (size // (n_atoms + 1))


def basis_images(n_atoms: int = N_ATOMS, size: int = SIZE) -> Image:
    """Evaluate the images that amplitudes multiply.

    Returns
    -------
    float32 [10, n_atoms, size, size]
        Channels 2 to 5 have one term only, that of index 0; the others of theirs are zero.
    """
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    distance_squared = (x - atom_pixels(n_atoms, size)[:, None, None]) ** 2 + (y - size / 2) ** 2

    def gaussians(sigma: float) -> _Float:
        result: _Float = np.exp(-distance_squared / (2 * sigma**2))
        return result

    axis = np.linspace(-1, 1, size)
    x, y = np.meshgrid(axis, axis)
    r, theta = np.hypot(x, y), np.arctan2(y, x)
    rho = r + 1e-6
    basis = np.zeros((len(CHANNELS), n_atoms, size, size))
    basis[[0, 1]] = gaussians(3)
    basis[2, 0] = np.exp(-(r**2) / 0.3)
    basis[3, 0] = np.exp(-(r**2) / 0.5) * (1 + np.cos(4 * theta))
    basis[4, 0] = rho * np.exp(-(rho**2) / 0.4)
    basis[5, 0] = (3 * np.cos(theta) ** 2 - 1) * np.exp(-(rho**2) / 0.4)
    basis[[6, 7]] = gaussians(4)
    basis[[8, 9]] = gaussians(3.5)
    return basis.astype(np.float32)


@dataclass(frozen=True, eq=False)
class OrbitalTable:
    """Orbital populations of many systems, one row an orbital, in the order of the systems.

    Attributes
    ----------
    system, atom, l, m : int64 [n_orbitals]
        System and atom counted from 0, and the quantum numbers.
    population : float64 [n_orbitals]
        [e]
    """

    system: _Int
    atom: _Int
    l: _Int
    m: _Int
    population: _Float


def amplitudes(
    charges: _Float, populations: _Float, dipoles: _Float, orbitals: OrbitalTable
) -> _Float:
    """Reduce the results of N pairs to the numbers that multiply the basis images.

    Parameters
    ----------
    charges, populations : float64 [N, 2]
        Mulliken gross charges and populations of the atoms [e].
    dipoles : float64 [N, 3]
        Dipole moments [atomic units].
    orbitals : OrbitalTable
        Of all N pairs.

    Returns
    -------
    float64 [N, 10, 2]
    """
    n, n_atoms = charges.shape
    result = np.zeros((n, len(CHANNELS), n_atoms))
    slot = orbitals.system * n_atoms + orbitals.atom
    population = orbitals.population
    radial = population * (orbitals.l + 1) / 3
    result[:, 0] = np.bincount(slot, radial, n * n_atoms).reshape(n, n_atoms)
    result[:, 1] = np.abs(_angular_momentum(slot, orbitals, n * n_atoms)).reshape(n, n_atoms)
    result[:, 2, 0] = np.bincount(orbitals.system, population * (orbitals.l <= 1), n)
    result[:, 3, 0] = np.bincount(orbitals.system, population * (orbitals.l >= 2), n)
    result[:, 4, 0] = np.sqrt((dipoles**2).sum(axis=1))
    result[:, 5, 0] = np.abs(charges[:, 0] - charges[:, 1])
    result[:, 6] = 10 * np.abs(charges)
    result[:, 7] = populations
    result[:, 8] = np.where(charges > 0, 10 * charges, 0)
    result[:, 9] = np.where(charges <= 0, 10 * np.abs(charges), 0)
    return result


def _angular_momentum(slot: _Int, orbitals: OrbitalTable, n_slots: int) -> _Float:
    """Sum m times the population over the orbitals of each atom.

    Populations of m and -m meet in one bin before anything else is added, so that equal ones leave
    exactly nothing behind.
    """
    magnitude = np.abs(orbitals.m)
    width = int(magnitude.max(initial=0)) + 1
    signed = np.sign(orbitals.m) * orbitals.population
    differences = np.bincount(slot * width + magnitude, signed, n_slots * width)
    # Not as a matrix product, whose rounding depends on what other systems are in the table.
    total = np.zeros(n_slots)
    for m, difference in enumerate(differences.reshape(n_slots, width).T):
        total += m * difference
    return total


def render(amplitudes: _Float, basis: Image, out: Image | None = None) -> Image:
    """Make the images: products and sums in float64, each pixel rounded to float32 once.

    Parameters
    ----------
    amplitudes : float64 [N, 10, n_atoms]
    basis : float32 [10, n_atoms, size, size]
    out : float32 [N, 10, size, size], optional
        Where to put them.

    Returns
    -------
    float32 [N, 10, size, size]
    """
    n_channels, n_atoms, height, width = basis.shape
    if out is None:
        out = np.empty((len(amplitudes), n_channels, height, width), np.float32)
    pixels = out.reshape(len(amplitudes), n_channels, height * width)
    terms = basis.astype(np.float64).reshape(n_channels, n_atoms, height * width)
    total, term = np.empty((2, min(len(amplitudes), BLOCK), *terms[:, 0].shape))
    for start in range(0, len(amplitudes), BLOCK):
        factors = amplitudes[start : start + BLOCK, ..., None]
        n = len(factors)
        np.multiply(factors[:, :, 0], terms[:, 0], out=total[:n])
        for atom in range(1, n_atoms):
            np.multiply(factors[:, :, atom], terms[:, atom], out=term[:n])
            total[:n] += term[:n]
        pixels[start : start + n] = total[:n]
    return out
