"""Pairs of a dozen elements with labels that are formulas: what tests of models fit."""

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np

from twobody.benchmark.descriptors import descriptors
from twobody.benchmark.targets import METAL_LIKE, targets
from twobody.benchmark.task import Samples
from twobody.elements import ATOMIC_NUMBERS, COVALENT_RADII
from twobody.models.repulsion import repulsive_energy

ELEMENTS = ("H", "C", "N", "O", "F", "Na", "Mg", "Al", "Cl", "Ti", "Fe", "Cu", "Br", "Ag")


def pairs_of(track, elements=ELEMENTS, encoding=None, seed=0):
    """Return every pair of the elements as a track shows it, with targets."""
    rng = np.random.default_rng(seed)
    names = np.array(list(combinations_with_replacement(elements, 2)))
    numbers = np.array([[ATOMIC_NUMBERS[symbol] for symbol in pair] for pair in names.tolist()])
    radii = np.array([[COVALENT_RADII[symbol] for symbol in pair] for pair in names.tolist()])
    n, lengths = len(names), radii.sum(axis=1) * rng.uniform(0.9, 1.1, len(names))
    samples = Samples(
        names=np.array(["_".join(pair) for pair in names.tolist()]),
        elements=names,
        atomic_numbers=numbers,
        descriptors=descriptors(numbers),
        targets=_labels(track, numbers, radii, lengths),
    )
    if track == "elements":
        return samples
    positions = np.zeros((n, 2, 3))
    positions[:, 1, 2] = lengths
    samples = replace(samples, positions=positions, bond_lengths=lengths)
    if track == "geometry":
        return samples
    charges = rng.normal(0, 0.2, n)[:, None] * [1, -1]
    orbitals = np.full((n, 2, 16), np.nan)
    orbitals[..., :9] = rng.uniform(0, 2, (n, 2, 9))
    samples = replace(
        samples,
        populations=np.nansum(orbitals, axis=-1),
        charges=charges,
        orbital_populations=orbitals,
        encoding=encoding,
    )
    if encoding is None:
        return samples
    return replace(samples, images=rng.normal(size=(n, 10, 32, 32)).astype(np.float32))


def widths(numbers):
    """Return widths [Å] of the repulsion, made up."""
    return 0.5 + 0.3 * np.sin(numbers)


def _labels(track, numbers, radii, lengths):
    of_atoms = -3.0 * numbers.sum(axis=1)
    gap = np.maximum(0.0, np.sin(numbers.sum(axis=1)) * 3)
    with np.errstate(divide="ignore"):
        softness = np.where(gap > 0, 2 / gap, np.nan)
    everything = {
        "e_g_ev": gap,
        "e_homo_ev": -5 + np.cos(numbers).sum(axis=1),
        "e_lumo_ev": -5 + np.cos(numbers).sum(axis=1) + gap,
        "total_energy_ev": of_atoms + 0.1 * lengths,
        "mermin_free_energy_ev": of_atoms,
        "band_energy_ev": of_atoms - lengths,
        "repulsive_energy_ev": repulsive_energy(numbers.astype(float), widths(numbers), lengths),
        "softness_evinv": softness,
        "electrophilicity_ev": 10 * softness,
        "dipole_mag_d": np.abs(np.diff(radii, axis=1)[:, 0]),
        "q_absmean": np.abs(np.diff(radii, axis=1)[:, 0]) / 10,
        "distance_ang": lengths,
    }
    shown = {name: everything[name] for name in targets(track)}
    return {**shown, METAL_LIKE: (gap == 0).astype(float)}


def swapped(samples):
    """Return the same pairs with their atoms the other way round; images are left as they are."""
    turned = {}
    for name in ("elements", "atomic_numbers", "descriptors", "positions"):
        turned[name] = getattr(samples, name)
    for name in ("populations", "charges", "orbital_populations"):
        turned[name] = getattr(samples, name)
    turned = {name: value[:, ::-1].copy() for name, value in turned.items() if value is not None}
    return replace(samples, **turned)
