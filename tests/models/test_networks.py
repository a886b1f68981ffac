"""Networks: what a motion of the pair does to them, and what their blocks compute."""

import numpy as np
import pytest
import torch
from scipy.stats import special_ortho_group
from synthetic import pairs_of

from twobody.benchmark.targets import METAL_LIKE, targets
from twobody.encodings import ENCODINGS
from twobody.models import MODELS
from twobody.models.egnn import EquivariantLayer, EquivariantNetwork
from twobody.models.graphs import (
    DimeNetwork,
    GCNNetwork,
    SchNetwork,
    ViSNetwork,
    bond_edges,
    graph_of,
)
from twobody.models.images import BothWays
from twobody.models.tabular import BondExpansion, PairEncoder
from twobody.models.train import Sizes

torch.set_num_threads(1)
SIZES = Sizes(columns=7, bonds=2, outputs=5, encoding=None)
SPATIAL = [SchNetwork, DimeNetwork, ViSNetwork, EquivariantNetwork]
ROWS_OF_POSITIONS = ["schnet", "dimenet", "visnet", "egnn", "gatv2"]

ROTATION = special_ortho_group.rvs(3, random_state=np.random.default_rng(0))
MOTIONS = {
    "rotation": lambda x: x @ ROTATION.T,
    "translation": lambda x: x + np.array([3.0, -2.0, 5.0]),
    "reflection": lambda x: x * np.array([1.0, 1.0, -1.0]),
    "inversion": lambda x: -x,
}


