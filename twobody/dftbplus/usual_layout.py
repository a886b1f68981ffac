"""The fast path of the readers: many pairs as DFTB+ 24.1 prints them, two atoms, converged.

It is tried first and has no authority: it takes a pair only if both files are of the layout below
and pass every check of the readers in `twobody.dftbplus` and `twobody.raw_data.folders`. All
others, legal or not, are left to those. The values are the same bit for bit. Whoever changes what a
reader accepts, checks or returns has to look here too; ``tests/dftbplus/test_usual_layout.py``
holds both equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import band_out, detailed_out
from twobody.dftbplus.mulliken import POPULATION_TOLERANCE
from twobody.pairs import dense_orbitals

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]

# Sums are formed in another order here; where that could matter, the readers decide.
_TOLERANCE = POPULATION_TOLERANCE - 1e-9


class Texts(NamedTuple):
    """The files of a pair, and the elements that they have to speak of."""

    elements: tuple[str, ...]
    detailed_out: bytes
    geo_end_xyz: bytes
    band_out: bytes | None = None  # None where there is none


def read_usual(
    pairs: Sequence[Texts], rows: NDArray[np.void], scalars: NDArray[np.void]
) -> NDArray[np.bool_]:
    """Read those of `pairs` that are of the usual layout and without fault.

    What the files say of them, all but the bond length, is put in `rows` and `scalars`, structured
    arrays [n] of `twobody.pairs.ROW` and `SCALARS`. Returns which pairs were read, bool [n].
    """
    groups: dict[_Layout, list[tuple[int, list[float], bytes]]] = {}
    for i, pair in enumerate(pairs):
        if (parts := _head_and_body(pair)) is not None:
            layout = _layout_of(parts[1])
            if layout is not None and len(parts[1]) == len(layout.form.lowest):
                groups.setdefault(layout, []).append((i, *parts))
    read = np.zeros(len(pairs), np.bool_)
    levels = _levels([pair.band_out for pair in pairs])
    for layout, members in groups.items():
        index, heads, bodies = zip(*members, strict=True)
        fits, columns = layout.numbers(bodies)
        columns |= zip(_HEAD_FIELDS, np.array(heads).T, strict=True)
        places = np.array(index)
        columns |= {name: values[places] for name, values in levels.items()}
        good = fits & _consistent(layout, columns)
        places = places[good]
        for table in (rows, scalars):
            for name in columns.keys() & (table.dtype.names or ()):
                table[name][places] = columns[name][good].reshape(-1, *table.dtype[name].shape)
        read[places] = True
    return read


_FILES = re.compile(
    rb"    2\nGeometry Step: ([0-9]{1,9})\n((.{5}).*\n(.{5}).*\n)"
    rb" Fermi distribution function\n\nGeometry optimization step: \1\n\n\n"
    rb"\*{80}\n iSCC Total electronic   Diff electronic      SCC error    \n"
    rb"( [ 0-9-]{4})" + 3 * rb"( [ 0-9-]{4}\.[0-9]{8}E[+-][0-9]{2})" + rb"\n((?s:.*))"
)
_HEAD_FIELDS = ("geometry_step", *detailed_out.SCC_FIELDS)


def _head_and_body(pair: Texts) -> tuple[list[float], bytes] | None:
    """Split the texts into what has columns of any width and what does not.

    These are the numbers of `_HEAD_FIELDS`; and the rows of the atoms with what stands below the
    SCC row in ``detailed.out``.
    """
    match = _FILES.fullmatch(pair.geo_end_xyz + pair.detailed_out)
    if match is None or match.end(2) != len(pair.geo_end_xyz):
        return None
    step, atoms, first, second, *scc, below = match.groups()
    if [first, second] != [symbol.rjust(5).encode() for symbol in pair.elements]:
        return None
    try:
        return [*map(float, (step, *scc))], atoms + below
    except ValueError:
        return None


_BLANK, _MINUS, _DIGIT, _OTHER = range(4)
_KIND = np.full(256, _OTHER, np.uint8)
_KIND[ord(" ")], _KIND[ord("-")], _KIND[ord("0") : ord("9") + 1] = _BLANK, _MINUS, _DIGIT
_EXACT = 2.0**53  # whole numbers below this are exact in float64


class _Form(NamedTuple):
    """What text of fixed columns has in each of them."""

    lowest: NDArray[np.uint8]  # what each byte may be, from here
    highest: NDArray[np.uint8]  # to here
    columns: _Int  # [k, longest] of the sign and digits of each number; its blank comes repeatedly
    decimals: _Int  # [k]

    @classmethod
    def of(cls, picture: str) -> _Form:
        """Make the form of a picture; see `_picture`."""
        fields = [match.span() for match in _FIELD.finditer(picture)]
        columns = [[i for i in range(*field) if picture[i] != "."] for field in fields]
        longest = max(map(len, columns))
        lowest, highest = (
            np.frombuffer(picture.encode().translate(bytes.maketrans(b"#@?", legal)), np.uint8)
            for legal in (b" 0 ", b"99~")
        )
        padded = np.array([[c[0]] * (longest - len(c)) + c for c in columns])
        decimals = [len(picture[slice(*field)].partition(".")[2]) for field in fields]
        return cls(lowest, highest, padded, np.array(decimals))

    def numbers(self, characters: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], _Float]:
        """Return which of n texts, uint8 [n, length], fit, and the numbers [n, k] in them.

        They are bit for bit those of ``float()``; those of texts that do not fit mean nothing.
        """
        # What is below `lowest` wraps around.
        fits = (characters - self.lowest <= self.highest - self.lowest).all(axis=1)
        numbers = characters[:, self.columns]
        kinds = _KIND[numbers]
        # Blanks, at most one minus, digits: kinds go up, and only blanks and digits repeat.
        here, following = kinds[..., :-1], kinds[..., 1:]
        ordered = (here < following) | ((here == following) & (here != _MINUS))
        fits &= ordered.all(axis=(1, 2))
        # The digits without the point are a whole number; divided by a power of ten, both exact in
        # float64, it is rounded once, as ``float()`` does.
        powers = 10.0 ** np.arange(self.columns.shape[1])[::-1]
        whole = np.where(kinds == _DIGIT, numbers - ord("0"), 0).astype(np.float64) @ powers
        fits &= (whole < _EXACT).all(axis=1)
        return fits, np.where((kinds == _MINUS).any(axis=2), -whole, whole) / 10.0**self.decimals


@dataclass(frozen=True, eq=False)
class _Layout:
    """A layout of the body."""

    form: _Form
    names: dict[str, list[int]]  # which of the k numbers have this name
    orbitals: _Int  # [3, n_orbitals] atom from 0, l, m
    first_of_atom: list[int]
    first_of_shell: list[int]

    def numbers(self, bodies: Sequence[bytes]) -> tuple[NDArray[np.bool_], dict[str, _Float]]:
        """Return which of n bodies fit, and the numbers [n, ...] of each name and field."""
        characters = np.frombuffer(b"".join(bodies), np.uint8).reshape(len(bodies), -1)
        fits, values = self.form.numbers(characters)
        columns = {
            name: values[:, places if len(places) > 1 else places[0]]
            for name, places in self.names.items()
        }
        columns["hartree"] = values[:, [i - 1 for i in self.names["ev"]]]
        atom, l, m = self.orbitals
        orbitals = dense_orbitals(atom, l, m, columns["orbitals"])
        constant = {"num_atoms": 2.0, "scc_converged": 1.0, "geometry_converged": 1.0}
        columns |= {name: np.full(len(bodies), value) for name, value in constant.items()}
        return fits, columns | {"orbital_populations": orbitals}


_SHELLS = re.compile(
    rb"l-shell populations \(up\)\n Atom Sh\.   l       Population\n"
    rb"((?:    [12]   [1-9]   [0-2].{17}\n){2,18})\n"
)


def _layout_of(body: bytes) -> _Layout | None:
    """Return the layout that `body` has if it has a usual one at all."""
    match = _SHELLS.search(body)
    return _layout(tuple(row[:13] for row in match[1].splitlines())) if match else None


@lru_cache(maxsize=256)
def _layout(keys: tuple[bytes, ...]) -> _Layout | None:
    """Make the layout for the first columns of the table of shells."""
    shells = [(int(key[:5]), int(key[5:9]), int(key[9:])) for key in keys]
    n_first = sum(atom == 1 for atom, _, _ in shells)
    counts = ((1, n_first), (2, len(shells) - n_first))
    counted = [(atom, i + 1) for atom, count in counts for i in range(count)]
    if [shell[:2] for shell in shells] != counted or not 0 < n_first < len(shells):
        return None
    first_of_shell = np.cumsum([0, *(2 * l + 1 for _, _, l in shells[:-1])]).tolist()
    picture, names = _picture(shells)
    return _Layout(
        form=_Form.of(picture),
        names={name: [i for i, other in enumerate(names) if other == name] for name in names},
        orbitals=np.array([(a - 1, l, m) for a, _, l in shells for m in range(-l, l + 1)]).T,
        first_of_atom=[0, first_of_shell[n_first]],
        first_of_shell=first_of_shell,
    )


_FIELD = re.compile(r" #*@(?:\.@+)?")
_ORBITALS = (("s",), ("p_y", "p_z", "p_x"), ("d_xy", "d_yz", "d_z2", "d_xz", "d_x2-y2"))  # by l, m
_BODY = Path(__file__).with_name("usual_layout.txt").read_text(encoding="utf-8").splitlines()


def _picture(shells: Sequence[tuple[int, int, int]]) -> tuple[str, list[str]]:
    """Draw the body of pairs that have these shells, and name its numbers in their order.

    In ``usual_layout.txt`` a ``?`` is any character, an ``@`` a digit, and a ``#`` a blank, a minus
    or a digit. Before each number is a blank, so that it stands apart from what is before it. What
    the numbers of a line are follows an arrow.
    """
    orbitals = [(*s, m, label) for s in shells for m, label in enumerate(_ORBITALS[s[2]], -s[2])]
    lines: list[str] = []
    names: list[str] = []
    for line in _BODY:
        picture, _, named = line.partition("  <- ")
        keys = {"shells": shells, "orbitals": orbitals}.get(named)
        rows = [picture] if keys is None else [picture.format(*key) for key in keys]
        lines += rows
        names += named.split() * len(rows)
    return "\n".join([*lines, ""]), names


_BAND_HEADING = f" KPT{1:13}  SPIN{1:13}  KWEIGHT{'1.0000000000000000':>22}     \n".encode()
_LEVEL = _Form.of(" ####@ ####@.@@@ #@.@@@@@\n")


def _levels(texts: Sequence[bytes | None]) -> dict[str, _Float]:
    """Read each ``band.out`` of the usual layout, one block for both spins.

    Returns `LEVEL_FIELDS` and `LEVEL_SUMS`, [n] each, and whether it is of another layout; the
    numbers are NaN then, and where there is none.
    """
    names = (*band_out.LEVEL_FIELDS, *band_out.LEVEL_SUMS)
    values = {name: np.full(len(texts), np.nan) for name in names}
    values["other_levels"] = np.array([text is not None for text in texts], np.float64)
    width, bodies = len(_LEVEL.lowest), {}
    for i, text in enumerate(texts):
        if text is not None and text.startswith(_BAND_HEADING) and text.endswith(b"\n\n"):
            body = text[len(_BAND_HEADING) : -1]
            if len(body) % width == 0 and body:
                bodies[i] = body
    if not bodies:
        return values
    characters = np.frombuffer(b"".join(bodies.values()), np.uint8).reshape(-1, width)
    counts = np.array([len(body) // width for body in bodies.values()])
    starts = np.cumsum(counts) - counts
    fits, numbers = _LEVEL.numbers(characters)
    index, energies, occupations = numbers.T
    fits &= index == np.arange(1, len(index) + 1) - np.repeat(starts, counts)
    fits &= band_out.is_occupation(occupations, 2.0)
    good = np.logical_and.reduceat(fits, starts)
    places = np.array([*bodies])[good]
    sums = band_out.level_sums(energies, occupations, 1.0, starts)
    for name, column in (band_out.level_numbers(energies, occupations, starts, 2.0) | sums).items():
        values[name][places] = column[good]
    values["other_levels"][places] = 0
    return values


def _consistent(layout: _Layout, columns: dict[str, _Float]) -> NDArray[np.bool_]:
    """Tell which pairs pass the checks of the readers and of the folders."""
    orbitals, populations = columns["orbitals"], columns["atom_populations"]
    differences = [
        columns["total_charge"] - columns["charges"].sum(axis=1),
        columns["electrons"] - populations.sum(axis=1),
        columns["shells"] - np.add.reduceat(orbitals, layout.first_of_shell, axis=1),
        populations - np.add.reduceat(orbitals, layout.first_of_atom, axis=1),
        columns["populations"] - populations,
    ]
    add_up = (np.abs(np.column_stack(differences)) <= _TOLERANCE).all(axis=1)
    apart = np.abs(columns["moved_positions"] * detailed_out.BOHR - columns["positions"])
    in_place = (apart <= detailed_out.POSITION_TOLERANCE - 1e-9).all(axis=1)
    in_ev = detailed_out.agrees_with_ev(columns["hartree"], columns["ev"]).all(axis=1)
    in_debye = detailed_out.agrees_with_debye(columns["dipole"], columns["debye"]).all(axis=1)
    printed = columns["scc_total_electronic"], columns["electronic_energy"]
    scc = detailed_out.agrees_with_total(*printed)
    scc &= (columns["scc_iteration"] >= 1) & (columns["scc_error"] >= 0)
    missing = np.abs(columns["level_electrons"] - populations.sum(axis=1))
    energy, rounding = columns["level_energy"], columns["energy_rounding"]
    levels = columns["n_levels"] == orbitals.shape[1]
    levels &= missing <= _TOLERANCE + columns["electrons_rounding"]
    levels &= detailed_out.agrees_with_ev(columns["band_energy"], energy, rounding)
    levels |= np.isnan(columns["n_levels"]) & (columns["other_levels"] == 0)
    result: NDArray[np.bool_] = add_up & in_place & in_ev & in_debye & scc & levels
    return result
