"""Open an archive as `Columns`: those that this project wrote, and those of the original project.

The latter have six members only and keep labels and metadata as pickled dicts. No pickle is run
in either case; see `twobody.archive.pickles`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import Container
from twobody.archive.layout import FORMAT_VERSION, MEMBERS
from twobody.archive.original import ORIGINAL_MEMBERS, check_shape, is_original, original_arrays
from twobody.columns import Columns, RenderedImages
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings.published import CHANNEL_NAMES, ENCODING
from twobody.errors import ParseError
from twobody.text import PathLike, quote


def read_columns(path: PathLike) -> Columns:
    """Read an archive, ours or the original project's, without running a pickle.

    Members, dtypes and shapes are checked before data are read: all are there, none is unknown, and
    every size that occurs twice is the same. The images of our archives are not read but made from
    amplitudes and basis; labels and metadata come from the numbers and texts, not from the dicts.

    Parameters
    ----------
    path : path

    Raises
    ------
    ParseError
        The file is no such archive or damaged, a name comes twice, a symbol is no element, a later
        version wrote it, its channels are others, or (original project) a pickle holds anything but
        plain objects, or others than expected.
    """
    columns = read_any_version(path)
    _check_version(columns)
    return columns


def read_any_version(path: PathLike) -> Columns:
    """Read as `read_columns` does, also what has other channels or says it is of a later format."""
    with Container(path) as archive:
        sizes: dict[str, int] = {}
        for fault in layout_faults(archive, sizes):
            raise fault
        columns = _original_columns(archive, sizes) if is_original(archive) else _columns(archive)
    if 0 in columns.images.shape:
        expected = "at least one pair and one pixel"
        raise _error(archive.path, "images", expected, f"shape {list(columns.images.shape)}")
    for name in ("pair_names", "label_names", "text_label_names"):
        unique, counts = np.unique(getattr(columns, name), return_counts=True)
        if (counts > 1).any():
            found = f"{quote(str(unique[counts.argmax()]))} {counts.max()} times"
            raise _error(archive.path, name, "every name once", found)
    return columns


def _check_version(columns: Columns) -> None:
    """Refuse other channels, and a provenance, if it can be read, of what is not known here."""
    for channel, found in zip(CHANNEL_NAMES, columns.channels.tolist(), strict=True):
        if found != channel:
            raise _error(columns.path, "channels", f"the channel {channel}", quote(found))
    try:
        provenance = read_provenance(columns) or {}
    except ParseError:
        return  # the data need it not; what shows or verifies it refuses it
    version = provenance.get("format_version", FORMAT_VERSION)
    if isinstance(version, int) and version > FORMAT_VERSION:
        expected = f"format_version {FORMAT_VERSION} or less"
        raise _error(columns.path, "provenance", expected, str(version))
    if (encoding := provenance.get("encoding", ENCODING)) != ENCODING:
        found = quote(encoding) if isinstance(encoding, str) else f"a {type(encoding).__name__}"
        raise _error(columns.path, "provenance", f"the encoding {ENCODING}", found)


def read_provenance(columns: Columns) -> dict[str, Any] | None:
    """Return what the archive says of its origin; None where it says nothing.

    Raises
    ------
    ParseError
        It is no JSON object.
    """
    if not columns.provenance:
        return None
    try:
        provenance = json.loads(columns.provenance)
    except (ValueError, RecursionError) as error:
        raise ParseError(columns.path, None, "JSON in member 'provenance'", str(error)) from error
    if not isinstance(provenance, dict):
        raise ParseError(
            columns.path, None, "a JSON object in member 'provenance'", quote(columns.provenance)
        )
    return provenance


def _error(path: Path, member: str, expected: str, found: str) -> ParseError:
    return ParseError(path, None, f"{expected} in member {member!r}", found)


def layout_faults(archive: Container, sizes: dict[str, int]) -> Iterator[ParseError]:
    """Compare the headers with `MEMBERS`; yield what is wrong.

    Archives of the original project may have any numbers, and objects in place of anything; what
    is inside the objects is compared when they have been decoded.

    Parameters
    ----------
    archive : Container
    sizes : dict
        Gets the sizes that the letters in `MEMBERS` stand for.

    Raises
    ------
    ParseError
        There are other members: this is no archive of a dataset.
    """
    if not archive.members:
        raise ParseError(archive.path, None, "members of a dataset", "none")
    if unknown := archive.members.keys() - MEMBERS.keys():
        raise ParseError(archive.path, None, "members of a dataset only", quote(min(unknown)))
    original = is_original(archive)
    for name in ORIGINAL_MEMBERS if original else MEMBERS:
        dtype, symbols = MEMBERS[name]
        member = archive.members.get(name)
        if member is None:
            if not (original and dtype == "O"):
                yield ParseError(archive.path, None, f"a member {name!r}", "none")
            continue
        if original and member.dtype.hasobject:
            symbols = symbols[: len(member.shape)]
        elif dtype not in (member.dtype.kind, member.dtype.str) and not (
            original and dtype == "<f4" and member.dtype.kind in "fiu"
        ):
            yield _error(archive.path, name, f"dtype {dtype}", member.dtype.str)
        try:
            check_shape(archive, name, member.shape, symbols, sizes)
        except ParseError as fault:
            yield fault


def _columns(archive: Container) -> Columns:
    elements = archive.read("elements")
    return Columns(
        path=archive.path,
        pair_names=archive.read("pair_names"),
        elements=elements,
        atomic_numbers=_atomic_numbers(archive.path, elements),
        geometries=archive.read("geometries"),
        label_names=archive.read("label_names"),
        label_units=archive.read("label_units"),
        label_values=archive.read("label_values"),
        text_label_names=archive.read("text_label_names"),
        text_label_values=archive.read("text_label_values"),
        metadata_names=archive.read("metadata_names"),
        metadata_values=archive.read("metadata_values"),
        channels=archive.read("channels"),
        images=RenderedImages(archive.read("image_amplitudes"), archive.read("image_basis")),
        provenance=str(archive.read("provenance")),
    )


def _atomic_numbers(path: Path, elements: NDArray[np.str_]) -> NDArray[np.int64]:
    symbols, inverse = np.unique(elements, return_inverse=True)
    for symbol in symbols.tolist():
        if symbol not in ATOMIC_NUMBERS:
            raise _error(path, "elements", "symbols of elements", quote(symbol))
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols.tolist()], np.int64)
    return numbers[inverse].reshape(elements.shape)


def _original_columns(archive: Container, sizes: dict[str, int]) -> Columns:
    arrays = original_arrays(archive, sizes)
    return Columns(
        path=archive.path,
        atomic_numbers=_atomic_numbers(archive.path, arrays["elements"]),
        channels=np.array(CHANNEL_NAMES),
        provenance="",
        **arrays,
    )
