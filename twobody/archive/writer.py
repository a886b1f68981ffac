"""Write ``dataset_combined.npz`` as a stream, so that memory does not grow with the images."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import ContentDigest, npy_header
from twobody.archive.layout import MEMBERS
from twobody.archive.pickles import Plain, pickled_dicts
from twobody.archive.zipstream import Part, ZipStream
from twobody.encodings import published as images
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.labels import NUMERIC_LABELS, TEXT_LABELS
from twobody.raw_data.folders import METADATA_NAMES, PairTable, is_pair_name
from twobody.text import quote

# What every reader needs and hardly gets smaller: inflating it would take most of the opening.
_STORED = ("label_values", "metadata_values", "image_amplitudes")
_CHUNK = 1 << 20  # bytes of other arrays
_ROWS = 1024  # pairs whose dicts are made at a time


@dataclass(frozen=True, eq=False)
class Dataset:
    """All that an archive is made from.

    Attributes
    ----------
    pairs : PairTable
    label_values : float64 [N, 36]
    text_values : object [N, T]
    provenance : dict
        What JSON can hold.
    """

    pairs: PairTable
    label_values: NDArray[np.float64]
    text_values: NDArray[np.object_]
    provenance: Mapping[str, Any]


def write_archive(
    file: IO[bytes],
    dataset: Dataset,
    *,
    store: bool = False,
    jobs: int = 1,
    progress: Callable[[int], object] = int,
) -> str:
    """Write `dataset` to a binary file and return the content digest.

    The same dataset gives the same bytes, whatever `jobs` is.

    Parameters
    ----------
    file : binary file, open for writing, at its start
    store : bool
        Write members uncompressed and aligned to 64 bytes.
    jobs : int
        Threads that render and compress.
    progress : function
        Called with the number of pairs whose images were given to the threads since the last call.
    """
    digest = ContentDigest()
    with ZipStream(file, jobs=jobs, store=store) as stream:
        for name, array in _members(dataset, progress):
            _add(stream, name, array, digest, store=name in _STORED)
    return digest.hexdigest()


_Array = tuple[np.dtype[Any], tuple[int, ...], Iterable[Part]]


def _add(
    stream: ZipStream, name: str, array: _Array, digest: ContentDigest, *, store: bool = False
) -> None:
    """Write an array as a .npy file, taking it into the digest on the way."""
    dtype, shape, parts = array
    digest.begin(name, dtype, shape)
    header = npy_header(dtype, shape)
    stream.add(f"{name}.npy", header, parts, store=store, seen=digest.add)


def _members(dataset: Dataset, progress: Callable[[int], object]) -> Iterator[tuple[str, _Array]]:
    """Yield the members in the order of `MEMBERS`."""
    pairs = dataset.pairs
    n = len(pairs.names)
    basis = images.basis_images()
    arrays: dict[str, NDArray[Any]] = {
        "geometries": pairs.geometries,
        "elements": pairs.elements,
        "pair_names": pairs.names,
        "label_names": np.array([label.name for label in NUMERIC_LABELS]),
        "label_units": np.array([label.unit for label in NUMERIC_LABELS]),
        "label_values": dataset.label_values,
        "text_label_names": np.array([label.name for label in TEXT_LABELS]),
        "text_label_values": dataset.text_values.astype(np.str_),
        "metadata_values": pairs.metadata,
        "metadata_names": np.array(METADATA_NAMES),
        "channels": np.array(images.CHANNEL_NAMES),
        "image_amplitudes": pairs.amplitudes,
        "image_basis": basis,
        "provenance": np.array(json.dumps(dataset.provenance, sort_keys=True)),
    }
    streamed: dict[str, _Array] = {
        "images": (
            np.dtype("<f4"),
            (n, *basis.shape[:1], *basis.shape[2:]),
            _rendered(pairs.amplitudes, basis, progress),
        ),
        "labels": _pickled(label_dicts(dataset), (n,)),
        "metadata": _pickled(metadata_dicts(pairs), (n,)),
    }
    for name, (dtype, _) in MEMBERS.items():
        if name in streamed:
            yield name, streamed[name]
        else:
            array = arrays[name]
            yield name, _plain(array if dtype == "U" else array.astype(dtype, copy=False))


def _plain(array: NDArray[Any]) -> _Array:
    data = _bytes(array)
    parts = [partial(_piece, data, start) for start in range(0, len(data), _CHUNK)]
    return array.dtype, array.shape, parts


def _piece(data: memoryview, start: int) -> memoryview:
    return data[start : start + _CHUNK]


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _rendered(
    amplitudes: NDArray[np.float64], basis: images.Image, progress: Callable[[int], object]
) -> Iterator[Part]:
    for start in range(0, len(amplitudes), images.BLOCK):
        some = amplitudes[start : start + images.BLOCK]
        yield partial(_render, some, basis)
        progress(len(some))


def _render(amplitudes: NDArray[np.float64], basis: images.Image) -> memoryview:
    return _bytes(images.render(amplitudes, basis).astype("<f4", copy=False))


def _pickled(dicts: Iterable[dict[str, Plain]], shape: tuple[int, ...]) -> _Array:
    parts = (partial(bytes, data) for data in pickled_dicts(dicts, shape))
    return np.dtype(object), shape, parts


def label_dicts(dataset: Dataset) -> Iterator[dict[str, Plain]]:
    """Yield the labels of each pair as a dict; None where missing."""
    names = [label.name for label in (*NUMERIC_LABELS, *TEXT_LABELS)]
    texts = dataset.text_values
    for start in range(0, len(texts), _ROWS):
        rows = slice(start, start + _ROWS)
        numbers = _with_none(dataset.label_values[rows], np.isnan(dataset.label_values[rows]))
        # As an array of str they become strings of their own: pickles tell one from two equal ones.
        strings = _with_none(texts[rows].astype(np.str_), texts[rows] == "")
        for values in np.hstack([numbers, strings]).tolist():
            yield dict(zip(names, values, strict=True))


def metadata_dicts(pairs: PairTable) -> Iterator[dict[str, Plain]]:
    """Yield the metadata of each pair as a dict; None where missing."""
    for start in range(0, len(pairs.names), _ROWS):
        rows = slice(start, start + _ROWS)
        values = _with_none(pairs.metadata[rows], np.isnan(pairs.metadata[rows]))
        for name, row in zip(pairs.names[rows].tolist(), values.tolist(), strict=True):
            charge, fermi, energy, *dipole, n_atoms, length = row
            yield {
                "pair_name": name,
                "total_charge": charge,
                "fermi_level": fermi,
                "total_energy": energy,
                "dipole_moment": tuple(dipole),
                "num_atoms": None if n_atoms is None else int(n_atoms),
                "bond_length": length,
            }


def _with_none(values: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Return `values` as Python's objects, None where they are missing."""
    objects = values.astype(object)
    objects[missing] = None
    return objects


