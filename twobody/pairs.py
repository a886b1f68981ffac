"""`Pairs`: N two-atom systems as one table, the same from the raw files to the tensors."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twobody.elements import ATOMIC_NUMBERS
from twobody.text import quote

if TYPE_CHECKING:
    import pandas as pd

Float = NDArray[np.float64]
Image = NDArray[np.float32]
Index = NDArray[np.int64] | NDArray[np.bool_] | slice
Columns = dict[str, NDArray[Any]]

MAX_L = 3  # largest angular momentum of an orbital: s, p, d and f
N_ORBITALS = (MAX_L + 1) ** 2  # orbitals (l, m) of an atom; the index of one is l·l + l + m

ROW = np.dtype(
    [
        ("positions", "<f8", (2, 3)),  # [Å]
        ("populations", "<f8", (2,)),  # [e] of geo_end.xyz, or of detailed.out where it has none
        ("atom_populations", "<f8", (2,)),  # [e] of detailed.out
        ("charges", "<f8", (2,)),  # [e] gross charges
        ("orbital_populations", "<f8", (2, N_ORBITALS)),  # [e] summed over shells and spins
        ("total_charge", "<f8"),  # [e] from here on what archives call metadata
        ("fermi_level", "<f8"),  # [H]
        ("total_energy", "<f8"),  # [H]
        ("dipole", "<f8", (3,)),  # [au]
        ("num_atoms", "<f8"),
        ("bond_length", "<f8"),  # [Å]
    ]
)
"""What is known of a pair beside its labels: Mulliken populations and charges of its atoms, their
orbitals, positions, and numbers of the whole. NaN is a missing value, or no such orbital."""

METADATA_NAMES: tuple[str, ...] = (
    *("total_charge", "fermi_level", "total_energy"),
    *("dipole_x", "dipole_y", "dipole_z", "num_atoms", "bond_length"),
)
"""The numbers that archives hold as metadata: the last of `ROW`."""


class LazyImages(Protocol):
    """What makes images of N pairs when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N, channels, height, width."""

    def __getitem__(self, index: Index, /) -> Image:
        """Return the images at `index`, an array or a slice: float32 [n, channels, h, w]."""

    def take(self, index: Index, /) -> LazyImages:
        """Return those at `index`, made no sooner than these."""


Images = Image | LazyImages
"""The images of N pairs, float32 [N, channels, height, width]."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """N pairs of atoms, sorted by name in everything that this project writes."""

    path: Path  # the raw data or the archive that they come from, for messages
    names: NDArray[np.str_]  # [N] A_B
    elements: NDArray[np.str_]  # [N, 2] symbols
    rows: NDArray[np.void]  # [N] of ROW: rows["charges"] is float64 [N, 2], and so on
    label_names: NDArray[np.str_]  # [L] of the numeric labels
    label_units: NDArray[np.str_]  # [L] empty where nobody says it (archives of other origin)
    label_values: Float  # [N, L] NaN where missing
    text_label_names: NDArray[np.str_]  # [T]
    text_label_values: NDArray[np.str_]  # [N, T] empty where missing
    encoding: str = ""  # name of the encoding of the images; see twobody.encodings
    images: Images | None = None  # None before they are encoded
    provenance: Mapping[str, Any] | None = None  # JSON; None in archives of the original project

    def __len__(self) -> int:
        return len(self.names)

    def take(self, index: Index) -> Pairs:
        """Return the pairs at `index`: places, a mask or a slice."""
        of_pairs = ("names", "elements", "rows", "label_values", "text_label_values")
        images = self.images
        if images is not None:
            images = images[index] if isinstance(images, np.ndarray) else images.take(index)
        return replace(
            self, images=images, **{name: getattr(self, name)[index] for name in of_pairs}
        )

    @property
    def encoded(self) -> Images:
        """The images of pairs that have them, as all do that come from an archive."""
        if self.images is None:
            raise ValueError("the images of these pairs were not encoded")
        return self.images

    @cached_property
    def atomic_numbers(self) -> NDArray[np.int64]:
        """Z of both atoms, [N, 2]."""
        symbols, inverse = np.unique(self.elements, return_inverse=True)
        numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols.tolist()], np.int64)
        return numbers[inverse].reshape(self.elements.shape)

    @property
    def geometries(self) -> NDArray[np.float32]:
        """x, y, z [Å] and Mulliken population [e] of both atoms in archives, [N, 2, 4]."""
        populations = self.rows["populations"][..., None]
        return np.concatenate([self.rows["positions"], populations], axis=2).astype("<f4")

    @property
    def metadata(self) -> Float:
        """The columns `METADATA_NAMES`, float64 [N, 8]."""
        numbers: Float = self.rows.view(np.float64).reshape(len(self), ROW.itemsize // 8)
        return numbers[:, -len(METADATA_NAMES) :]

    def label(self, name: str) -> Float:
        """Return a numeric label, float64 [N]; NaN where missing, and everywhere if unknown."""
        found = np.flatnonzero(self.label_names == name)
        return self.label_values[:, found[0]] if len(found) else np.full(len(self), np.nan)

    def label_columns(self) -> Columns:
        """Return every label by name, those of the schema in its order, unknown ones behind."""
        from twobody.labels import LABELS  # noqa: PLC0415 - the loaders do without

        columns = dict(zip(self.label_names.tolist(), self.label_values.T, strict=True))
        columns |= zip(self.text_label_names.tolist(), self.text_label_values.T, strict=True)
        known = {label.name: columns[label.name] for label in LABELS if label.name in columns}
        return known | columns

    def geometry_columns(self) -> Columns:
        """Return elements, positions [Å], populations [e] and bond length [Å] by name."""
        columns: Columns = {f"element_{k + 1}": self.elements[:, k] for k in range(2)}
        for k in range(2):
            positions = self.rows["positions"][:, k]
            columns |= {f"{axis}{k + 1}": positions[:, i] for i, axis in enumerate("xyz")}
            columns[f"population_{k + 1}"] = self.rows["populations"][:, k]
        return columns | {"bond_length_ang": self.rows["bond_length"]}

    def to_frame(self) -> pd.DataFrame:
        """Return geometries, metadata and labels as a table with the pairs' names as its index."""
        import pandas as pd  # noqa: PLC0415 - builds do without, and it takes longer than their start

        numbers = zip(METADATA_NAMES, self.metadata.T, strict=True)
        # The bond length stands in the geometry.
        metadata = {f"metadata {k}": v for k, v in numbers if k != "bond_length"}
        columns = self.geometry_columns() | metadata | self.label_columns()
        return pd.DataFrame(columns, pd.Index(self.names, name="pair_name"))


