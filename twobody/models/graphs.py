"""Graph networks from torch_geometric: two atoms, one bond, edges given explicitly.

Each takes the blocks of its library as they are. A linear map of the atoms' columns stands where
they look up atomic numbers: with a column per element it is the same, and without these it can read
an element that was never seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv, GCNConv
from torch_geometric.nn.models.dimenet import (
    BesselBasisLayer,
    EmbeddingBlock,
    InteractionPPBlock,
    OutputPPBlock,
    SphericalBasisLayer,
)
from torch_geometric.nn.models.schnet import GaussianSmearing, InteractionBlock
from torch_geometric.nn.models.visnet import GatedEquivariantBlock, ViSNetBlock

from twobody.models.tabular import BondExpansion, Head
from twobody.models.train import Batch, NetworkModel, Recipe, Sizes

CUTOFF = 8.0
"""Radius [Å] at which cutoff functions vanish, well above the longest bond of 5.1 Å."""


def bond_edges(n_pairs: int, device: torch.device, *, loops: bool = False) -> Tensor:
    """Return the edges of n graphs of two atoms, both directions of each bond.

    Returns
    -------
    int64 [2, 2 n], or [2, 4 n] with an edge from each atom to itself behind the others
        Source and target; the atoms of a pair are 2 i and 2 i + 1.
    """
    atoms = torch.arange(2 * n_pairs, device=device)
    edges = torch.stack([atoms, atoms ^ 1])
    return torch.cat([edges, torch.stack([atoms, atoms])], dim=1) if loops else edges


@dataclass(frozen=True)
class Graph:
    """Atoms of any number of structures, and the edges inside these.

    Attributes
    ----------
    nodes : float32 [n, F]
        What is known of each atom.
    positions : float32 [n, 3]
        In Å.
    edges : int64 [2, E]
        Source and target, two different atoms; each edge in both directions.
    triplets : int64 [2, T]
        Two edges k -> j and j -> i with k other than i, for `DimeNetwork` alone.
    """

    nodes: Tensor
    positions: Tensor
    edges: Tensor
    triplets: Tensor

    @property
    def vectors(self) -> Tensor:
        """The vector of each edge, target less source: float32 [E, 3]."""
        source, target = self.edges
        return self.positions[target] - self.positions[source]


def graph_of(batch: Batch) -> Graph:
    """Return pairs as one graph."""
    nodes = batch["nodes"].flatten(0, 1)
    edges = bond_edges(len(batch["nodes"]), nodes.device)
    return Graph(nodes, batch["positions"].flatten(0, 1), edges, triplets=edges[:, :0])


class PairNetwork(nn.Module, ABC):
    """Sums what a network knows of both atoms, which makes it symmetric, and maps it to outputs."""

    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__()
        self.width = width
        self.head = Head(width, n_outputs)

    @abstractmethod
    def atoms(self, batch: Batch) -> Tensor:
        """Return float32 [2 b, width]."""

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 [b, n_outputs]."""
        atoms = self.atoms(batch)
        return torch.as_tensor(self.head(atoms.view(-1, 2, atoms.shape[1]).sum(dim=1)))


class GCNNetwork(PairNetwork):
    """Graph convolutions (Kipf & Welling 2017) without any distance."""

    def __init__(self, sizes: Sizes, width: int = 128, depth: int = 3) -> None:
        super().__init__(width, sizes.outputs)
        self.embedding = nn.Linear(sizes.columns, width)
        self.convolutions = nn.ModuleList(
            GCNConv(width, width, normalize=False) for _ in range(depth)
        )

    def atoms(self, batch: Batch) -> Tensor:
        """Convolve."""
        nodes = batch["nodes"].flatten(0, 1)
        edges = bond_edges(len(batch["nodes"]), nodes.device, loops=True)
        # Both atoms have degree 2, loops included: each edge has the weight 1 / sqrt(2 · 2).
        weights = nodes.new_full((edges.shape[1],), 0.5)
        h: Tensor = self.embedding(nodes)
        for convolution in self.convolutions:
            h = h + nn.functional.silu(convolution(h, edges, weights))
        return h


