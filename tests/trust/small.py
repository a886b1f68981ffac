"""A small archive with everything in it that a large one has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from build_dataset import encode
from twobody.archive.container import Container, npy_header
from twobody.archive.pickles import pickled_dicts
from twobody.archive.writer import write
from twobody.archive.zipstream import ZipStream
from twobody.encodings import DEFAULT
from twobody.raw_data.read import read


def small_archive(path: Path, raw_data: Path, *, store: bool = False) -> None:
    """Write an archive of few pairs whose images are 2 x 2 pixels: every member in few bytes."""
    whole = path.with_suffix(".whole")
    with whole.open("wb") as file:
        write(file, encode(read(raw_data, allow_unconverged=False), DEFAULT))
    with (
        Container(whole) as archive,
        path.open("wb") as file,
        ZipStream(file, jobs=1, store=store) as stream,
    ):
        for name in archive.members:
            data = b"".join(_small_member(archive, name))
            stream.add(f"{name}.npy", data, [])
    whole.unlink()


def _small_member(archive: Container, name: str) -> Iterator[bytes]:
    if archive.members[name].dtype.hasobject:
        dicts = archive.read_objects(name)
        yield npy_header(dicts.dtype, dicts.shape)
        yield from pickled_dicts(dicts.tolist(), dicts.shape)
        return
    array = archive.read(name)
    if name in ("images", "image_basis"):
        array = np.ascontiguousarray(array[..., 10:12, 10:12])
    yield npy_header(array.dtype, array.shape)
    yield array.tobytes()
