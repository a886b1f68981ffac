"""`TwoBodyGraphDataset`: graphs of two nodes, fast and slow the same."""

import copy
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest
from shipped import ROOT

torch = pytest.importorskip("torch")
pytest.importorskip("torch_geometric")

from torch.utils.data import DataLoader as PlainLoader  # noqa: E402
from torch.utils.data import Subset, random_split  # noqa: E402
from torch_geometric import transforms as T  # noqa: E402, N812 - as everybody calls them
from torch_geometric.data import Batch, Data, InMemoryDataset  # noqa: E402
from torch_geometric.loader import DataLoader  # noqa: E402
from torch_geometric.nn import GATv2Conv, SchNet, global_mean_pool  # noqa: E402
from torch_geometric.nn.models import dimenet  # noqa: E402

from pytorch_geometric_dataset import TwoBodyGraphDataset  # noqa: E402

FORK_WARNS = "ignore:.*multi-threaded.*fork:DeprecationWarning"  # Python 3.12; workers stay simple

OPTIONS = [
    {},
    {"bidirectional": True},
    {"with_images": True},
    {"target_labels": ["e_g_ev", "e_homo_ev"], "missing": "nan"},
]


@pytest.fixture(scope="module")
def dataset(archive):
    return TwoBodyGraphDataset(archive)


@pytest.fixture(scope="module")
def stored(archive):
    with np.load(archive, allow_pickle=True) as plain:
        return {name: plain[name] for name in plain.files}


def identical(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        same = a.dtype == b.dtype and a.shape == b.shape
        return same and torch.equal(a.nan_to_num(-7), b.nan_to_num(-7))
    return type(a) is type(b) and a == b


def assert_same_graph(a, b):
    assert type(a) is type(b)
    assert list(a.keys()) == list(b.keys())
    assert [key for key in a.keys() if not identical(a[key], b[key])] == []  # noqa: SIM118 - PyG's


def assert_same_batch(fast, slow):
    assert_same_graph(fast, slow)
    for name in ("_slice_dict", "_inc_dict"):
        ours, theirs = getattr(fast, name), getattr(slow, name)
        assert list(ours) == list(theirs)
        assert [key for key in ours if not identical(ours[key], theirs[key])] == []
    assert fast.num_graphs == slow.num_graphs == len(slow)
    for a, b in zip(fast.to_data_list(), slow.to_data_list(), strict=True):
        assert_same_graph(a, b)


def one_by_one(dataset, indices, **options):
    """The general path: graphs taken alone, collated by PyG."""
    return Batch.from_data_list([dataset[int(i)] for i in indices], **options)


def test_the_snippet_of_the_readme_gives_batches(archive, monkeypatch):
    monkeypatch.chdir(archive.parent)
    dataset = TwoBodyGraphDataset("dataset_combined.npz", target_labels=["e_g_ev"])
    loader = DataLoader(dataset, batch_size=32, shuffle=True)
    n = 0
    for batch in loader:
        assert batch.x.shape == (2 * batch.num_graphs, 119)
        assert batch.edge_index.shape == (2, batch.num_graphs)
        assert batch.edge_attr.shape == (batch.num_graphs, 14)
        n += batch.num_graphs
    assert n == len(dataset) == 2847


def test_a_graph_holds_the_fields_of_the_contract(dataset, stored):
    i = dataset.pair_names.tolist().index("H_Li")
    j = stored["pair_names"].tolist().index("H_Li")
    graph, geometry = dataset[i], stored["geometries"][j]
    assert isinstance(graph, Data)
    assert graph.pair_name == "H_Li"
    assert graph.z.tolist() == [1, 3]
    one_hot = np.zeros((2, 118))
    one_hot[[0, 1], [0, 2]] = 1
    np.testing.assert_array_equal(graph.x[:, :118], one_hot)
    np.testing.assert_array_equal(graph.x[:, 118], geometry[:, 3])
    np.testing.assert_array_equal(graph.pos, geometry[:, :3])
    assert graph.edge_index.tolist() == [[0], [1]]
    assert graph.y.tolist() == [[np.float32(stored["labels"][j]["e_g_ev"])]]
    dtypes = {key: graph[key].dtype for key in ("x", "edge_index", "edge_attr", "y", "pos", "z")}
    assert dtypes == dict.fromkeys(("x", "edge_attr", "y", "pos"), torch.float32) | dict.fromkeys(
        ("edge_index", "z"), torch.int64
    )


def test_edge_features_are_channel_means_bond_length_and_bond_vector(dataset, stored):
    kept = ~np.isnan(stored["label_values"][:, stored["label_names"].tolist().index("e_g_ev")])
    edges = np.stack([graph.edge_attr[0].numpy() for graph in dataset[:300]])
    pixels = stored["images"][kept][:300].astype(np.float64)
    positions = stored["geometries"][kept][:300, :, :3].astype(np.float64)
    vectors = positions[:, 1] - positions[:, 0]
    np.testing.assert_allclose(edges[:, :10], pixels.mean(axis=(2, 3)), rtol=1e-7, atol=1e-30)
    np.testing.assert_array_equal(edges[:, 11:], vectors.astype(np.float32))
    np.testing.assert_allclose(edges[:, 10], np.linalg.norm(vectors, axis=1), rtol=1e-7)
    lengths = stored["metadata_values"][kept][:300, -1]
    np.testing.assert_allclose(edges[:, 10], lengths, rtol=1e-6)


def test_edge_features_of_the_encoding_field_are_means_of_its_images():
    """Without images the means come with the package."""
    known = TwoBodyGraphDataset(encoding="field")
    for i in (0, 100, 2846):
        image = known._source[known._kept[[i]]][0]
        means = image.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
        np.testing.assert_allclose(known[i].edge_attr[0, :10], means, rtol=1e-5, atol=1e-7)


def test_both_directions_differ_in_the_sign_of_the_vector_only(archive, dataset):
    both = TwoBodyGraphDataset(archive, bidirectional=True)[4]
    one = dataset[4]
    assert both.edge_index.tolist() == [[0, 1], [1, 0]]
    assert torch.equal(both.edge_attr[0], one.edge_attr[0])
    assert torch.equal(both.edge_attr[1, :11], one.edge_attr[0, :11])
    assert torch.equal(both.edge_attr[1, 11:], -one.edge_attr[0, 11:])


def test_images_come_on_request(archive, stored):
    dataset = TwoBodyGraphDataset(archive, with_images=True, missing="nan")
    np.testing.assert_array_equal(dataset[9].image[0], stored["images"][9], strict=True)
    batch = next(iter(DataLoader(dataset, batch_size=32)))
    np.testing.assert_array_equal(batch.image, stored["images"][:32], strict=True)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_batch_is_what_pyg_collates_bit_for_bit(options, archive):
    dataset = TwoBodyGraphDataset(archive, **options)
    for indices in ([0], [5, 3, 5], list(range(40, 72))):
        fast = next(iter(DataLoader(Subset(dataset, indices), batch_size=32)))
        assert_same_batch(fast, one_by_one(dataset, indices))


def test_every_way_to_split_gives_the_same_batches(dataset):
    mask = np.zeros(len(dataset), np.bool_)
    mask[[3, 1]] = True
    parts = (
        *(dataset[10:30], dataset[[4, 2]], dataset[mask], dataset[torch.tensor([7, 8])]),
        *(dataset.shuffle()[:20], dataset[20:40][[3, 1]], dataset[:0.01]),
        *random_split(dataset, [0.99, 0.01]),
    )
    for part in parts:
        batch = next(iter(DataLoader(part, batch_size=8)))
        assert_same_batch(batch, one_by_one(part, range(min(8, len(part)))))


def test_the_default_loader_makes_batches_without_making_graphs(dataset, monkeypatch):
    monkeypatch.setattr(TwoBodyGraphDataset, "get", None)
    assert next(iter(DataLoader(dataset, batch_size=4))).num_graphs == 4


@pytest.mark.parametrize(
    "options",
    [{"follow_batch": ["x", "edge_attr"]}, {"exclude_keys": ["pos", "pair_name"]}],
    ids=["follow_batch", "exclude_keys"],
)
def test_options_of_the_loader_are_heeded(options, dataset):
    batch = next(iter(DataLoader(dataset, batch_size=4, **options)))
    assert_same_graph(batch, one_by_one(dataset, range(4), **options))
    assert ("x_batch" in batch) == ("follow_batch" in options)
    assert ("pos" in batch) == ("follow_batch" in options)


def test_a_transform_sees_every_graph_alone(archive):
    names = []

    def transform(graph):
        names.append(graph.pair_name)
        graph.more = graph.y * 2
        return graph

    dataset = TwoBodyGraphDataset(archive, transform=transform)
    batch = next(iter(DataLoader(dataset, batch_size=3)))
    assert names == dataset.pair_names[:3].tolist()
    assert torch.equal(batch.more, batch.y * 2)


class Doubled(TwoBodyGraphDataset):
    def get(self, idx):
        graph = super().get(idx)
        graph.y = 2 * graph.y
        return graph


class Named(TwoBodyGraphDataset):
    def __getitem__(self, idx):
        return super().__getitem__(idx).pair_name


def test_a_subclass_may_make_graphs_in_its_own_way(archive, dataset):
    doubled = next(iter(DataLoader(Doubled(archive), batch_size=4)))
    assert torch.equal(doubled.y, 2 * one_by_one(dataset, range(4)).y)
    assert next(iter(DataLoader(Named(archive), batch_size=4))) == dataset.pair_names[:4].tolist()


def shortened(graph):
    """A pre_transform: away with the one-hot, in with a number that PyG collates."""
    del graph.x
    graph.charge = 3
    return graph


def test_a_pre_transform_is_applied_once(archive):
    calls = []
    dataset = TwoBodyGraphDataset(
        archive, pre_transform=lambda graph: calls.append(graph.pair_name) or shortened(graph)
    )
    plain = TwoBodyGraphDataset(archive)
    assert calls == plain.pair_names.tolist()
    batch = next(iter(DataLoader(dataset[5:9], batch_size=4)))
    assert "x" not in batch
    assert batch.charge.tolist() == [3] * 4
    assert torch.equal(batch.edge_index, one_by_one(plain, range(5, 9)).edge_index)
    assert dataset[6].pair_name == plain[6].pair_name
    assert len(calls) == len(plain)


@pytest.mark.parametrize(
    "use",
    [
        lambda graphs: [graph.pair_name for graph in graphs],
        lambda graphs: [graph.pair_name for graph in copy.copy(graphs)],
        lambda graphs: [graph.pair_name for graph in pickle.loads(pickle.dumps(graphs))],  # noqa: S301
        lambda graphs: [graph.pair_name for graph in [*graphs, *graphs][:4]],
        lambda graphs: Batch.from_data_list(graphs).pair_name,
    ],
    ids=["iterated", "copied", "pickled", "added", "collated"],
)
def test_a_collate_function_of_ones_own_gets_the_graphs(use, dataset):
    batch = next(iter(PlainLoader(dataset, batch_size=4, collate_fn=use)))
    assert batch == dataset.pair_names[:4].tolist()


def test_what_is_changed_before_pyg_collates_is_not_lost(dataset):
    collate = DataLoader(dataset).collate_fn
    graphs = dataset.__getitems__([0, 1, 2])
    graphs.pop()
    graphs[0].y.zero_()
    batch = collate(graphs)
    assert batch.y[0] == 0
    assert batch.num_graphs == 2


def test_other_graphs_are_collated_as_ever():
    graphs = [Data(x=torch.ones(n, 1), edge_index=torch.zeros(2, 0).long()) for n in (1, 3)]
    batch = next(iter(DataLoader(graphs, batch_size=2)))
    assert_same_batch(batch, Batch.from_data_list(graphs))


def test_changing_a_batch_does_not_change_the_dataset(dataset):
    before = dataset[0].clone()
    batch = next(iter(DataLoader(dataset, batch_size=2)))
    graph = dataset[0]
    for key in ("x", "edge_attr", "y", "pos", "z", "edge_index"):
        batch[key].fill_(9)
        graph[key].fill_(9)
    assert_same_graph(dataset[0], before)


@pytest.mark.filterwarnings(FORK_WARNS)
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.trust)])
def test_workers_give_the_same_batches_epoch_after_epoch(method, dataset):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    loader = DataLoader(
        dataset[:40],
        batch_size=16,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context=method,
    )
    for _ in range(2):
        for start, batch in zip((0, 16, 32), loader, strict=True):
            assert_same_batch(batch, one_by_one(dataset, range(start, min(start + 16, 40))))


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda dataset: pickle.loads(pickle.dumps(dataset))],  # noqa: S301
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_gives_the_same_graphs(copied, dataset):
    batch = next(iter(DataLoader(copied(dataset), batch_size=8)))
    assert_same_batch(batch, one_by_one(dataset, range(8)))


def test_the_attributes_of_a_part_are_its_own(dataset):
    part = dataset[[8, 2]]
    assert part.pair_names.tolist() == dataset.pair_names[[8, 2]].tolist()
    assert torch.equal(part.targets, dataset.targets[[8, 2]])
    assert part.statistics([0]).mean == dataset.statistics([8]).mean
    assert dataset.statistics(part) == part.statistics([0, 1]) == dataset.statistics([8, 2])
    assert dataset.statistics(Subset(part, [1])) == dataset.statistics([2])
    element = part.elements[1, 0]
    assert 1 in part.indices_with(element)
    assert dataset.shuffle().indices_without(["H", "He"]).size == 2850 - 3 - (75 + 75 - 1 - 2)


def test_an_index_that_is_not_whole_is_refused(small_archive, dataset):
    stored = TwoBodyGraphDataset(small_archive, pre_transform=lambda graph: graph)
    for read in (dataset.get, stored.get, lambda index: dataset.__getitems__([index])):
        with pytest.raises((TypeError, IndexError)):
            read("H_H")
        with pytest.raises(TypeError):
            read(1.5)


def test_what_is_done_to_a_graph_is_not_done_to_the_dataset(small_archive):
    def halved(graph):
        graph.y /= 2
        return graph

    for pre_transform in (None, lambda graph: graph):
        dataset = TwoBodyGraphDataset(small_archive, transform=halved, pre_transform=pre_transform)
        epochs = [next(iter(DataLoader(dataset, batch_size=4))).y for _ in range(2)]
        assert torch.equal(*epochs)
        assert torch.equal(epochs[0], dataset.targets[:4] / 2)


