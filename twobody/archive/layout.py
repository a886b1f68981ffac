"""``dataset_combined.npz``: every array that it holds, with dtype, shape and meaning."""

from __future__ import annotations

ARCHIVE = "dataset_combined.npz"
FORMAT_VERSION = 1

MEMBERS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "images": ("<f4", ("N", 10, "size", "size")),
    "geometries": ("<f4", ("N", 2, 4)),
    "elements": ("U", ("N", 2)),
    "pair_names": ("U", ("N",)),
    "labels": ("O", ("N",)),
    "metadata": ("O", ("N",)),
    "label_names": ("U", ("L",)),
    "label_units": ("U", ("L",)),
    "label_values": ("<f8", ("N", "L")),
    "text_label_names": ("U", ("T",)),
    "text_label_values": ("U", ("N", "T")),
    "metadata_values": ("<f8", ("N", "M")),
    "metadata_names": ("U", ("M",)),
    "channels": ("U", (10,)),
    "image_amplitudes": ("<f8", ("N", 10, 2)),
    "image_basis": ("<f4", (10, 2, "size", "size")),
    "provenance": ("U", ()),
}
"""Name: dtype (U: text of any length; O: pickled dicts) and shape. Letters stand for sizes: N
pairs, L numeric labels, T text labels, M metadata; one letter is one number all over an archive."""

MEANINGS: dict[str, str] = {
    "images": "the ten channels: channel, row y, column x",
    "geometries": "x, y, z [Å], Mulliken population [e] of each atom",
    "elements": "symbols",
    "pair_names": "`A_B`, sorted",
    "labels": "a dict a pair, for `numpy.load(..., allow_pickle=True)`",
    "metadata": "the same: charge [e], energies [H], dipole [au], bond length [Å]",
    "label_names": "the numeric labels",
    "label_units": "their units",
    "label_values": "their values; NaN where missing",
    "text_label_names": "the text labels",
    "text_label_values": "their values; empty where missing",
    "metadata_values": "the metadata as numbers; NaN where missing",
    "metadata_names": "what they are",
    "channels": "names of the channels",
    "image_amplitudes": "the numbers that `images` are drawn from",
    "image_basis": "the images that they multiply; summed over the 2 this is `images`, bit for bit",
    "provenance": "JSON: versions, units, counts, hash of the input",
}
"""What each member holds, for people."""