class GATv2Network(PairNetwork):
    """Attention (Brody et al. 2022) between the atoms and to themselves, the bond on each edge."""

    def __init__(self, sizes: Sizes, width: int = 128, depth: int = 3, heads: int = 4) -> None:
        super().__init__(width, sizes.outputs)
        self.embedding = nn.Linear(sizes.columns, width)
        self.bond = BondExpansion()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.attentions = nn.ModuleList(
            GATv2Conv(
                width,
                width // heads,
                heads,
                edge_dim=self.bond.n_outputs,
                add_self_loops=False,  # they are among the edges
            )
            for _ in range(depth)
        )

    def atoms(self, batch: Batch) -> Tensor:
        """Attend."""
        nodes = batch["nodes"].flatten(0, 1)
        edges = bond_edges(len(batch["nodes"]), nodes.device, loops=True)
        bonds = self.bond(batch["bonds"]).repeat_interleave(2, dim=0).repeat(2, 1)
        h: Tensor = self.embedding(nodes)
        for norm, attention in zip(self.norms, self.attentions, strict=True):
            h = h + nn.functional.silu(attention(norm(h), edges, bonds))
        return h


class SpatialNetwork(PairNetwork):
    """A network of positions and edges: what it learns of pairs can be taken to any structure."""

    of_elements: ClassVar[tuple[str, ...]] = ("embedding.",)
    """How the names of the parameters begin that the columns of atoms meet."""
    of_outputs: ClassVar[tuple[str, ...]] = ("head.",)
    """The same of the layers that only the targets of pairs need."""

    def atoms(self, batch: Batch) -> Tensor:
        """Read the pairs as one graph."""
        return self.of_graph(graph_of(batch))

    @abstractmethod
    def of_graph(self, graph: Graph) -> Tensor:
        """Return float32 [n, width] for the atoms of a graph."""


class SchNetwork(SpatialNetwork):
    """Continuous-filter convolutions (SchNet, Schuett et al. 2017)."""

    def __init__(self, sizes: Sizes, width: int = 128, depth: int = 3, n_radial: int = 50) -> None:
        super().__init__(width, sizes.outputs)
        self.embedding = nn.Linear(sizes.columns, width)
        self.expansion = GaussianSmearing(0.0, CUTOFF, n_radial)
        self.blocks = nn.ModuleList(
            InteractionBlock(width, n_radial, width, CUTOFF) for _ in range(depth)
        )

    def of_graph(self, graph: Graph) -> Tensor:
        """Interact."""
        lengths = graph.vectors.norm(dim=1)
        radial = self.expansion(lengths)
        h: Tensor = self.embedding(graph.nodes)
        for block in self.blocks:
            h = h + block(h, graph.edges, lengths, radial)
        return h


N_RADIAL, N_SPHERICAL = 8, 3
"""Functions of distances and of angles that `DimeNetwork` expands them in."""


@cache
def spherical_basis() -> SphericalBasisLayer:
    """Derive the functions of distance and angle, which takes seconds, where angles are read."""
    return SphericalBasisLayer(N_SPHERICAL, N_RADIAL, CUTOFF)


