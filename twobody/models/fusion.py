"""Image and columns together."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from twobody.models.features import Reading
from twobody.models.images import BothWays, Convolutions
from twobody.models.tabular import Head, LargeMLP, PairEncoder
from twobody.models.train import Batch, NetworkModel, Sizes


class FusionNetwork(nn.Module):
    """What `PairEncoder` and `Convolutions` know of a pair, side by side before one head."""

    def __init__(self, sizes: Sizes, width: int, n_image: int) -> None:
        super().__init__()
        self.pair = PairEncoder(sizes, width)
        self.image = BothWays(Convolutions(n_image), sizes.encoding)
        self.head = Head(width + n_image, sizes.outputs)

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 [b, n_outputs]."""
        both = torch.cat([self.pair(batch), self.image(batch["images"])], dim=1)
        return torch.as_tensor(self.head(both))


class Fusion(NetworkModel):
    """`FusionNetwork` as a row: image, elements and distance."""

    reads: ClassVar[Reading] = "elements"
    width: ClassVar[int] = 128
    n_image: ClassVar[int] = 64

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return FusionNetwork(sizes, self.width, self.n_image)


class LargeFusion(Fusion):
    """Image and all that `LargeMLP` reads, as wide and as long as that."""

    recipe = LargeMLP.recipe
    reads = "atoms"
    width = LargeMLP.width
    n_image = 56  # no row has more than 350,000 parameters
