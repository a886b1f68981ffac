"""The encoding `field`, pixel by pixel in plain Python: slow, and sharing no code with the product.

Shells are typed in by hand (Slater's rules on paper), the potential is integrated numerically.
"""

from __future__ import annotations

import math

import numpy as np

BOHR = 0.529177210903

# Symbol: l -> (n*, zeta, electrons of the free atom)
SHELLS = {
    "H": {0: (1, 1.0, 1)},
    "He": {0: (1, 2 - 0.30, 2)},
    "N": {0: (2, (7 - 4 * 0.35 - 2 * 0.85) / 2, 2), 1: (2, 3.9 / 2, 3)},
    "O": {0: (2, (8 - 5 * 0.35 - 2 * 0.85) / 2, 2), 1: (2, 4.55 / 2, 4)},
    "Ne": {0: (2, (10 - 7 * 0.35 - 2 * 0.85) / 2, 2), 1: (2, 5.85 / 2, 6)},
    "Na": {0: (3, (11 - 8 * 0.85 - 2) / 3, 1), 1: (3, 2.2 / 3, 0)},
    "Al": {0: (3, (13 - 2 * 0.35 - 8 * 0.85 - 2) / 3, 2), 1: (3, 3.5 / 3, 1), 2: (3, 3.5 / 3, 0)},
    "Cl": {0: (3, (17 - 6 * 0.35 - 8 * 0.85 - 2) / 3, 2), 1: (3, 6.1 / 3, 5), 2: (3, 6.1 / 3, 0)},
    "Ag": {
        0: (4, (47 - 18 * 0.85 - 28) / 4, 1),
        1: (4, 3.7 / 4, 0),
        2: (3.7, (47 - 9 * 0.35 - 36) / 3.7, 10),
    },
    "Cs": {0: (4.2, (55 - 8 * 0.85 - 46) / 4.2, 1), 1: (4.2, 2.2 / 4.2, 0), 2: (4, 2.2 / 4.2, 0)},
    "Th": {
        0: (4.3, (90 - 0.35 - 10 * 0.85 - 78) / 4.3, 2),
        1: (4.3, 3.15 / 4.3, 0),
        2: (4.2, (90 - 0.35 - 86) / 4.2, 2),
    },
}


def radial_density(n: float, zeta: float, r: float) -> float:
    norm = (2 * zeta) ** (2 * n + 1) / math.gamma(2 * n + 1)
    return norm * r ** (2 * n - 2) * math.exp(-2 * zeta * r)


def shell_potential(n: float, zeta: float):
    """Return a function of r: the potential of the shell, by the trapezoidal rule."""
    r = np.linspace(0, 45, 40_001)
    density = (2 * zeta) ** (2 * n + 1) / math.gamma(2 * n + 1) * r ** (2 * n - 2)
    density = density * np.exp(-2 * zeta * r)
    step = r[1]

    def up_to(values):
        return np.concatenate([[0], np.cumsum((values[1:] + values[:-1]) / 2) * step])

    inner = up_to(density * r**2)
    outer = up_to(density * r)
    potential = outer[-1] - outer
    potential[1:] += inner[1:] / r[1:]
    return lambda distance: float(np.interp(distance, r, potential))


def angular_weight(l: int, m: int, c: float) -> float:
    s = math.sqrt(max(1 - c * c, 0))
    return {
        (0, 0): 1,
        (1, 0): 3 * c**2,
        (1, 1): 3 / 2 * s**2,
        (2, 0): 5 / 4 * (3 * c**2 - 1) ** 2,
        (2, 1): 15 / 2 * c**2 * s**2,
        (2, 2): 15 / 8 * s**4,
        (3, 0): 7 / 4 * (5 * c**3 - 3 * c) ** 2,
        (3, 1): 21 / 16 * s**2 * (5 * c**2 - 1) ** 2,
        (3, 2): 105 / 8 * c**2 * s**4,
        (3, 3): 35 / 16 * s**6,
    }[l, abs(m)]


class Atom:
    def __init__(self, symbol: str, populations: np.ndarray, charge: float) -> None:
        self.shells = SHELLS[symbol]
        self.populations = [
            (l, m, float(populations[l * l + l + m]))
            for l in range(4)
            for m in range(-l, l + 1)
            if not math.isnan(populations[l * l + l + m])
        ]
        self.valence = sum(p for _, _, p in self.populations) + charge
        free = {l: electrons for l, (_, _, electrons) in self.shells.items()}
        if free.get(2) == 10 and sum(free.values()) > self.valence + 0.5:
            free[2] = 0
        self.free = {l: e * self.valence / sum(free.values()) for l, e in free.items()}
        self.shell_potentials = {l: shell_potential(n, z) for l, (n, z, _) in self.shells.items()}

    def at(self, dx: float, y: float) -> dict[str, float]:
        r = math.hypot(dx, y)
        radial = {l: radial_density(n, z, r) / 4 / math.pi for l, (n, z, _) in self.shells.items()}
        values = dict.fromkeys(("spherical", "total", "free", "potential"), 0.0)
        for l, m, population in self.populations:
            values["spherical"] += population * radial[l]
            values["total"] += population * radial[l] * angular_weight(l, m, dx / r)
            values["potential"] -= population * self.shell_potentials[l](r)
        values["free"] = sum(electrons * radial[l] for l, electrons in self.free.items())
        values["potential"] += self.valence / max(r, 0.3)
        return values