class DimeNetwork(nn.Module):
    """DimeNet++ (Gasteiger et al. 2020), of which two atoms leave the embeddings of messages.

    Its interactions sum over triplets k -> j -> i with k other than i: in a pair there are none,
    and no angles. The blocks' dense layers remain.
    """

    of_elements: ClassVar[tuple[str, ...]] = ("embedding.emb.",)
    of_outputs: ClassVar[tuple[str, ...]] = tuple(f"outputs.{k}.lin." for k in range(4))

    def __init__(self, sizes: Sizes, width: int = 96, depth: int = 3) -> None:
        super().__init__()
        n_radial, n_spherical, silu = N_RADIAL, N_SPHERICAL, nn.SiLU()
        self.radial = BesselBasisLayer(n_radial, CUTOFF)
        self.embedding = EmbeddingBlock(n_radial, width, silu)
        self.embedding.emb = nn.Linear(sizes.columns, width)
        self.interactions = nn.ModuleList(
            InteractionPPBlock(width, 16, 8, n_spherical, n_radial, 1, 1, silu)
            for _ in range(depth)
        )
        self.outputs = nn.ModuleList(
            OutputPPBlock(n_radial, width, width, sizes.outputs, 1, silu, "glorot_orthogonal")
            for _ in range(depth + 1)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 [b, n_outputs]."""
        atoms = self.of_graph(graph_of(batch))
        return torch.as_tensor(atoms.view(len(atoms) // 2, 2, -1).sum(dim=1))

    def of_graph(self, graph: Graph) -> Tensor:
        """Return float32 [n, n_outputs] for the atoms of a graph."""
        n, (source, target), (inward, onward) = len(graph.nodes), graph.edges, graph.triplets
        vectors = graph.vectors
        lengths = vectors.norm(dim=1)
        radial = self.radial(lengths)
        spherical = radial.new_zeros(0, N_RADIAL * N_SPHERICAL)
        if len(inward):
            first, second = vectors[inward], vectors[onward]
            sine = torch.linalg.cross(first, second).norm(dim=1)
            angles = torch.atan2(sine, (first * second).sum(dim=1))
            spherical = spherical_basis()(lengths, angles, inward)
        x = self.embedding(graph.nodes, radial, target, source)
        atoms = self.outputs[0](x, radial, target, num_nodes=n)
        for interaction, output in zip(self.interactions, self.outputs[1:], strict=True):
            x = interaction(x, radial, spherical, inward, onward)
            atoms = atoms + output(x, radial, target, num_nodes=n)
        return torch.as_tensor(atoms)


class ViSNetwork(SpatialNetwork):
    """ViSNet (Wang et al. 2024): scalars and vectors of each atom that talk to each other.

    The blocks are those of ``ViSNetBlock``; its search for neighbours, which needs torch-cluster,
    gives way to the edges of a bond and of each atom to itself.
    """

    of_elements = ("blocks.embedding.", "blocks.neighbor_embedding.embedding.")

    def __init__(self, sizes: Sizes, width: int = 64, depth: int = 3) -> None:
        super().__init__(width, sizes.outputs)
        self.blocks = ViSNetBlock(
            num_heads=4, num_layers=depth, hidden_channels=width, num_rbf=32, cutoff=CUTOFF
        )
        self.blocks.embedding = nn.Linear(sizes.columns, width)
        self.blocks.neighbor_embedding.embedding = nn.Linear(sizes.columns, width)
        self.gate = GatedEquivariantBlock(width, width, scalar_activation=True)

    def of_graph(self, graph: Graph) -> Tensor:
        """Interact."""
        blocks, nodes = self.blocks, graph.nodes
        n, n_edges = len(nodes), graph.edges.shape[1]
        loops = torch.arange(n, device=nodes.device).expand(2, n)
        edges = torch.cat([graph.edges, loops], dim=1)
        between = -graph.vectors  # source less target
        lengths = torch.cat([between.norm(dim=1), between.new_zeros(n)])
        directions = between / lengths[:n_edges, None]
        directions = torch.cat([directions, between.new_zeros(n, 3)])
        directions = blocks.sphere(directions)
        radial = blocks.distance_expansion(lengths)
        x = self._neighbours(nodes, graph.edges, lengths[:n_edges], radial[:n_edges])
        vectors = x.new_zeros(n, directions.shape[1], x.shape[1])
        edge_columns = blocks.edge_embedding(edges, radial, x)
        for layer in blocks.vis_mp_layers:
            dx, dv, de = layer(x, vectors, edges, lengths, edge_columns, directions)
            x, vectors = x + dx, vectors + dv
            edge_columns = edge_columns if de is None else edge_columns + de
        scalars, _ = self.gate(blocks.out_norm(x), blocks.vec_out_norm(vectors))
        return torch.as_tensor(scalars)

    def _neighbours(self, nodes: Tensor, edges: Tensor, lengths: Tensor, radial: Tensor) -> Tensor:
        """Do what ``NeighborEmbedding`` does, without its look for loops, which waits for a GPU."""
        block = self.blocks.neighbor_embedding
        weights = block.distance_proj(radial) * block.cutoff(lengths)[:, None]
        near = block.propagate(edges, x=block.embedding(nodes), W=weights)
        return torch.as_tensor(block.combine(torch.cat([self.blocks.embedding(nodes), near], 1)))


class GCN(NetworkModel):
    """`GCNNetwork` as a row: it knows elements by name only, on every split."""

    named_always, reads = True, "names"

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return GCNNetwork(sizes)


class GATv2(NetworkModel):
    """`GATv2Network` as a row."""

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return GATv2Network(sizes)


class SchNet(NetworkModel):
    """`SchNetwork` as a row."""

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return SchNetwork(sizes)


class DimeNet(NetworkModel):
    """`DimeNetwork` as a row."""

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return DimeNetwork(sizes)


class ViSNet(NetworkModel):
    """`ViSNetwork` as a row; at the rate of the others one training of 24 ended in NaN."""

    recipe = Recipe(learning_rate=1e-3)

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network."""
        return ViSNetwork(sizes)
