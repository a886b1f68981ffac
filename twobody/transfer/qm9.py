"""QM9: 130,831 molecules of H, C, N, O and F, B3LYP/6-31G(2df,p).

R. Ramakrishnan, P. O. Dral, M. Rupp & O. A. von Lilienfeld, Sci. Data 1, 140022 (2014),
doi:10.1038/sdata.2014.22. Read from the files of the installed package qm9pack, which is not
imported, or through torch_geometric, which downloads them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import ParseError
from twobody.text import PathLike, quote
from twobody.transfer import QM9, data_folder
from twobody.transfer.structures import Source, Structures

HARTREE = 27.211386245988
"""eV, CODATA 2018."""
ATOMS = {"H": -0.500273, "C": -37.846772, "N": -54.583861, "O": -75.064579, "F": -99.718730}
"""U0 of the free atoms [Ha], from the file ``atomref.txt`` of the data."""
TARGETS = tuple(chain.from_iterable(QM9.values()))

N_TEST, N_VALIDATION = 5000, 1000

_FILES = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
_NUMBERS = ("HOMO_au", "LUMO_au", "HOMO_LUMO_gap_au", "InternalEnergy_0K_au")
_COLUMNS = ("Index", "N_atoms", "Elements", "XYZ_Ang", *_NUMBERS)


def qm9(data: str, n_train: int, root: PathLike | None = None) -> Source:
    """Read QM9 and part it: test and validation are the same for every number of molecules.

    Molecules stand in the order of the SHA-256 of their names: first those of the test, then those
    of validation, then those of training, of which a smaller number is the beginning of a larger.

    Parameters
    ----------
    data : str
        One of `twobody.transfer.QM9`: which targets.
    n_train : int
    root : path, optional
        The folder of `torch_geometric.datasets.QM9`; without it, qm9pack is read.

    Raises
    ------
    ParseError
        A file is missing or not what it has to be, or holds too few molecules.
    """
    everything = read_qm9pack(installed_folder()) if root is None else read_pyg(root)
    n = N_TEST + N_VALIDATION + n_train
    if n > len(everything):
        expected = f"{n} molecules, {N_TEST} and {N_VALIDATION} of them for test and validation"
        raise ParseError("QM9", None, expected, str(len(everything)))
    keys = [hashlib.sha256(name.encode()).digest() for name in everything.names.tolist()]
    rows = np.array(sorted(range(len(keys)), key=keys.__getitem__))[:n]
    test, validation, train = np.split(np.arange(n), [N_TEST, N_TEST + N_VALIDATION])
    structures = everything.take(rows)
    wanted = {name: structures.targets[name] for name in QM9[data]}
    extensive = frozenset(wanted) & {"U0_atomisation_eV"}
    return Source(data, replace(structures, targets=wanted), extensive, train, validation, test)


def installed_folder() -> Path:
    """Return the folder of qm9pack's data, without importing it.

    Raises
    ------
    ParseError
        It is not installed.
    """
    folder = data_folder("qm9pack")
    if folder is None:
        expected = "the package qm9pack (python -m pip install qm9pack), or a folder of PyG's QM9"
        raise ParseError("QM9", None, expected, "no such package")
    return folder


def read_qm9pack(folder: PathLike) -> Structures:
    """Read the molecules of qm9pack: names ``gdb_1`` ..., positions in Å, targets in eV.

    Raises
    ------
    ParseError
        A file is missing, or a line is not that of a molecule.
    """
    parts = [_part(Path(folder) / name) for name in _FILES]
    sizes, numbers, positions, values, names = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    known, counts = np.unique(names, return_counts=True)
    if twice := known[counts > 1].tolist()[:1]:
        raise ParseError(folder, None, "each molecule once", f"{twice[0]} twice")
    homo, lumo, gap, u0 = values.T * HARTREE
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    targets = dict(zip(TARGETS, (gap, homo, lumo, u0 - _of_atoms(numbers, offsets)), strict=True))
    return Structures(names, offsets, numbers, positions, targets)


def read_pyg(root: PathLike) -> Structures:
    """Read the molecules of `torch_geometric.datasets.QM9`, which are downloaded where missing.

    Its positions have four digits, those of qm9pack ten.

    Raises
    ------
    ParseError
        There is no such folder, or they are not in it and cannot be downloaded.
    """
    if not Path(root).is_dir():
        raise ParseError(root, None, "a folder", "none")
    from torch_geometric.datasets import QM9  # noqa: PLC0415 - torch is loaded for this alone

    try:
        dataset = QM9(str(root))
    except (OSError, RuntimeError, ValueError) as error:
        raise ParseError(
            root, None, "QM9 of torch_geometric", " ".join(str(error).split())
        ) from error
    data, slices = dataset._data, dataset.slices  # noqa: SLF001 - a loop over 130,831 takes a minute
    y = data.y.double().numpy()
    offsets, numbers = slices["z"].numpy(), data.z.numpy()
    columns = (y[:, 4], y[:, 2], y[:, 3], y[:, 12])  # 12: U0 less that of the atoms
    targets = dict(zip(TARGETS, columns, strict=True))
    return Structures(np.array(data.name), offsets, numbers, data.pos.double().numpy(), targets)


def _of_atoms(numbers: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum the energies of the free atoms of each molecule [eV]."""
    table = np.full(max(ATOMIC_NUMBERS.values()) + 1, np.nan)
    for symbol, energy in ATOMS.items():
        table[ATOMIC_NUMBERS[symbol]] = energy * HARTREE
    return np.add.reduceat(table[numbers], offsets[:-1])


