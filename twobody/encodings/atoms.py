"""Atoms as Slater-type shells filled with Mulliken populations: densities, potential, overlaps.

All lengths are in bohr, densities in e / bohr^3, potentials in hartree / e. The bond is the axis:
atom 0 of a pair is at (-R/2, 0) of its plane, atom 1 at (R/2, 0).
"""

from __future__ import annotations

from functools import cache
from math import lgamma
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.encodings.valence import N_L, valence_shells

NEAREST = 0.3  # bohr; closer to a nucleus its potential stays what it is there
GRID = 4096  # points of a radial table; they lie closer the nearer they are to the nucleus
RADIUS = 32.0  # bohr; end of a radial table: from farther away a shell looks like a point

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]

ORBITALS: tuple[tuple[int, int], ...] = tuple((l, m) for l in range(N_L) for m in range(-l, l + 1))
"""(l, m) of the 16 orbitals of an atom, in the order of their populations."""

_SQUARED_NORMS = (  # of l = 0 to 3, and m = 0 to 3
    *([1, 0, 0, 0], [3, 3 / 2, 0, 0], [5 / 4, 15 / 2, 15 / 8, 0]),
    [7 / 4, 21 / 16, 105 / 8, 35 / 16],
)
_POLYNOMIALS = (  # c^0, c^1, c^2, c^3
    ([1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
    ([0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
    ([-1, 0, 3, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]),
    ([0, -3, 0, 5], [-1, 0, 5, 0], [0, 1, 0, 0], [1, 0, 0, 0]),
)
ANGULAR_FUNCTIONS: _Float = np.sqrt(_SQUARED_NORMS)[..., None] * np.array(_POLYNOMIALS)
"""Real spherical harmonics along the polar angle, times ``sqrt(4 pi)``.

float64 [l, |m|, power]: coefficients of the powers 0 to 3 of c, the cosine of the angle to the bond
axis; the function is their sum times ``(1 - c^2)^(|m| / 2)``. Its square, which is the mean over
the azimuth of the orbital's density over its shell's, averages to 1 over the sphere.
"""


class Element(NamedTuple):
    """The valence shells of an element as arrays over l = 0 to 3."""

    effective_n: _Float  # [4] n* of Slater's orbitals
    exponents: _Float  # [4] zeta [1 / bohr]
    log_norms: _Float  # [4] log of the density's (2 zeta)^(2 n* + 1) / Gamma(2 n* + 1) / 4 pi
    occupations: _Float  # [4] electrons of the free atom [e]
    # [4, GRID] electrostatic potential of one electron times r, at r = RADIUS (i / (GRID - 1))^2:
    # 0 at the nucleus, 1 far away
    screening: _Float


class Atoms(NamedTuple):
    """The atoms of n pairs."""

    elements: list[Element]  # of both atoms of each pair, 2 n in all
    populations: _Float  # [n, 2, 4, 4] electrons [e] of l, |m|, both signs of m together
    free: _Float  # [n, 2, 4] electrons of the shells l of the free atoms [e]
    valence_charge: _Float  # [n, 2] charge of the cores [e]: all populations and the gross charge
    known: NDArray[np.bool_]  # [n, 2, 16] which orbitals the atoms have

    def shells(self) -> tuple[_Float, _Float, _Float]:
        """Return n*, zeta and the logarithm of the norm of all shells, float64 [n, 2, 4] each."""
        values = np.array([each[:3] for each in self.elements]).reshape(-1, 2, 3, N_L)
        return values[:, :, 0], values[:, :, 1], values[:, :, 2]


class Densities(NamedTuple):
    """Densities [e / bohr^3] and potential [hartree / e] at points, float64 [n, points] each."""

    spherical: _Float  # shells filled evenly over m with the populations
    total: _Float  # orbitals with their populations, averaged over the azimuth around the bond
    free: _Float  # free atoms
    potential: _Float  # electrostatic potential of cores and spherical shells


@cache
def angular_weights() -> _Float:
    """Return the squares of `ANGULAR_FUNCTIONS`, float64 [l, |m|, power]: c to 0, 2, 4, 6."""
    weights = np.zeros((N_L, N_L, N_L))
    for l, m in np.ndindex(N_L, N_L):
        square = np.polynomial.Polynomial(ANGULAR_FUNCTIONS[l, m]) ** 2
        even = (square * np.polynomial.Polynomial([1, 0, -1]) ** m).coef[::2]
        weights[l, m, : len(even)] = even[:N_L]
    return weights


def describe(atomic_numbers: _Int, orbital_populations: _Float, charges: _Float) -> Atoms:
    """Sort the populations of n pairs by l and |m|, and fill the free atoms.

    A free atom keeps the occupations of its element's ground state, but no full f shell, and no
    full d shell that is part of the core here: the number of valence electrons tells.
    """
    elements = [element(int(z)) for z in atomic_numbers.ravel()]
    electrons = np.nan_to_num(orbital_populations)
    populations = np.zeros((*electrons.shape[:2], N_L, N_L))
    for orbital, (l, m) in enumerate(ORBITALS):
        populations[..., l, abs(m)] += electrons[..., orbital]
    valence_charge = electrons.sum(axis=2) + charges
    free = np.array([each.occupations for each in elements]).reshape(-1, 2, N_L)
    free[free[..., 3] == 14, 3] = 0
    core_d = (free[..., 2] == 10) & (free.sum(axis=2) > valence_charge + 0.5)
    free[core_d, 2] = 0
    total = free.sum(axis=2)
    free *= np.divide(valence_charge, total, out=np.zeros_like(total), where=total > 0)[..., None]
    return Atoms(elements, populations, free, valence_charge, np.isfinite(orbital_populations))


@cache
def element(atomic_number: int) -> Element:
    """Tabulate the shells of an element.

    The potential of one electron, ``(1 / r) int_0^r R^2 s^2 ds + int_r^inf R^2 s ds``, is summed up
    by Gauss quadrature between the points of the table; the second integral from 0 is zeta / n*.
    """
    effective_n, exponents, occupations = np.array(
        [shell[1:] if shell else (1, 1, 0) for shell in valence_shells(atomic_number)], np.float64
    ).T
    log_gamma = np.array([lgamma(2 * n + 1) for n in effective_n])
    log_norms = (2 * effective_n + 1) * np.log(2 * exponents) - log_gamma - np.log(4 * np.pi)

    n, zeta, log_norm = (values[:, None, None] for values in (effective_n, exponents, log_norms))
    nodes, weights = np.polynomial.legendre.leggauss(3)
    t = (np.arange(GRID - 1)[:, None] + (1 + nodes) / 2) / (GRID - 1)
    r = RADIUS * t * t
    volume = 4 * np.pi * r * RADIUS * t * weights / (GRID - 1)
    charge = np.exp((2 * n - 2) * np.log(r) - 2 * zeta * r + log_norm) * volume
    inner = np.cumsum((charge * r).sum(axis=2), axis=1)
    outer = (exponents / effective_n)[:, None] - np.cumsum(charge.sum(axis=2), axis=1)
    screening = inner + outer * RADIUS * (np.arange(1, GRID) / (GRID - 1)) ** 2
    return Element(
        effective_n, exponents, log_norms, occupations, np.pad(screening, ((0, 0), (1, 0)))
    )


def densities(atoms: Atoms, bond_lengths: _Float, x: _Float, y: _Float) -> Densities:
    """Evaluate the densities and the potential of n pairs at points of the plane.

    `bond_lengths` [n], x and y, float64 [points] or [n, 1, points], are in bohr; no point may lie
    on a nucleus.
    """
    along = x - bond_lengths[:, None, None] * np.array([[-0.5], [0.5]])
    r_squared = along * along + y * y
    r = np.sqrt(r_squared)
    log_r = np.log(r)
    cosine_squared = along * along / r_squared
    place = np.minimum(np.sqrt(r / RADIUS), 1) * (GRID - 1)
    index = np.minimum(place.astype(np.int64), GRID - 2)
    fraction = place - index
    index += GRID * np.arange(len(atoms.elements)).reshape(-1, 2, 1)
    n, zeta, log_norm = atoms.shells()
    spherical, total, free, screening = np.zeros((4, *r.shape))
    sp_are_one = bool((n[..., 0] == n[..., 1]).all() and (zeta[..., 0] == zeta[..., 1]).all())
    for l in range(N_L):
        orbitals = atoms.populations[:, :, l]
        electrons = orbitals.sum(axis=2)[..., None]
        filled = atoms.free[:, :, l, None]
        if l and not (orbitals.any() or filled.any()):
            continue
        if l != 1 or not sp_are_one:
            exponent = (2 * n[..., l, None] - 2) * log_r - 2 * zeta[..., l, None] * r
            shell = np.exp(exponent + log_norm[..., l, None])
            table = np.concatenate([each.screening[l] for each in atoms.elements])
            below = table[index]
            of_one = below + fraction * (table[index + 1] - below)
        spherical += electrons * shell
        free += filled * shell
        screening += electrons * of_one
        weights = (orbitals[..., None] * angular_weights()[l]).sum(axis=2)
        angular = weights[..., l, None]
        for power in reversed(range(l)):
            angular = angular * cosine_squared + weights[..., power, None]
        total += angular * shell
    potential = atoms.valence_charge[..., None] / np.maximum(r, NEAREST) - screening / r
    return Densities(*(field.sum(axis=1) for field in (spherical, total, free, potential)))


def overlaps(atoms: Atoms, bond_lengths: _Float) -> _Float:
    """Integrate the products of the orbitals of atom 0 and of atom 1 of n pairs.

    The orbitals are Slater's. The axis of each one points to the other atom, so that s and p
    orbitals have positive integrals where they bond (R. S. Mulliken, C. A. Rieke, D. Orloff,
    H. Orloff, J. Chem. Phys. 1949, 17, 1248-1267, doi:10.1063/1.1747150).

    `bond_lengths` are float64 [n] in bohr. Returns float64 [n, 16, 16], orbitals of atom 0 by
    orbitals of atom 1; 0 where m differs or an atom has no such orbital.
    """
    bond = bond_lengths[:, None, None]
    xi, eta, volume = _ellipses(bond)
    r = np.stack([xi + eta, xi - eta], axis=1) * bond[..., None] / 2
    cosine = np.stack([(1 + xi * eta) / (xi + eta), (1 - xi * eta) / (xi - eta)], axis=1)
    r, cosine = (values.reshape(len(bond), 2, -1) for values in (r, cosine))
    sine = np.sqrt(np.maximum(1 - cosine * cosine, 0))
    log_r = np.log(r)
    n, zeta, log_norm = (values[..., None] for values in atoms.shells())
    n_l = 1 + max(l for l, m in ORBITALS if atoms.known[..., l * l + l + m].any())
    radial = [
        np.exp((n[:, :, l] - 1) * log_r - zeta[:, :, l] * r + log_norm[:, :, l] / 2)
        for l in range(n_l)
    ]
    result = np.zeros((len(bond), len(ORBITALS), len(ORBITALS)))
    for m in range(n_l):
        orbitals = np.empty((len(bond), 2, n_l - m, r.shape[2]))
        for l in range(m, n_l):
            angular = np.polynomial.polynomial.polyval(cosine, ANGULAR_FUNCTIONS[l, m, : l + 1])
            orbitals[:, :, l - m] = radial[l] * angular * sine**m
        integrals = (orbitals[:, 0] * volume) @ orbitals[:, 1].swapaxes(1, 2)
        for signed_m in {m, -m}:
            place = [l * l + l + signed_m for l in range(m, n_l)]
            result[:, np.array(place)[:, None], place] = integrals
    return result * (atoms.known[:, 0, :, None] & atoms.known[:, 1, None, :])


_gauss = cache(np.polynomial.legendre.leggauss)


def _ellipses(bond: _Float, n_xi: int = 20, n_eta: int = 16) -> tuple[_Float, _Float, _Float]:
    """Return xi [n, n_xi, 1], eta [n_eta] and volumes [n, 1, n_xi n_eta] of a quadrature.

    Prolate spheroidal coordinates, ``r = R (xi +- eta) / 2``, and Gauss quadrature in both; half
    of the points lie within 3 bohr of the bond. Overlap integrals come out to 1e-5.
    """
    (u, u_weight), (eta, eta_weight) = _gauss(n_xi), _gauss(n_eta)
    outward = ((1 + u) / (1 - u))[:, None]
    xi = 1 + 6 / bond * outward
    weight = u_weight[:, None] * (1 + outward) ** 2 / 2 * eta_weight
    volume = weight * (xi**2 - eta**2) * 6 / bond * (bond / 2) ** 3 * 2 * np.pi
    return xi, eta, volume.reshape(len(bond), 1, -1)
