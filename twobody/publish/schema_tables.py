"""What the schema says, as tables in Markdown: for the documentation and the card of a release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from twobody.archive.layout import members
from twobody.encodings import Encoding
from twobody.labels import LABELS


def member_table(encoding: Encoding) -> str:
    """List the arrays of an archive."""
    rows = [
        [f"`{name}`", f"{_dtype_name(member.dtype)} {_shape(member.shape)}".strip(), member.meaning]
        for name, member in members(encoding).items()
    ]
    return _table(["array", "dtype, shape", "content"], rows)


def label_table() -> str:
    """List the labels."""
    rows = [
        [label.group, f"`{label.name}`", label.unit, label.meaning, label.source]
        for label in LABELS
    ]
    return _table(["group", "label", "unit", "meaning", "from"], rows)


def channel_table(encoding: Encoding) -> str:
    """List the image channels."""
    rows = [
        [f"{k}", f"`{channel.name}`", channel.unit, channel.formula]
        for k, channel in enumerate(encoding.channels)
    ]
    return _table(["", "channel", "unit", "pixel"], rows)


def _dtype_name(dtype: str) -> str:
    return {"U": "str", "O": "object"}.get(dtype) or np.dtype(dtype).name


def _shape(shape: Sequence[str | int]) -> str:
    return f"[{', '.join(map(str, shape))}]" if shape else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the lines of a table, each with its end."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )
