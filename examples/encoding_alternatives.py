"""Channels that were tried in the encoding `field` and not taken, for `encoding_proof.py`.

Each is [n, 32, 32] like the channels that it stands in for, and drawn from the same numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twobody.encodings import field
from twobody.encodings.atoms import ORBITALS, Atoms, densities, describe, overlaps

Float = NDArray[np.float64]

WOLFSBERG_HELMHOLZ = 1.75
"""K of extended Hueckel theory (R. Hoffmann, J. Chem. Phys. 1963, 39, 1397)."""


def draw(
    atomic_numbers: NDArray[np.int64],
    bond_lengths: Float,
    orbital_populations: Float,
    charges: Float,
) -> dict[str, NDArray[np.float16]]:
    """Draw all alternatives of n pairs; arguments as of `field.draw`."""
    numbers, populations, charges = field.heavier_first(
        atomic_numbers, orbital_populations, charges
    )
    atoms, bond = describe(numbers, populations, charges), bond_lengths / field.BOHR
    channels = {
        **fields_of_profiles(atoms, bond),
        **polar_maps(atoms, bond),
        **orbital_matrices(atoms, bond, populations),
        **pictures(atoms, bond, "first", np.full_like(bond, 10 / field.BOHR), 1e-4, 1e-3),
        **pictures(atoms, bond, "10 A", np.full_like(bond, 10 / field.BOHR), 1e-3, 1e-2),
        **pictures(atoms, bond, "R + 6 A", bond + 6 / field.BOHR, 1e-3, 1e-2),
        **pictures(atoms, bond, "fainter", np.full_like(bond, field.FRAME), 1e-4, 1e-3),
    }
    return {name: values.astype(np.float16) for name, values in channels.items()}


def only(atoms: Atoms, *momenta: int) -> Atoms:
    """Return the atoms with the electrons of some l alone."""
    kept = np.isin(np.arange(4), momenta)[:, None]
    return atoms._replace(populations=atoms.populations * kept)


def fields_of_profiles(atoms: Atoms, bond: Float) -> dict[str, Float]:
    """Draw Gramian and Markov fields of the density along the bond.

    Z. Wang, T. Oates, arXiv:1506.00327: cos(phi_i + phi_j) where cos(phi) is the profile, and how
    often values of two of eight soft bins are neighbours.
    """

    def profile(of: Atoms) -> Float:
        samples = densities(of, bond, *field.sample_points()).total
        marginal = samples.reshape(-1, 4, 16, 32).mean(axis=(1, 2)) * 10  # angstrom
        u: Float = np.clip(np.log10(1 + np.maximum(marginal, 0) / 1e-4) / 2 - 1, -1, 1)
        return u

    u = profile(atoms)
    members = np.maximum(1 - np.abs(7 * (u[..., None] + 1) / 2 - np.arange(8)), 0)
    moves = members[:, :-1].swapaxes(1, 2) @ members[:, 1:]
    moves = moves + moves.swapaxes(1, 2)
    moves /= np.maximum(moves.sum(axis=2, keepdims=True), 1e-12)
    return {
        "gramian sp": gramian(profile(only(atoms, 0, 1))),
        "gramian df": gramian(profile(only(atoms, 2, 3))),
        "markov": members @ moves @ members.swapaxes(1, 2),
    }


def gramian(u: Float) -> Float:
    """Return cos(phi_i + phi_j) of profiles [n, 32]."""
    sine = np.sqrt(1 - u * u)
    matrix: Float = u[:, :, None] * u[:, None, :] - sine[:, :, None] * sine[:, None, :]
    return matrix


def polar_maps(atoms: Atoms, bond: Float) -> dict[str, Float]:
    """Draw densities around each atom, from the bond axis to its far end, over the distance.

    The upper half belongs to atom 0 and the lower half to atom 1; the rows in the middle look along
    the bond, to the other atom. Columns are distances from 0.2 to 12 bohr, in equal ratios; values
    are 4 pi r^2 times the density.
    """
    distance = np.geomspace(0.2, 12, 32)
    angle = (np.arange(16)[:, None] + 0.5) * np.pi / 16
    toward = np.stack([distance * np.cos(angle), -distance * np.cos(angle)]).reshape(1, -1)
    nuclei = bond[:, None] * np.repeat([-0.5, 0.5], 512)
    x = (nuclei + toward)[:, None, :]
    y = np.tile((distance * np.sin(angle)).ravel(), 2)
    sphere = 4 * np.pi * np.tile(distance**2, 32)

    def image(values: Float) -> Float:
        halves = values.reshape(-1, 2, 16, 32)
        return np.concatenate([halves[:, 0, ::-1], halves[:, 1]], axis=1)

    def logarithm(values: Float) -> Float:
        return image(2 * np.log10(1 + np.abs(values * sphere) / 1e-3) / 3)

    whole = densities(atoms, bond, x, y)
    own = densities(
        atoms, np.full_like(bond, 1e4), x - nuclei[:, None] + 1e4 * np.sign(nuclei)[:, None] / 2, y
    )
    return {
        "polar sp": logarithm(densities(only(atoms, 0, 1), bond, x, y).total),
        "polar df": logarithm(densities(only(atoms, 2, 3), bond, x, y).total),
        "polar total": logarithm(whole.total),
        "polar potential": image(2 * field.symmetric(whole.potential, 1e-2)),
        "polar own": logarithm(own.total),
    }


def orbital_matrices(atoms: Atoms, bond: Float, populations: Float) -> dict[str, Float]:
    """Draw the extended Hueckel matrix and the Gramian field of the populations."""
    overlap = field.overlap_matrix(overlaps(atoms, bond))
    exists = np.concatenate([atoms.known[:, 0, ::-1], atoms.known[:, 1]], axis=1)
    _, exponents, _ = atoms.shells()
    momenta = np.array([l for l, _ in ORBITALS])
    levels = exponents[:, :, momenta] ** 2 / 2  # Slater's ionisation energies [hartree]
    levels = np.concatenate([levels[:, 0, ::-1], levels[:, 1]], axis=1)
    mean = (levels[:, :, None] + levels[:, None, :]) / 2
    line = np.concatenate([populations[:, 0, ::-1], populations[:, 1]], axis=1)
    both = exists[:, :, None] & exists[:, None, :]
    return {
        "hueckel": WOLFSBERG_HELMHOLZ * mean * overlap * both,
        "gramian populations": gramian(np.clip(np.nan_to_num(line) - 1, -1, 1)) * both,
    }


def pictures(
    atoms: Atoms, bond: Float, name: str, width: Float, density_scale: float, angular_scale: float
) -> dict[str, Float]:
    """Draw the pictures of space of `field` with frames [bohr] and scales of their own."""
    x, y = (values * (width / field.FRAME)[:, None, None] for values in field.sample_points())
    spherical, total, free, potential = (
        samples.reshape(-1, 4, 16, 32).mean(axis=1) for samples in densities(atoms, bond, x, y)
    )

    def logarithm(density: Float) -> Float:
        values: Float = np.log10(1 + np.maximum(density, 0) / density_scale)
        values /= -np.log10(density_scale)
        return values

    halves = {
        0: 2 * logarithm(spherical),
        1: 2 * field.symmetric(total - spherical, angular_scale),
        5: 2 * field.symmetric(potential, 1e-2),
        8: 2 * logarithm(total - free),
        9: 2 * logarithm(free - total),
    }
    return {
        f"{name} {channel}": np.concatenate([half[:, ::-1], half], axis=1)
        for channel, half in halves.items()
    }
