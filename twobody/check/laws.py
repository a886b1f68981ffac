"""What has to hold for the numbers of every pair, and what is legal but suspect.

Each law is a function of the columns of an archive that yields what breaks it; its name and the
first line of its docstring are what the report says. `LAWS` hold for every archive, `IMAGE_LAWS`
where it carries the amplitudes of its images, and what `SUSPICIONS` find is no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twobody.columns import Columns, RenderedImages
from twobody.dftbplus import POPULATION_TOLERANCE
from twobody.elements import ATOMIC_NUMBERS, COVALENT_RADII, SHORTEST_PHYSICAL_BOND
from twobody.encodings import published as images
from twobody.labels import AU_TO_DEBYE, HARTREE_TO_EV, LABELS, NUMERIC_LABELS
from twobody.raw_data.folders import BOND_TOLERANCE, bond_lengths

FLOAT32_TOLERANCE = 1e-5  # Å, e: positions and populations are stored as float32
LABEL_TOLERANCE = 1e-6  # of 1 or the value, in its unit: label files may have six decimals
ENERGY_TOLERANCE = 1e-3  # eV: detailed.out prints 1e-4 eV, and values of the hartree differ by 1e-7
DIPOLE_TOLERANCE = 1e-3  # D: values of the debye in use differ by 1e-5

_Float = NDArray[np.float64]


class Finding(NamedTuple):
    """What a law found; `pair` is None where it is the archive as a whole."""

    pair: str | None
    message: str


Law = Callable[[Columns], Iterator[Finding]]
ImageLaw = Callable[[Columns, Mapping[str, _Float]], Iterator[Finding]]


def _differences(
    columns: Columns, what: str, found: _Float, expected: _Float, tolerance: float | _Float
) -> Iterator[Finding]:
    """Yield the pairs where `found` [N] is not `expected` [N]; missing values are not compared."""
    for i in np.flatnonzero(np.abs(found - expected) > tolerance):
        message = f"{what} is {found[i]:.10g}, not {expected[i]:.10g}"
        yield Finding(str(columns.pair_names[i]), message)


def _where(columns: Columns, wrong: NDArray[np.bool_], message: str) -> Iterator[Finding]:
    """Yield the pairs where `wrong` [N] is true."""
    yield from (Finding(str(name), message) for name in columns.pair_names[wrong])


def _labels(columns: Columns) -> Mapping[str, _Float]:
    """Return the numeric labels of the schema by name; NaN where the archive does not have one."""
    known = dict(zip(columns.label_names.tolist(), columns.label_values.T, strict=True))
    missing = np.full(len(columns.pair_names), np.nan)
    return {label.name: known.get(label.name, missing) for label in NUMERIC_LABELS}


def _metadata(columns: Columns) -> Mapping[str, _Float]:
    return dict(zip(columns.metadata_names.tolist(), columns.metadata_values.T, strict=True))


def _distances(columns: Columns) -> _Float:
    """Return the distances [N] [Å] of the atoms as `geometries` has them."""
    return bond_lengths(columns.geometries[:, :, :3].astype(np.float64))


def channel_amplitudes(stored: RenderedImages) -> Mapping[str, _Float]:
    """Return the amplitudes [N, 2] of each channel by name."""
    return dict(zip(images.CHANNEL_NAMES, stored.amplitudes.swapaxes(0, 1), strict=True))


def _charges(amplitudes: Mapping[str, _Float]) -> _Float:
    """Return the gross charges [N, 2] [e] that the amplitudes hold."""
    charges: _Float = (amplitudes["q_image_positive"] - amplitudes["q_image_negative"]) / 10
    return charges


def names(columns: Columns) -> Iterator[Finding]:
    """Pair names are sorted, each comes once, and they name the elements and the system."""
    pair_names = columns.pair_names
    for i in np.flatnonzero(pair_names[1:] <= pair_names[:-1]):
        yield Finding(str(pair_names[i + 1]), f"comes after {pair_names[i]}")
    for name, elements in zip(pair_names, columns.elements, strict=True):
        if not set(elements.tolist()) <= ATOMIC_NUMBERS.keys() or name != "_".join(elements):
            yield Finding(str(name), f"its elements are {' and '.join(elements)}")
    for guess in columns.text_label_values.T[columns.text_label_names == "system_id_guess"]:
        wrong = (guess != "") & (guess != pair_names)
        yield from _where(columns, wrong, "system_id_guess is another name")


def finite(columns: Columns) -> Iterator[Finding]:
    """Geometries, bond lengths and dipole moments are finite numbers; no value is infinite."""
    wrong = np.any(~np.isfinite(columns.geometries), axis=(1, 2))
    yield from _where(columns, wrong, "its geometry is not")
    ours = isinstance(columns.images, RenderedImages)  # in others all metadata may be missing
    for name, values in _metadata(columns).items():
        always = ours and (name.startswith("dipole") or name in ("num_atoms", "bond_length"))
        wrong = ~np.isfinite(values) if always else np.isinf(values)
        yield from _where(columns, wrong, f"metadata {name} is not")
    for name, values in _labels(columns).items():
        yield from _where(columns, np.isinf(values), f"{name} is infinite")


def flags_and_counts(columns: Columns) -> Iterator[Finding]:
    """Booleans are 0 or 1, counts whole numbers that are not negative."""
    values = _labels(columns)
    for label in NUMERIC_LABELS:
        column = values[label.name]
        if label.kind == "flag":
            legal = np.isin(column, (0, 1))
        elif label.kind == "count":
            legal = (column >= 0) & (column == np.floor(column))
        else:
            continue
        for i in np.flatnonzero(~legal & ~np.isnan(column)):
            yield Finding(str(columns.pair_names[i]), f"{label.name} is {column[i]:.10g}")


def two_atoms(columns: Columns) -> Iterator[Finding]:
    """Every pair has two atoms."""
    two = np.full(len(columns.pair_names), 2.0)
    yield from _differences(columns, "n_atoms", _labels(columns)["n_atoms"], two, 0)
    yield from _differences(columns, "metadata num_atoms", _metadata(columns)["num_atoms"], two, 0)


def bond_length(columns: Columns) -> Iterator[Finding]:
    """The distance of the atoms is the bond length of metadata and of distance_ang."""
    distance = _distances(columns)
    in_metadata = _metadata(columns)["bond_length"]
    label = _labels(columns)["distance_ang"]
    yield from _differences(
        columns, "metadata bond_length", in_metadata, distance, FLOAT32_TOLERANCE
    )
    yield from _differences(
        columns, "distance_ang", label, distance, BOND_TOLERANCE + FLOAT32_TOLERANCE
    )


def label_formulas(columns: Columns) -> Iterator[Finding]:
    """Labels that follow from others have the value that their formula gives."""
    values = _labels(columns)
    for label in LABELS:
        if label.formula is None:
            continue
        found, expected = values[label.name], label.formula(values)
        what = f"{label.name} of {', '.join(label.formula.sources)}"
        tolerance = LABEL_TOLERANCE * np.maximum(1, np.abs(expected))
        yield from _differences(columns, what, found, expected, tolerance)
        known = ~np.isnan([values[source] for source in label.formula.sources]).any(0)
        impossible = known & np.isnan(expected) & ~np.isnan(found)
        yield from _where(columns, impossible, f"{what} has a value though the formula has none")


def gap_flags(columns: Columns) -> Iterator[Finding]:
    """A metal-like pair has no gap; without a virtual level there is none, nor what needs one."""
    values = _labels(columns)
    metal = (values["metal_like"] == 1) & (values["e_g_ev"] > 0)
    yield from _where(columns, metal, "is metal_like and has a gap")
    needs_virtual = {"e_lumo_ev"}
    for label in LABELS:  # what a label follows from stands before it
        if label.formula is not None and needs_virtual.intersection(label.formula.sources):
            needs_virtual.add(label.name)
    for name in sorted(needs_virtual):
        wrong = (values["no_virtual_in_basis"] == 1) & ~np.isnan(values[name])
        yield from _where(columns, wrong, f"has no virtual level, but {name}")
    wrong = (values["no_virtual_in_basis"] == 0) & np.isnan(values["e_lumo_ev"])
    yield from _where(columns, wrong, "has a virtual level, but no e_lumo_ev")


def free_energy(columns: Columns) -> Iterator[Finding]:
    """The total energy is not below the Mermin free energy: an entropy is not negative."""
    values = _labels(columns)
    total, free = values["total_energy_ev"], values["mermin_free_energy_ev"]
    for i in np.flatnonzero(total < free - LABEL_TOLERANCE):
        message = f"total {total[i]:.10g} eV, free {free[i]:.10g} eV"
        yield Finding(str(columns.pair_names[i]), message)


def labels_and_metadata(columns: Columns) -> Iterator[Finding]:
    """Labels and metadata are the same energies, charges and dipole moments in other units."""
    values, metadata = _labels(columns), _metadata(columns)
    same = (
        ("total_energy_ev", "total_energy", HARTREE_TO_EV, ENERGY_TOLERANCE),
        ("fermi_level_ev", "fermi_level", HARTREE_TO_EV, ENERGY_TOLERANCE),
        ("total_charge", "total_charge", 1.0, LABEL_TOLERANCE),
        *((f"dipole_{x}_d", f"dipole_{x}", AU_TO_DEBYE, DIPOLE_TOLERANCE) for x in "xyz"),
    )
    for label, name, factor, tolerance in same:
        what = f"{label} of metadata {name}"
        yield from _differences(columns, what, values[label], metadata[name] * factor, tolerance)


def charges(columns: Columns, amplitudes: Mapping[str, _Float]) -> Iterator[Finding]:
    """Charges add up to the total, and the charge labels and channels are made of them."""
    q, values = _charges(amplitudes), _labels(columns)
    what, total = "the sum of charges", values["total_charge"]
    yield from _differences(columns, what, q.sum(1), total, POPULATION_TOLERANCE)
    made = {"q_absmean": np.abs(q).mean(1), "q_maxabs": np.abs(q).max(1), "q_std": q.std(1)}
    for name, expected in made.items():
        yield from _differences(columns, name, values[name], expected, LABEL_TOLERANCE)
    for atom in range(2):
        found, what = amplitudes["com_charge"][:, atom], f"com_charge of atom {atom + 1}"
        yield from _differences(columns, what, found, 10 * np.abs(q[:, atom]), LABEL_TOLERANCE)
    found, what = amplitudes["rip_mtf_quadrupole"][:, 0], "rip_mtf_quadrupole"
    yield from _differences(columns, what, found, np.abs(q[:, 0] - q[:, 1]), LABEL_TOLERANCE)


def populations(columns: Columns, amplitudes: Mapping[str, _Float]) -> Iterator[Finding]:
    """Populations agree, add up, and make, with the charges, whole numbers of electrons."""
    atoms, tolerance = amplitudes["com_orbital"], POPULATION_TOLERANCE
    electrons = atoms + _charges(amplitudes)
    for atom in range(2):
        found, what = columns.geometries[:, atom, 3].astype(np.float64), f"of atom {atom + 1}"
        yield from _differences(columns, f"the population {what}", found, atoms[:, atom], tolerance)
        what, found = f"population + charge {what}", electrons[:, atom]
        yield from _differences(columns, what, found, np.round(found), tolerance)
    shells = amplitudes["rip_gaf_sp"][:, 0] + amplitudes["rip_gaf_df"][:, 0]
    what = "the sum of orbital populations"
    yield from _differences(columns, what, shells, atoms.sum(1), 2 * tolerance)


def dipole_channel(columns: Columns, amplitudes: Mapping[str, _Float]) -> Iterator[Finding]:
    """The dipole channel is the norm of the dipole moment."""
    metadata = _metadata(columns)
    dipole = np.stack([metadata[f"dipole_{axis}"] for axis in "xyz"])
    found, expected = amplitudes["rip_mtf_dipole"][:, 0], np.sqrt((dipole**2).sum(0))
    yield from _differences(columns, "rip_mtf_dipole", found, expected, LABEL_TOLERANCE)


def short_bonds(columns: Columns) -> Iterator[Finding]:
    """No bond is shorter than 0.75 of the sum of the covalent radii (Cordero 2008)."""
    length = _distances(columns)
    radii = [[COVALENT_RADII.get(e, np.nan) for e in row] for row in columns.elements.tolist()]
    ratio = length / np.array(radii).reshape(-1, 2).sum(1)
    for i in np.flatnonzero(ratio < SHORTEST_PHYSICAL_BOND):
        message = f"{length[i]:.3f} Å, {ratio[i]:.2f} of the sum"
        yield Finding(str(columns.pair_names[i]), message)


def constant_labels(columns: Columns) -> Iterator[Finding]:
    """Labels differ from pair to pair."""
    for name, column in _labels(columns).items():
        present = column[~np.isnan(column)]
        if not len(present):
            yield Finding(None, f"{name} is missing in every pair")
        elif len(present) > 1 and (present == present[0]).all():
            yield Finding(None, f"{name} is {present[0] + 0.0:.10g} in every pair that has it")


def incomplete_labels(columns: Columns) -> Iterator[Finding]:
    """No label is missing where what it follows from is there."""
    values = _labels(columns)
    for label in LABELS:
        if label.formula is not None:
            missing = np.isnan(values[label.name]) & ~np.isnan(label.formula(values))
            yield from _where(columns, missing, f"{label.name} is missing")


def zero_channels(columns: Columns) -> Iterator[Finding]:
    """No channel is zero in every pair."""
    stored = columns.images
    numbers = stored.amplitudes if isinstance(stored, RenderedImages) else stored
    for k, name in enumerate(images.CHANNEL_NAMES):
        if not numbers[:, k].any():
            yield Finding(None, f"{name} is zero in every pair")


LAWS: tuple[Law, ...] = (
    *(names, finite, flags_and_counts, two_atoms, bond_length, label_formulas, gap_flags),
    *(free_energy, labels_and_metadata),
)
IMAGE_LAWS: tuple[ImageLaw, ...] = (charges, populations, dipole_channel)
SUSPICIONS: tuple[Law, ...] = (short_bonds, constant_labels, incomplete_labels, zero_channels)