def test_statistics_are_float32_one_number_a_target(archive):
    dataset = TwoBodyGraphDataset(archive, ["e_homo_ev", "distance_ang"])
    statistics = dataset.statistics(range(50))
    torch.testing.assert_close(statistics.mean, dataset.targets[:50].mean(dim=0))
    torch.testing.assert_close(statistics.std, dataset.targets[:50].std(dim=0, correction=0))
    assert all((value.shape, value.dtype) == ((2,), torch.float32) for value in statistics)


def test_it_is_a_dataset_as_pyg_knows_them(dataset):
    assert (dataset.num_features, dataset.num_node_features, dataset.num_edge_features) == (
        *(119, 119),
        14,
    )
    assert isinstance(dataset, InMemoryDataset)
    assert [graph.pair_name for graph in dataset[:3]] == dataset.pair_names[:3].tolist()


def test_one_label_may_be_given_as_it_is_and_under_either_name(archive):
    datasets = (
        TwoBodyGraphDataset(archive, "e_homo_ev"),
        TwoBodyGraphDataset(archive, ["e_homo_ev"]),
        TwoBodyGraphDataset(archive, target_labels="e_homo_ev"),
        TwoBodyGraphDataset(archive, target_label="e_homo_ev"),
    )
    for dataset in datasets:
        assert dataset[0].y.shape == (1, 1)
        assert torch.equal(dataset.y, datasets[0].y)
    with pytest.raises(TypeError, match="two names of one argument"):
        TwoBodyGraphDataset(archive, ["e_g_ev"], target_label="e_homo_ev")


