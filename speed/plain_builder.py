"""The same dataset built the plain way: the yardstick of ``bench_build``.

One object per orbital, read by regular expressions; one Gaussian after the other, stamped pair by
pair with NumPy; everything stacked and handed to ``np.savez_compressed``; pandas for the CSV files.
Nothing is slowed down and nothing is checked. Images and labels are those of the real build.

    python -m speed.plain_builder RAW_DATA FOLDER
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_NUMBER = r"(-?\d+\.\d+)"
_ENERGIES = {
    "fermi_level": re.compile(rf"Fermi level: +{_NUMBER} H"),
    "total_energy": re.compile(rf"Total energy: +{_NUMBER} H"),
}
_TOTAL_CHARGE = re.compile(rf"Total charge: +{_NUMBER}")
_DIPOLE = re.compile(rf"Dipole moment: +{_NUMBER} +{_NUMBER} +{_NUMBER} au")
_SECTION = r"{}\n.*\n((?:.+\n)+)"
_CHARGES = re.compile(_SECTION.format(r"Atomic gross charges \(e\)"))
_POPULATIONS = re.compile(_SECTION.format(r"Atom populations \(up\)"))
_ORBITALS = re.compile(_SECTION.format(r"Orbital populations \(up\)"))
_ATOM_ROW = re.compile(rf" +\d+ +{_NUMBER}")
_ORBITAL_ROW = re.compile(rf" +(\d+) +\d+ +(\d+) +(-?\d+) +{_NUMBER}")
_GEOMETRY_ROW = re.compile(rf" *([A-Z][a-z]?) +{_NUMBER} +{_NUMBER} +{_NUMBER} +{_NUMBER}")

_SIZE = 32
_COLUMNS = (11, 21)  # where the two atoms stand
_Y, _X = np.mgrid[0:_SIZE, 0:_SIZE]
_AXIS = np.linspace(-1, 1, _SIZE)
_R = np.hypot(*np.meshgrid(_AXIS, _AXIS))
_THETA = np.arctan2(*np.meshgrid(_AXIS, _AXIS)[::-1])
_RHO = _R + 1e-6


@dataclass
class Orbital:
    """One atomic orbital and its population [e]."""

    atom: int
    l: int
    m: int
    population: float


@dataclass
class Pair:
    """What the two files of a pair say."""

    name: str
    symbols: list[str]
    positions: NDArray[np.float64]
    geometry_populations: list[float]
    charges: list[float]
    populations: list[float]
    orbitals: list[Orbital]
    dipole: tuple[float, float, float]
    total_charge: float
    fermi_level: float
    total_energy: float


def build(raw_data: Path, folder: Path) -> None:
    """Build the archive and the CSV files of `raw_data` in `folder`."""
    pairs = read_pairs(raw_data)
    labels = read_labels(raw_data)
    images = np.stack([render(pair) for pair in pairs])
    np.savez_compressed(
        folder / "dataset_combined.npz",
        images=images,
        geometries=np.array([geometry(pair) for pair in pairs], dtype=np.float32),
        elements=np.array([pair.symbols for pair in pairs]),
        pair_names=np.array([pair.name for pair in pairs]),
        labels=np.array(label_dicts(labels), dtype=object),
        metadata=np.array([metadata(pair) for pair in pairs], dtype=object),
    )
    write_csv_files(folder, labels, pairs)


def read_pairs(raw_data: Path) -> list[Pair]:
    """Read every pair folder, sorted by name."""
    return [read_pair(folder) for folder in sorted(raw_data.iterdir()) if folder.is_dir()]


def read_pair(folder: Path) -> Pair:
    """Read the two files of a pair."""
    text = (folder / "detailed.out").read_text(encoding="utf-8")
    rows = _GEOMETRY_ROW.findall((folder / "geo_end.xyz").read_text(encoding="utf-8"))
    x, y, z = map(float, _group(_DIPOLE, text).groups())
    energies = {name: float(_group(pattern, text)[1]) for name, pattern in _ENERGIES.items()}
    return Pair(
        name=folder.name,
        symbols=[row[0] for row in rows],
        positions=np.array([[float(number) for number in row[1:4]] for row in rows]),
        geometry_populations=[float(row[4]) for row in rows],
        charges=[float(q) for q in _ATOM_ROW.findall(_group(_CHARGES, text)[1])],
        populations=[float(p) for p in _ATOM_ROW.findall(_group(_POPULATIONS, text)[1])],
        orbitals=[
            Orbital(int(atom) - 1, int(l), int(m), float(population))
            for atom, l, m, population in _ORBITAL_ROW.findall(_group(_ORBITALS, text)[1])
        ],
        dipole=(x, y, z),
        total_charge=float(_group(_TOTAL_CHARGE, text)[1]),
        **energies,
    )


def _group(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise ValueError(f"no {pattern.pattern!r} in the text")
    return match


def read_labels(raw_data: Path) -> pd.DataFrame:
    """Read and merge the two CSV files: pair_name and the labels, sorted by name."""
    labels = _read_csv(raw_data / "dftb_ptbp_combined.csv")
    bonds = _read_csv(raw_data / "bond_distances_all.csv")
    merged = labels.merge(bonds[["pair_name", "distance_ang"]], on="pair_name")
    return merged.sort_values("pair_name", ignore_index=True)


def _read_csv(path: Path) -> pd.DataFrame:
    # Na is sodium, not a missing value.
    table = pd.read_csv(path, keep_default_na=False, na_values=[""]).rename(columns=str.lower)
    table["pair_name"] = table.pop("run_dir").str.split("/").str[-1]
    return table


def render(pair: Pair) -> NDArray[np.float32]:
    """Make the ten images of a pair, float32 [10, 32, 32]."""
    image = np.zeros((10, _SIZE, _SIZE))
    for atom, column in enumerate(_COLUMNS):
        orbitals = [orbital for orbital in pair.orbitals if orbital.atom == atom]
        charge = pair.charges[atom]
        image[0] += gaussian(column, 3) * sum(o.population * (o.l + 1) / 3 for o in orbitals)
        image[1] += gaussian(column, 3) * abs(sum(o.m * o.population for o in orbitals))
        image[6] += gaussian(column, 4) * 10 * abs(charge)
        image[7] += gaussian(column, 4) * pair.populations[atom]
        image[8 if charge > 0 else 9] += gaussian(column, 3.5) * 10 * abs(charge)
    population_sp = sum(o.population for o in pair.orbitals if o.l <= 1)
    population_df = sum(o.population for o in pair.orbitals if o.l >= 2)
    dipole = np.linalg.norm(pair.dipole)
    difference = abs(pair.charges[0] - pair.charges[1])
    image[2] = np.exp(-(_R**2) / 0.3) * population_sp
    image[3] = np.exp(-(_R**2) / 0.5) * (1 + np.cos(4 * _THETA)) * population_df
    image[4] = _RHO * np.exp(-(_RHO**2) / 0.4) * dipole
    image[5] = (3 * np.cos(_THETA) ** 2 - 1) * np.exp(-(_RHO**2) / 0.4) * difference
    return image.astype(np.float32)


def gaussian(column: int, sigma: float) -> NDArray[np.float64]:
    """Stamp a Gaussian on the atom in `column`."""
    squared = (_X - column) ** 2 + (_Y - _SIZE / 2) ** 2
    stamp: NDArray[np.float64] = np.exp(-squared / (2 * sigma**2))
    return stamp


def geometry(pair: Pair) -> list[list[float]]:
    """Return x, y, z [Å] and population of each atom."""
    return [
        [*position, population]
        for position, population in zip(pair.positions, pair.geometry_populations, strict=True)
    ]


def bond_length(pair: Pair) -> float:
    """Return the distance of the atoms [Å]."""
    return float(np.linalg.norm(pair.positions[1] - pair.positions[0]))


def label_dicts(labels: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the labels of each pair; None where missing."""
    rows = labels.drop(columns="pair_name").to_dict("records")
    return [{str(k): None if pd.isna(v) else v for k, v in row.items()} for row in rows]


def metadata(pair: Pair) -> dict[str, Any]:
    """Return what is not a label."""
    return {
        "pair_name": pair.name,
        "total_charge": pair.total_charge,
        "fermi_level": pair.fermi_level,
        "total_energy": pair.total_energy,
        "dipole_moment": pair.dipole,
        "num_atoms": len(pair.symbols),
        "bond_length": bond_length(pair),
    }


def write_csv_files(folder: Path, labels: pd.DataFrame, pairs: list[Pair]) -> None:
    """Write labels and geometries."""
    labels.to_csv(folder / "all_labels.csv", index=False)
    rows = [
        [pair.name, *pair.symbols, *np.ravel(geometry(pair)), bond_length(pair)] for pair in pairs
    ]
    atom_columns = [f"{name}{atom}" for atom in (1, 2) for name in ("x", "y", "z", "population_")]
    columns = ["pair_name", "element_1", "element_2", *atom_columns, "bond_length_ang"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "geometry_data.csv", index=False)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
