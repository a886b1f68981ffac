"""Archives of the original project: six members, of which any may hold pickled objects.

No pickle is run; see `twobody.archive.pickles`. What is made of objects takes no more memory than
the archive may take unpacked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import Container
from twobody.archive.layout import ORIGINAL_MEMBERS
from twobody.archive.reader import check_shape, rows_of
from twobody.encodings import DEFAULT, get_encoding
from twobody.labels import LABELS
from twobody.pairs import METADATA_NAMES, Pairs
from twobody.text import quote

_Row = Mapping[str, Any]


def read_original(archive: Container) -> Pairs:
    """Read an archive of the original project; errors are as in `twobody.archive.read`.

    What its dicts do not say stays missing.
    """
    sizes = {"C": len(get_encoding(DEFAULT).channels)}
    for name, member in archive.members.items():  # objects may be in place of anything
        dtype, symbols, _ = ORIGINAL_MEMBERS[name]
        kinds = "fiu" if dtype == "<f4" else dtype  # any numbers do
        if member.dtype.hasobject:
            symbols = symbols[: len(member.shape)]  # the rest is inside the objects
        elif member.dtype.kind not in kinds:
            raise archive.error(name, f"dtype {dtype}", member.dtype.str)
        check_shape(archive, name, member.shape, symbols, sizes)
    elements = _plain(archive, "elements", sizes)
    n = len(elements)
    metadata = [_metadata_row(archive, row) for row in _dicts(archive, "metadata", n)]
    numbers, texts = _label_columns(archive, _dicts(archive, "labels", n))
    units = {label.name: label.unit for label in LABELS}
    cells = [text for row in zip(*texts.values(), strict=True) for text in row]
    return Pairs(
        path=archive.path,
        names=_plain(archive, "pair_names", sizes),
        elements=elements,
        rows=rows_of(_plain(archive, "geometries", sizes), metadata),
        label_names=_text(archive, list(numbers)),
        label_units=np.array([units.get(name, "") for name in numbers], np.str_),
        label_values=np.array(list(numbers.values())).reshape(len(numbers), n).T,
        text_label_names=_text(archive, list(texts)),
        text_label_values=_text(archive, cells).reshape(n, len(texts)),
        encoding=DEFAULT,
        images=_plain(archive, "images", sizes).astype(np.float32, copy=False),
    )


def _plain(archive: Container, name: str, sizes: dict[str, int]) -> NDArray[Any]:
    """Read a member of numbers or texts, which may be wrapped in objects."""
    if name not in archive.members or not archive.members[name].dtype.hasobject:
        return archive.read(name)
    array = _unwrapped(archive, name)
    dtype, symbols, _ = ORIGINAL_MEMBERS[name]
    if array.dtype.kind not in ("U" if dtype == "U" else "fiu"):
        raise archive.error(name, f"objects that make an array of {dtype}", array.dtype.str)
    check_shape(archive, name, array.shape, symbols, sizes)
    return array


def _unwrapped(archive: Container, name: str) -> NDArray[Any]:
    """Make one plain array of an array of numbers, texts, or equal arrays of these."""
    objects = archive.read_objects(name)
    items = objects.reshape(-1).tolist()
    types = {type(item) for item in items}
    if types == {str}:
        return _text(archive, items, name).reshape(objects.shape)
    if types <= {int, float}:
        return np.array(items).reshape(objects.shape)
    if types == {np.ndarray} and len({(item.shape, item.dtype.kind) for item in items}) == 1:
        if 0 in items[0].shape:
            return objects
        _check_size(archive, name, len(items) * max(item.nbytes for item in items))
        return np.stack(items).reshape(*objects.shape, *items[0].shape)
    return objects


def _check_size(archive: Container, name: str, size: int) -> None:
    """Refuse to make an array of more bytes than the whole archive may expand to."""
    if size > archive.allowed_size:
        raise archive.error(name, f"objects of at most {archive.allowed_size} bytes", f"{size}")


def _dicts(archive: Container, name: str, n: int) -> list[_Row]:
    """Return the dict of each pair; empty where there is none."""
    if name not in archive.members:
        return [{}] * n
    rows = [{} if row is None else row for row in archive.read_objects(name).tolist()]
    if not all(isinstance(row, dict) for row in rows):
        raise archive.error(name, "a dict or None for each pair", "another object")
    return rows


def _label_columns(
    archive: Container, rows: Sequence[_Row]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, list[str]]]:
    """Turn dicts into columns: float64 [N], NaN where missing, and N texts, empty where missing.

    Labels that the schema does not know are text where any of their values is.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    _check_size(archive, "labels", len(rows) * len(names) * np.dtype(np.float64).itemsize)
    kinds = {label.name: label.kind for label in LABELS}
    numbers: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, list[Any]] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if kinds[name] == "text" if name in kinds else any(isinstance(v, str) for v in values):
            missing = [v is None or (isinstance(v, float) and math.isnan(v)) for v in values]
            texts[name] = ["" if none else v for v, none in zip(values, missing, strict=True)]
            if not all(isinstance(text, str) for text in texts[name]):
                raise archive.error("labels", "labels that are all text", "other values among text")
        else:
            numbers[name] = np.array([_number(archive, "labels", name, v) for v in values])
    return numbers, texts


def _text(archive: Container, texts: list[str], name: str = "labels") -> NDArray[np.str_]:
    _check_size(archive, name, len(texts) * 4 * max(map(len, texts), default=0))
    return np.array(texts, np.str_)


def _number(archive: Container, member: str, name: str, value: object) -> float:
    """Read a number, NaN where it is missing; flags become 0 and 1."""
    if value is None:
        return math.nan
    if isinstance(value, bool | int | float):
        return float(value)
    raise archive.error(member, f"a number as {quote(name)}", f"a {type(value).__name__}")


def _metadata_row(archive: Container, row: _Row) -> list[float]:
    """Put the metadata of a pair in the order of `METADATA_NAMES`."""
    dipole = row.get("dipole_moment")
    dipole = (None, None, None) if dipole is None else dipole
    if isinstance(dipole, np.ndarray) and dipole.shape == (3,):
        dipole = dipole.tolist()
    if not isinstance(dipole, tuple | list) or len(dipole) != 3:
        raise archive.error("metadata", "three numbers as 'dipole_moment'", "others")
    values = {**row, **dict(zip(("dipole_x", "dipole_y", "dipole_z"), dipole, strict=True))}
    return [_number(archive, "metadata", name, values.get(name)) for name in METADATA_NAMES]
