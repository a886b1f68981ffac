"""One geometry step of a ``detailed.out``: cut out of the file, its lines indexed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

from twobody.errors import ParseError
from twobody.text import PathLike, quote

_T = TypeVar("_T")

Status = dict[str, bool | None]  # line: what it means

_DISTRIBUTION = re.compile(r"\s*(?:Fermi|Gaussian|Methfessel-Paxton) distribution function")
_STEP = re.compile(
    r"(Geometry optimization|MD|Difference derivative) step:\s*([0-9]{1,18})"
    r"(?:, Lattice step:\s*[0-9]+)?"
)
_STATIC = "Calculation with static geometry"
SCC_STATUS: Status = {
    "SCC converged": True,
    "SCC is NOT converged, maximal SCC iterations exceeded": False,
    "Non-SCC calculation": None,
}
# How a run says that it is over, by the name its steps have. Nothing after a static geometry.
RUN_STATUS: dict[str, Status] = {
    "Geometry optimization": {"Geometry converged": True, "!!! Geometry did NOT converge!": False},
    "MD": {
        "Molecular dynamics completed": None,
        "!!! Molecular dynamics terminated abnormally!": None,
    },
    "Difference derivative": {
        "Second derivatives completed": None,
        "!!! Second derivatives terminated abnormally!": None,
    },
}


class Step:
    """The lines of one geometry step, indexed by what they say."""

    def __init__(self, path: PathLike | None, lines: list[str], start: int, stop: int) -> None:
        self.path = path
        self.lines = lines[:stop]
        self.kind: str | None = None
        self.number: int | None = None
        self.where: dict[str, list[int]] = {}  # a whole line, stripped: where it stands
        self.fields: dict[str, list[tuple[int, str]]] = {}  # NAME: where, what follows the colon
        for i in range(start, stop):
            line = self.lines[i].strip()
            if not line:
                continue
            self.where.setdefault(line, []).append(i)
            name, colon, rest = line.partition(":")
            if colon:
                self.fields.setdefault(name.rstrip(), []).append((i, rest))
            if match := _STEP.fullmatch(line):
                self.kind, self.number = match[1], int(match[2])

    def error(self, i: int, expected: str, found: str | None = None) -> ParseError:
        """Make the error for line `i` (counted from 0), or for the last one where `i` is none."""
        if found is None:
            found = quote(self.lines[i]) if i < len(self.lines) else "the end of the step"
        return ParseError(self.path, min(i + 1, len(self.lines)), expected, found)

    @property
    def last_line(self) -> int:
        """Where the last line stands that is not empty."""
        return max(i for i, line in enumerate(self.lines) if line)

    def require(self, value: _T | None, what: str) -> _T:
        """Return `value`, which may not be missing."""
        if value is None:
            raise self.error(self.last_line, f"{what} in the step", "none up to here")
        return value

    def once(self, line: str) -> int | None:
        """Return where `line` stands, or None; it may not stand twice."""
        places = self.where.get(line, [])
        if len(places) > 1:
            raise self.error(places[1], f"{quote(line)} once in a step", "it a second time")
        return places[0] if places else None

    def status(self, meanings: Status) -> bool | None:
        """Return the meaning of the one status line of `meanings` that the step holds."""
        found = [line for line in meanings if self.once(line) is not None]
        if len(found) > 1:
            raise self.error(
                self.where[found[1]][0], "one status", f"{quote(found[1])} after {quote(found[0])}"
            )
        return meanings[found[0]] if found else None

    def has_any(self, lines: Status) -> bool:
        """Tell whether any of `lines` stands in the step."""
        return not self.where.keys().isdisjoint(lines)

    def field(self, name: str, count: int = 1) -> list[tuple[int, str]]:
        """Return where ``NAME:`` stands and what follows it: nowhere, or `count` times."""
        places = self.fields.get(name, [])
        if places and len(places) != count:
            i = places[count][0] if len(places) > count else places[-1][0]
            raise self.error(i, f"'{name}:' {count} times in the step", f"{len(places)} times")
        return places


def last_complete_step(lines: list[str], path: PathLike | None) -> Step:
    """Cut the file into steps; return the last one that is not cut off.

    A step is complete where it says how SCC ended. The step at the end of the file must also be
    closed: otherwise it may have been cut anywhere after the SCC status.
    """
    starts = list(_step_starts(lines))
    if not starts:
        first = next((i for i, line in enumerate(lines) if line), 0)
        expected = f"DFTB+ output ('... distribution function', '... step:' or {_STATIC!r})"
        raise ParseError(path, first + 1, expected, quote(lines[first]))
    stops = [*starts[1:], len(lines)]
    for start, stop in zip(reversed(starts), reversed(stops), strict=True):
        step = Step(path, lines, start, stop)
        if step.has_any(SCC_STATUS) and (stop < len(lines) or _is_closed(step)):
            return step
    last = Step(path, lines, starts[-1], len(lines))
    expected = " or ".join(map(repr, SCC_STATUS))
    if last.has_any(SCC_STATUS):
        statuses = RUN_STATUS.get(last.kind or "", {})
        expected = " or ".join(map(repr, statuses)) or "the two empty lines that close a file"
    raise last.error(last.last_line, expected, "the end of the file")


def _is_closed(step: Step) -> bool:
    """Tell whether the step at the end of the file holds everything that was to be printed.

    A run of several steps says how it ended. One with static geometry ends with its dipole moment,
    or without one with two empty lines, which stand nowhere else below the SCC status.
    """
    if step.kind:
        return step.has_any(RUN_STATUS[step.kind])
    below = step.lines[min(i for status in SCC_STATUS for i in step.where.get(status, [])) : -1]
    return "Dipole moment" in step.fields or any(not (a or b) for a, b in pairwise(below))


def _step_starts(lines: list[str]) -> Iterator[int]:
    """Yield where a step starts: at its first heading (the distribution function or the step)."""
    has_number = True
    for i, line in enumerate(lines):
        if _DISTRIBUTION.match(line):
            yield i
            has_number = False
        elif line == _STATIC or _STEP.fullmatch(line):
            if has_number:
                yield i
            has_number = True