def empty_rows(n: int, dtype: np.dtype[np.void] = ROW) -> NDArray[np.void]:
    """Make `n` rows of float64 columns in which everything is missing."""
    rows = np.empty(n, dtype)
    rows.view(np.float64)[:] = np.nan
    return rows


def dense_orbitals(
    atom: NDArray[np.int64], l: NDArray[np.int64], m: NDArray[np.int64], populations: Float
) -> Float:
    """Put populations [..., n_orbitals] of orbitals of two atoms in their places, [..., 2, 16].

    Orbitals of the same atom, l and m, which are of several shells, are added up; NaN stands where
    an atom has no such orbital.
    """
    places = atom * N_ORBITALS + l * l + l + m
    sums = np.zeros((2 * N_ORBITALS, *populations.shape[:-1]))
    np.add.at(sums, places, np.moveaxis(populations, -1, 0))
    sums[np.setdiff1d(np.arange(2 * N_ORBITALS), places)] = np.nan
    return np.moveaxis(sums, 0, -1).reshape(*populations.shape[:-1], 2, N_ORBITALS)


def distances(positions: Float) -> Float:
    """Distances [...] between the two atoms of `positions`, [..., 2, 3]; in their unit."""
    vectors = positions[..., 1, :] - positions[..., 0, :]
    return np.asarray(np.sqrt((vectors**2).sum(axis=-1)))


def is_pair_name(name: str) -> bool:
    """Tell whether `name` is the symbols of two elements, joined by an underscore."""
    elements = name.split("_")
    return len(elements) == 2 and set(elements) <= ATOMIC_NUMBERS.keys()


def pair_index(names: Sequence[str], pair: str) -> int:
    """Return the place of a pair among `names`; the elements of its name may stand in any order.

    Where there is no such pair a KeyError names the nearest.
    """
    for name in (pair, "_".join(reversed(pair.split("_")))):
        if name in names:
            return names.index(name)
    by_elements = {frozenset(name.lower().split("_")): name for name in names}
    ways = (pair.split("_"), re.findall("[A-Z][a-z]?", pair))  # na_cl, NaCl or Na-Cl
    read = (by_elements.get(frozenset(map(str.lower, symbols))) for symbols in ways)
    nearest = [*filter(None, read)][:1] or difflib.get_close_matches(pair, names, cutoff=0)
    raise KeyError(f"{quote(pair)} (did you mean {', '.join(nearest)}?)")
