"""What pairs teach about molecules, experiments and crystals; nothing here imports torch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

SPATIAL = ("schnet", "egnn", "visnet", "dimenet")
"""The models that read nothing but atoms, positions and edges, which every structure has."""

ARMS = {
    "scratch": "random numbers",
    "pretrained": "all that it learned of pairs, but for the layers of their outputs",
    "embedding": "what it learned of the elements, and random numbers elsewhere",
    "permuted": "all that it learned where each pair had the labels of another",
}
"""What a network starts with."""

QM9 = {
    "qm9-levels": ("E_g_eV", "E_HOMO_eV", "E_LUMO_eV"),
    "qm9-energy": ("U0_atomisation_eV",),
}
"""What one network learns of QM9: gap, HOMO and LUMO, or the internal energy at 0 K less that of
the free atoms, which has a network of its own: beside the levels it was learned worse."""

DATA = (*QM9, "md17", "crysmtm-id", "crysmtm-ood")
"""Structures to learn from; see the module of each."""

FOLDER = "transfer"
"""Where results of this part lie, below the results of the benchmark."""


def data_folder(package: str) -> Path | None:
    """Return the folder ``data`` of an installed package, which is not imported."""
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).with_name("data")
