"""Networks of pairs on structures of any size: laws, what each arm starts with, and training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import special_ortho_group
from synthetic import pairs_of
from torch_geometric.nn.models import dimenet

from twobody import ParseError
from twobody.archive import read
from twobody.archive.layout import SHIPPED
from twobody.benchmark.task import all_samples
from twobody.elements import ATOMIC_NUMBERS
from twobody.models.graphs import DimeNetwork, Graph, spherical_basis
from twobody.models.train import Sizes
from twobody.transfer import ARMS, SPATIAL, finetune
from twobody.transfer.batches import Packed
from twobody.transfer.finetune import Learner, StructureNetwork, Targets, element_table
from twobody.transfer.neighbours import neighbours, triplets
from twobody.transfer.pretrain import SHA256, WEIGHTS, pretrained, trained, write_weights
from twobody.transfer.records import Run
from twobody.transfer.structures import Source, Structures

torch.set_num_threads(1)


def clusters(n=12, *, forces=False, seed=0):
    """Return clusters of two to six atoms of H, C, N, O whose energies are sums over pairs."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 7, n)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    grid = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 3)
    chosen = [rng.choice(len(grid), size, replace=False) for size in sizes]
    positions = 1.3 * grid[np.concatenate(chosen)] + rng.normal(0, 0.05, (offsets[-1], 3))
    numbers = rng.choice([1, 6, 7, 8], offsets[-1])
    energies = np.zeros(n)
    slopes = np.zeros_like(positions)
    for k in range(n):
        for i in range(offsets[k], offsets[k + 1]):
            for j in range(offsets[k], i):
                vector = positions[i] - positions[j]
                r = np.linalg.norm(vector)
                energies[k] += np.exp(-r)
                slopes[i] -= np.exp(-r) * vector / r
                slopes[j] += np.exp(-r) * vector / r
    per_atom = np.add.reduceat(numbers.astype(float), offsets[:-1])
    return Structures(
        np.array([f"c{k}" for k in range(n)]),
        offsets,
        numbers,
        positions,
        {"energy_eV": energies - 3 * per_atom, "mean_eV": per_atom / sizes},
        -slopes if forces else None,
    )


def source_of(structures):
    parts = np.split(np.arange(len(structures)), [len(structures) - 6, len(structures) - 3])
    return Source("made_up", structures, frozenset({"energy_eV"}), *parts)


def network_of(model, n_targets=2, seed=0):
    base = pretrained(model)
    torch.manual_seed(seed)
    body = base.network(replace(base.sizes, outputs=n_targets))
    return StructureNetwork(body, [True, False][:n_targets]).eval(), element_table(base)


def outputs_of(net, table, structures, rows=None, size=100):
    packed = Packed(structures, table, with_triplets=isinstance(net.body, DimeNetwork))
    rows = np.arange(len(structures)) if rows is None else rows
    with torch.no_grad():
        return torch.cat([net(batch) for batch in packed.batches(rows, size)])


