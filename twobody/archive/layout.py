"""The layout of ``dataset_combined.npz``: every array with its dtype, shape and meaning.

What the members with pickles say this project reads from the others; they are there for users of
``numpy.load(..., allow_pickle=True)``.
"""

from __future__ import annotations

from pathlib import Path

from twobody.encodings.encoding import Encoding, Member

ARCHIVE = "dataset_combined.npz"

SHIPPED = Path(__file__).parents[1] / "pairs.npz"
"""The pairs that come with the package, as an archive without what `made_again` names."""

FORMAT_VERSION = 2
"""1 has no numbers of orbitals and atoms, and always the encoding ``published``."""

PAIR_NUMBERS: dict[str, Member] = {
    "orbital_populations": Member(
        "<f8",
        ("N", 2, 16),
        "Mulliken populations [e] of the orbitals (l, m) of each atom, index l·l + l + m, summed "
        "over shells and spins; NaN where the atom has no such orbital",
    ),
    "atom_populations": Member(
        "<f8", ("N", 2), "Mulliken population [e] of each atom in `detailed.out`"
    ),
    "charges": Member("<f8", ("N", 2), "Mulliken gross charge [e] of each atom"),
}
"""What, with the metadata, any encoding can be drawn from; columns of `twobody.pairs.ROW`."""

COLUMNS = (
    *("elements", "label_names", "label_units", "label_values"),
    *("text_label_names", "text_label_values"),
)
"""Members that are called as in `Pairs`."""

_MEMBERS: dict[str, Member] = {
    "images": Member("<f4", ("N", "C", "size", "size"), "the C channels: channel, row y, column x"),
    "geometries": Member("<f4", ("N", 2, 4), "x, y, z [Å], Mulliken population [e] of each atom"),
    "elements": Member("U", ("N", 2), "symbols"),
    "pair_names": Member("U", ("N",), "`A_B`, sorted"),
    "labels": Member("O", ("N",), "one dict per pair, for `numpy.load(..., allow_pickle=True)`"),
    "metadata": Member(
        "O", ("N",), "the same: charge [e], energies [H], dipole [au], bond length [Å]"
    ),
    "label_names": Member("U", ("L",), "the numeric labels"),
    "label_units": Member("U", ("L",), "their units"),
    "label_values": Member("<f8", ("N", "L"), "their values; NaN where missing"),
    "text_label_names": Member("U", ("T",), "the text labels"),
    "text_label_values": Member("U", ("N", "T"), "their values; empty where missing"),
    "metadata_values": Member("<f8", ("N", "M"), "the metadata as numbers; NaN where missing"),
    "metadata_names": Member("U", ("M",), "what they are"),
    "channels": Member("U", ("C",), "names of the channels"),
}

ORIGINAL_MEMBERS = {name: _MEMBERS[name] for name in list(_MEMBERS)[:6]}
"""What archives of the original project hold; labels and metadata may be absent."""


def made_again(encoding: Encoding) -> set[str]:
    """Return the members that follow from the others: an archive may hold none of them."""
    return {"images", "labels", "metadata", *encoding.members}


def members(encoding: Encoding, version: int = FORMAT_VERSION) -> dict[str, Member]:
    """Return the members of an archive, in their order; C is the number of channels."""
    found = {**_MEMBERS, **encoding.members, **(PAIR_NUMBERS if version >= 2 else {})}
    found["provenance"] = Member(
        "U", (), "JSON: versions, encoding, units, counts, hash of the input"
    )
    sizes = {"C": len(encoding.channels)}
    return {
        name: member._replace(shape=tuple(sizes.get(str(size), size) for size in member.shape))
        for name, member in found.items()
    }
