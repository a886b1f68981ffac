"""What models read of samples, as arrays of float32: nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.descriptors import NAMES
from twobody.benchmark.task import Samples

_Float = NDArray[np.float64]

FIELDS = fields(Samples)

_L_OF_COLUMN = np.repeat(np.arange(4), [1, 3, 5, 7])
"""Angular momentum l of the 16 columns of ``orbital_populations``: s, p, d, f."""


def labels_of(samples: Samples) -> dict[str, _Float]:
    """Return the targets of samples that have them: training and validation, never the test."""
    if samples.targets is None:
        raise ValueError("the samples have no targets: they are a test part")
    return samples.targets


def joined(train: Samples, validation: Samples) -> Samples:
    """Put both parts together, for models that need no validation."""

    def both(one: Any, other: Any) -> Any:
        if isinstance(one, dict):
            return {key: both(one[key], other[key]) for key in one}
        return np.concatenate([one, other]) if isinstance(one, np.ndarray) else one

    values = {f.name: both(getattr(train, f.name), getattr(validation, f.name)) for f in FIELDS}
    return Samples(**values)


def element_columns(samples: Samples) -> _Float:
    """Return what is known of the element of each atom.

    Returns
    -------
    float64 [n, 2, D]
        The descriptors; atomic number; valence electrons of the free atom; these times the square
        of Slater's exponent for each l = 0 ... 3, which goes with the energy of the shell [Ry], and
        the sum of these over l.
    """
    occupations = samples.descriptors[..., _OCCUPATIONS]
    energies = occupations * samples.descriptors[..., _EXPONENTS] ** 2
    columns = [
        samples.descriptors,
        samples.atomic_numbers[..., None],
        occupations.sum(axis=-1, keepdims=True),
        energies,
        energies.sum(axis=-1, keepdims=True),
    ]
    return np.concatenate(columns, axis=-1)


def atom_columns(samples: Samples) -> _Float:
    """Return the columns of each element and, on the track ``density``, those of its populations.

    Sums of orbital energies over electrons make the band energy. That of a shell grows with its
    exponent, with a power between 1 and 2, and along a period: populations come with such factors.
    The charges shift it: electrons of atom A feel U_A dq_A + gamma_AB dq_B (Elstner et al., Phys.
    Rev. B 58, 7260 (1998), equation 16), where the Hubbard U_A grows with the exponent and gamma_AB
    is nearly 1 / R. So populations come with charges as well.

    Returns
    -------
    float64 [n, 2, D] or [n, 2, D + 37]
        `element_columns`; charge [e] and valence charge, which is the population plus the charge;
        population of each l = 0 ... 3 [e], alone and times Slater's exponent, its square, the
        group, and exponent and group; the same times the charge, times charge and exponent, and
        times the charge of the other atom over the bond length [e/Å]; that alone and times the
        charge; and the square of the charge.
    """
    columns = element_columns(samples)
    charges, populations = samples.charges, samples.populations
    lengths, orbitals = samples.bond_lengths, samples.orbital_populations
    if charges is None or populations is None or lengths is None or orbitals is None:
        return columns
    of_l = np.nan_to_num(orbitals)
    by_l = np.stack([of_l[..., l == _L_OF_COLUMN].sum(axis=-1) for l in range(4)], axis=-1)
    exponents = samples.descriptors[..., _EXPONENTS]
    group = samples.descriptors[..., [NAMES.index("group")]]
    own = charges[..., None]
    other = own[:, ::-1] / lengths[:, None, None]
    factors = [np.ones_like(group), exponents, exponents**2, group, exponents * group]
    factors += [own, own * exponents, other]
    atoms = np.stack([charges, populations + charges], axis=-1)
    shifts = [other, own * other, own**2]
    by_factor = [by_l * factor for factor in factors]
    return np.concatenate([columns, atoms, *by_factor, *shifts], axis=-1)


_OCCUPATIONS = [NAMES.index(f"occupation_{l}") for l in "spdf"]
_EXPONENTS = [NAMES.index(f"exponent_{l}") for l in "spdf"]


def bond_columns(samples: Samples) -> _Float:
    """Return the bond length [Å], alone and less both covalent radii, where the track shows it.

    Returns
    -------
    float64 [n, 2] or [n, 0]
    """
    if samples.bond_lengths is None:
        return np.empty((len(samples), 0))
    radii = samples.descriptors[..., NAMES.index("covalent_radius")].sum(axis=1)
    return np.stack([samples.bond_lengths, samples.bond_lengths - radii], axis=1)


Reading = Literal["atoms", "elements", "names"]
"""What a model reads of atoms: all of `atom_columns`, `element_columns`, or no more than names."""

_READ: dict[Reading, Callable[[Samples], _Float]] = {
    "atoms": atom_columns,
    "elements": element_columns,
    "names": lambda samples: np.empty((len(samples), 2, 0)),
}


@dataclass(frozen=True)
class Features:
    """Columns of each atom, and images, on one scale: that of the training part.

    Attributes
    ----------
    reads : "atoms", "elements" or "names"
    elements : str [n_elements]
        The elements that have a column of their own.
    mean, scale : float64 [D]
    centres : float64 [n_known, E]
        The scaled columns of each element of the training part; empty where names alone are read.
    pixel_mean, pixel_scale : float32 [C, 1, 1]
        Of each channel of the images; empty without images.
    """

    reads: Reading
    elements: NDArray[np.str_]
    mean: _Float
    scale: _Float
    centres: _Float
    pixel_mean: NDArray[np.float32]
    pixel_scale: NDArray[np.float32]

    @classmethod
    def fit(cls, train: Samples, *, named: bool, reads: Reading = "atoms") -> Features:
        """Learn the scales from the training part.

        With ``named`` each element has a column of its own.
        """
        columns = _READ[reads](train).reshape(2 * len(train), -1)
        mean, scale = columns.mean(axis=0), _spread(columns.std(axis=0))
        known = np.unique(train.atomic_numbers, return_index=True)[1]
        elements = np.unique(train.elements) if named else np.empty(0, train.elements.dtype)
        images = np.empty((1, 0, 1, 1), np.float32) if train.images is None else train.images
        axes = (0, 2, 3)
        return cls(
            reads,
            elements,
            mean,
            scale,
            ((columns[known] - mean) / scale)[:, : element_columns(train).shape[-1]],
            images.mean(axis=axes, dtype=np.float64).astype(np.float32)[:, None, None],
            _spread(images.std(axis=axes, dtype=np.float64)).astype(np.float32)[:, None, None],
        )

    @classmethod
    def of(
        cls, reads: Reading, elements: Sequence[str], arrays: Mapping[str, NDArray[Any]]
    ) -> Features:
        """Make it of what `arrays` gave."""
        names = ("mean", "scale", "centres", "pixel_mean", "pixel_scale")
        return cls(reads, np.array(elements, np.str_), *(arrays[name] for name in names))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the scales by name."""
        return {
            "mean": self.mean,
            "scale": self.scale,
            "centres": self.centres,
            "pixel_mean": self.pixel_mean,
            "pixel_scale": self.pixel_scale,
        }

    def nodes(self, samples: Samples) -> _Float:
        """Return the columns of each atom: one of each element, then those of `atom_columns`.

        Returns
        -------
        float64 [n, 2, n_elements + D]
        """
        one_hot = samples.elements[..., None] == self.elements
        scaled = (_READ[self.reads](samples) - self.mean) / self.scale
        return np.concatenate([one_hot, scaled], axis=-1)

    def sums(self, samples: Samples) -> _Float:
        """Return what energies are fitted to: columns of the atoms, summed over both.

        These are its name, where elements are named; Gaussians of the columns of its element around
        the known elements, as wide as the square root of the number of columns; and the columns of
        its populations. A ridge on such Gaussians is the mean of a Gaussian process (Rasmussen &
        Williams, Gaussian Processes for Machine Learning, 2006, section 2.2): it follows the
        elements along rows and groups, and far from all of them it says nothing, where a linear
        function of the columns runs away.

        Returns
        -------
        float64 [n, K]
        """
        nodes, n_named = self.nodes(samples), len(self.elements)
        split = n_named + self.centres.shape[1]
        named, of_element, others = np.split(nodes, [n_named, split], axis=-1)
        covariance = _gaussians(self.centres, self.centres) + 1e-8 * np.eye(len(self.centres))
        whitened = np.linalg.inv(np.linalg.cholesky(covariance)).T
        shape = samples.atomic_numbers.shape
        _, first, which = np.unique(samples.atomic_numbers, return_index=True, return_inverse=True)
        of_each = of_element.reshape(2 * len(samples), self.centres.shape[1])[first]
        gaussians = _gaussians(of_each, self.centres)[which.reshape(shape)]
        columns = np.concatenate([named, gaussians @ whitened, others], axis=-1)
        return np.asarray(columns.sum(axis=1))

    def pixels(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the images, each channel with mean 0 and spread 1 over the training part."""
        return (images - self.pixel_mean) / self.pixel_scale


def _gaussians(x: _Float, centres: _Float) -> _Float:
    squares = ((x[..., None, :] - centres) ** 2).sum(axis=-1)
    return np.asarray(np.exp(-squares / (2 * max(1, centres.shape[1]))), np.float64)


def _spread(deviation: _Float) -> _Float:
    """Return the scale; of a column that never varies it is infinite, so that it stays silent.

    Otherwise an unseen element for which it does vary would enter through weights that never
    learned anything, with a number of any size.
    """
    return np.where(deviation > 1e-8, deviation, np.inf)