@pytest.mark.parametrize("model", SPATIAL)
def test_batches_of_any_size_and_order_give_the_same(model):
    net, table = network_of(model)
    structures = clusters()
    whole = outputs_of(net, table, structures)
    order = np.random.default_rng(1).permutation(len(structures))
    for size in (1, 5):
        found = outputs_of(net, table, structures, order, size)
        torch.testing.assert_close(found, whole[order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", SPATIAL)
def test_no_motion_and_no_order_of_atoms_changes_an_output(model):
    net, table = network_of(model)
    structures = clusters(5)
    before = outputs_of(net, table, structures)
    rotation = special_ortho_group.rvs(3, random_state=np.random.default_rng(0))
    for positions in (structures.positions @ rotation.T + [1, 2, 3], -structures.positions):
        after = outputs_of(net, table, replace(structures, positions=positions))
        torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
    order = np.concatenate(
        [np.arange(a, b)[::-1] for a, b in zip(structures.offsets, structures.offsets[1:])]  # noqa: B905
    )
    turned = replace(
        structures,
        positions=structures.positions[order],
        atomic_numbers=structures.atomic_numbers[order],
    )
    after = outputs_of(net, table, turned)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("model", SPATIAL)
def test_what_is_extensive_doubles_with_two_copies_far_apart(model):
    net, table = network_of(model)
    one = clusters(1)
    n = len(one.positions)
    two = Structures(
        one.names,
        np.array([0, 2 * n]),
        np.tile(one.atomic_numbers, 2),
        np.concatenate([one.positions, one.positions + np.array([50, 0, 0])]),
        one.targets,
    )
    single, double = outputs_of(net, table, one)[0], outputs_of(net, table, two)[0]
    torch.testing.assert_close(double, single * torch.tensor([2.0, 1.0]), rtol=1e-3, atol=1e-3)


def test_dimenet_is_that_of_the_library_with_edges_and_triplets_given(monkeypatch):
    torch.manual_seed(0)
    ours = DimeNetwork(Sizes(columns=7, bonds=0, outputs=3, encoding=None)).double()
    structures = clusters(3)
    edges, _ = neighbours(structures, 8.0)
    found = triplets(edges)
    source, target = torch.from_numpy(edges)
    theirs = dimenet.DimeNetPlusPlus(
        96,
        3,
        3,
        16,
        8,
        96,
        3,
        8,
        cutoff=8.0,
        num_output_layers=1,
        output_initializer="glorot_orthogonal",
    ).double()
    nodes = torch.randn(len(structures.positions), 7, dtype=torch.float64)
    theirs.emb, theirs.rbf, theirs.sbf = ours.embedding, ours.radial, spherical_basis()
    theirs.interaction_blocks, theirs.output_blocks = ours.interactions, ours.outputs
    kj, ji = torch.from_numpy(found)
    given = (target, source, target[ji], source[ji], source[kj], kj, ji)
    monkeypatch.setattr(dimenet, "radius_graph", lambda *_, **__: torch.stack([source, target]))
    monkeypatch.setattr(dimenet, "triplets", lambda *_, **__: given)
    positions = torch.from_numpy(structures.positions)
    graph = Graph(nodes, positions, torch.from_numpy(edges), torch.from_numpy(found))
    expected = theirs(nodes, positions, None)
    torch.testing.assert_close(ours.of_graph(graph).sum(dim=0, keepdim=True), expected.view(1, 3))


def test_weights_that_ship_predict_the_pairs_they_were_trained_on():
    samples = all_samples(read(SHIPPED), "geometry")
    for model in SPATIAL:
        network = pretrained(model)
        assert sum(p.numel() for p in network.net.parameters()) <= 350_000
        predictions = network.predict(samples)
        for label, most in {"e_homo_ev": 0.1, "total_energy_ev": 0.5}.items():
            error = np.abs(predictions[label] - samples.targets[label]).mean()
            assert error < most, (model, label, error)


def test_weights_are_checked_against_their_sha256(tmp_path):
    for name in ("egnn.safetensors", SHA256):
        (tmp_path / name).write_bytes((WEIGHTS / name).read_bytes())
    pretrained("egnn", folder=tmp_path)
    damaged = bytearray((tmp_path / "egnn.safetensors").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "egnn.safetensors").write_bytes(damaged)
    with pytest.raises(
        ParseError, match=r"egnn.safetensors: expected the SHA-256 that SHA256SUMS says, found"
    ):
        pretrained("egnn", folder=tmp_path)
    for sums in (b"", b"alone", b"\xff egnn.safetensors"):
        (tmp_path / SHA256).write_bytes(sums)
        with pytest.raises(ParseError, match=r"egnn.safetensors: expected the SHA-256 that"):
            pretrained("egnn", folder=tmp_path)
    with pytest.raises(
        ParseError, match=r"expected weights of one of schnet, egnn, .*, found none"
    ):
        pretrained("mlp", folder=tmp_path)


@pytest.fixture
def quick_pairs(monkeypatch):
    """A dozen elements, learned for two epochs."""
    from twobody.models.train import NetworkModel, Recipe

    monkeypatch.setattr(NetworkModel, "recipe", Recipe(epochs=2))
    return pairs_of("geometry", tuple(ATOMIC_NUMBERS)[:9])


def test_weights_are_written_with_their_sums(tmp_path, monkeypatch, quick_pairs):
    from twobody.models.egnn import EGNN
    from twobody.models.train import Recipe

    monkeypatch.setattr(EGNN, "recipe", Recipe(epochs=2))
    for model in ("schnet", "egnn"):
        write_weights({model: trained(model, quick_pairs, 0, "cpu")}, tmp_path)
    assert len((tmp_path / SHA256).read_text().splitlines()) == 2
    for model in ("schnet", "egnn"):
        assert pretrained(model, folder=tmp_path).features.elements.tolist()[:2] == ["B", "Be"]


def test_permuted_labels_stay_together_and_leave_their_pairs(quick_pairs, monkeypatch):
    seen = {}

    monkeypatch.setattr(
        "twobody.models.train.NetworkModel.fit_all",
        lambda _, samples: seen.update(samples=samples),
    )
    trained("schnet", quick_pairs, 3, "cpu", permuted=True)
    before, after = quick_pairs.targets, seen["samples"].targets
    order = [np.flatnonzero(before["total_energy_ev"] == e)[0] for e in after["total_energy_ev"]]
    assert sorted(order) == list(range(len(quick_pairs)))
    assert np.mean(order == np.arange(len(quick_pairs))) < 0.2
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values[order], err_msg=name)


@pytest.mark.parametrize("model", SPATIAL)
def test_each_arm_starts_with_what_it_says(model, monkeypatch):
    other = pretrained(model)
    with torch.no_grad():
        for parameter in other.net.parameters():
            parameter.add_(1.0)
    monkeypatch.setattr(finetune, "trained", lambda *_, **__: other)
    source, base = source_of(clusters()), pretrained(model)
    bodies = {
        arm: Learner(Run("d", model, arm, 6, 1e-3, 0), source, None, "cpu").net.body.state_dict()
        for arm in ARMS
    }
    body = base.network(base.sizes)
    n_equal = dict.fromkeys(("pretrained", "embedding", "permuted"), 0)
    for name, scratch in bodies["scratch"].items():
        same = {arm: torch.equal(bodies[arm][name], scratch) for arm in ARMS}
        if name.startswith(body.of_outputs):
            assert all(same.values()), name
            continue
        assert torch.equal(bodies["pretrained"][name], base.net.state_dict()[name]), name
        assert torch.equal(bodies["permuted"][name], other.net.state_dict()[name]), name
        if not name.startswith(body.of_elements):
            assert same["embedding"], name
        else:
            assert torch.equal(bodies["embedding"][name], base.net.state_dict()[name]), name
        for arm in n_equal:
            n_equal[arm] += not same[arm]
    assert n_equal["pretrained"] > n_equal["embedding"] > 0
    assert n_equal["permuted"] >= n_equal["pretrained"]


def test_targets_are_scaled_with_what_the_training_part_says():
    structures = clusters(20)
    structures.targets["mean_eV"][3] = np.nan
    source = source_of(structures)
    scaled = Targets(source)
    train = source.train
    assert np.nanmean(np.abs(scaled.scaled[train]), axis=0) == pytest.approx([1, 1])
    assert np.isnan(scaled.scaled[3, 1])
    rows = np.arange(20)
    back = scaled.labels(scaled.scaled, rows)
    for column, values in zip(back.T, structures.targets.values(), strict=True):
        np.testing.assert_allclose(column, values, rtol=1e-12)
    elsewhere = {name: values.copy() for name, values in structures.targets.items()}
    elsewhere["energy_eV"][source.test] += 1000  # of the test nothing is known
    again = Targets(replace(source, structures=replace(structures, targets=elsewhere)))
    np.testing.assert_array_equal(again.base, scaled.base)
    np.testing.assert_array_equal(again.spread, scaled.spread)


@pytest.mark.parametrize("model", ["schnet", "egnn"])
def test_a_training_learns_and_the_same_seed_gives_the_same(model):
    source = source_of(clusters(70))
    run = Run("made_up", model, "scratch", 64, 2e-3, 0)
    first, second = (Learner(run, source, None, "cpu").train(60) for _ in range(2))
    for name, values in first.predictions.items():
        np.testing.assert_array_equal(values, second.predictions[name])
    assert first.curve == second.curve
    assert len(first.curve) == finetune.N_CHECKS
    assert first.curve[-1][0] == 60
    assert first.validation_error < 0.5 * first.curve[0][1]
    other = Learner(replace(run, seed=1), source, None, "cpu").train(20)
    assert (other.predictions["energy_eV"] != first.predictions["energy_eV"]).any()


def test_forces_are_learned_and_scored_where_there_are_any():
    source = source_of(clusters(70, forces=True))
    run = Run("made_up", "schnet", "scratch", 64, 2e-3, 0)
    outcome = Learner(run, source, None, "cpu").train(60)
    forces = source.structures.take(source.test).forces
    assert outcome.forces_mae < 0.8 * np.abs(forces).mean()
    without = source_of(clusters(70))
    assert Learner(run, without, None, "cpu").train(20).forces_mae is None


def test_a_missing_target_is_left_out():
    structures = clusters(70)
    structures.targets["mean_eV"][::3] = np.nan
    outcome = Learner(
        Run("made_up", "schnet", "scratch", 64, 2e-3, 0), source_of(structures), None, "cpu"
    ).train(20)
    assert np.isfinite(outcome.validation_error)
    assert all(np.isfinite(values).all() for values in outcome.predictions.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numbers": 100}, "structure c1: expected elements that the network knows, found Fm"),
        ({"numbers": 0}, "expected elements that the network knows, found the atomic number 0"),
        ({"numbers": 400}, "expected elements that the network knows, found the atomic number 400"),
        (
            {"position": 1e8},
            r"structure c1: expected coordinates within 1000 Å of the origin, found",
        ),
        (
            {"position": np.nan},
            r"structure c1: expected coordinates within 1000 Å of the origin, found",
        ),
        ({"position": None}, "structure c1: expected atoms at least 0.1 Å apart, found 0 Å"),
    ],
)
def test_what_no_network_can_read_is_one_clear_error(change, message):
    net, table = network_of("schnet")
    structures = clusters(8)
    atom = structures.offsets[1]
    if "numbers" in change:
        structures.atomic_numbers[atom] = change["numbers"]
    elif change["position"] is None:
        structures.positions[atom] = structures.positions[atom + 1]
    else:
        structures.positions[atom, 1] = change["position"]
    with pytest.raises(ParseError, match=message):
        outputs_of(net, table, structures)


@pytest.mark.parametrize("model", SPATIAL)
def test_single_atoms_are_structures_too(model):
    net, table = network_of(model)
    whole = clusters(4)
    atoms = replace(
        whole.take(np.arange(2)),
        offsets=np.arange(3),
        atomic_numbers=np.array([1, 8]),
        positions=np.zeros((2, 3)),
    )
    assert torch.isfinite(outputs_of(net, table, atoms)).all()


def test_targets_that_the_composition_says_wholly_have_the_scale_one():
    structures = clusters(20)
    per_atom = np.add.reduceat(structures.atomic_numbers.astype(float), structures.offsets[:-1])
    structures.targets["energy_eV"][:] = 0.7 * per_atom
    assert Targets(source_of(structures)).spread[0] == 1.0
