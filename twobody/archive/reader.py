"""Open an archive as `Pairs`: one of this project, of any format, or one of the original project.

No pickle is run in any case; see `twobody.archive.pickles`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from twobody.archive import layout
from twobody.archive.container import Container
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings import DEFAULT, ENCODINGS, Encoding
from twobody.encodings.encoding import Shape
from twobody.errors import ParseError
from twobody.pairs import METADATA_NAMES, ROW, Pairs, empty_rows
from twobody.text import PathLike, quote

_MOST_DRAWN = 500  # times the size of a file without images may be drawn; for our own it is 141


def read(path: PathLike) -> Pairs:
    """Read an archive, ours or the original project's, without running a pickle.

    Members, dtypes and shapes are checked before data are read. Labels and metadata come from
    numbers and texts, not from the dicts; images are made from what the encoding stores of them, if
    that is less, and from the numbers of the pairs where the archive holds no images.

    Raises
    ------
    ParseError
        The file is not such an archive or is damaged, a name comes twice, a symbol is no element, a
        later version wrote it, its encoding is not known, or (original project) a pickle holds
        anything but plain objects, or others than expected.
    """
    with Container(path) as archive:
        return pairs_in(archive)


def pairs_in(archive: Container) -> Pairs:
    """Read an open archive; see `read`."""
    if is_original(archive):
        # Hardly anybody has one, and its pickles need a reader of their own.
        from twobody.archive.original import read_original  # noqa: PLC0415

        pairs = read_original(archive)
    else:
        pairs = _read_ours(archive)
    for symbol in np.unique(pairs.elements).tolist():
        if symbol not in ATOMIC_NUMBERS:
            raise archive.error("elements", "symbols of elements", quote(symbol))
    labels = {"label_names": pairs.label_names, "text_label_names": pairs.text_label_names}
    for member, names in {"pair_names": pairs.names, **labels}.items():
        unique, counts = np.unique(names, return_counts=True)
        if (counts > 1).any():
            found = f"{quote(str(unique[counts.argmax()]))} {counts.max()} times"
            raise archive.error(member, "every name once", found)
    return pairs


def is_original(archive: Container) -> bool:
    """Tell whether the members are those of the original project's archives."""
    return archive.members.keys() <= layout.ORIGINAL_MEMBERS.keys()


class Origin(NamedTuple):
    """What an archive says of itself."""

    provenance: Mapping[str, Any]
    version: int
    encoding: Encoding


def origin_of(archive: Container) -> Origin:
    """Read what an archive of ours says of its origin, before anything else of it.

    Raises a ParseError where it says nothing, or is of a later format or an unknown encoding.
    """
    member = archive.members.get("provenance")
    if member is None or member.shape or member.dtype.kind != "U":
        raise ParseError(archive.path, None, "a dataset archive", "no text 'provenance' in it")
    text = str(archive.read("provenance"))
    try:
        provenance = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise archive.error("provenance", "JSON", str(error)) from error
    if not isinstance(provenance, dict):
        raise archive.error("provenance", "a JSON object", quote(text))
    version, encoding = provenance.get("format_version"), provenance.get("encoding")
    if type(version) is not int or not 1 <= version <= layout.FORMAT_VERSION:
        expected = f"a format_version from 1 to {layout.FORMAT_VERSION}"
        raise archive.error("provenance", expected, quote(json.dumps(version)))
    known = ENCODINGS if version >= 2 else {DEFAULT: ENCODINGS[DEFAULT]}
    if not isinstance(encoding, str) or encoding not in known:
        expected = f"one of the encodings {', '.join(known)}"
        raise archive.error("provenance", expected, quote(json.dumps(encoding)))
    return Origin(provenance, version, known[encoding])


