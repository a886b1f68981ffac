"""The training of all networks, the scales of inputs and targets, and weights as files."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from synthetic import ELEMENTS, pairs_of, widths

from twobody import ParseError
from twobody.benchmark.descriptors import NAMES
from twobody.benchmark.targets import METAL_LIKE, targets
from twobody.models import MODELS
from twobody.models.baselines import Additive, Median
from twobody.models.features import Features, atom_columns, bond_columns, element_columns, joined
from twobody.models.fusion import Fusion, LargeFusion
from twobody.models.graphs import SchNet
from twobody.models.repulsion import Repulsion, repulsive_energy
from twobody.models.scaling import ENERGIES, Scaler
from twobody.models.tabular import MLP
from twobody.models.train import Recipe, _flat, _mean_errors, _shuffled

LABELS = (*targets("geometry"), METAL_LIKE)


@pytest.fixture
def samples():
    return pairs_of("geometry")


def mlp(targets_=LABELS, split="pair", seed=0):
    return MLP(seed, targets_, "cpu", quick=True, split=split)


def test_a_longer_training_fits_better(samples, monkeypatch):
    short, long = mlp(), MLP(0, LABELS, "cpu", quick=False, split="pair")
    monkeypatch.setattr(MLP, "recipe", Recipe(epochs=40, batch=32))
    errors = []
    for model in (short, long):
        model.fit(samples, samples)
        predicted = model.predict(samples)["e_homo_ev"]
        errors.append(np.abs(predicted - samples.targets["e_homo_ev"]).mean())
    assert errors[1] < errors[0] / 2


def test_a_step_of_the_vector_is_a_step_of_each_parameter():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.SiLU(), torch.nn.Linear(7, 1))
    other = copy.deepcopy(net)
    vector = _flat(net)
    assert vector.shape == (4 * 64,)  # 35, 7, 7 and 1 numbers
    assert torch.equal(net(torch.ones(2, 5)), other(torch.ones(2, 5)))
    one = torch.optim.AdamW([vector], 1e-2, weight_decay=0.1, fused=True)
    each = torch.optim.AdamW(other.parameters(), 1e-2, weight_decay=0.1, fused=True)
    for _ in range(3):
        x = torch.randn(4, 5)
        one.zero_grad(set_to_none=False)
        each.zero_grad()
        net(x).square().mean().backward()
        other(x).square().mean().backward()
        one.step()
        each.step()
    for parameter, expected in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter, expected)
    assert vector.count_nonzero() == 35 + 7 + 7 + 1


def test_weights_are_those_of_the_epoch_that_validates_best(samples, monkeypatch):
    seen = iter([0.3, 0.1, 0.2])
    states = []

    def error(net, _):
        states.append({name: tensor.clone() for name, tensor in net.state_dict().items()})
        return next(seen)

    monkeypatch.setattr("twobody.models.train._error", error)
    monkeypatch.setattr(MLP, "recipe", Recipe(epochs=3))
    model = MLP(0, LABELS, "cpu", quick=False, split="pair")
    model.fit(samples, samples)
    for name, tensor in model.net.state_dict().items():
        assert torch.equal(tensor, states[1][name])


def test_missing_labels_are_left_out(samples):
    holes = {name: values.copy() for name, values in samples.targets.items()}
    holes["e_homo_ev"][::2] = np.nan
    model = mlp()
    model.fit(replace(samples, targets=holes), samples)
    assert all(np.isfinite(values).all() for values in model.predict(samples).values())


def test_an_error_is_the_mean_over_the_pairs_that_have_the_label():
    scaled = np.array([[1.0, np.nan, np.nan], [4.0, 7.0, np.nan]])
    known = np.isfinite(scaled)
    columns = {"scaled": np.where(known, scaled, 0.0), "known": known.astype(float)}
    data = {name: torch.from_numpy(values) for name, values in columns.items()}
    predicted = torch.tensor([[2.0, 9.0, 9.0], [2.0, 5.0, 9.0]])
    assert _mean_errors(predicted, data).tolist() == [1.5, 2.0, 0.0]


def test_batches_are_the_rows_that_a_permutation_gives_and_each_pair_is_in_one():
    data = {"metal": torch.arange(10.0)[:, None], "nodes": torch.arange(60.0).view(10, 2, 3)}
    torch.manual_seed(5)
    batches = list(_shuffled(data, 3))
    torch.manual_seed(5)
    for batch, rows in zip(batches, torch.randperm(10).chunk(3), strict=True):
        assert batch.keys() == data.keys()
        assert all(torch.equal(batch[name], data[name][rows]) for name in data)
    pairs = torch.cat([batch["metal"] for batch in batches]).flatten()
    assert sorted(pairs.tolist()) == list(range(10))


def test_a_metal_has_no_gap(samples):
    model = mlp()
    model.fit(samples, samples)
    predictions = model.predict(samples)
    metal = predictions[METAL_LIKE] > 0.5
    assert metal.any()
    assert (predictions["e_g_ev"][metal] == 0).all()


@pytest.mark.parametrize(
    ("row", "track", "encoding"),
    [
        (MLP, "geometry", None),
        (MLP, "density", None),
        (SchNet, "geometry", None),
        (Fusion, "density", "field"),
        (LargeFusion, "density", "field"),
    ],
)
def test_a_model_that_is_saved_and_loaded_predicts_the_same(row, track, encoding, tmp_path):
    samples = pairs_of(track, encoding=encoding)
    model = row(3, (*targets(track), METAL_LIKE), "cpu", quick=True, split="element")
    model.fit(samples, samples)
    model.save(tmp_path / "weights.safetensors")
    loaded = row.load(tmp_path / "weights.safetensors")
    for name, values in model.predict(samples).items():
        np.testing.assert_array_equal(loaded.predict(samples)[name], values)
    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        assert file.metadata()["split"] == '"element"'


def test_weights_of_another_row_are_refused(samples, tmp_path):
    model = mlp()
    model.fit(samples, samples)
    model.save(tmp_path / "weights.safetensors")
    with pytest.raises(ParseError, match=r"tabular:MLP"):
        SchNet.load(tmp_path / "weights.safetensors")


def test_energies_of_sums_over_elements_are_learned_by_the_ridge_alone(samples):
    features = Features.fit(samples, named=True)
    sums = features.sums(samples)
    scaler = Scaler.fit(ENERGIES, samples.targets, sums)
    rest = scaler.scaled(samples.targets, sums) * scaler.spread + scaler.center
    column = ENERGIES.index("mermin_free_energy_ev")
    assert np.abs(rest[:, column]).max() < 2
    assert np.abs(samples.targets["mermin_free_energy_ev"]).max() > 280


def test_energies_of_an_unseen_element_follow_its_neighbours():
    # The labels are 3 eV times the atomic numbers, which the periodic table orders.
    train, unseen = pairs_of("elements", ("B", "C", "O", "F")), pairs_of("elements", ("N",))
    features = Features.fit(train, named=False)
    scaler = Scaler.fit(("total_energy_ev",), train.targets, features.sums(train))
    found = scaler.labels(np.zeros((1, 1)), features.sums(unseen))["total_energy_ev"]
    np.testing.assert_allclose(found, unseen.targets["total_energy_ev"], atol=2)  # of -42 eV


def test_energies_far_from_all_elements_are_those_of_none():
    train = pairs_of("elements", ("B", "C", "N", "O", "F"))
    features = Features.fit(train, named=False)
    scale = features.scale[: len(NAMES)]
    shift = np.where(np.isfinite(scale), 1e3 * scale, 0)
    far = replace(train, descriptors=train.descriptors + shift)
    np.testing.assert_array_equal(features.sums(far), 0)


def test_sums_have_the_covariance_of_a_gaussian_process(samples):
    features = Features.fit(samples, named=False)
    same = samples.take(np.flatnonzero(samples.elements[:, 0] == samples.elements[:, 1]))
    columns = (element_columns(same)[:, 0] - features.mean) / features.scale
    squares = ((columns[:, None] - columns) ** 2).sum(axis=-1)
    expected = 4 * np.exp(-squares / (2 * columns.shape[1]))  # two atoms times two
    sums = features.sums(same)
    np.testing.assert_allclose(sums @ sums.T, expected, atol=1e-6)


def test_a_swap_of_the_atoms_leaves_sums_as_they_are():
    samples = pairs_of("density")
    of_atoms = ("elements", "atomic_numbers", "descriptors", "populations", "charges")
    of_atoms += ("orbital_populations",)
    swapped = {name: getattr(samples, name)[:, ::-1] for name in of_atoms}
    features = Features.fit(samples, named=True)
    np.testing.assert_allclose(
        features.sums(replace(samples, **swapped)), features.sums(samples), atol=1e-12
    )


def test_scaled_targets_come_back(samples):
    sums = Features.fit(samples, named=True).sums(samples)
    scaler = Scaler.fit(targets("geometry"), samples.targets, sums)
    back = scaler.labels(scaler.scaled(samples.targets, sums), sums)
    for name in targets("geometry"):
        np.testing.assert_allclose(back[name], samples.targets[name], rtol=1e-9, atol=1e-9)


def test_elements_have_columns_only_where_they_are_named(samples):
    named, not_named = (Features.fit(samples, named=named) for named in (True, False))
    assert named.nodes(samples).shape[-1] == not_named.nodes(samples).shape[-1] + len(ELEMENTS)
    one_hot = named.nodes(samples)[..., : len(ELEMENTS)]
    assert (one_hot.sum(axis=-1) == 1).all()


def test_columns_of_the_training_part_have_mean_0_and_spread_1(samples):
    columns = Features.fit(samples, named=False).nodes(samples).reshape(2 * len(samples), -1)
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-12)
    spread = columns.std(axis=0)
    assert np.isclose(spread, 1).sum() > 10
    assert (np.isclose(spread, 1) | (spread == 0)).all()


def test_pixels_of_the_training_part_have_mean_0_and_spread_1():
    samples = pairs_of("density", encoding="published")
    samples.images[:, 3] = 3 + 100 * samples.images[:, 3]
    pixels = Features.fit(samples, named=False).pixels(samples.images)
    np.testing.assert_allclose(pixels.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(pixels.std(axis=(0, 2, 3)), 1, rtol=1e-4)


def test_columns_of_carbon_are_its_shells():
    samples = pairs_of("elements", elements=("C",))
    columns = element_columns(samples)[0, 0, len(NAMES) :]
    # Slater: Z_eff = 6 - 3 · 0.35 - 2 · 0.85 = 3.25, n* = 2.
    shell = 2 * 1.625**2
    assert columns == pytest.approx([6, 4, shell, shell, 0, 0, 2 * shell])


def test_populations_are_summed_by_angular_momentum_and_multiplied():
    samples = pairs_of("density", elements=("C",))
    columns = atom_columns(samples)[0, 0, element_columns(samples).shape[-1] :]
    orbitals = samples.orbital_populations[0, 0]
    charge, valence_charge, *by_l = columns
    assert charge == samples.charges[0, 0]
    assert valence_charge == samples.populations[0, 0] + charge
    s, p, d = orbitals[0], orbitals[1:4].sum(), orbitals[4:9].sum()
    assert by_l[:4] == pytest.approx([s, p, d, 0])
    for start, factor in zip((4, 8, 16), (1.625, 1.625**2, 14 * 1.625), strict=True):
        assert by_l[start : start + 2] == pytest.approx([s * factor, p * factor])
    assert by_l[12:16] == pytest.approx([14 * s, 14 * p, 14 * d, 0])
    others = samples.charges[0, 1] / samples.bond_lengths[0]
    assert abs(charge) > 0.01 < abs(others)
    assert by_l[20:24] == pytest.approx([charge * s, charge * p, charge * d, 0])
    assert by_l[24:26] == pytest.approx([charge * s * 1.625, charge * p * 1.625])
    assert by_l[28:32] == pytest.approx([others * s, others * p, others * d, 0])
    assert by_l[32:] == pytest.approx([others, others * charge, charge**2])


def test_the_bond_is_given_alone_and_less_both_radii():
    samples = pairs_of("geometry", elements=("H",))
    length, rest = bond_columns(samples)[0]
    assert rest == pytest.approx(length - 2 * 0.31)


def test_joined_parts_hold_the_pairs_of_both(samples):
    both = joined(samples.take(np.arange(5)), samples.take(np.arange(5, 12)))
    assert both.names.tolist() == samples.names[:12].tolist()
    np.testing.assert_array_equal(both.targets["e_g_ev"], samples.targets["e_g_ev"][:12])
    assert both.images is None


def test_the_median_is_predicted(samples):
    model = Median(targets=LABELS)
    model.fit(samples.take(np.arange(10)), samples.take(np.arange(10, 21)))
    expected = np.median(samples.targets["e_homo_ev"][:21])
    assert (model.predict(samples)["e_homo_ev"] == expected).all()


def test_additive_labels_are_found_again():
    samples = pairs_of("elements")
    model = Additive(targets=("mermin_free_energy_ev", METAL_LIKE))
    model.fit(samples, samples)
    error = model.predict(samples)["mermin_free_energy_ev"]
    error -= samples.targets["mermin_free_energy_ev"]
    assert np.abs(error).max() < 10  # of 280: the ridge shrinks a little
    assert np.abs(error).max() > 0


def test_the_repulsion_of_protons_is_their_coulomb_energy_where_they_are_points():
    charges, far = np.ones((1, 2)), np.array([0.529177])
    narrow = repulsive_energy(charges, np.full((1, 2), 10.0), far * 1e-6) * 1e-6
    assert narrow[0] == pytest.approx(27.2114, rel=1e-4)  # one hartree at one bohr
    assert repulsive_energy(charges, np.full((1, 2), 0.05), far)[0] < 1e-10


def test_the_repulsion_finds_widths_of_seen_elements(samples):
    model = Repulsion(quick=False)
    model.fit(samples.take(np.arange(0, len(samples), 2)), samples.take(np.arange(10)))
    numbers = np.array([samples.atomic_numbers[samples.elements == e][0] for e in model._elements])
    np.testing.assert_allclose(np.exp(model._logarithms), widths(numbers), rtol=1e-5)
    predicted = model.predict(samples)["repulsive_energy_ev"]
    np.testing.assert_allclose(predicted, samples.targets["repulsive_energy_ev"], rtol=1e-4)


def test_the_gaussian_process_reproduces_what_it_was_given(samples):
    samples = samples.take(np.arange(0, len(samples), 2))
    model = MODELS["gp"].factory(0, LABELS, "cpu", quick=False, split="pair")
    model._steps = 30
    model.fit(samples.take(np.arange(30)), samples.take(np.arange(30, len(samples))))
    predicted = model.predict(samples)
    error = np.abs(predicted["e_homo_ev"] - samples.targets["e_homo_ev"])
    assert error.mean() < 0.05 * samples.targets["e_homo_ev"].std()


def test_a_column_that_never_varies_in_training_stays_silent_for_an_element_that_varies_it():
    train = pairs_of("geometry", ("H", "C", "N", "O", "F", "Na"))  # no f electrons
    features = Features.fit(train, named=False)
    unseen = pairs_of("geometry", ("Pt",))
    varying = element_columns(train).std(axis=(0, 1)) > 1e-8
    assert not varying[NAMES.index("occupation_f")]
    assert element_columns(unseen)[0, 0, NAMES.index("occupation_f")] == 14
    assert (features.nodes(unseen)[..., ~varying] == 0).all()
    assert (features.nodes(unseen)[..., varying] != 0).all()
