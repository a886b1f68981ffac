"""Encoding ``published``: every channel is a few numbers of the pair times fixed images.

A channel is a sum, over the atoms, of an amplitude times a basis image, the same for all pairs.
`render` alone makes pixels of them: every route to an image gives its bits.

Formulas: "QuantumCanvas", arXiv 2512.01519, as its published script evaluates them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.encodings.encoding import Blocks, Channel, Encoding, EncodingCheck, Member
from twobody.errors import Finding, ParseError
from twobody.pairs import N_ORBITALS, Float, Image, Images, Index, Pairs

SIZE = 32
N_ATOMS = 2
BLOCK = 24  # pairs rendered at a time: 1 MB of images, made from 4 MB of float64 in the cache

BASIS_TOLERANCE = 1e-6  # of values up to 2: machines differ in the last bits of exp and cos
FIT_TOLERANCE = 1e-6  # of the largest pixel of a channel: ten roundings to float32
AMPLITUDE_TOLERANCE = 1e-9  # of amplitudes up to 100: sums may be formed in another order

_L = np.floor(np.sqrt(np.arange(N_ORBITALS)))  # of the orbitals (l, m) of an atom
_M = np.arange(N_ORBITALS) - _L * (_L + 1)


def atom_columns(n_atoms: int = N_ATOMS, size: int = SIZE) -> Float:
    """Return the pixel column of each atom, float64 [n_atoms]; the row of all is ``size / 2``."""
    offsets = np.arange(n_atoms, dtype=np.float64) - n_atoms / 2 + 0.5
    return size / 2 + offsets * (size // (n_atoms + 1))


def basis_images(n_atoms: int = N_ATOMS, size: int = SIZE) -> Image:
    """Evaluate the images that amplitudes multiply, float32 [10, n_atoms, size, size].

    Channels 2 to 5 have one term only, that of index 0; the others of theirs are zero.
    """
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    distance_squared = (x - atom_columns(n_atoms, size)[:, None, None]) ** 2 + (y - size / 2) ** 2

    gaussians = {sigma: np.exp(-distance_squared / (2 * sigma**2)) for sigma in (3, 3.5, 4)}
    axis = np.linspace(-1, 1, size)
    x, y = np.meshgrid(axis, axis)
    r, theta = np.hypot(x, y), np.arctan2(y, x)
    rho = r + 1e-6
    basis = np.zeros((10, n_atoms, size, size))
    basis[[0, 1]] = gaussians[3]
    basis[2, 0] = np.exp(-(r**2) / 0.3)
    basis[3, 0] = np.exp(-(r**2) / 0.5) * (1 + np.cos(4 * theta))
    basis[4, 0] = rho * np.exp(-(rho**2) / 0.4)
    basis[5, 0] = (3 * np.cos(theta) ** 2 - 1) * np.exp(-(rho**2) / 0.4)
    basis[[6, 7]] = gaussians[4]
    basis[[8, 9]] = gaussians[3.5]
    return basis.astype(np.float32)


def amplitudes_of(rows: NDArray[np.void]) -> Float:
    """Reduce N rows of `ROW` to the numbers that multiply the basis images, float64 [N, 10, 2].

    NaN where a number that one is made of is missing.
    """
    orbitals, charges = rows["orbital_populations"], rows["charges"]
    missing = np.isnan(orbitals).all(axis=(1, 2))
    p = np.nan_to_num(orbitals)
    # Populations of m and -m meet before anything else is added, so that equal ones leave exactly
    # nothing behind.
    positive = np.flatnonzero(_M > 0)
    mirrored = (positive - 2 * _M[positive]).astype(np.intp)
    angular_momentum = (_M[positive] * (p[..., positive] - p[..., mirrored])).sum(axis=2)
    result = np.zeros((len(rows), 10, N_ATOMS))
    result[:, 0] = (p * ((_L + 1) / 3)).sum(axis=2)
    result[:, 1] = np.abs(angular_momentum)
    result[:, 2, 0] = (p * (_L <= 1)).sum(axis=2).sum(axis=1)
    result[:, 3, 0] = (p * (_L >= 2)).sum(axis=2).sum(axis=1)
    result[missing, :4] = np.nan
    result[:, 4, 0] = np.sqrt((rows["dipole"] ** 2).sum(axis=1))
    result[:, 5, 0] = np.abs(charges[:, 0] - charges[:, 1])
    result[:, 6] = 10 * np.abs(charges)
    result[:, 7] = rows["atom_populations"]
    result[:, 8] = np.where(charges <= 0, 0, 10 * charges)
    result[:, 9] = np.where(charges > 0, 0, 10 * np.abs(charges))
    return result


def render(amplitudes: Float, basis: Image) -> Image:
    """Make images, float32 [N, 10, size, size]: sums in float64, rounded to float32 once.

    Amplitudes are float64 [N, 10, n_atoms], the basis is float32 [10, n_atoms, size, size].
    """
    n_channels, n_atoms, height, width = basis.shape
    out = np.empty((len(amplitudes), n_channels, height * width), np.float32)
    terms = basis.astype(np.float64).reshape(n_channels, n_atoms, height * width)
    total, term = np.empty((2, min(len(amplitudes), BLOCK), *terms[:, 0].shape))
    for start in range(0, len(amplitudes), BLOCK):
        factors = amplitudes[start : start + BLOCK, ..., None]
        n = len(factors)
        np.multiply(factors[:, :, 0], terms[:, 0], out=total[:n])
        for atom in range(1, n_atoms):
            np.multiply(factors[:, :, atom], terms[:, atom], out=term[:n])
            total[:n] += term[:n]
        out[start : start + n] = total[:n]
    return out.reshape(len(amplitudes), n_channels, height, width)


@dataclass(frozen=True, eq=False)
class Rendered:
    """Images as the numbers that they are made of."""

    amplitudes: Float  # [N, 10, 2]
    basis: Image  # [10, 2, size, size]

    @property
    def shape(self) -> tuple[int, ...]:
        """N, 10, size, size."""
        return (*self.amplitudes.shape[:2], *self.basis.shape[2:])

    def __getitem__(self, index: Index) -> Image:
        return render(self.amplitudes[index], self.basis)

    def take(self, index: Index) -> Rendered:
        """Return those at `index`."""
        return Rendered(self.amplitudes[index], self.basis)


class Published(Encoding):
    """The encoding of the published dataset."""

    name = "published"
    channels = (
        # A population may be slightly negative: channels that sum them are not bounded by 0.
        Channel("o_map_radial", "e", "sum_i G_i(3) sum_orb p (l + 1) / 3", False),
        Channel("o_map_angular", "e", "sum_i G_i(3) |sum_orb m p|", True),
        Channel("rip_gaf_sp", "e", "exp(-r^2 / 0.3) sum p over l = 0, 1", False),
        Channel("rip_gaf_df", "e", "exp(-r^2 / 0.5) (1 + cos 4 theta) sum p over l = 2, 3", False),
        Channel("rip_mtf_dipole", "e a0", "rho exp(-rho^2 / 0.4) |mu|, rho = r + 1e-6", True),
        Channel(
            "rip_mtf_quadrupole", "e", "(3 cos^2 theta - 1) exp(-rho^2 / 0.4) |q_0 - q_1|", False
        ),
        Channel("com_charge", "0.1 e", "sum_i G_i(4) 10 |q_i|", True),
        Channel("com_orbital", "e", "sum_i G_i(4) N_i", True),
        Channel("q_image_positive", "0.1 e", "sum over q_i > 0 of G_i(3.5) 10 q_i", True),
        Channel("q_image_negative", "0.1 e", "sum over q_i <= 0 of G_i(3.5) 10 |q_i|", True),
    )
    legend = (
        "G_i(s) is a Gaussian of width s pixels on atom i. p, l, m are orbital populations and "
        "their quantum numbers, q and N gross charges and populations of the atoms, mu the dipole "
        "moment in atomic units; r and theta polar coordinates of the image, which reaches from -1 "
        "to 1."
    )
    members: Mapping[str, Member] = {
        "image_amplitudes": Member(
            "<f8", ("N", "C", 2), "the numbers that `images` are drawn from"
        ),
        "image_basis": Member(
            "<f4",
            ("C", 2, "size", "size"),
            "the images that they multiply; summed over the 2 this is `images`, bit for bit",
        ),
    }

    def draw(self, pairs: Pairs) -> Image:
        """Draw the images; see `Encoding.draw`."""
        return self.encode(pairs)[:]

    def encode(self, pairs: Pairs) -> Rendered:
        """Return the images as amplitudes and basis."""
        numbers = amplitudes_of(pairs.rows)
        if np.isnan(numbers).any():
            expected = "charges, populations and a dipole moment of every pair, as in raw data and "
            expected += "archives of format version 2"
            raise ParseError(pairs.path, None, expected, "pairs without")
        return Rendered(numbers, basis_images())

    def arrays(self, images: Images) -> Mapping[str, NDArray[Any]]:
        """Return amplitudes and basis."""
        rendered = _rendered(images)
        return {"image_amplitudes": rendered.amplitudes, "image_basis": rendered.basis}

    def stored(self, read: Callable[[str], NDArray[Any]]) -> Rendered:
        """Return the images of an archive, without a look at its pixels."""
        return Rendered(read("image_amplitudes"), read("image_basis"))

    def numbers_in(self, images: Images) -> Mapping[str, Float]:
        """Return charges and populations of the atoms, which the amplitudes hold."""
        a = _rendered(images).amplitudes
        return {"charges": (a[:, 8] - a[:, 9]) / 10, "atom_populations": a[:, 7]}

    def atom_pixels(self, _channel: Channel, _pair: Pairs) -> Float:
        """Return column and row of the atoms, which are the same in every image."""
        return np.column_stack([atom_columns(), np.full(N_ATOMS, SIZE / 2)])

    @property
    def checks(self) -> tuple[EncodingCheck, ...]:
        """What has to hold for archives of this encoding."""
        return (self.pixels, self.amplitudes_times_basis, self.basis, self.amplitudes)

    def products(self, images: Images) -> tuple[Float, Image] | None:
        """Return amplitudes and basis, fitted where only pixels are there; see `Encoding`.

        None where the pixels are not of this encoding.
        """
        if isinstance(images, Rendered):
            return images.amplitudes, images.basis
        pixels, basis = images[:].astype(np.float64), basis_images(size=images.shape[2])
        if not np.isfinite(pixels).all():
            return None
        amplitudes = np.empty((*images.shape[:2], N_ATOMS))
        for k, terms in enumerate(basis.reshape(*basis.shape[:2], -1).astype(np.float64)):
            target = pixels[:, k].reshape(len(pixels), -1)
            amplitudes[:, k] = np.linalg.lstsq(terms.T, target.T, rcond=None)[0].T
        error = np.abs(render(amplitudes, basis) - pixels).max((0, 2, 3))
        fits = (error <= FIT_TOLERANCE * np.abs(pixels).max((0, 2, 3))).all()
        return (amplitudes, basis) if fits else None

    def amplitudes_times_basis(self, pairs: Pairs, blocks: Blocks) -> Iterator[Finding]:
        """Images are amplitudes x basis, bit for bit."""
        for start, block in blocks():
            expected = _rendered(pairs.images)[start : start + len(block)]
            wrong = block.view(np.uint32) != expected.view(np.uint32)
            yield from self.where(wrong, "is not amplitudes x basis", pairs, start)

    def basis(self, pairs: Pairs, _: Blocks) -> Iterator[Finding]:
        """The basis images are those of the formulas."""
        found = _rendered(pairs.images).basis
        distances = np.abs(found - basis_images(found.shape[1], found.shape[2]))
        for name, distance in zip(self.channel_names, distances, strict=True):
            if not distance.max() <= BASIS_TOLERANCE:
                yield Finding(None, f"{name} is up to {distance.max():.3g} away from its formula")

    def amplitudes(self, pairs: Pairs, _: Blocks) -> Iterator[Finding]:
        """Amplitudes are made of the charges, populations and dipole moment of the pair."""
        found, expected = _rendered(pairs.images).amplitudes, amplitudes_of(pairs.rows)
        tolerance = AMPLITUDE_TOLERANCE * np.maximum(1, np.abs(expected))
        for i, k, atom in np.argwhere(np.abs(found - expected) > tolerance):
            message = f"{self.channel_names[k]} of atom {atom + 1} is {found[i, k, atom]:.10g}"
            message += f", not {expected[i, k, atom]:.10g}"
            yield Finding(str(pairs.names[i]), message)


def _rendered(images: Images | None) -> Rendered:
    if not isinstance(images, Rendered):
        raise TypeError("images as amplitudes and basis are needed, not as pixels")
    return images


PUBLISHED = Published()
