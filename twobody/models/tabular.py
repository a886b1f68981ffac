"""The multilayer perceptron: columns of both atoms in either order, and the bond."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from twobody.models.train import Batch, NetworkModel, Recipe, Sizes

SHORTEST, LONGEST = 0.8, 5.2
"""Bond lengths [Å] that radial functions span."""


class BondExpansion(nn.Module):
    """Gaussians of the columns of the bond: its length [Å], and that less both covalent radii.

    Returns float32 [b, 2 (n + 1)] for columns [b, 2].
    """

    centers: Tensor
    widths: Tensor

    def __init__(self, n: int = 16) -> None:
        super().__init__()
        self.n_outputs = 2 * (n + 1)
        centers = torch.stack([torch.linspace(SHORTEST, LONGEST, n), torch.linspace(-1.5, 2.0, n)])
        self.register_buffer("centers", centers)
        self.register_buffer("widths", centers[:, 1:2] - centers[:, :1])

    def forward(self, bonds: Tensor) -> Tensor:
        """Expand both columns."""
        distances = (bonds[..., None] - self.centers) / self.widths
        gaussians = torch.exp(-(distances**2) / 2).flatten(1)
        return torch.cat([bonds - self.centers.mean(dim=1), gaussians], dim=1)


class Residual(nn.Module):
    """A perceptron with one hidden layer whose output is added to its input."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add."""
        return x + torch.as_tensor(self.layers(x))


class Head(nn.Sequential):
    """From what a network knows of a pair to its outputs."""

    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__(
            nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, n_outputs)
        )


class PairEncoder(nn.Module):
    """Reads the atoms as (a, b) and as (b, a), and gives the mean of both: [b, width].

    Before the mean stand as many `Residual` as `depth` says, or one activation.
    """

    def __init__(
        self, sizes: Sizes, width: int, depth: int = 2, n_atom: int = 48, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.atom = nn.Linear(sizes.columns, n_atom)
        self.bond = BondExpansion() if sizes.bonds else None
        n_bond = self.bond.n_outputs if self.bond else 0
        first = nn.Linear(2 * n_atom + n_bond, width)
        residuals = [Residual(width, dropout) for _ in range(depth)]
        activation = [] if residuals else [nn.LayerNorm(width), nn.SiLU()]
        self.layers = nn.Sequential(first, *residuals, *activation)

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 [b, width]."""
        atoms = self.atom(batch["nodes"])
        columns = [atoms, atoms.flip(1)]
        if self.bond is not None:
            columns.append(self.bond(batch["bonds"])[:, None].expand(-1, 2, -1))
        return torch.as_tensor(self.layers(torch.cat(columns, dim=2)).mean(dim=1))


class MLP(NetworkModel):
    """`PairEncoder` and a head as a row: a split is trained on in a minute, without a card."""

    recipe = Recipe(epochs=45, learning_rate=2.7e-2)
    width: ClassVar[int] = 128
    depth: ClassVar[int] = 0
    dropout: ClassVar[float] = 0.0

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        encoder = PairEncoder(sizes, self.width, self.depth, dropout=self.dropout)
        return nn.Sequential(encoder, Head(self.width, sizes.outputs))


class LargeMLP(MLP):
    """The same as wide, as deep and as long as it gains by it."""

    recipe = Recipe(epochs=400)
    width = 160
    depth = 2
    dropout = 0.1
