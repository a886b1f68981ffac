"""One small .npz file per pair, for programs that want to open one pair at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from twobody.archive.container import Container, npy_header
from twobody.archive.writer import label_dicts, metadata_dicts, pickled, plain
from twobody.archive.zipstream import ZipStream
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.pairs import Pairs, is_pair_name
from twobody.text import quote

_MEMBERS = ("image", "geometry", "elements", "labels", "metadata", "pair_name")


@contextmanager
def pair_files(folder: Path, pairs: Pairs) -> Iterator[None]:
    """Write one .npz file per pair, ``A_B.npz``; they take their places in `folder` at the end.

    Where what stands between ends in an error, nothing changes. Files of other pairs are removed.

    Keys: image float32 [channels, 32, 32], geometry float32 [2, 4] (x, y, z [Å], population [e]),
    elements, pair_name, and the dicts labels and metadata (0-d object arrays). Raises as
    `check_pair_files` does.
    """
    old = check_pair_files(folder)
    folder.mkdir(parents=True, exist_ok=True)
    new = [f"{name}.npz" for name in pairs.names.tolist()]
    geometries = pairs.geometries
    dicts = zip(label_dicts(pairs), metadata_dicts(pairs), strict=True)
    with staging(folder) as staged:
        for i, (labels, metadata) in enumerate(dicts):
            members = {
                "image": plain(pairs.encoded[i : i + 1][0]),
                "geometry": plain(geometries[i]),
                "elements": plain(pairs.elements[i]),
                "labels": pickled([labels], ()),
                "metadata": pickled([metadata], ()),
                "pair_name": plain(np.array(pairs.names[i])),
            }
            file = staged / new[i]
            with file.open("wb") as opened, ZipStream(opened, jobs=1, store=False) as stream:
                for name, (dtype, shape, parts) in members.items():
                    stream.add(f"{name}.npy", npy_header(dtype, shape), parts)
        yield
        publish([(staged / name, folder / name) for name in new], folder)
    for name in old.difference(new):
        (folder / name).unlink()


def check_pair_files(folder: Path) -> set[str]:
    """Return the names of the pair files in `folder`, which may be absent.

    Raises a ParseError where it holds anything but files of this kind, or is not a folder.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise ParseError(folder, None, "a folder, or nothing", "something else")
    there = folder.iterdir() if folder.is_dir() else ()
    paths = [path for path in there if not path.name.startswith(".twobody-")]
    for path in sorted(paths):
        if not _is_pair_file(path):
            expected = "a folder of pair files (A_B.npz) only"
            raise ParseError(folder, None, expected, quote(path.name))
    return {path.name for path in paths}


def _is_pair_file(path: Path) -> bool:
    """Tell whether a file has the name and the members of one of ours: others may not go."""
    if path.suffix != ".npz" or not is_pair_name(path.stem):
        return False
    try:
        with Container(path) as archive:
            return tuple(archive.members) == _MEMBERS
    except ParseError:
        return False
