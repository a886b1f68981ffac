"""An encoding for tests: one module and one entry in the registry are all that a new one needs."""

from __future__ import annotations

import numpy as np

from twobody.encodings import Channel, Encoding
from twobody.pairs import Image, Pairs


class Toy(Encoding):
    """Three channels of 8 x 8 pixels: charges, bond length, and how heavy the atoms are."""

    name = "toy"
    size = 8
    legend = "q is the charge of an atom, R the bond length, Z an atomic number."
    channels = (
        Channel("charge", "e", "q of the left atom in the left half", False),
        Channel("length", "Å", "R", True),
        Channel("weight", "1", "Z_0 + Z_1", True),
    )

    def draw(self, pairs: Pairs) -> Image:
        images = np.zeros((len(pairs), 3, 8, 8), np.float32)
        images[:, 0, :, :4] = pairs.rows["charges"][:, 0, None, None]
        images[:, 0, :, 4:] = pairs.rows["charges"][:, 1, None, None]
        images[:, 1] = pairs.rows["bond_length"][:, None, None]
        images[:, 2] = pairs.atomic_numbers.sum(axis=1)[:, None, None]
        return images

    def atom_pixels(self, channel, _pair):
        return np.array([[2.0, 4.0], [6.0, 4.0]]) if channel.name == "charge" else np.empty((0, 2))
