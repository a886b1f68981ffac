"""What has to hold for the numbers of every pair, and what is legal but suspicious.

Each check is a function of `Pairs` that yields what breaks it; its name and the first line of its
docstring are what the report says. A number that is missing breaks none: archives of format 1 hold
no orbital populations, those of the original project neither these nor charges. What has to hold
for the images is said by their encoding; see `twobody.encodings`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.dftbplus import BOHR, POPULATION_TOLERANCE
from twobody.elements import COVALENT_RADII, SHORTEST_PHYSICAL_BOND
from twobody.errors import NO_PAIR, Finding, PairProblem, ParseError
from twobody.labels import AU_TO_DEBYE, HARTREE_TO_EV, LABELS, NUMERIC_LABELS
from twobody.pairs import METADATA_NAMES, Float, Pairs, distances
from twobody.raw_data.read import BOND_TOLERANCE, DIPOLE_TOLERANCE, LABEL_TOLERANCE

FLOAT32_TOLERANCE = 1e-5  # Å, e: positions and populations are stored as float32
ENERGY_TOLERANCE = 1e-3  # eV: detailed.out prints 1e-4 eV, and values of the hartree differ by 1e-7
DEBYE_TOLERANCE = 1e-3  # D: values of the debye in use differ by 1e-5


def _where(pairs: Pairs, wrong: Any, message: str, *values: NDArray[Any]) -> Iterator[Finding]:
    """Yield the pairs where `wrong` [N] is true; their `values` [N] are the {} of the message."""
    for i in np.flatnonzero(wrong):
        yield Finding(str(pairs.names[i]), message.format(*(value[i] for value in values)))


def _differences(
    pairs: Pairs, what: str, found: Float, expected: Float, tolerance: float | Float
) -> Iterator[Finding]:
    """Yield the pairs where `found` [N] is not `expected` [N]; missing values are not compared."""
    wrong = np.abs(found - expected) > tolerance
    yield from _where(pairs, wrong, what + " is {:.10g}, not {:.10g}", found, expected)


def _labels(pairs: Pairs) -> dict[str, Float]:
    """Return the numeric labels of the schema by name; NaN where the archive does not have one."""
    return {label.name: pairs.label(label.name) for label in NUMERIC_LABELS}


def names(pairs: Pairs) -> Iterator[Finding]:
    """Pair names are sorted, each occurs once, and they name the elements and the system."""
    before = np.append("", pairs.names[:-1])
    yield from _where(pairs, pairs.names <= before, "comes after {}", before)
    first, second = pairs.elements.T
    other = pairs.names != np.strings.add(np.strings.add(first, "_"), second)
    yield from _where(pairs, other, "its elements are {} and {}", first, second)
    for guess in pairs.text_label_values.T[pairs.text_label_names == "system_id_guess"]:
        wrong = (guess != "") & (guess != pairs.names)
        yield from _where(pairs, wrong, "system_id_guess is another name")


def finite(pairs: Pairs) -> Iterator[Finding]:
    """Geometries, bond lengths and dipole moments are finite numbers; no number is infinite."""
    wrong = ~np.isfinite(pairs.geometries).all(axis=(1, 2))
    yield from _where(pairs, wrong, "its geometry is not")
    original = pairs.provenance is None  # whose archives may lack all metadata
    for name, values in zip(METADATA_NAMES, pairs.metadata.T, strict=True):
        always = name.startswith("dipole") or name in ("num_atoms", "bond_length")
        wrong = ~np.isfinite(values) if always and not original else np.isinf(values)
        yield from _where(pairs, wrong, f"metadata {name} is not")
    for name in ("charges", "atom_populations", "orbital_populations"):
        infinite = np.isinf(pairs.rows[name]).reshape(len(pairs), -1).any(axis=1)
        yield from _where(pairs, infinite, f"one of its {name.replace('_', ' ')} is infinite")


def label_values(pairs: Pairs) -> Iterator[Finding]:
    """Flags are 0 or 1, counts whole numbers, 0 or more, and no label is infinite."""
    for label in NUMERIC_LABELS:
        values = pairs.label(label.name)
        yield from _where(pairs, ~label.legal(values), label.name + " is {:.10g}", values)


def two_atoms(pairs: Pairs) -> Iterator[Finding]:
    """Every pair has two atoms."""
    n = pairs.rows["num_atoms"]
    yield from _differences(pairs, "metadata num_atoms", n, np.full_like(n, 2), 0)


def bond_length(pairs: Pairs) -> Iterator[Finding]:
    """The distance of the atoms is the bond length of metadata and of distance_ang."""
    distance, found = distances(pairs.rows["positions"]), pairs.rows["bond_length"]
    yield from _differences(pairs, "metadata bond_length", found, distance, FLOAT32_TOLERANCE)
    found, tolerance = pairs.label("distance_ang"), BOND_TOLERANCE + FLOAT32_TOLERANCE
    yield from _differences(pairs, "distance_ang", found, distance, tolerance)


def label_formulas(pairs: Pairs) -> Iterator[Finding]:
    """Labels that follow from others have the value that their formula gives."""
    values = _labels(pairs)
    for label in LABELS:
        if label.formula is None:
            continue
        found, expected = values[label.name], label.formula(values)
        what = f"{label.name} of {', '.join(label.formula.sources)}"
        tolerance = LABEL_TOLERANCE * np.maximum(1, np.abs(expected))
        yield from _differences(pairs, what, found, expected, tolerance)
        known = ~np.isnan([values[source] for source in label.formula.sources]).any(axis=0)
        impossible = known & np.isnan(expected) & ~np.isnan(found)
        yield from _where(pairs, impossible, f"{what} has a value though the formula has none")


def gap_flags(pairs: Pairs) -> Iterator[Finding]:
    """A metal-like pair has no gap, in others LUMO is not below HOMO; no virtual level, no LUMO."""
    values = _labels(pairs)
    metal, none, lumo = (values[n] for n in ("metal_like", "no_virtual_in_basis", "e_lumo_ev"))
    yield from _where(pairs, (metal == 1) & (values["e_g_ev"] > 0), "is metal_like and has a gap")
    wrong = (metal == 0) & (lumo < values["e_homo_ev"])
    yield from _where(pairs, wrong, "is not metal_like, but LUMO < HOMO")
    needs_virtual = {"e_lumo_ev"}
    for label in LABELS:  # what a label follows from stands before it
        if label.formula is not None and needs_virtual.intersection(label.formula.sources):
            needs_virtual.add(label.name)
    for name in sorted(needs_virtual):
        wrong = (none == 1) & ~np.isnan(values[name])
        yield from _where(pairs, wrong, f"has no virtual level, but {name}")
    wrong = (none == 0) & np.isnan(lumo)
    yield from _where(pairs, wrong, "has a virtual level, but no e_lumo_ev")


def levels(pairs: Pairs) -> Iterator[Finding]:
    """There are as many levels as orbitals, or more, and they can hold all electrons."""
    n, most = pairs.label("n_levels"), pairs.label("max_occupancy")
    orbitals = (~np.isnan(pairs.rows["orbital_populations"])).sum(axis=(1, 2))
    yield from _where(pairs, n < orbitals, "{:.10g} levels, {} orbitals", n, orbitals)
    electrons = pairs.rows["atom_populations"].sum(axis=1)
    wrong = n * most < electrons - POPULATION_TOLERANCE
    message = "{:.10g} levels of up to {:.10g} e, {:.10g} electrons"
    yield from _where(pairs, wrong, message, n, most, electrons)


def free_energy(pairs: Pairs) -> Iterator[Finding]:
    """The total energy is not below the Mermin free energy; under Methfessel-Paxton it may be."""
    total, free = pairs.label("total_energy_ev"), pairs.label("mermin_free_energy_ev")
    wrong = total < free - LABEL_TOLERANCE
    yield from _where(pairs, wrong, "total {:.10g} eV, free {:.10g} eV", total, free)


def labels_and_metadata(pairs: Pairs) -> Iterator[Finding]:
    """Labels and metadata are the same energies, charges and dipole moments in other units."""
    metadata = dict(zip(METADATA_NAMES, pairs.metadata.T, strict=True))
    same = (
        ("total_energy_ev", "total_energy", HARTREE_TO_EV, ENERGY_TOLERANCE),
        ("fermi_level_ev", "fermi_level", HARTREE_TO_EV, ENERGY_TOLERANCE),
        ("total_charge", "total_charge", 1.0, LABEL_TOLERANCE),
        *((f"dipole_{x}_d", f"dipole_{x}", AU_TO_DEBYE, DEBYE_TOLERANCE) for x in "xyz"),
    )
    for label, name, factor, tolerance in same:
        what, expected = f"{label} of metadata {name}", metadata[name] * factor
        yield from _differences(pairs, what, pairs.label(label), expected, tolerance)


def charges(pairs: Pairs) -> Iterator[Finding]:
    """Charges add up to the total charge, and the charge labels are made of them."""
    q, total = pairs.rows["charges"], pairs.label("total_charge")
    size, tolerance = np.abs(q), POPULATION_TOLERANCE
    yield from _differences(pairs, "the sum of charges", q.sum(axis=1), total, tolerance)
    made = {"q_absmean": size.mean(axis=1), "q_maxabs": size.max(axis=1), "q_std": q.std(axis=1)}
    for name, expected in made.items():
        yield from _differences(pairs, name, pairs.label(name), expected, LABEL_TOLERANCE)


def populations(pairs: Pairs) -> Iterator[Finding]:
    """Populations agree, add up, and make, with the charges, whole numbers of electrons."""
    orbitals, known = pairs.rows["orbital_populations"], pairs.rows["atom_populations"]
    sums = np.where(np.isnan(orbitals).all(axis=2), np.nan, np.nansum(orbitals, axis=2))
    electrons = known + pairs.rows["charges"]
    for k in range(2):
        for what, found, expected in (
            ("the population", pairs.rows["populations"], known),
            ("the sum of orbital populations", sums, known),
            ("population + charge", electrons, np.round(electrons)),
        ):
            of_atom, one, other = f"{what} of atom {k + 1}", found[:, k], expected[:, k]
            yield from _differences(pairs, of_atom, one, other, POPULATION_TOLERANCE)


def dipole_moment(pairs: Pairs) -> Iterator[Finding]:
    """The dipole moment is the sum of charge times position."""
    # Of the positions as they are, in float32: the moment of a charged pair depends on the origin.
    terms = pairs.rows["charges"][..., None] * pairs.rows["positions"] / BOHR
    tolerance = DIPOLE_TOLERANCE + 1e-6 * np.abs(terms).sum(axis=1)
    for k, axis in enumerate("xyz"):
        found, expected = pairs.rows["dipole"][:, k], terms.sum(axis=1)[:, k]
        yield from _differences(pairs, f"dipole_{axis} [au]", found, expected, tolerance[:, k])


def short_bonds(pairs: Pairs) -> Iterator[Finding]:
    """No bond is shorter than 0.75 of the sum of the covalent radii (Cordero 2008)."""
    length = distances(pairs.rows["positions"])
    radii = [[COVALENT_RADII.get(e, np.nan) for e in row] for row in pairs.elements.tolist()]
    ratio = length / np.array(radii).reshape(-1, 2).sum(axis=1)
    short = ratio < SHORTEST_PHYSICAL_BOND
    yield from _where(pairs, short, "{:.3f} Å, {:.2f} of the sum", length, ratio)


def constant_labels(pairs: Pairs) -> Iterator[Finding]:
    """Labels differ from pair to pair."""
    for name, values in _labels(pairs).items():
        present = values[~np.isnan(values)]
        if not len(present):
            yield Finding(None, f"{name} is missing in every pair")
        elif len(present) > 1 and (present == present[0]).all():
            yield Finding(None, f"{name} is {present[0] + 0.0:.10g} in every pair that has it")


def incomplete_labels(pairs: Pairs) -> Iterator[Finding]:
    """No label is missing where what it follows from is there."""
    values = _labels(pairs)
    for label in LABELS:
        if label.formula is not None:
            missing = np.isnan(values[label.name]) & ~np.isnan(label.formula(values))
            yield from _where(pairs, missing, f"{label.name} is missing")


CHECKS = (  # what has to hold for every archive
    *(names, finite, label_values, two_atoms, bond_length, label_formulas, gap_flags, levels),
    *(labels_and_metadata, charges, populations, dipole_moment),
)
# What they find is no fault.
WARNINGS = (free_energy, short_bonds, constant_labels, incomplete_labels)


def problems(pairs: Pairs) -> Iterator[PairProblem]:
    """Yield what breaks `CHECKS`, so that a build refuses what they would find in its archive."""
    with np.errstate(all="ignore"):
        for law in CHECKS:
            name = law.__name__.replace("_", " ")
            for pair, message in law(pairs):
                folder = pair or NO_PAIR
                expected = f"what passes the check '{name}' of check_npz.py --verify"
                yield PairProblem(folder, ParseError(pairs.path / folder, None, expected, message))
