"""Graph networks from torch_geometric: two atoms, one bond, edges given explicitly.

Each takes the blocks of its library as they are. A linear map of the atoms' columns stands where
they look up atomic numbers: with a column per element it is the same, and without these it can read
an element that was never seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv, GCNConv
from torch_geometric.nn.models.dimenet import (
    BesselBasisLayer,
    EmbeddingBlock,
    InteractionPPBlock,
    OutputPPBlock,
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


def bond_vectors(positions: Tensor) -> Tensor:
    """Return the vector of each edge of `bond_edges`, target less source: float32 [2 n, 3]."""
    return (positions.flip(1) - positions).flatten(0, 1)


class PairNetwork(nn.Module, ABC):
    """Sums what a network knows of both atoms, which makes it symmetric, and maps it to outputs."""

    def __init__(self, width: int, n_outputs: int) -> None:
        super().__init__()
        self.head = Head(width, n_outputs)

    @abstractmethod
    def atoms(self, nodes: Tensor, batch: Batch) -> Tensor:
        """Return float32 [2 b, width] for the columns of atoms, float32 [2 b, F]."""

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 [b, n_outputs]."""
        atoms = self.atoms(batch["nodes"].flatten(0, 1), batch)
        return torch.as_tensor(self.head(atoms.view(-1, 2, atoms.shape[1]).sum(dim=1)))


class GCNNetwork(PairNetwork):
    """Graph convolutions (Kipf & Welling 2017) without any distance."""

    def __init__(self, sizes: Sizes, width: int = 128, depth: int = 3) -> None:
        super().__init__(width, sizes.outputs)
        self.embedding = nn.Linear(sizes.columns, width)
        self.convolutions = nn.ModuleList(
            GCNConv(width, width, normalize=False) for _ in range(depth)
        )

    def atoms(self, nodes: Tensor, batch: Batch) -> Tensor:
        """Convolve."""
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

    def atoms(self, nodes: Tensor, batch: Batch) -> Tensor:
        """Attend."""
        edges = bond_edges(len(batch["nodes"]), nodes.device, loops=True)
        bonds = self.bond(batch["bonds"]).repeat_interleave(2, dim=0).repeat(2, 1)
        h: Tensor = self.embedding(nodes)
        for norm, attention in zip(self.norms, self.attentions, strict=True):
            h = h + nn.functional.silu(attention(norm(h), edges, bonds))
        return h


class SchNetwork(PairNetwork):
    """Continuous-filter convolutions (SchNet, Schuett et al. 2017)."""

    def __init__(self, sizes: Sizes, width: int = 128, depth: int = 3, n_radial: int = 50) -> None:
        super().__init__(width, sizes.outputs)
        self.embedding = nn.Linear(sizes.columns, width)
        self.expansion = GaussianSmearing(0.0, CUTOFF, n_radial)
        self.blocks = nn.ModuleList(
            InteractionBlock(width, n_radial, width, CUTOFF) for _ in range(depth)
        )

    def atoms(self, nodes: Tensor, batch: Batch) -> Tensor:
        """Interact."""
        edges = bond_edges(len(batch["nodes"]), nodes.device)
        lengths = bond_vectors(batch["positions"]).norm(dim=1)
        radial = self.expansion(lengths)
        h: Tensor = self.embedding(nodes)
        for block in self.blocks:
            h = h + block(h, edges, lengths, radial)
        return h


class DimeNetwork(nn.Module):
    """DimeNet++ (Gasteiger et al. 2020), of which two atoms leave the embeddings of messages.

    Its interactions sum over triplets k -> j -> i with k other than i: there are none, and no
    angles. The blocks' dense layers remain.
    """

    def __init__(self, sizes: Sizes, width: int = 96, depth: int = 3) -> None:
        super().__init__()
        n_radial, n_spherical, silu = 8, 3, nn.SiLU()
        self.n_basis = n_radial * n_spherical
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
        nodes = batch["nodes"].flatten(0, 1)
        source, target = bond_edges(len(batch["nodes"]), nodes.device)
        radial = self.radial(bond_vectors(batch["positions"]).norm(dim=1))
        no_triplets = target[:0]
        no_angles = radial.new_zeros(0, self.n_basis)
        x = self.embedding(nodes, radial, target, source)
        atoms = self.outputs[0](x, radial, target, num_nodes=len(nodes))
        for interaction, output in zip(self.interactions, self.outputs[1:], strict=True):
            x = interaction(x, radial, no_angles, no_triplets, no_triplets)
            atoms = atoms + output(x, radial, target, num_nodes=len(nodes))
        return torch.as_tensor(atoms.view(len(nodes) // 2, 2, -1).sum(dim=1))


class ViSNetwork(PairNetwork):
    """ViSNet (Wang et al. 2024): scalars and vectors of each atom that talk to each other.

    The blocks are those of ``ViSNetBlock``; its search for neighbours, which needs torch-cluster,
    gives way to the edges of a bond and of each atom to itself.
    """

    def __init__(self, sizes: Sizes, width: int = 64, depth: int = 3) -> None:
        super().__init__(width, sizes.outputs)
        self.blocks = ViSNetBlock(
            num_heads=4, num_layers=depth, hidden_channels=width, num_rbf=32, cutoff=CUTOFF
        )
        self.blocks.embedding = nn.Linear(sizes.columns, width)
        self.blocks.neighbor_embedding.embedding = nn.Linear(sizes.columns, width)
        self.gate = GatedEquivariantBlock(width, width, scalar_activation=True)

    def atoms(self, nodes: Tensor, batch: Batch) -> Tensor:
        """Interact."""
        blocks, n = self.blocks, len(nodes)
        edges = bond_edges(n // 2, nodes.device, loops=True)
        between = -bond_vectors(batch["positions"])  # source less target
        lengths = torch.cat([between.norm(dim=1), between.new_zeros(n)])
        directions = torch.cat([between / lengths[:n, None], torch.zeros_like(between)])
        directions = blocks.sphere(directions)
        radial = blocks.distance_expansion(lengths)
        x = self._neighbours(nodes, edges[:, :n], lengths[:n], radial[:n])
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
