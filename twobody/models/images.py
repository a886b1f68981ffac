"""Networks that see a pair as an image of ten channels: convolutions, and a transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from twobody.models.tabular import Head
from twobody.models.train import Batch, NetworkModel, Sizes

N_CHANNELS = 10
SIZE = 32

MATRIX_CHANNELS: dict[str, tuple[int, ...]] = {"published": (), "field": (2, 3, 4, 6, 7)}
"""Channels of each encoding whose rows and columns both run along the bond, or over orbitals."""


class BothWays(nn.Module):
    """Reads images and their mirrors, where the atoms are swapped, and gives the mean of both.

    Channels in space mirror in x, matrices in both directions. The published encoding draws its
    atoms half a pixel beside the middle, so that there the mirror is one pixel off.
    """

    matrix: Tensor

    def __init__(self, encoder: nn.Module, encoding: str | None) -> None:
        super().__init__()
        if encoding is None:
            raise ValueError("the samples have no images: make the task with an encoding")
        self.encoder = encoder
        matrix = torch.zeros(N_CHANNELS, 1, 1, dtype=torch.bool)
        matrix[list(MATRIX_CHANNELS[encoding])] = True
        self.register_buffer("matrix", matrix, persistent=False)

    def mirrored(self, images: Tensor) -> Tensor:
        """Return images float32 [b, 10, 32, 32] of the pairs with their atoms swapped."""
        in_x = images.flip(-1)
        return torch.where(self.matrix, in_x.flip(-2), in_x)

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 [b, width]."""
        encoded: Tensor = self.encoder(torch.cat([images, self.mirrored(images)]))
        return encoded.view(2, len(images), -1).mean(dim=0)


class ImageNetwork(nn.Module):
    """Knows a pair by its image alone."""

    def __init__(self, encoder: nn.Module, width: int, sizes: Sizes) -> None:
        super().__init__()
        self.image = BothWays(encoder, sizes.encoding)
        self.head = Head(width, sizes.outputs)

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 [b, n_outputs]."""
        return torch.as_tensor(self.head(self.image(batch["images"])))


class Convolutions(nn.Sequential):
    """Three convolutions that halve the image, and a linear map of what remains: [b, width]."""

    def __init__(self, width: int, channels: tuple[int, ...] = (32, 64, 96)) -> None:
        layers: list[nn.Module] = []
        for n_in, n_out in zip((N_CHANNELS, *channels), channels, strict=False):
            layers += [
                nn.Conv2d(n_in, n_out, 3, stride=2, padding=1),
                nn.GroupNorm(8, n_out),
                nn.SiLU(),
            ]
        n_pixels = (SIZE // 2 ** len(channels)) ** 2
        super().__init__(*layers, nn.Flatten(), nn.Linear(channels[-1] * n_pixels, width))


class Transformer(nn.Module):
    """A vision transformer (Dosovitskiy et al. 2021), the mean over its patches: [b, width]."""

    def __init__(self, width: int, depth: int = 3, patch: int = 8, heads: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(N_CHANNELS, width, patch, stride=patch)
        self.places = nn.Parameter(0.02 * torch.randn((SIZE // patch) ** 2, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, 0.1, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def forward(self, images: Tensor) -> Tensor:
        """Attend."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
        attended: Tensor = self.layers(tokens)
        return attended.mean(dim=1)


class CNN(NetworkModel):
    """`Convolutions` as a row."""

    reads = "elements"

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return ImageNetwork(Convolutions(128), 128, sizes)


class ViT(NetworkModel):
    """`Transformer` as a row."""

    reads = "elements"

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return ImageNetwork(Transformer(96), 96, sizes)