def test_it_says_what_it_holds(dataset):
    assert (
        repr(dataset) == "TwoBodyGraphDataset(2847 pairs, targets e_g_ev [eV], encoding published)"
    )
    assert repr(dataset[:3]).startswith("TwoBodyGraphDataset(3 pairs, ")


def test_a_graph_is_found_by_the_name_of_its_pair(dataset):
    place = dataset.pair_names.tolist().index("Ag_Al")
    for name in ("Ag_Al", "Al_Ag"):
        assert_same_graph(dataset[name], dataset[place])
    assert dataset[[7, place]]["Ag_Al"].pair_name == "Ag_Al"
    with pytest.raises(KeyError, match="did you mean Ag_Al"):
        dataset["AG_AL"]
    for part, name in ((dataset, "He_He"), (dataset[:1], "Ag_Al")):
        with pytest.raises(KeyError, match=f"'{name}' is in another part, or in `dropped`"):
            part[name]


TRANSFORMS = [
    T.ToUndirected(),
    T.AddSelfLoops("edge_attr", "mean"),
    T.VirtualNode(),
    T.Distance(),
    T.Cartesian(norm=False),
    T.LocalCartesian(),
    T.Spherical(),
    T.RandomRotate(180),
    T.RandomJitter(0.1),
    T.RandomFlip(2, p=1),
    T.Center(),
    T.NormalizeScale(),
    T.NormalizeFeatures(),
    T.OneHotDegree(2),
    T.AddRandomWalkPE(2),
    T.RemoveDuplicatedEdges(),
    T.LargestConnectedComponents(),
    T.RemoveIsolatedNodes(),
    T.Pad(4, 8),
    T.Compose([T.ToUndirected(), T.VirtualNode(), T.Distance()]),
]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
def test_a_transform_of_pyg_leaves_alone_what_is_of_the_pair(
    transform, bidirectional, small_archive
):
    options = {"bidirectional": bidirectional, "with_images": True}
    labels = ["e_g_ev", "e_homo_ev", "distance_ang"]  # as many as there are graphs below
    plain = TwoBodyGraphDataset(small_archive, labels, **options)[:3]
    dataset = TwoBodyGraphDataset(small_archive, labels, transform=transform, **options)[:3]
    for before, graph in zip(plain, dataset, strict=True):
        assert identical(graph.y, before.y)
        assert identical(graph.image, before.image)
        assert graph.pair_name == before.pair_name
        for field, rows in (("x", graph.num_nodes), ("z", graph.num_nodes)):
            assert len(graph[field]) == len(graph.pos) == rows
        assert len(graph.edge_attr) == graph.edge_index.shape[1]
    batch = next(iter(DataLoader(dataset, batch_size=3)))
    assert identical(batch.y, plain.y)
    assert identical(batch.image, plain.image)
    assert batch.pair_name == plain.pair_names.tolist()
    assert batch.num_nodes == sum(graph.num_nodes for graph in batch.to_data_list())


def test_a_batch_can_be_made_undirected_too(dataset):
    batch = next(iter(DataLoader(dataset, batch_size=4)))
    undirected = T.ToUndirected()(batch.clone())
    assert undirected.edge_index.shape == (2, 8)
    assert identical(undirected.y, batch.y)
    assert undirected.pair_name == batch.pair_name


def test_transforms_that_move_atoms_change_positions_alone(archive, dataset):
    turned = TwoBodyGraphDataset(archive, transform=T.RandomRotate(180, axis=0))[5]
    assert not torch.allclose(turned.pos, dataset[5].pos)
    torch.testing.assert_close(turned.pos.diff(dim=0).norm(), dataset[5].edge_attr[0, 10])
    assert identical(turned.edge_attr, dataset[5].edge_attr)


def test_the_way_back_has_the_vector_negated_with_bidirectional_and_copied_by_to_undirected(
    archive,
):
    negated = TwoBodyGraphDataset(archive, bidirectional=True)[5]
    copied = T.ToUndirected()(TwoBodyGraphDataset(archive)[5])
    assert identical(negated.edge_index, copied.edge_index)
    assert identical(negated.edge_attr[:, :11], copied.edge_attr[:, :11])
    assert identical(negated.edge_attr[1, 11:], -copied.edge_attr[1, 11:])


