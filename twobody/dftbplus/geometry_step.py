"""One geometry step of a ``detailed.out``: cut out of the file, its lines indexed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from twobody.errors import ParseError
from twobody.text import PathLike, parse_integer, parse_number, quote

Status = dict[str, bool | None]  # line: what it means

_DISTRIBUTION = re.compile(r"\s*(?:Fermi|Gaussian|Methfessel-Paxton) distribution function")
_STEP = re.compile(
    r"(Geometry optimization|MD|Difference derivative) step:\s*([0-9]{1,18})"
    r"(?:, Lattice step:\s*[0-9]+)?"
)
_STATIC = "Calculation with static geometry"
_GEOMETRY_FILE = "Full geometry written in "  # only a run with a driver writes one
_UNSUPPORTED = {  # a line that only this kind of run prints, from 20.1 on
    "REKS do not use any electronic distribution function": "REKS",
    **dict.fromkeys(("S0 state", "T1 state", "S1 state", "Mixed state"), "delta-DFTB"),
}
SCC_STATUS: Status = {
    "SCC converged": True,
    "SCC is NOT converged, maximal SCC iterations exceeded": False,
    "Non-SCC calculation": None,
}
# How a run says that it is over, by the name its steps have. Nothing without a driver.
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


# A driver that may make no step (MaxSteps = 0) prints no step either, and always "Geometry
# converged", though nothing was optimised: the line then says only that the run is over.
_NO_STEP_STATUS: Status = dict.fromkeys((*RUN_STATUS["Geometry optimization"], *RUN_STATUS["MD"]))


class Step:
    """The lines of one geometry step, indexed by what they say; line numbers count from 0."""

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
        """Make the error for line `i`, or for the last one where `i` is none."""
        if found is None:
            found = quote(self.lines[i]) if i < len(self.lines) else "the end of the step"
        return ParseError(self.path, min(i + 1, len(self.lines)), expected, found)

    def missing(self, what: str, found: str) -> ParseError:
        """Make the error for what does not stand in the step, at its last line."""
        return self.error(max(i for i, line in enumerate(self.lines) if line), what, found)

    @property
    def run_status(self) -> Status:
        """How a run of this kind says that it is over; empty where it says nothing."""
        if self.kind:
            return RUN_STATUS[self.kind]
        # The heading of a static geometry is printed with SCC only.
        damaged_heading = any(f"{kind} step" in self.fields for kind in RUN_STATUS)
        no_step = _STATIC in self.where or "Non-SCC calculation" in self.where
        return _NO_STEP_STATUS if no_step and self.has_driver and not damaged_heading else {}

    @property
    def has_driver(self) -> bool:
        """Whether the run was to move atoms; read below the SCC status."""
        return any(line.startswith(_GEOMETRY_FILE) for line in self.where)

    def once(self, line: str) -> int | None:
        """Return where `line` stands, or None; it may not stand twice."""
        places = self.where.get(line, [])
        if len(places) > 1:
            raise self.error(places[1], f"{quote(line)} once in a step", "it a second time")
        return places[0] if places else None

    def status(self, meanings: Status) -> bool | None:
        """Return the meaning of the one status line of `meanings` that the step holds."""
        found = [(line, i) for line in meanings if (i := self.once(line)) is not None]
        if len(found) > 1:
            (first, _), (second, i) = found[:2]
            raise self.error(i, "one status", f"{quote(second)} after {quote(first)}")
        return meanings[found[0][0]] if found else None

    def field(self, name: str, count: int = 1) -> list[tuple[int, str]]:
        """Return where ``NAME:`` stands and what follows it: nowhere, or `count` times."""
        places = self.fields.get(name, [])
        if places and len(places) != count:
            i = places[count][0] if len(places) > count else places[-1][0]
            raise self.error(i, f"'{name}:' {count} times in the step", f"{len(places)} times")
        return places

    def table(
        self, start: int, what: str, n_integers: int, n_numbers: int, n_labels: int = 0
    ) -> list[tuple[int, tuple[int, ...], list[float]]]:
        """Read the rows from line `start` to an empty one: line, integers, numbers; see `row`."""
        rows = []
        for i in range(start, len(self.lines)):
            if not self.lines[i]:
                break
            rows.append((i, *self.row(i, what, n_integers, n_numbers, n_labels)))
        if not rows:
            raise self.error(start, what)
        return rows

    def row(
        self, i: int, what: str, n_integers: int, n_numbers: int, n_labels: int = 0
    ) -> tuple[tuple[int, ...], list[float]]:
        """Read integers, numbers and labels, which are not looked at, in line `i`."""
        tokens = self.lines[i].split()
        width = n_integers + n_numbers
        if len(tokens) != width + n_labels:
            raise self.error(i, f"{what}, {width + n_labels} columns")
        value = f"a value of {what}"
        integers = (parse_integer(t, self.path, i + 1, value) for t in tokens[:n_integers])
        numbers = (parse_number(t, self.path, i + 1, value) for t in tokens[n_integers:width])
        return tuple(integers), list(numbers)


def last_complete_step(lines: list[str], path: PathLike | None) -> Step:
    """Cut the file into steps; return the last one that is not cut off.

    A step is complete where it says how SCC ended. The step at the end of the file must also be
    closed: otherwise it may have been cut anywhere after the SCC status.
    """
    for i, line in enumerate(lines):
        if run := _UNSUPPORTED.get(line.strip()):
            raise ParseError(path, i + 1, "a DFTB+ run other than REKS, delta-DFTB or XLBOMD", run)
    starts = list(_step_starts(lines))
    if not starts:
        first = next((i for i, line in enumerate(lines) if line), 0)
        headings = f"'... distribution function', '... step:' or {_STATIC!r}"
        expected = f"DFTB+ output of version 17.1 to 25.1 ({headings})"
        raise ParseError(path, first + 1, expected, quote(lines[first]))
    for start, stop in reversed(list(pairwise([*starts, len(lines)]))):
        if any(line.strip() in SCC_STATUS for line in lines[start:stop]):
            step = Step(path, lines, start, stop)
            if stop < len(lines) or _is_closed(step):
                return step
    last = Step(path, lines, starts[-1], len(lines))
    if last.where.keys() & SCC_STATUS:
        expected = " or ".join(map(repr, last.run_status))
        what = expected or "the two empty lines that close a file"
        raise last.missing(what, "the end of the file")
    found = "the end of the file"
    if last.kind == "MD" and last.has_driver:  # what is printed below the status is there
        found = "none, as in output of XLBOMD, which is not read"
    raise last.missing(" or ".join(map(repr, SCC_STATUS)), found)


def _is_closed(step: Step) -> bool:
    """Tell whether the step at the end of the file holds everything that was to be printed.

    A run with a driver says how it ended. One without ends with its dipole moment, or without one
    with two empty lines, which stand nowhere else below the SCC status.
    """
    if step.run_status:
        return bool(step.where.keys() & step.run_status)
    below = step.lines[min(i for status in SCC_STATUS for i in step.where.get(status, [])) : -1]
    return "Dipole moment" in step.fields or any(not (a or b) for a, b in pairwise(below))


def _step_starts(lines: list[str]) -> Iterator[int]:
    """Yield where a step starts: at its first heading (the distribution function or the step)."""
    has_number = True
    for i, line in enumerate(lines):
        if _DISTRIBUTION.match(line):
            yield i
            has_number = False
        elif line.strip() == _STATIC or _STEP.fullmatch(line.strip()):
            if has_number:
                yield i
            has_number = True
