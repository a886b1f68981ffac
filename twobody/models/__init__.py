"""The models of the benchmark: the rows of its leaderboard.

`MODELS` lists them without importing torch: a row's library is imported when it is made. A model is
any object with ``fit(train, validation)`` and ``predict(test)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.task import Samples


class Model(Protocol):
    """What the benchmark asks of a model."""

    def fit(self, train: Samples, validation: Samples) -> None:
        """Learn from pairs with targets."""

    def predict(self, test: Samples) -> dict[str, NDArray[np.float64]]:
        """Return float64 [n] under the name of each target, in its unit."""


@dataclass(frozen=True)
class ModelInfo:
    """One row of the leaderboard.

    Attributes
    ----------
    place : str
        Module below `twobody.models` and class, ``"graphs:SchNet"``.
    tracks : tuple of str
        The tracks that it is run on.
    sees : str
        What it is and sees, in one line.
    encoding : str, optional
        The images that it takes.
    seeded : bool
        Whether another seed gives another model.
    """

    place: str
    tracks: tuple[str, ...]
    sees: str
    encoding: str | None = None
    seeded: bool = True

    def factory(
        self, seed: int, targets: Sequence[str], device: str, quick: bool, split: str
    ) -> Model:
        """Make the model.

        Parameters
        ----------
        seed : int
        targets : sequence of str
            The labels to predict, with ``metal_like``.
        device : str
            Of torch: "cpu", "cuda", ...
        quick : bool
            Train for a few epochs only.
        split : str
            Elements have numbers of their own on "pair" only; elsewhere some were never seen.
        """
        module, name = self.place.split(":")
        model: Model = getattr(import_module(f"twobody.models.{module}"), name)(
            seed=seed, targets=tuple(targets), device=device, quick=quick, split=split
        )
        return model


_ALL = ("elements", "geometry", "density")
_ELEMENTS = "elements (by name on pair, else by descriptors)"
_COLUMNS = f"{_ELEMENTS}, bond length, populations: what the track shows"
_IMAGES = "all ten channels (energies on top of the fit of elements that all networks use)"

MODELS: Mapping[str, ModelInfo] = {
    "median": ModelInfo("baselines:Median", ("elements",), "nothing: the median", seeded=False),
    "additive": ModelInfo(
        "baselines:Additive", ("elements",), "a number per element, by name (ridge)", seeded=False
    ),
    "boosting": ModelInfo(
        "baselines:Boosting", _ALL, "gradient-boosted trees: what the track shows of both atoms"
    ),
    "gp": ModelInfo(
        "gp:GaussianProcess",
        ("elements", "geometry"),
        f"exact Gaussian process, symmetric pair kernel: {_ELEMENTS}, bond length",
        seeded=False,
    ),
    "repulsion": ModelInfo(
        "repulsion:Repulsion",
        ("geometry",),
        "Z_A Z_B e^2 erfc(R / sqrt(s_A^2 + s_B^2)) / R, a width s per element (of an unseen one"
        " from descriptors): the repulsive energy is a formula",
        seeded=False,
    ),
    "mlp": ModelInfo("tabular:MLP", _ALL, _COLUMNS),
    "mlp_large": ModelInfo("tabular:LargeMLP", _ALL, f"{_COLUMNS}; wider, trained longer"),
    "gcn": ModelInfo(
        "graphs:GCN",
        ("elements",),
        "elements by name; a graph without distances ('EGNN' in 2512.01519)",
    ),
    "gatv2": ModelInfo("graphs:GATv2", ("geometry",), f"{_ELEMENTS}, the bond as an edge feature"),
    "schnet": ModelInfo("graphs:SchNet", ("geometry",), f"{_ELEMENTS}, distances"),
    "dimenet": ModelInfo(
        "graphs:DimeNet", ("geometry",), f"DimeNet++: {_ELEMENTS}, distances (two atoms, no angles)"
    ),
    "visnet": ModelInfo("graphs:ViSNet", ("geometry",), f"{_ELEMENTS}, distances and directions"),
    "egnn": ModelInfo("egnn:EGNN", ("geometry",), f"{_ELEMENTS}, positions, E(3)-equivariant"),
    "cnn_published": ModelInfo("images:CNN", ("density",), _IMAGES, "published"),
    "cnn_field": ModelInfo("images:CNN", ("density",), _IMAGES, "field"),
    "vit_published": ModelInfo("images:ViT", ("density",), _IMAGES, "published"),
    "vit_field": ModelInfo("images:ViT", ("density",), _IMAGES, "field"),
    "fusion_published": ModelInfo(
        "fusion:Fusion", ("density",), f"{_IMAGES}; {_ELEMENTS}, bond length", "published"
    ),
    "fusion_field": ModelInfo(
        "fusion:Fusion", ("density",), f"{_IMAGES}; {_ELEMENTS}, bond length", "field"
    ),
    "fusion_large": ModelInfo(
        "fusion:LargeFusion",
        ("density",),
        f"all ten channels; {_ELEMENTS}, bond length, populations (energies on top of their fit);"
        " wider, trained longer",
        "field",
    ),
}
"""The rows of the leaderboard by name."""