def test_fields_of_edges_that_you_add_are_those_with_edge_in_their_name(dataset):
    graph = dataset[0]
    graph.energy, graph.edge_order = graph.y * 2, torch.tensor([3.0])
    undirected = T.ToUndirected(reduce="mean")(graph)
    assert undirected.energy.shape == (1, 1)
    assert undirected.edge_order.tolist() == [3, 3]


def test_the_fields_of_all_graphs_are_there_at_once(dataset):
    every = one_by_one(dataset, range(len(dataset)))
    for name in ("x", "edge_index", "edge_attr", "y", "pos", "z", "pair_name"):
        assert identical(getattr(dataset, name), every[name])
    assert identical(dataset.y, dataset.targets)
    part = dataset[[5, 2]]
    assert identical(part.y, dataset.targets[[5, 2]])
    assert part.pair_name == dataset.pair_names[[5, 2]].tolist()


def test_targets_that_are_scaled_in_what_is_stored_come_scaled(archive):
    dataset = TwoBodyGraphDataset(archive, ["e_g_ev", "e_homo_ev"])
    first = dataset.targets[:4, 0].clone()
    dataset._data.y = dataset._data.y[:, 0] / 2
    assert identical(next(iter(DataLoader(dataset, batch_size=4))).y, first / 2)
    assert identical(dataset[3].y, first[3:] / 2)


def test_a_copy_of_a_part_is_a_dataset_of_its_own(dataset):
    copied = dataset.copy([8, 2])
    assert copied.pair_names.tolist() == dataset.pair_names[[8, 2]].tolist()
    assert copied.pair_name == copied.pair_names.tolist()
    assert identical(copied.targets, dataset.targets[[8, 2]])
    assert copied.statistics([1]) == dataset.statistics([2])
    assert_same_batch(next(iter(DataLoader(copied, batch_size=2))), one_by_one(dataset, [8, 2]))
    copied._data.y.fill_(9)
    assert dataset[8].y != 9
    (alone,) = dataset[30:40].copy([4])
    assert_same_graph(alone, dataset[34])
    assert_same_graph(dataset.copy()[7], dataset[7])


def test_a_dataset_on_a_device_gives_batches_there(archive):
    elsewhere = TwoBodyGraphDataset(archive, bidirectional=True).to("meta")
    batch = next(iter(DataLoader(elsewhere, batch_size=8)))
    assert {value.device.type for _, value in batch if torch.is_tensor(value)} == {"meta"}
    assert batch.edge_index.shape == (2, 16)


def test_a_pre_filter_says_what_stays_and_comes_before_the_pre_transform(archive, dataset):
    def with_gap(graph):
        assert "x" in graph
        return bool(graph.y > 0)

    for pre_transform in (None, shortened):
        filtered = TwoBodyGraphDataset(archive, pre_transform=pre_transform, pre_filter=with_gap)
        stay = np.flatnonzero(dataset.targets[:, 0] > 0)
        assert filtered.pair_names.tolist() == dataset.pair_names[stay].tolist()
        assert identical(filtered.y, dataset.targets[stay])
        assert filtered.dropped.tolist() == dataset.dropped.tolist()
        batch = next(iter(DataLoader(filtered, batch_size=4)))
        assert_same_batch(batch, one_by_one(filtered, range(4)))
        assert ("x" in batch) == (pre_transform is None)
    with pytest.raises(ValueError, match="pre_filter keeps no pair"):
        TwoBodyGraphDataset(archive, pre_filter=lambda _: False)


def test_a_dataset_of_one_pair_is_one(small_archive):
    for pre_transform in (None, lambda graph: graph):
        one = TwoBodyGraphDataset(
            small_archive,
            pre_transform=pre_transform,
            pre_filter=lambda graph: graph.pair_name == "H_Li",
        )
        (graph,) = one
        assert graph.z.tolist() == [1, 3]
        assert next(iter(DataLoader(one, batch_size=4))).num_graphs == 1


