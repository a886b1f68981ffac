"""What the benchmark needs of an archive, behind two functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.archive_reader import read_columns
from twobody.pairs import bond_lengths

_Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """N pairs: names, elements, labels, and what models may see of the calculation.

    Attributes
    ----------
    path : Path
    names : str [N]
    elements : str [N, 2]
    atomic_numbers : int64 [N, 2]
    bond_lengths : float64 [N]
        [Å]
    rows : dict
        ``positions`` float64 [N, 2, 3] [Å]; ``populations``, ``charges`` float64 [N, 2] [e];
        ``orbital_populations`` float64 [N, 2, 16] [e], NaN where there is no such orbital.
    labels : dict of str to float64 [N]
        NaN where missing.
    """

    path: Path
    names: NDArray[np.str_]
    elements: NDArray[np.str_]
    atomic_numbers: NDArray[np.int64]
    bond_lengths: _Float
    rows: dict[str, _Float]
    labels: dict[str, _Float]

    def label(self, name: str) -> _Float:
        """Return the values of a label."""
        return self.labels[name]


def read(path: Path) -> Pairs:
    """Read the pairs of an archive."""
    if path.suffix == ".npz" and path.name == "pairs.npz":
        return _read_arrays(path)
    columns = read_columns(path)
    n = len(columns.pair_names)
    positions = columns.geometries[..., :3].astype(np.float64)
    return Pairs(
        path=path,
        names=columns.pair_names,
        elements=columns.elements,
        atomic_numbers=columns.atomic_numbers,
        bond_lengths=np.asarray(bond_lengths(positions)),
        rows={
            "positions": positions,
            "populations": columns.geometries[..., 3].astype(np.float64),
            "charges": np.full((n, 2), np.nan),  # not in this format
            "orbital_populations": np.full((n, 2, 16), np.nan),
        },
        labels=dict(zip(columns.label_names.tolist(), columns.label_values.T, strict=True)),
    )


def _read_arrays(path: Path) -> Pairs:
    with np.load(path) as file:
        names = ("positions", "populations", "charges", "orbital_populations")
        return Pairs(
            path=path,
            names=file["names"],
            elements=file["elements"],
            atomic_numbers=file["atomic_numbers"],
            bond_lengths=file["bond_length"],
            rows={name: file[name] for name in names},
            labels=dict(zip(file["label_names"].tolist(), file["label_values"].T, strict=True)),
        )


@cache  # 117 MB, for all tasks of a process
def images(pairs: Pairs, encoding: str) -> NDArray[np.float32]:
    """Return the images of all pairs in an encoding, float32 [N, C, 32, 32]."""
    if encoding != "published":
        raise ValueError(f"unknown encoding {encoding!r}")
    return read_columns(pairs.path).images[np.arange(len(pairs.names))]