def _part(path: Path) -> tuple[NDArray[np.generic], ...]:
    """Return sizes, atomic numbers, positions, values [Ha] and names of one file."""
    try:
        frame = pd.read_csv(path, usecols=list(_COLUMNS))
    except FileNotFoundError as error:
        raise ParseError(path, None, "a file of qm9pack", "none") from error
    except (OSError, ValueError) as error:  # pandas' errors of parsing are ValueErrors
        raise ParseError(
            path, None, "the columns of qm9pack", " ".join(str(error).split())
        ) from error
    rows = zip(frame["Elements"], frame["XYZ_Ang"], frame["N_atoms"], strict=True)
    atoms = [_atoms(path, line, *row) for line, row in enumerate(rows, start=2)]
    values = frame[list(_NUMBERS)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    if (bad := ~np.isfinite(values)).any():
        row, column = np.argwhere(bad)[0]
        found = quote(str(frame[_NUMBERS[column]].iloc[row]))
        raise ParseError(path, int(row) + 2, f"a number as {_NUMBERS[column]}", found)
    numbers, positions = zip(*atoms, strict=True)
    names = np.array([f"gdb_{index}" for index in frame["Index"]])
    return (
        np.array([len(z) for z in numbers]),
        np.concatenate(numbers),
        np.concatenate(positions),
        values,
        names,
    )


def _atoms(
    path: Path, line: int, elements: str, positions: str, n: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the atoms of one molecule, written as lists of Python."""
    try:
        symbols = json.loads(elements.replace("'", '"'))
        numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols])
        xyz = np.fromstring(positions.replace("[", "").replace("]", ""), sep=",").reshape(-1, 3)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ParseError(path, line, "elements and positions of atoms", str(error)) from error
    if not len(numbers) == len(xyz) == n or not np.isfinite(xyz).all():
        raise ParseError(path, line, f"{n} atoms", f"{len(numbers)} elements, {len(xyz)} positions")
    if not set(numbers.tolist()) <= {ATOMIC_NUMBERS[symbol] for symbol in ATOMS}:
        raise ParseError(path, line, f"the elements {', '.join(ATOMS)}", quote(elements))
    return numbers, xyz
