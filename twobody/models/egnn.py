"""An E(n)-equivariant graph network: V. G. Satorras, E. Hoogeboom & M. Welling, ICML 2021.

Features of atoms do not change when the pair is moved, turned or mirrored; coordinates go along.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from twobody.models.graphs import Graph, SpatialNetwork
from twobody.models.train import NetworkModel, Recipe, Sizes


class EquivariantLayer(MessagePassing):  # type: ignore[misc]
    """Equations 3 to 6 of the paper, with the distance beside its square.

    C is 1 over the number of neighbours, the paper's 1 / (M - 1) where all are neighbours: a step
    does not grow with the molecule.
    """

    def __init__(self, width: int) -> None:
        super().__init__(aggr="sum")
        self.edge = _perceptron(2 * width + 2, width, width)
        self.node = _perceptron(2 * width, width, width)
        last = nn.Linear(width, 1)
        nn.init.xavier_uniform_(last.weight, gain=1e-3)  # moves atoms little at first
        self.step = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)

    def forward(self, h: Tensor, x: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new features [n, width] and coordinates [n, 3] of the atoms."""
        messages = self.propagate(edges, h=h, x=x)
        summed, steps, neighbours = messages.tensor_split([-4, -1], dim=1)
        return h + self.node(torch.cat([h, summed], dim=1)), x + steps / neighbours.clamp(min=1)

    def message(self, h_i: Tensor, h_j: Tensor, x_i: Tensor, x_j: Tensor) -> Tensor:
        """Return of each edge the message, the step that it asks of its target, and 1 to count."""
        vector = x_i - x_j
        square = (vector**2).sum(dim=1, keepdim=True)
        message = self.edge(torch.cat([h_i, h_j, square, square.sqrt()], dim=1))
        return torch.cat([message, vector * self.step(message), torch.ones_like(square)], dim=1)


def _perceptron(n_in: int, width: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.SiLU(), nn.Linear(width, n_out))


class EquivariantNetwork(SpatialNetwork):
    """Three `EquivariantLayer`, read out from the features."""

    def __init__(self, sizes: Sizes, width: int = 96, depth: int = 3) -> None:
        super().__init__(width, sizes.outputs)
        self.embedding = nn.Linear(sizes.columns, width)
        self.layers = nn.ModuleList(EquivariantLayer(width) for _ in range(depth))

    def of_graph(self, graph: Graph) -> Tensor:
        """Return the features."""
        return self.features_and_coordinates(graph)[0]

    def features_and_coordinates(self, graph: Graph) -> tuple[Tensor, Tensor]:
        """Return features [n, width] and coordinates [n, 3] after the last layer."""
        h, x = self.embedding(graph.nodes), graph.positions
        for layer in self.layers:
            h, x = layer(h, x, graph.edges)
        return h, x


class EGNN(NetworkModel):
    """`EquivariantNetwork` as a row; its error still falls where that of the others has settled."""

    recipe = Recipe(epochs=400)

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return EquivariantNetwork(sizes)
