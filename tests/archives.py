"""Archives to change: read as plain arrays, written back by NumPy."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

import build_dataset
from twobody.archive.layout import PAIR_NUMBERS

Members = dict[str, Any]


def build(raw_data: Path, path: Path, *options: str) -> Path:
    """Build the archive `path`, and analysis/ beside it."""
    result = CliRunner().invoke(build_dataset.main, [str(raw_data), str(path), *options])
    assert result.exit_code == 0, result.output
    return path


def members(path: Path) -> Members:
    """Read every member, the dicts too: the file is one that the tests have just built."""
    with np.load(path, allow_pickle=True) as file:
        return {name: file[name] for name in file.files}


def column(members: Members, label: str) -> Any:
    """Return the values of a label, as a view that may be changed."""
    return members["label_values"][:, members["label_names"].tolist().index(label)]


def metadata(members: Members, name: str) -> Any:
    """Return a column of the metadata, as a view that may be changed."""
    return members["metadata_values"][:, members["metadata_names"].tolist().index(name)]


def row(members: Members, pair: str) -> int:
    return members["pair_names"].tolist().index(pair)


def images(members: Members) -> Any:
    """Render the images by the definition: two products, their sum in float64, one rounding."""
    first, second = members["image_amplitudes"].transpose(2, 0, 1)[..., None, None]
    basis = members["image_basis"].astype(np.float64)
    return (first * basis[:, 0] + second * basis[:, 1]).astype(np.float32)


def dicts(members: Members) -> tuple[Any, Any]:
    """Make the dicts of labels and metadata say what the columns say."""

    def plain(values):
        return [None if math.isnan(value) else value for value in values.tolist()]

    n = len(members["pair_names"])
    labels, metadata = np.empty(n, object), np.empty(n, object)
    names = [*members["label_names"].tolist(), *members["text_label_names"].tolist()]
    for i in range(n):
        texts = [text or None for text in members["text_label_values"][i].tolist()]
        values = [*plain(members["label_values"][i]), *texts]
        labels[i] = dict(zip(names, values, strict=True))
        charge, fermi, energy, *dipole, n_atoms, length = plain(members["metadata_values"][i])
        metadata[i] = {
            "pair_name": str(members["pair_names"][i]),
            "total_charge": charge,
            "fermi_level": fermi,
            "total_energy": energy,
            "dipole_moment": tuple(dipole),
            "num_atoms": int(n_atoms),
            "bond_length": length,
        }
    return labels, metadata


def format_1(members: Members) -> Members:
    """Leave out what format version 2 has added."""
    provenance = json.loads(str(members["provenance"])) | {"format_version": 1}
    kept = {name: values for name, values in members.items() if name not in PAIR_NUMBERS}
    return kept | {"provenance": np.array(json.dumps(provenance))}


def write(path: Path, members: Members) -> Path:
    np.savez(path, **members)
    return path


def write_original(path: Path, members: Members) -> Path:
    """Write what the original project wrote: six members, texts and dicts as pickled objects."""
    names = ("images", "geometries", "elements", "pair_names", "labels", "metadata")
    return write(path, {name: members[name] for name in names})