def pixel_means(atoms: list[Atom], bond_length: float) -> dict[str, np.ndarray]:
    """Return every density [row, column] of the whole frame."""
    half = bond_length / 2 / BOHR
    grid = [(-4 + (k + 0.5) * 8 / 64) / BOHR for k in range(64)]
    means: dict[str, np.ndarray] = {}
    for row, y in enumerate(grid):
        for column, x in enumerate(grid):
            for dx, atom in ((x + half, atoms[0]), (x - half, atoms[1])):
                for name, value in atom.at(dx, y).items():
                    image = means.setdefault(name, np.zeros((32, 32)))
                    image[row // 2, column // 2] += value / 4
    return means


def lg(value: float) -> float:
    return math.log10(1 + max(value, 0) / 1e-3) / 3


def sym(value: float, scale: float) -> float:
    return math.asinh(value / scale) / math.asinh(1 / scale)


def draw(
    symbols: tuple[str, str], bond_length: float, populations: np.ndarray, charges: np.ndarray
) -> np.ndarray:
    """Return the images of one pair whose heavier atom is the first one, float64 [10, 32, 32]."""
    atoms = [Atom(*each) for each in zip(symbols, populations, charges, strict=True)]
    means = pixel_means(atoms, bond_length)
    images = np.zeros((10, 32, 32))
    for row in range(32):
        for column in range(32):
            here = {name: image[row, column] for name, image in means.items()}
            images[0, row, column] = 2 * lg(here["spherical"])
            images[1, row, column] = 2 * sym(here["total"] - here["spherical"], 1e-2)
            images[5, row, column] = 2 * sym(here["potential"], 1e-2)
            images[8, row, column] = 2 * lg(here["total"] - here["free"])
            images[9, row, column] = 2 * lg(here["free"] - here["total"])
    line = [*populations[0][::-1], *populations[1]]
    matrix = overlap_matrix(symbols, bond_length / BOHR)
    for i, first in enumerate(line):
        for j, second in enumerate(line):
            if math.isnan(first) or math.isnan(second):
                continue
            v = max(first, 0), max(second, 0)
            h = max(2 - first, 0), max(2 - second, 0)
            images[2, i, j] = math.sqrt(v[0] * v[1]) * matrix[i, j]
            images[3, i, j] = math.sqrt(v[0] * h[1]) * matrix[i, j]
            images[4, i, j] = math.sqrt(h[0] * h[1]) * matrix[i, j]
            images[6, i, j] = math.sqrt(v[0] * v[1])
            images[7, i, j] = math.sqrt(v[0] * h[1])
    return images


def angular_sign(l: int, m: int, c: np.ndarray) -> np.ndarray:
    return np.sign(
        {
            (1, 0): c,
            (2, 0): 3 * c**2 - 1,
            (2, 1): c,
            (3, 0): 5 * c**3 - 3 * c,
            (3, 1): 5 * c**2 - 1,
            (3, 2): c,
        }.get((l, abs(m)), c * 0 + 1)
    )


def overlap_matrix(symbols: tuple[str, str], bond_length: float, step: float = 0.06) -> np.ndarray:
    """Return S of the 32 orbitals by the midpoint rule in cylindrical coordinates around the bond.

    Both axes point inwards. Orbitals that an element lacks are left out.
    """
    z, rho = np.meshgrid(np.arange(-30, 30, step), np.arange(step / 2, 25, step), indexing="ij")
    orbitals = []
    for symbol, side in zip(symbols, (-1, 1), strict=True):
        along = -side * (z - side * bond_length / 2)
        r = np.hypot(along, rho)
        c = along / r
        found = {}
        for l, (n, zeta, _) in SHELLS[symbol].items():
            norm = (2 * zeta) ** (2 * n + 1) / math.gamma(2 * n + 1) / 4 / math.pi
            radial = np.sqrt(norm) * r ** (n - 1) * np.exp(-zeta * r)
            for m in range(l + 1):
                weight = np.vectorize(angular_weight, otypes=[float])(
                    l, m, np.linspace(-1, 1, 2001)
                )
                size = np.sqrt(np.interp(c, np.linspace(-1, 1, 2001), weight))
                found[l, m] = radial * size * angular_sign(l, m, c)
        orbitals.append(found)
    matrix = np.eye(32)
    places = [(l, m) for l in range(4) for m in range(-l, l + 1)]
    for i, (l, m) in enumerate(places):
        for j, (other_l, other_m) in enumerate(places):
            if m == other_m and (l, abs(m)) in orbitals[0] and (other_l, abs(m)) in orbitals[1]:
                product = orbitals[0][l, abs(m)] * orbitals[1][other_l, abs(m)]
                value = float((product * rho).sum()) * 2 * math.pi * step**2
                matrix[15 - i, 16 + j] = matrix[16 + j, 15 - i] = value
    return matrix
