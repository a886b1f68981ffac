"""Raw files of revised MD17, as its archive holds them, with values made up here."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest

unpacked_by_torch_geometric = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"),
    reason="torch_geometric unpacks with tarfile's filter for data, which Python 3.11.4 brought",
)

ENERGIES = [-97195.90123, -97190.5, -97188.25, -97201.75, -97199.125, -97180.0]
"""Total energies [kcal/mol] of six structures, as large as those of ethanol."""


def arrays(n=6, n_atoms=3):
    """Water in the place of ethanol: structure i has its oxygen at x = i."""
    coords = np.zeros((n, n_atoms, 3))
    coords[:, :, 0] = np.arange(n)[:, None]
    coords[:, 1:, 1] = [0.96, -0.24]
    coords[:, 2, 2] = 0.93
    forces = np.arange(n * n_atoms * 3, dtype=float).reshape(n, n_atoms, 3)
    return {
        "nuclear_charges": np.array([8, 1, 1], np.uint8),
        "coords": coords,
        "energies": np.array(ENERGIES[:n]),
        "forces": forces,
        "old_indices": np.arange(n) * 5,
        "old_energies": np.array(ENERGIES[:n]) + 1,
        "old_forces": forces + 1,
    }


def write(root, *, train="4\n0\n3\n", test="5\n1\n", fold=1, molecule="ethanol", **changed):
    """Write the files of a molecule and a fold; return the path of the trajectory."""
    folder = root / "raw" / "rmd17"
    path = folder / "npz_data" / f"rmd17_{molecule}.npz"
    for subfolder in (path.parent, folder / "splits"):
        subfolder.mkdir(parents=True, exist_ok=True)
    members = arrays() | changed
    np.savez_compressed(path, **{k: v for k, v in members.items() if v is not None})
    for part, text in (("train", train), ("test", test)):
        if text is not None:
            index = folder / "splits" / f"index_{part}_{fold:02d}.csv"
            index.write_text(text, encoding="utf-8")
    return path
