"""Image encodings: objects that know their channels and draw them from the numbers of a pair.

An encoding is an `Encoding` in a module of its own here, listed in `ENCODINGS`. Archives, loaders,
checks, pictures and documentation ask it for everything that they say of channels.
"""

from __future__ import annotations

from twobody.encodings.encoding import Channel, Encoding
from twobody.encodings.field import FIELD
from twobody.encodings.published import PUBLISHED

ENCODINGS: dict[str, Encoding] = {encoding.name: encoding for encoding in (PUBLISHED, FIELD)}
"""Every encoding by name; the first is the default."""

DEFAULT = PUBLISHED.name


def get_encoding(name: str) -> Encoding:
    """Return the encoding of this name.

    Raises
    ------
    ValueError
        There is none.
    """
    if name not in ENCODINGS:
        raise ValueError(f"unknown encoding {name!r}; known: {', '.join(ENCODINGS)}")
    return ENCODINGS[name]


__all__ = ["DEFAULT", "ENCODINGS", "Channel", "Encoding", "get_encoding"]
