"""CrysMTM: clusters of titanium dioxide at 21 temperatures, each turned many ways (DFTB).

C. Polat, E. Serpedin, M. Kurban & H. Kurban; data: doi:10.6084/m9.figshare.29497604.
"""

from __future__ import annotations

import csv
import io
import re
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import ParseError
from twobody.text import PathLike, parse_integer, parse_number, quote, read_text, split_lines
from twobody.transfer.structures import Source, Structures

PHASES = ("anatase", "brookite", "rutile")

TEMPERATURES: dict[str, tuple[int, ...]] = {
    "train": (150, 200, 350, 400, 500, 550, 700, 850),
    "validation": (300, 600),
    "id": (250, 450, 650, 750, 800),
    "ood": (0, 50, 100, 900, 950, 1000),
}
"""Temperatures [K] of each part. ``id`` (between those of training) and ``ood`` (beyond them) are
tested on, as the authors do. They train on 0, 50 and 100 K as well, which are in their ``ood``;
here they are tested on only. The validation part is ours: theirs is of turned copies of structures
that are trained on."""

TARGETS = {
    "HOMO": "E_HOMO_eV",
    "LUMO": "E_LUMO_eV",
    "Eg": "E_g_eV",
    "Ef": "fermi_level_eV",
    "Et": "total_energy_eV",
    "Eta": "total_energy_per_atom_eV",
    "disp": "max_displacement_Ang",
    "vol": "volume_expansion_Ang3",
    "bond": "Ti_O_bond_change_Ang",
}
"""Our name of each parameter of ``labels.csv``, with its unit."""

_COLUMNS = ("Polymorph", "Temperature", "Parameter", "Value")
_Cluster = tuple[NDArray[np.int64], NDArray[np.float64]]  # atomic numbers, positions [Å]
_ROTATION = re.compile(r"rot_(0|[1-9][0-9]{0,8})\.xyz")


def crysmtm(root: PathLike, test: str = "id", rotations: int = 1) -> Source:
    """Read the structures that one of the two tests by temperature needs.

    Parameters
    ----------
    root : path
        The folder of ``labels.csv`` and of the folders ``anatase``, ``brookite`` and ``rutile``.
    test : str
        ``id`` or ``ood``; see `TEMPERATURES`.
    rotations : int
        How many orientations of a structure to read at most, those of the lowest numbers. All have
        the same labels, and to a model that is blind to rotation they are the same.

    Returns
    -------
    Source
        Targets as in `TARGETS`, NaN where the value is empty. A structure's name is
        ``PHASE/TEMPERATUREK/rot_NUMBER``; all of one phase and temperature are in one part.

    Raises
    ------
    ParseError
        A folder, a file or a label is missing, or is not what it has to be.
    ValueError
        There is no such test, or no rotation is asked for.
    """
    if test not in ("id", "ood"):
        raise ValueError(f"no test {test!r} in CrysMTM; it has id, ood")
    if rotations < 1:
        raise ValueError(f"{rotations} rotations of a structure; at least 1 is needed")
    root = Path(root)
    labels = _read_labels(root / "labels.csv")
    names: list[str] = []
    clusters: list[_Cluster] = []
    values: list[list[float]] = []
    parts: dict[str, list[int]] = {"train": [], "validation": [], test: []}
    for part, rows in parts.items():
        for phase, temperature in product(PHASES, TEMPERATURES[part]):
            row = labels.get((phase, temperature), {})
            if absent := [name for name in TARGETS if name not in row]:
                expected = f"a row {phase},{temperature}K,{absent[0]}"
                raise ParseError(root / "labels.csv", None, expected, "none")
            folder = root / phase / f"{temperature}K" / "xyz"
            for path in _rotations(folder)[:rotations]:
                rows.append(len(names))
                names.append(f"{phase}/{temperature}K/{path.stem}")
                clusters.append(_read_xyz(path))
                values.append([row[name] for name in TARGETS])
    structures = Structures(
        names=np.array(names),
        offsets=np.cumsum([0, *(len(numbers) for numbers, _ in clusters)]),
        atomic_numbers=np.concatenate([numbers for numbers, _ in clusters]),
        positions=np.concatenate([positions for _, positions in clusters]),
        targets=dict(zip(TARGETS.values(), np.array(values).T.copy(), strict=True)),
    )
    train, validation, tested = (np.array(rows) for rows in parts.values())
    extensive = frozenset({"total_energy_eV"})
    return Source(f"crysmtm-{test}", structures, extensive, train, validation, tested)


def _read_labels(path: Path) -> dict[tuple[str, int], dict[str, float]]:
    """Read the parameters by phase and temperature [K]; others than those of `TARGETS` are left."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    labels: dict[tuple[str, int], dict[str, float]] = {}
    try:
        header = reader.fieldnames or ()
        if absent := [column for column in _COLUMNS if column not in header]:
            expected = f"columns {', '.join(_COLUMNS)}"
            raise ParseError(path, 1, expected, f"no {', '.join(absent)}")
        for record in reader:
            line = reader.line_num
            if None in record or None in record.values():
                raise ParseError(path, line, f"{len(header)} cells", "more or fewer")
            phase, kelvin, name, value = (record[column].strip() for column in _COLUMNS)
            if phase.lower() not in PHASES:
                raise ParseError(path, line, f"one of {', '.join(PHASES)}", quote(phase))
            temperature = parse_integer(kelvin.removesuffix("K"), path, line, "a temperature in K")
            if name in TARGETS:
                row = labels.setdefault((phase.lower(), temperature), {})
                if name in row:
                    expected = f"one {name} of {phase} at {temperature} K"
                    raise ParseError(path, line, expected, "a second")
                row[name] = parse_number(value, path, line, name) if value else np.nan
    except csv.Error as error:
        line = reader.reader.line_num  # the other is still that of the row before
        raise ParseError(path, line, "a table in CSV", quote(str(error))) from error
    return labels


def _rotations(folder: Path) -> list[Path]:
    """Return the files rot_NUMBER.xyz of a folder, in the order of their numbers."""
    if not folder.is_dir():
        raise ParseError(folder, None, "a folder of rot_NUMBER.xyz", "none")
    matches = {path: _ROTATION.fullmatch(path.name) for path in folder.iterdir()}
    numbers = {path: int(match[1]) for path, match in matches.items() if match}
    if not numbers:
        raise ParseError(folder, None, "a file rot_NUMBER.xyz", "none")
    return sorted(numbers, key=numbers.__getitem__)


def _read_xyz(path: Path) -> _Cluster:
    """Read a cluster of titanium and oxygen."""
    lines = split_lines(read_text(path))
    n_atoms = parse_integer(lines[0].strip(), path, 1, "the number of atoms")
    rows = lines[2:]
    while rows and not rows[-1]:
        rows.pop()
    if n_atoms < 1 or len(rows) != n_atoms:
        raise ParseError(path, 1, f"{len(rows)}, the number of rows of atoms", f"{n_atoms}")
    numbers, positions = [], []
    for line, row in enumerate(rows, start=3):
        symbol, *coordinates = row.split() or [""]
        if symbol not in ("Ti", "O") or len(coordinates) != 3:
            raise ParseError(path, line, "Ti or O and three coordinates", quote(row))
        numbers.append(ATOMIC_NUMBERS[symbol])
        positions.append([parse_number(x, path, line, "a coordinate") for x in coordinates])
    return np.array(numbers), np.array(positions)
