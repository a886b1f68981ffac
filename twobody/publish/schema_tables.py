"""What the schema says, as tables in Markdown: for the documentation and the card of a release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from twobody.archive.layout import members
from twobody.encodings import Encoding
from twobody.labels import LABELS


def member_table(encoding: Encoding) -> str:
    """List the arrays of an archive."""
    rows = []
    for name, member in members(encoding).items():
        dtype = {"U": "str", "O": "object"}.get(member.dtype) or np.dtype(member.dtype).name
        shape = f" [{', '.join(map(str, member.shape))}]" if member.shape else ""
        rows.append((f"`{name}`", dtype + shape, member.meaning))
    return _table(("array", "dtype, shape", "content"), rows)


def label_table() -> str:
    """List the labels."""
    rows = [
        (label.group, f"`{label.name}`", label.unit, label.meaning, label.source)
        for label in LABELS
    ]
    return _table(("group", "label", "unit", "meaning", "from"), rows)


def channel_table(encoding: Encoding) -> str:
    """List the image channels."""
    channels = enumerate(encoding.channels)
    rows = [(f"{k}", f"`{channel.name}`", channel.unit, channel.formula) for k, channel in channels]
    return _table(("", "channel", "unit", "pixel"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the lines of a table, each with its end."""
    escaped = ([cell.replace("|", r"\|") for cell in row] for row in rows)
    return "".join(
        f"| {' | '.join(line)} |\n" for line in (header, ["---"] * len(header), *escaped)
    )
