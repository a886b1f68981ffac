"""Every row of the leaderboard fits and predicts, and sees no more than it says."""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from synthetic import ELEMENTS, pairs_of, swapped

from twobody.benchmark.targets import METAL_LIKE, TRACKS, targets
from twobody.encodings.field import FIELD
from twobody.models import MODELS

ROWS = [(model, track) for model, info in MODELS.items() for track in info.tracks]
NAMED_SPLITS = {"pair": ELEMENTS, "element": ELEMENTS[:10]}
"""The elements of the training part on each split."""


def parts(model, track, split):
    everything = pairs_of(track, encoding=MODELS[model].encoding if track == "density" else None)
    known = np.isin(everything.elements, NAMED_SPLITS[split]).all(axis=1)
    third = np.arange(len(everything)) % 3
    if split == "pair":
        train, validation, test = (everything.take(third == i) for i in range(3))
    else:
        train, validation = everything.take(known & (third > 0)), everything.take(known)
        test = everything.take(~known)
    return train, validation, replace(test, targets=None)


@cache
def fitted(model, track, split="pair", seed=0):
    """Return the row, fitted for two epochs, and its test part."""
    return trained(model, track, split, seed)


def trained(model, track, split, seed):
    train, validation, test = parts(model, track, split)
    labels = (*targets(track), METAL_LIKE)
    made = MODELS[model].factory(seed, labels, "cpu", quick=True, split=split)
    made.fit(train, validation)
    return made, test


@pytest.mark.parametrize("split", ["pair", "element"])
@pytest.mark.parametrize(("model", "track"), ROWS)
def test_a_row_predicts_its_targets(model, track, split):
    made, test = fitted(model, track, split)
    predictions = made.predict(test)
    expected = {*targets(track), METAL_LIKE} if model != "repulsion" else {"repulsive_energy_ev"}
    assert predictions.keys() == expected
    for values in predictions.values():
        assert values.shape == (len(test),)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
    if METAL_LIKE in predictions:
        assert (predictions[METAL_LIKE] >= 0).all()
        assert (predictions[METAL_LIKE] <= 1).all()


@pytest.mark.parametrize("model", [model for model, track in ROWS if track == "density"])
def test_rows_that_say_so_read_populations_and_others_do_not(model):
    made, test = fitted(model, "density")
    electrons = test.orbital_populations.copy()
    electrons[:, 0, 0] += 0.5  # from the other atom's s shell
    electrons[:, 1, 0] -= 0.5
    moved = np.array([0.5, -0.5])
    other = replace(
        test,
        orbital_populations=electrons,
        populations=test.populations + moved,
        charges=test.charges - moved,
    )
    one, two = made.predict(test), made.predict(other)
    changed = any((one[name] != two[name]).any() for name in one)
    assert changed == (model in {"boosting", "mlp", "mlp_large", "fusion_large"})


@pytest.mark.parametrize(("model", "track"), ROWS)
def test_swapping_the_atoms_changes_no_prediction(model, track):
    made, test = fitted(model, track)
    other = swapped(test)
    if test.images is not None:
        of_field = MODELS[model].encoding == "field"
        mirrored = FIELD.flip(test.images) if of_field else test.images[..., ::-1].copy()
        other = replace(other, images=mirrored)
    one, two = made.predict(test), made.predict(other)
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(("model", "track"), [row for row in ROWS if MODELS[row[0]].seeded])
def test_a_seed_gives_one_model_and_another_seed_another(model, track):
    first, again, other = (
        trained(model, track, "pair", 1),
        fitted(model, track, seed=1),
        fitted(model, track),
    )
    one, two, three = (made.predict(test) for made, test in (first, again, other))
    for name, values in one.items():
        np.testing.assert_array_equal(two[name], values)
    assert any(not np.array_equal(three[name], values) for name, values in one.items())


@pytest.mark.parametrize(("model", "track"), [row for row in ROWS if not MODELS[row[0]].seeded])
def test_a_model_without_seed_is_the_same_for_every_seed(model, track):
    (one, test), (two, _) = (fitted(model, track), fitted(model, track, seed=1))
    two = two.predict(test)
    for name, values in one.predict(test).items():
        np.testing.assert_array_equal(two[name], values)


@pytest.mark.parametrize(("model", "track"), ROWS)
def test_a_row_has_at_most_350_000_parameters(model, track):
    made, _ = fitted(model, track)
    assert getattr(made, "n_parameters", 0) <= 350_000


@pytest.mark.parametrize(("model", "track"), ROWS)
def test_magnitudes_are_not_negative(model, track):
    made, test = fitted(model, track, "element")
    predictions = made.predict(test)
    for name in {"e_g_ev", "dipole_mag_d", "q_absmean", "repulsive_energy_ev"} & predictions.keys():
        if model != "additive":
            assert (predictions[name] >= 0).all()


@pytest.mark.parametrize("model", ["additive", "gcn"])
def test_who_knows_names_only_says_one_thing_of_all_unseen_elements(model):
    made, test = fitted(model, "elements", "element")
    both_new = ~np.isin(test.elements, NAMED_SPLITS["element"]).any(axis=1)
    for values in made.predict(test.take(both_new)).values():
        np.testing.assert_allclose(values, values[0], rtol=1e-5)


def test_who_reads_descriptors_tells_unseen_elements_apart():
    made, test = fitted("mlp", "elements", "element")
    both_new = ~np.isin(test.elements, NAMED_SPLITS["element"]).any(axis=1)
    assert np.ptp(made.predict(test.take(both_new))["e_homo_ev"]) > 0.01


@pytest.mark.parametrize("model", [m for m, info in MODELS.items() if info.encoding])
def test_an_image_row_without_images_says_what_is_missing(model):
    train, validation, _ = parts("mlp", "density", "pair")
    labels = (*targets("density"), METAL_LIKE)
    made = MODELS[model].factory(0, labels, "cpu", quick=True, split="pair")
    with pytest.raises(ValueError, match="make the task with an encoding"):
        made.fit(train, validation)


def test_a_test_part_cannot_be_fitted():
    _, validation, test = parts("mlp", "geometry", "pair")
    labels = (*targets("geometry"), METAL_LIKE)
    made = MODELS["mlp"].factory(0, labels, "cpu", quick=True, split="pair")
    with pytest.raises(ValueError, match="they are a test part"):
        made.fit(test, validation)


def test_tracks_of_all_rows_exist():
    assert {track for _, track in ROWS} == set(TRACKS)


def test_the_list_of_models_needs_no_torch():
    code = "import sys, twobody.models; print('torch' in sys.modules, 'sklearn' in sys.modules)"
    root = Path(__file__).parents[2]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert out.stdout.split() == [b"False", b"False"]
