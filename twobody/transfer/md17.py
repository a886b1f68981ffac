"""Revised MD17: ten molecules along trajectories, with energies and forces (PBE/def2-SVP).

A. S. Christensen & O. A. von Lilienfeld, arXiv:2007.09593; data: doi:10.6084/m9.figshare.12672038.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.datasets import MD17

from twobody.errors import ParseError
from twobody.text import PathLike, parse_integer, quote, read_text, split_lines
from twobody.transfer.structures import Source, Structures

_REVISED = "revised "
MOLECULES: tuple[str, ...] = tuple(
    name.removeprefix(_REVISED) for name in MD17.file_names if name.startswith(_REVISED)
)
FOLDS = (1, 2, 3, 4, 5)

EV_PER_KCAL_PER_MOL = 4184 / (6.02214076e23 * 1.602176634e-19)
"""One kcal/mol in eV, from the exact constants of the SI: 0.0433641... (thermochemical calorie)."""

_VALIDATION_SHARE = 20  # of what may be trained on: the last 50 of 1,000
_KINDS = {"nuclear_charges": "iu", "coords": "f", "energies": "f", "forces": "f"}  # of dtypes
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError)


def md17(root: PathLike, molecule: str, fold: int = 1) -> Source:
    """Read the structures of one fold of a revised trajectory.

    The files lie where ``torch_geometric.datasets.MD17`` puts them, under ``root/raw/rmd17``; if
    there are none, that class is asked to download them. Only what the index files of the fold
    name is returned: neighbours on a trajectory are nearly the same structure, and the authors
    advise against training on more than 1,000 of them.

    Parameters
    ----------
    root : path
        An existing folder.
    molecule : str
        One of `MOLECULES`.
    fold : int
        One of the authors' five pairs of index files, 1 to 5.

    Returns
    -------
    Source
        Target ``energy_eV``, the total energy, and forces [eV/Å]. A structure's name is its row in
        the trajectory, counted from 0. What the index file for training names last, a twentieth of
        it, is for validation.

    Raises
    ------
    ParseError
        A file is missing and cannot be downloaded, or is not what it has to be.
    ValueError
        There is no such molecule or fold.
    """
    if molecule not in MOLECULES:
        raise ValueError(f"no molecule {molecule!r} in revised MD17; it has {', '.join(MOLECULES)}")
    if fold not in FOLDS:
        raise ValueError(f"no fold {fold} in revised MD17; it has {', '.join(map(str, FOLDS))}")
    path = _trajectory(Path(root), _REVISED + molecule)
    arrays = _read_arrays(path)
    parts = _read_indices(path.parents[1] / "splits", fold, len(arrays["energies"]))
    rows = np.concatenate(parts)
    for name in ("coords", "energies", "forces"):
        arrays[name] = arrays[name][rows].astype(np.float64)
        finite = np.isfinite(arrays[name]).reshape(len(rows), -1).all(axis=1)
        if not finite.all():
            found = f"others in that of index {rows[~finite][0]}"
            raise ParseError(path, None, f"finite numbers in every structure's {name!r}", found)
    numbers = arrays["nuclear_charges"].astype(np.int64)
    structures = Structures(
        names=rows.astype(np.str_),
        offsets=np.arange(len(rows) + 1) * len(numbers),
        atomic_numbers=np.tile(numbers, len(rows)),
        positions=arrays["coords"].reshape(-1, 3),
        targets={"energy_eV": arrays["energies"] * EV_PER_KCAL_PER_MOL},
        forces=arrays["forces"].reshape(-1, 3) * EV_PER_KCAL_PER_MOL,
    )
    n_test = len(parts[1])
    n_train = len(parts[0]) - -(-len(parts[0]) // _VALIDATION_SHARE)
    train, validation, test = np.split(np.arange(len(rows)), [n_train, len(rows) - n_test])
    name = f"md17-{molecule.replace(' ', '-')}-{fold}"
    return Source(name, structures, frozenset(structures.targets), train, validation, test)


def _trajectory(root: Path, name: str) -> Path:
    """Return the path of a trajectory's file, downloaded if it has to be."""
    if not root.is_dir():
        raise ParseError(root, None, "a folder", "none")
    raw = root / "raw"
    path = raw / "rmd17" / "npz_data" / str(MD17.file_names[name])
    if not path.exists():
        try:
            MD17(os.fspath(root), name)
        except Exception as error:  # whatever a network, a disk or an archive does
            reason = f"none, nor could it be downloaded: {type(error).__name__}: {error}"
            raise _missing(path, reason) from error
        finally:
            # Its archive until that is unpacked. It takes what an interruption leaves of it for
            # the whole the next time.
            with suppress(OSError):
                (raw / "file").unlink()
    return path


def _missing(path: Path, found: str) -> ParseError:
    origin = "rmd17.tar.bz2 (doi:10.6084/m9.figshare.12672038)"
    return ParseError(path, None, f"a file of {origin}, unpacked in {path.parents[2]}", found)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read a trajectory [Å, kcal/mol] in full precision.

    `MD17` itself rounds total energies to float32: steps of 0.3 meV for ethanol, 1.4 meV for
    aspirin, which is what good models err by.
    """
    if not zipfile.is_zipfile(path):
        raise ParseError(path, None, "a whole .npz file", "another, or a part of one")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _KINDS if name in file}
    except _DAMAGE as error:
        raise ParseError(path, None, "an undamaged .npz file", quote(str(error))) from error
    if absent := [name for name in _KINDS if name not in arrays]:
        raise ParseError(path, None, f"an array {absent[0]!r}", "none")
    n, n_atoms = arrays["energies"].size, arrays["nuclear_charges"].size
    shapes = ((n_atoms,), (n, n_atoms, 3), (n,), (n, n_atoms, 3))
    for (name, kinds), shape in zip(_KINDS.items(), shapes, strict=True):
        array = arrays[name]
        if array.shape != shape or array.dtype.kind not in kinds or not array.size:
            expected = (
                f"{'integers' if kinds == 'iu' else 'real numbers'} {list(shape)} in {name!r}"
            )
            raise ParseError(path, None, expected, f"{array.dtype} {list(array.shape)}")
    numbers = arrays["nuclear_charges"]
    if wrong := [z for z in numbers.tolist() if not 1 <= z <= 118]:
        raise ParseError(path, None, "atomic numbers in 'nuclear_charges'", f"{wrong[0]}")
    return arrays


def _read_indices(folder: Path, fold: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read the rows, below `n`, for training and for the test; no row is named twice."""
    parts = []
    places: dict[int, str] = {}
    for part in ("train", "test"):
        path = folder / f"index_{part}_{fold:02d}.csv"
        if not path.exists():
            raise _missing(path, "none")
        lines = split_lines(read_text(path))
        if not lines[-1]:  # what follows the last line end
            lines.pop()
        rows = [parse_integer(line, path, i, "an index") for i, line in enumerate(lines, start=1)]
        if len(rows) < 2:
            raise ParseError(path, None, "two indices or more", f"{len(rows)}")
        for i, row in enumerate(rows, start=1):
            if not 0 <= row < n:
                raise ParseError(path, i, f"an index from 0 to {n - 1}", f"{row}")
            if row in places:
                raise ParseError(path, i, "an index of its own", f"{row}, as in {places[row]}")
            places[row] = f"{path.name}:{i}"
        parts.append(np.array(rows, np.int64))
    return parts[0], parts[1]