def test_a_graph_and_a_batch_survive_a_pickle(dataset):
    batch = next(iter(DataLoader(dataset, batch_size=3)))
    for whole in (dataset[0], batch):
        again = pickle.loads(pickle.dumps(whole))  # noqa: S301
        assert_same_graph(again, whole)
        assert not again.is_edge_attr("y")
    assert not batch[1].is_edge_attr("y")


def train(model, batch, *arguments):
    """Run forward and backward; every parameter that takes part has a finite gradient."""
    loss = torch.nn.functional.mse_loss(model(*arguments).squeeze(1), batch.y.squeeze(1))
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert torch.isfinite(loss)
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.fixture
def batch(archive):
    dataset = TwoBodyGraphDataset(archive, bidirectional=True, with_images=True)
    return next(iter(DataLoader(dataset, batch_size=8)))


def test_schnet_learns_from_a_batch(batch):
    # Its own search for neighbours needs a compiled package; the bonds are the neighbours here.
    def bonds(pos, _):
        row, column = batch.edge_index
        return batch.edge_index, (pos[row] - pos[column]).norm(dim=1)

    model = SchNet(hidden_channels=16, num_filters=16, interaction_graph=bonds)
    train(model, batch, batch.z, batch.pos, batch.batch)


def test_schnet_finds_the_neighbours_itself(batch):
    try:
        SchNet().interaction_graph(batch.pos, batch.batch)
    except ImportError as error:
        pytest.skip(str(error))
    train(SchNet(hidden_channels=16, num_filters=16), batch, batch.z, batch.pos, batch.batch)


def dimenet_plus_plus():
    return dimenet.DimeNetPlusPlus(16, 1, 2, 8, 8, 16, num_spherical=3, num_radial=2)


def test_dimenet_plus_plus_finds_the_neighbours_itself(batch):
    try:
        dimenet_plus_plus()(batch.z, batch.pos, batch.batch)
    except ImportError as error:
        pytest.skip(str(error))
    train(dimenet_plus_plus(), batch, batch.z, batch.pos, batch.batch)


def test_dimenet_plus_plus_learns_from_a_batch(batch, monkeypatch):
    # Its search for neighbours and triplets needs compiled packages; what they find among pairs is
    # the bond, both ways, and no triplet.
    none = torch.zeros(0, dtype=torch.int64)
    row, column = batch.edge_index
    monkeypatch.setattr(dimenet, "radius_graph", lambda *_, **__: batch.edge_index)
    monkeypatch.setattr(dimenet, "triplets", lambda *_, **__: (column, row, *[none] * 5))
    train(dimenet_plus_plus(), batch, batch.z, batch.pos, batch.batch)


def test_a_gatv2_learns_from_nodes_edges_and_images(batch):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.nodes = GATv2Conv(119, 8, edge_dim=14)
            self.images = torch.nn.Linear(10 * 32 * 32, 8)
            self.head = torch.nn.Linear(16, 1)

        def forward(self, batch):
            nodes = self.nodes(batch.x, batch.edge_index, batch.edge_attr)
            graphs = global_mean_pool(nodes, batch.batch)
            images = self.images(batch.image.flatten(1))
            return self.head(torch.cat([graphs, images], dim=1))

    train(Model(), batch, batch)


LOADED_AGAIN = """
import importlib, sys
import torch
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
import twobody.graphs, pytorch_geometric_dataset

others = [Data(x=torch.zeros(2, 1)) for _ in range(4)]
for _ in range(3):
    importlib.reload(twobody.graphs)
    importlib.reload(pytorch_geometric_dataset)
    ours = pytorch_geometric_dataset.TwoBodyGraphDataset(sys.argv[1])
    for graphs in (ours, others):
        batch = next(iter(DataLoader(graphs, batch_size=4)))
        assert batch.num_graphs == 4 and batch.num_nodes == 8, batch
"""


@pytest.mark.trust
def test_modules_that_are_loaded_again_leave_all_loaders_working(archive):
    # As autoreload does in a notebook.
    command = [sys.executable, "-W", "ignore", "-c", LOADED_AGAIN, str(archive)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
