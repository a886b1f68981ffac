"""Open an archive as `Columns`: those that this project wrote, and those of the original project.

The latter have six members only and keep labels and metadata as pickled dicts. No pickle is run
in either case; see `twobody.archive.pickles`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.layout import FORMAT_VERSION, MEMBERS, Archive
from twobody.columns import Columns, RenderedImages
from twobody.elements import ATOMIC_NUMBERS
from twobody.encodings.published import CHANNEL_NAMES, ENCODING
from twobody.errors import ParseError
from twobody.labels import LABELS
from twobody.raw_data.folders import METADATA_NAMES
from twobody.text import PathLike, is_text, quote

ORIGINAL_MEMBERS = ("images", "geometries", "elements", "pair_names", "labels", "metadata")
"""What archives of the original project hold; the last two may lack."""

_Row = Mapping[str, Any]


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
    with Archive(path) as archive:
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


def is_original(archive: Archive) -> bool:
    """Tell whether the members are those of the original project's archives."""
    return archive.members.keys() <= set(ORIGINAL_MEMBERS)


def layout_faults(archive: Archive, sizes: dict[str, int]) -> Iterator[ParseError]:
    """Compare the headers with `MEMBERS`; yield what is wrong.

    Archives of the original project may have any numbers, and objects in place of anything; what
    is inside the objects is compared when they have been decoded.

    Parameters
    ----------
    archive : Archive
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
            _check_shape(archive.path, name, member.shape, symbols, sizes)
        except ParseError as fault:
            yield fault


def _check_shape(
    path: Path,
    name: str,
    shape: Sequence[int],
    symbols: Sequence[str | int],
    sizes: dict[str, int],
) -> None:
    """Compare a shape with its symbols; a letter stands for the size that it met first."""
    if len(shape) == len(symbols):
        for symbol, n in zip(symbols, shape, strict=True):
            if isinstance(symbol, str):
                sizes.setdefault(symbol, n)
    expected = [
        sizes.get(symbol, symbol) if isinstance(symbol, str) else symbol for symbol in symbols
    ]
    if list(shape) != expected:
        raise _error(path, name, f"shape [{', '.join(map(str, expected))}]", f"{list(shape)}")


def _columns(archive: Archive) -> Columns:
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


def _original_columns(archive: Archive, sizes: dict[str, int]) -> Columns:
    """Read an archive of the original project; what its dicts do not say stays missing."""
    path = archive.path
    elements = _plain(archive, "elements", sizes)
    labels = _label_columns(path, _dicts(archive, "labels", sizes["N"]))
    numeric = {name: column for name, column in labels.items() if column.dtype.kind == "f"}
    texts = {name: column for name, column in labels.items() if column.dtype.kind == "U"}
    units = {label.name: label.unit for label in LABELS}
    metadata = _dicts(archive, "metadata", sizes["N"])
    return Columns(
        path=path,
        pair_names=_plain(archive, "pair_names", sizes),
        elements=elements,
        atomic_numbers=_atomic_numbers(path, elements),
        geometries=_plain(archive, "geometries", sizes).astype(np.float32, copy=False),
        label_names=_text(path, "labels", list(numeric)),
        label_units=np.array([units.get(name, "") for name in numeric], np.str_),
        label_values=_side_by_side(list(numeric.values()), sizes["N"], np.float64),
        text_label_names=_text(path, "labels", list(texts)),
        text_label_values=_side_by_side(list(texts.values()), sizes["N"], np.str_),
        metadata_names=np.array(METADATA_NAMES),
        metadata_values=np.array([_metadata_row(path, row) for row in metadata], np.float64),
        channels=np.array(CHANNEL_NAMES),
        images=_plain(archive, "images", sizes).astype(np.float32, copy=False),
        provenance="",
    )


def _side_by_side(columns: list[NDArray[Any]], n: int, dtype: type) -> NDArray[Any]:
    return np.stack(columns, axis=1) if columns else np.empty((n, 0), dtype)


def _plain(archive: Archive, name: str, sizes: dict[str, int]) -> NDArray[Any]:
    """Read a member of numbers or texts, which may be wrapped in objects."""
    dtype, symbols = MEMBERS[name]
    if not archive.members[name].dtype.hasobject:
        return archive.read(name)
    array = _unwrapped(archive.read_objects(name))
    if array.dtype.kind not in ("U" if dtype == "U" else "fiu"):
        raise _error(archive.path, name, f"objects that make an array of {dtype}", array.dtype.str)
    _check_shape(archive.path, name, array.shape, symbols, sizes)
    return array


def _unwrapped(objects: NDArray[Any]) -> NDArray[Any]:
    """Make one plain array of an array of numbers, texts, or equal arrays of these.

    Lists inside are not taken: a few of them, each holding the last one many times, would grow
    without end.
    """
    items = objects.reshape(-1).tolist()
    types = {type(item) for item in items}
    if types <= {str} or types <= {int, float}:
        return np.array(items).reshape(objects.shape)
    if types == {np.ndarray} and len({(item.shape, item.dtype.kind) for item in items}) == 1:
        return np.stack(items).reshape(*objects.shape, *items[0].shape)
    return objects


def _dicts(archive: Archive, name: str, n: int) -> list[_Row]:
    """Return the dict of each pair; empty where there is none."""
    if name not in archive.members:
        return [{}] * n
    rows = [{} if row is None else row for row in archive.read_objects(name).tolist()]
    if not all(isinstance(row, dict) for row in rows):
        raise _error(archive.path, name, "a dict or None for each pair", "another object")
    return rows


def _label_columns(path: Path, rows: Iterable[_Row]) -> dict[str, NDArray[Any]]:
    """Turn dicts into columns: float64 [N], NaN where missing, or str [N], empty where missing.

    Labels that the schema does not know are text where any of their values is.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    kinds = {label.name: label.kind for label in LABELS}
    columns: dict[str, NDArray[Any]] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if kinds[name] == "text" if name in kinds else any(isinstance(v, str) for v in values):
            columns[name] = _text(path, "labels", ["" if _missing(v) else v for v in values])
        else:
            columns[name] = np.array([_number(path, "labels", name, v) for v in values])
    return columns


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(path: Path, member: str, values: Sequence[object]) -> NDArray[np.str_]:
    texts = [value for value in values if isinstance(value, str)]
    array = np.array(texts, np.str_)
    if len(texts) < len(values) or not is_text(array):
        raise _error(path, member, "labels that are all text", "other values among text")
    return array


def _number(path: Path, member: str, name: str, value: object) -> float:
    """Read a number, NaN where it is missing; flags become 0 and 1."""
    if value is None:
        return math.nan
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError as error:
            raise _error(path, member, f"a float as {quote(name)}", str(error)) from error
    raise _error(path, member, f"a number as {quote(name)}", f"a {type(value).__name__}")


def _metadata_row(path: Path, row: _Row) -> list[float]:
    """Put the metadata of a pair in the order of `METADATA_NAMES`."""
    dipole = row.get("dipole_moment")
    if isinstance(dipole, np.ndarray):
        dipole = dipole.tolist()
    if dipole is None:
        dipole = (None, None, None)
    if not isinstance(dipole, tuple | list) or len(dipole) != 3:
        raise _error(path, "metadata", "three numbers as 'dipole_moment'", "others")
    values = {**row, **dict(zip(("dipole_x", "dipole_y", "dipole_z"), dipole, strict=True))}
    return [_number(path, "metadata", name, values.get(name)) for name in METADATA_NAMES]
