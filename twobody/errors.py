"""The one exception for bad input, and what is found wrong with pairs."""

from __future__ import annotations

import os
from typing import NamedTuple


def printable(text: str) -> str:
    """Escape what is not to be printed: control characters, and bytes that are no text."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ParseError(ValueError):
    """Input that is not what it has to be.

    The message is one line, ``path:line: expected ..., found ...``, and all a person needs to find
    and mend the fault. `path` is ``<text>`` where text came from no file; `line`, counted from 1,
    is None where the fault is not in one line.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, line: int | None, expected: str, found: str
    ) -> None:
        self.path = "<text>" if path is None else os.fspath(path)
        self.line, self.expected, self.found = line, expected, found
        place = self.path if line is None else f"{self.path}:{line}"
        super().__init__(printable(f"{place}: expected {expected}, found {found}"))

    @property
    def reason(self) -> str:
        """The message without the place."""
        return f"expected {self.expected}, found {self.found}"

    def __reduce__(self) -> tuple[type[ParseError], tuple[str, int | None, str, str]]:
        """Let the error travel between processes whole."""
        return type(self), (self.path, self.line, self.expected, self.found)


NO_PAIR = ""  # the pair name of a problem that concerns the input as a whole


class PairProblem(NamedTuple):
    """What is wrong with one pair; a list of these is what a check of the whole input returns."""

    pair_name: str
    error: ParseError


class Finding(NamedTuple):
    """What a check of an archive found; `pair` is None where it concerns the archive as a whole."""

    pair: str | None
    message: str
