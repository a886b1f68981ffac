"""Whether what a reader made of a damaged file is right."""

from __future__ import annotations

from typing import Any

import standing

from twobody.dftbplus import DetailedOut

TABLES = ("gross_charges", "atom_populations")


def plain(detailed: DetailedOut) -> dict[str, Any]:
    """Return the values of a detailed.out in the form of `standing.detailed_out`."""
    values = dict(vars(detailed))
    del values["spin_channels"]
    for name in TABLES:
        if values[name] is not None:
            values[name] = tuple((i + 1, v) for i, v in enumerate(values[name].tolist()))
    if values["dipole_moment"] is not None:
        values["dipole_moment"] = tuple(values["dipole_moment"].tolist())
    if values["moved_positions"] is not None:
        moved = values["moved_positions"].items()
        values["moved_positions"] = tuple((atom + 1, *xyz.tolist()) for atom, xyz in moved)
    if (o := values["orbitals"]) is not None:
        columns = (o.atom + 1, o.shell, o.l, o.m, o.population)
        values["orbitals"] = tuple(zip(*(column.tolist() for column in columns), strict=True))
    return values


def assert_stands(detailed: DetailedOut, text: str, *, strict: bool) -> None:
    """Check each value against what stands in the file.

    A value that is missing may stand nowhere if `strict`; otherwise it may stand in another step.
    """
    candidates = standing.detailed_out(text)
    values = plain(detailed)
    assert values.keys() == candidates.keys()
    for name, value in values.items():
        if value is not None:
            assert value in candidates[name], (name, value, candidates[name])
        elif strict:
            assert candidates[name] == [], (name, candidates[name])
    assert_whole(values)


def assert_whole(values: dict[str, Any]) -> None:
    """Check that every shell has all its orbitals, and that all tables have the same atoms."""
    orbitals = values["orbitals"]
    atoms = {len(values[name]) for name in TABLES if values[name] is not None}
    if orbitals is not None:
        shells = {row[:3] for row in orbitals}
        whole = [(*s, m) for s in sorted(shells) for m in range(-s[2], s[2] + 1)]
        assert [row[:4] for row in orbitals] == whole
        atoms |= {orbitals[-1][0]}
    assert len(atoms) <= 1
