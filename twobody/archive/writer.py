"""Write ``dataset_combined.npz`` as a stream, so that memory does not grow with the images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import digest_entry, npy_header
from twobody.archive.layout import COLUMNS, PAIR_NUMBERS, members
from twobody.archive.pickles import Plain, pickled_dicts
from twobody.archive.zipstream import Part, ZipStream
from twobody.encodings import get_encoding
from twobody.pairs import METADATA_NAMES, Images, Pairs

# What every reader needs and hardly gets smaller: inflating it would take most of the opening.
_STORED = ("label_values", "metadata_values", "image_amplitudes")
_CHUNK = 1 << 20  # bytes of other arrays
_BLOCK = 24  # pairs whose images are drawn at a time: 1 MB
_ROWS = 1024  # pairs whose dicts are made at a time

Streamed = tuple[np.dtype[Any], tuple[int, ...], Iterable[Part]]
"""An array to be written: dtype, shape, and functions that make its data, part after part."""


Progress = Callable[[int], object]


def write(
    file: IO[bytes], pairs: Pairs, *, store: bool = False, jobs: int = 1, progress: Progress = int
) -> str:
    """Write pairs to a binary file and return the content digest; see `Container.content_digest`.

    The pairs have images and provenance; the same ones give the same bytes, whatever `jobs` is, the
    number of threads that draw and compress. `store` writes members uncompressed and aligned to 64
    bytes. `progress` is called with the number of pairs whose images were given to the threads
    since the last call.
    """
    digest = hashlib.sha256()
    with ZipStream(file, jobs=jobs, store=store) as stream:
        for name, (dtype, shape, parts) in _members(pairs, progress):
            digest.update(digest_entry(name, dtype, shape))
            head, stored = npy_header(dtype, shape), name in _STORED
            stream.add(f"{name}.npy", head, parts, store=stored, seen=digest.update)
    return digest.hexdigest()


def write_numbers(file: IO[bytes], pairs: Pairs) -> None:
    """Write an archive without the members that follow from the others; see `made_again`."""
    np.savez_compressed(file, **_numbers(pairs))


def _numbers(pairs: Pairs) -> dict[str, Any]:
    """Return the members from which the others follow."""
    layout = members(get_encoding(pairs.encoding))
    arrays: dict[str, NDArray[Any]] = {
        "geometries": pairs.geometries,
        "pair_names": pairs.names,
        **{name: getattr(pairs, name) for name in COLUMNS},
        "metadata_values": pairs.metadata,
        "metadata_names": np.array(METADATA_NAMES),
        "channels": np.array(get_encoding(pairs.encoding).channel_names),
        "provenance": np.array(json.dumps(pairs.provenance, sort_keys=True)),
        **{name: pairs.rows[name] for name in PAIR_NUMBERS},
    }
    return {
        name: array if layout[name].dtype == "U" else array.astype(layout[name].dtype)
        for name, array in arrays.items()
    }


def _members(pairs: Pairs, progress: Progress) -> Iterator[tuple[str, Streamed]]:
    """Yield the members of the layout, in its order."""
    images, encoding = pairs.encoded, get_encoding(pairs.encoding)
    arrays = {**_numbers(pairs), **encoding.arrays(images)}
    streamed: dict[str, Streamed] = {
        "images": (np.dtype("<f4"), images.shape, _drawn(images, progress)),
        "labels": pickled(label_dicts(pairs), (len(pairs),)),
        "metadata": pickled(metadata_dicts(pairs), (len(pairs),)),
    }
    for name in members(encoding):
        yield name, streamed[name] if name in streamed else plain(arrays[name])


def plain(array: NDArray[Any]) -> Streamed:
    """Stream an array that is there."""
    data = _bytes(array)
    starts = range(0, len(data), _CHUNK)
    parts = [partial(memoryview, data[start : start + _CHUNK]) for start in starts]
    return array.dtype, array.shape, parts


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _drawn(images: Images, progress: Progress) -> Iterator[Part]:
    """Yield functions that draw blocks of images; threads call them."""

    def draw(block: slice) -> memoryview:
        return _bytes(images[block].astype("<f4", copy=False))

    n = images.shape[0]
    for start in range(0, n, _BLOCK):
        yield partial(draw, slice(start, start + _BLOCK))
        progress(min(_BLOCK, n - start))


def pickled(dicts: Iterable[dict[str, Plain]], shape: tuple[int, ...]) -> Streamed:
    """Stream an array of dicts as the pickle that `numpy.load` reads."""
    parts = (partial(bytes, data) for data in pickled_dicts(dicts, shape))
    return np.dtype(object), shape, parts


def label_dicts(pairs: Pairs) -> Iterator[dict[str, Plain]]:
    """Yield the labels of each pair as a dict; None where missing."""
    names = [*pairs.label_names.tolist(), *pairs.text_label_names.tolist()]
    for some in _blocks(pairs):
        numbers = _with_none(some.label_values, np.isnan(some.label_values))
        texts = _with_none(some.text_label_values, some.text_label_values == "")
        for values in np.hstack([numbers, texts]).tolist():
            yield dict(zip(names, values, strict=True))


def metadata_dicts(pairs: Pairs) -> Iterator[dict[str, Plain]]:
    """Yield the metadata of each pair as a dict; None where missing."""
    for some in _blocks(pairs):
        values = _with_none(some.metadata, ~np.isfinite(some.metadata))
        for name, row in zip(some.names.tolist(), values.tolist(), strict=True):
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


def _blocks(pairs: Pairs) -> Iterator[Pairs]:
    return (pairs.take(slice(i, i + _ROWS)) for i in range(0, len(pairs), _ROWS))


def _with_none(values: NDArray[Any], missing: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Return `values` as Python's objects, None where they are missing."""
    objects = values.astype(object)
    objects[missing] = None
    return objects