@contextmanager
def pair_files(folder: Path, dataset: Dataset) -> Iterator[None]:
    """Write one .npz file a pair, ``A_B.npz``; they take their places in `folder` at the end.

    Where what stands between ends in an error, nothing changes. Files of other pairs are removed.

    Keys: image float32 [10, 32, 32], geometry float32 [2, 4] (x, y, z [Å], population [e]),
    elements, pair_name, and the dicts labels and metadata (0-d object arrays).

    Raises
    ------
    ParseError
        As `check_pair_files`.
    """
    old = check_pair_files(folder)
    folder.mkdir(parents=True, exist_ok=True)
    new = [f"{name}.npz" for name in dataset.pairs.names.tolist()]
    with staging(folder) as staged:
        for name, members in zip(new, _pair_members(dataset), strict=True):
            with (staged / name).open("wb") as file, ZipStream(file, jobs=1, store=False) as stream:
                for key, array in members.items():
                    _add(stream, key, array, ContentDigest())
        yield
        publish([(staged / name, folder / name) for name in new], folder)
    for name in old.difference(new):
        (folder / name).unlink()


def check_pair_files(folder: Path) -> set[str]:
    """Return the names of the pair files in `folder`, which need not be there.

    Raises
    ------
    ParseError
        It holds something that is not a file of this kind, or is no folder.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise ParseError(folder, None, "a folder, or nothing", "something else")
    there = folder.iterdir() if folder.is_dir() else ()
    paths = [path for path in there if not path.name.startswith(".twobody-")]
    if foreign := sorted(path.name for path in paths if not _is_pair_file(path)):
        raise ParseError(folder, None, "a folder of pair files (A_B.npz) only", quote(foreign[0]))
    return {path.name for path in paths}


def _is_pair_file(path: Path) -> bool:
    return path.suffix == ".npz" and is_pair_name(path.stem) and path.is_file()


def _pair_members(dataset: Dataset) -> Iterator[dict[str, _Array]]:
    pairs, basis = dataset.pairs, images.basis_images()
    geometries = pairs.geometries
    dicts = zip(label_dicts(dataset), metadata_dicts(pairs), strict=True)
    for i, (labels, metadata) in enumerate(dicts):
        yield {
            "image": _plain(images.render(pairs.amplitudes[i : i + 1], basis)[0]),
            "geometry": _plain(geometries[i]),
            "elements": _plain(pairs.elements[i]),
            "labels": _pickled([labels], ()),
            "metadata": _pickled([metadata], ()),
            "pair_name": _plain(np.array(pairs.names[i])),
        }