@pytest.fixture
def batch():
    rng = np.random.default_rng(1)
    positions = rng.normal(size=(6, 2, 3)) * 1.5
    lengths = np.linalg.norm(positions[:, 0] - positions[:, 1], axis=1)
    arrays = {
        "nodes": rng.normal(size=(6, 2, 7)),
        "positions": positions,
        "bonds": np.stack([lengths, lengths - 2], axis=1),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def moved(batch, motion):
    positions = torch.from_numpy(MOTIONS[motion](batch["positions"].numpy()))
    return {**batch, "positions": positions}


def made(network):
    torch.manual_seed(0)
    return network(SIZES).double().eval()


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("network", SPATIAL)
def test_no_motion_changes_an_output(network, motion, batch):
    net = made(network)
    torch.testing.assert_close(net(moved(batch, motion)), net(batch), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("network", SPATIAL)
def test_a_longer_bond_changes_the_outputs(network, batch):
    net = made(network)
    stretched = {**batch, "positions": batch["positions"] * 1.1}
    assert (net(stretched) - net(batch)).abs().max() > 1e-6


@pytest.mark.parametrize("motion", MOTIONS)
def test_coordinates_of_egnn_go_along_with_a_motion(motion, batch):
    net = made(EquivariantNetwork)
    for layer in net.layers:  # a step that can be seen
        layer.step[-1].weight.data *= 1000
    _, x = net.features_and_coordinates(graph_of(batch))
    _, of_moved = net.features_and_coordinates(graph_of(moved(batch, motion)))
    assert (x - batch["positions"].flatten(0, 1)).abs().max() > 0.1
    expected = torch.from_numpy(MOTIONS[motion](x.detach().numpy()))
    torch.testing.assert_close(of_moved, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("depth", [0, 1])
def test_the_mlp_knows_more_of_a_pair_than_a_sum_over_its_atoms(depth, batch):
    torch.manual_seed(0)
    encoder = PairEncoder(SIZES, 8, depth).double().eval()
    nodes = batch["nodes"][:1]

    def encoded(a, b):
        return encoder({**batch, "nodes": torch.stack([a, b], dim=1), "bonds": batch["bonds"][:1]})

    a, b = nodes[:, 0], nodes[:, 1] + 1
    mixed = encoded(a, b) - (encoded(a, a) + encoded(b, b)) / 2
    assert mixed.abs().max() > 1e-3
    torch.testing.assert_close(encoded(a, b), encoded(b, a))


def test_an_atom_of_egnn_moves_by_the_mean_of_what_its_neighbours_ask():
    torch.manual_seed(0)
    layer = EquivariantLayer(8)
    h, x = torch.randn(4, 8), torch.tensor([[0.0, 0, 0], [1, 2, 0], [1, 2, 0], [9, 9, 9]])
    h[2] = h[1]
    features, alone = layer(h, x, torch.tensor([[1], [0]]))
    of_both, between_two = layer(h, x, torch.tensor([[1, 2], [0, 0]]))
    assert (alone[0] - x[0]).abs().max() > 1e-4
    torch.testing.assert_close(between_two, alone)
    assert (of_both[0] - features[0]).abs().max() > 1e-4  # messages are summed
    torch.testing.assert_close(alone[3], x[3])  # without neighbours it stays


@pytest.mark.parametrize("model", ROWS_OF_POSITIONS)
@pytest.mark.parametrize("motion", MOTIONS)
def test_no_motion_changes_a_prediction_of_a_row(model, motion):
    samples = pairs_of("geometry")
    labels = (*targets("geometry"), METAL_LIKE)
    row = MODELS[model].factory(0, labels, "cpu", quick=True, split="pair")
    row.fit(samples, samples)
    before = row.predict(samples)
    samples.positions[:] = MOTIONS[motion](samples.positions)
    after = row.predict(samples)
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=1e-3, atol=1e-3, err_msg=name)


def test_edges_join_the_two_atoms_of_a_pair_in_both_directions():
    expected = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    assert torch.equal(bond_edges(2, torch.device("cpu")), expected)
    loops = torch.tensor([[0, 1, 1 - 0, 0], [1, 0, 1, 0]])
    with_loops = bond_edges(1, torch.device("cpu"), loops=True)
    assert set(map(tuple, with_loops.T.tolist())) == set(map(tuple, loops.T.tolist()))


def test_gcn_is_that_of_the_library_with_its_own_normalization(batch):
    net = made(GCNNetwork)
    h = net.embedding(batch["nodes"].flatten(0, 1))
    for convolution in net.convolutions:
        convolution.normalize = convolution.add_self_loops = True
        edges = bond_edges(6, h.device)
        h = h + torch.nn.functional.silu(convolution(h, edges))
        convolution.normalize = convolution.add_self_loops = False
    expected = net.head(h.view(6, 2, -1).sum(dim=1))
    torch.testing.assert_close(net(batch), expected)


def test_visnet_is_that_of_the_library_with_edges_given(batch):
    net = made(ViSNetwork)
    positions = batch["positions"].flatten(0, 1)
    edges = bond_edges(6, positions.device, loops=True)
    between = positions[edges[0]] - positions[edges[1]]
    lengths = between.norm(dim=1)

    class Given(torch.nn.Module):
        def forward(self, *_):
            return edges, lengths, between.clone()

    net.blocks.distance = Given()
    scalars, vectors = net.blocks(batch["nodes"].flatten(0, 1), positions, None)
    expected = net.head(net.gate(scalars, vectors)[0].view(6, 2, -1).sum(dim=1))
    torch.testing.assert_close(net(batch), expected)


def test_dimenet_has_no_angles_in_two_atoms(batch):
    net = made(DimeNetwork)
    before = net(batch)
    for interaction in net.interactions:  # what only triplets use
        interaction.lin_sbf1.weight.data += 1
        interaction.lin_down.weight.data += 1
    assert torch.equal(net(batch), before)


def test_the_bond_is_expanded_in_gaussians_of_both_columns():
    expansion = BondExpansion(n=16).double()
    centers = expansion.centers
    bonds = torch.stack([centers[0, 3], centers[1, 5]])[None]
    columns = expansion(bonds)
    assert columns.shape == (1, 34)
    assert columns[0, 2 + 3] == 1
    assert columns[0, 2 + 16 + 5] == 1


@pytest.mark.parametrize("encoding", ["published", "field"])
def test_both_ways_are_the_image_and_its_mirror(encoding):
    images = torch.randn(3, 10, 32, 32, generator=torch.Generator().manual_seed(0))
    both = BothWays(torch.nn.Flatten(), encoding)
    mirrored = both.mirrored(images)
    for channel in range(10):
        axes = (-1, -2) if ENCODINGS[encoding].channels[channel].matrix else (-1,)
        assert torch.equal(mirrored[:, channel], images[:, channel].flip(axes))
    torch.testing.assert_close(both(images), ((images + mirrored) / 2).flatten(1))
    assert torch.equal(both(images), both(mirrored))