def layout_faults(archive: Container) -> Iterator[ParseError]:
    """Compare the headers of an archive of ours with its layout; yield what is wrong.

    Raises as `origin_of` does.
    """
    origin = origin_of(archive)
    expected = layout.members(origin.encoding, origin.version)
    follow = layout.made_again(origin.encoding)
    if origin.version >= 2 and not follow & archive.members.keys():
        expected = {name: member for name, member in expected.items() if name not in follow}
    sizes: dict[str, int] = {}
    for name in (name for name in archive.members if name not in expected):
        yield ParseError(archive.path, None, "members of a dataset archive only", quote(name))
    for name, (dtype, symbols, _) in expected.items():
        member = archive.members.get(name)
        if member is None:
            yield ParseError(archive.path, None, f"a member {name!r}", "none")
            continue
        if dtype not in (member.dtype.kind, member.dtype.str):
            yield archive.error(name, f"dtype {dtype}", member.dtype.str)
        try:
            check_shape(archive, name, member.shape, symbols, sizes)
        except ParseError as fault:
            yield fault


def check_shape(
    archive: Container, name: str, shape: tuple[int, ...], symbols: Shape, sizes: dict[str, int]
) -> None:
    """Compare a shape with its symbols; a letter stands for the size that it met first.

    Raises a ParseError where they differ, and where there is no pair or no pixel.
    """
    if len(shape) == len(symbols):
        for symbol, n in zip(symbols, shape, strict=True):
            sizes.setdefault(str(symbol), n)  # a number is never looked up
    expected = [sizes.get(s, s) if isinstance(s, str) else s for s in symbols]
    if list(shape) != expected:
        raise archive.error(name, f"shape [{', '.join(map(str, expected))}]", f"{list(shape)}")
    if name in ("images", "geometries") and 0 in shape:
        raise archive.error(name, "at least one pair and one pixel", f"shape {list(shape)}")


def _read_ours(archive: Container) -> Pairs:
    for fault in layout_faults(archive):
        raise fault
    provenance, version, encoding = origin_of(archive)
    for channel, found in zip(encoding.channel_names, archive.read("channels"), strict=True):
        if found != channel:
            raise archive.error("channels", f"the channel {channel}", quote(str(found)))
    names = archive.read("metadata_names").tolist()
    if names != list(METADATA_NAMES):
        raise archive.error("metadata_names", ", ".join(METADATA_NAMES), quote(", ".join(names)))
    columns: dict[str, Any] = {name: archive.read(name) for name in layout.COLUMNS}
    images = encoding.stored(archive.read) if "images" in archive.members else None
    rows = rows_of(archive.read("geometries"), archive.read("metadata_values"))
    if images is not None and version < 2:
        numbers = encoding.numbers_in(images)
    else:
        numbers = {name: archive.read(name) for name in layout.PAIR_NUMBERS}
    for name, values in numbers.items():
        rows[name] = values
    names = archive.read("pair_names")
    about: dict[str, Any] = {"encoding": encoding.name, "images": images, "provenance": provenance}
    pairs = Pairs(path=archive.path, names=names, rows=rows, **columns, **about)
    if images is not None:
        return pairs
    images = encoding.encode(pairs)
    limit = max(_MOST_DRAWN * archive.file_size, archive.allowed_size)  # against bombs
    if (size := math.prod(images.shape) * 4) > limit:
        expected = f"images of at most {limit} bytes from a file of {archive.file_size}"
        raise ParseError(archive.path, None, expected, f"{size} bytes, of {len(pairs)} pairs")
    return replace(pairs, images=images)


def rows_of(geometries: NDArray[Any], metadata: ArrayLike) -> NDArray[np.void]:
    """Make `ROW`s of geometries [N, 2, 4] (x, y, z [Å], population [e]) and metadata [N, 8]."""
    rows = empty_rows(len(geometries))
    rows["positions"], rows["populations"] = geometries[:, :, :3], geometries[:, :, 3]
    rows.view(np.float64).reshape(-1, ROW.itemsize // 8)[:, -len(METADATA_NAMES) :] = metadata
    return rows
