"""Scores: numbers by hand, independent code, and the coverage of intervals by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import made_up_pairs, perfect

from twobody import ParseError
from twobody.archive import read
from twobody.benchmark import targets
from twobody.benchmark.evaluate import Errors, Evaluator, element_draws, separable
from twobody.benchmark.splits import read_splits

NAMES, CELLS = read_splits()
HOMONUCLEAR = np.array([len(set(name.split("_"))) == 1 for name in NAMES.tolist()])


def changed(predictions, label, function):
    columns = dict(predictions.columns)
    columns[label] = function(columns[label])
    return replace(predictions, columns=columns)


def test_right_predictions_have_no_error(pairs, evaluator):
    frame = evaluator.frame(perfect(pairs, "element", "elements"))
    assert set(frame.index.get_level_values("part")) == {"C2", "C3"}
    numbers = frame.drop("metal_like", level="label")
    assert set(numbers.index.get_level_values("label")) == {*targets.TARGETS, *targets.DERIVED}
    assert (numbers[["mae", "low", "high", "rmse", "ratio", "ensemble_mae"]] == 0).all(axis=None)
    flags = frame.xs("metal_like", level="label")
    assert (flags[["balanced_accuracy", "auroc", "ensemble_auroc"]] == 1).all(axis=None)


def test_a_pair_counts_once_per_fold_that_tests_it(pairs, evaluator):
    frame = evaluator.frame(perfect(pairs, "element", "elements"))
    assert frame.loc[("C2", "e_g_ev"), "n"] == 5 * 900
    assert frame.loc[("C3", "e_g_ev"), "n"] == 5 * 120
    missing = np.isnan(pairs.label("softness_evinv"))
    parts = np.stack([CELLS[f"element-{fold}"] for fold in range(1, 6)])
    expected = ((parts == "C2") & ~missing).sum()
    assert frame.loc[("C2", "softness_evinv"), "n"] == expected


def test_errors_of_a_shifted_prediction(pairs, evaluator):
    """Seeds off by 1 and by -3: singles err by 2 on average, their mean by 1."""
    two = perfect(pairs, "pair", "elements", n_seeds=2)
    shifted = changed(two, "e_homo_ev", lambda values: values + np.array([[1.0], [-3.0]]))
    frame = evaluator.frame(shifted).loc["C1"]
    homo = frame.loc["e_homo_ev"]
    assert homo[["mae", "low", "high", "rmse"]].tolist() == pytest.approx([2, 2, 2, 2])
    assert homo[["ensemble_mae", "ensemble_rmse"]].tolist() == pytest.approx([1, 1])
    # i = -HOMO, chi = (i + a) / 2, mu = -chi, by identity; others are not touched.
    assert frame.loc["i_ev", "mae"] == pytest.approx(2)
    assert frame.loc["chi_ev", "mae"] == pytest.approx(1)
    assert frame.loc["mu_ev", "mae"] == pytest.approx(1)
    assert frame.loc[["a_ev", "eta_ev", "e_g_ev"], "mae"].tolist() == pytest.approx([0, 0, 0])
    assert frame["derived"].to_dict() == {
        name: name in targets.DERIVED for name in frame.index.tolist()
    }


def test_derived_labels_follow_the_gap_and_the_dipole(pairs, evaluator):
    shifted = perfect(pairs, "pair", "elements")
    shifted = changed(shifted, "e_g_ev", lambda values: values + 1)
    shifted = changed(shifted, "dipole_mag_d", lambda values: values - 2)
    frame = evaluator.frame(shifted).loc["C1"]
    assert frame.loc["eta_ev", "mae"] == pytest.approx(0.5)
    assert frame.loc["abs(dipole_z_d)", "mae"] == pytest.approx(2)


def test_the_constant_is_the_median_of_what_is_not_tested(pairs, evaluator):
    constant = perfect(pairs, "period", "elements")
    truth = pairs.label("band_energy_ev")
    seen = {fold: np.isin(CELLS[f"period-{fold}"], ["T", "V2", "V3"]) for fold in (4, 5, 6)}
    medians = {fold: np.median(truth[seen[fold]]) for fold in (4, 5, 6)}
    guess = np.array([[medians[fold] for fold in constant.rows.folds.tolist()]])
    frame = evaluator.frame(changed(constant, "band_energy_ev", lambda _: guess))
    for part in ("C2", "C3"):
        inside = constant.rows.parts == part
        errors = np.abs(guess[0] - truth[constant.rows.pairs])[inside]
        assert frame.loc[(part, "band_energy_ev"), "mae"] == pytest.approx(errors.mean())
        assert frame.loc[(part, "band_energy_ev"), "ratio"] == 1


def test_a_row_of_the_table_is_all_there_is_of_a_label_that_was_predicted_alone(pairs, evaluator):
    all_labels = perfect(pairs, "pair", "elements")
    gap = replace(all_labels, columns={"e_g_ev": all_labels.columns["e_g_ev"]})
    assert evaluator.frame(gap).index.tolist() == [("C1", "e_g_ev"), ("C1", "eta_ev")]


def test_weights_of_draws_are_products_of_counts(pairs):
    """The same counts drawn for all pairs: A-A gives that of A, A-B the product of both."""
    weights = element_draws(pairs.atomic_numbers, 50)
    of_pair = {frozenset(name.split("_")): i for i, name in enumerate(NAMES.tolist())}
    counts = {next(iter(pair)): weights[:, i] for pair, i in of_pair.items() if len(pair) == 1}
    assert len(counts) == 75
    assert (sum(counts.values()) == 75).all()
    for pair, i in of_pair.items():
        if len(pair) == 2:
            first, second = pair
            assert (weights[:, i] == counts[first] * counts[second]).all()


def test_draws_are_the_same_every_time_and_weigh_pairs_alike_on_average(pairs):
    weights = element_draws(pairs.atomic_numbers, 4000)
    assert (weights == element_draws(pairs.atomic_numbers, 4000)).all()
    assert weights[:, HOMONUCLEAR].mean() == pytest.approx(1, abs=0.01)
    assert weights[:, ~HOMONUCLEAR].mean() == pytest.approx(74 / 75, abs=0.01)


def test_intervals_cover_the_true_error_as_often_as_they_say():
    """Errors that share what their elements bring: about 95 of 100 intervals hold the mean."""
    rng = np.random.default_rng(1)
    pairs = made_up_pairs()
    _, index = np.unique(pairs.atomic_numbers, return_inverse=True)
    first, second = index.reshape(-1, 2).T
    weights = element_draws(pairs.atomic_numbers, 300)
    n_runs, covered, naive = 300, 0, 0
    for _ in range(n_runs):
        of_element = rng.exponential(1, 75)
        errors = of_element[first] + of_element[second] + rng.exponential(1, len(first))
        low, high = Errors(0, 0, weights @ errors / weights.sum(axis=1)).interval
        covered += low <= 3 <= high
        naive += abs(errors.mean() - 3) <= 1.96 * errors.std() / np.sqrt(len(errors))
    assert 0.90 <= covered / n_runs <= 0.99
    assert naive / n_runs < 0.5  # what intervals are that take pairs for independent


def test_a_common_part_of_two_errors_does_not_keep_them_from_being_told_apart():
    rng = np.random.default_rng(0)
    common = rng.normal(1, 0.5, 1000)
    best, worse = Errors(1, 1, common), Errors(1.1, 1, common + rng.normal(0.1, 0.01, 1000))
    assert worse.interval[0] < best.interval[1]
    assert separable(worse, best)
    assert not separable(best, best)
    assert not separable(Errors(1, 1, common + rng.normal(0.01, 0.1, 1000)), best)


def test_classification_against_scikit_learn(pairs, evaluator):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    predictions = perfect(pairs, "element", "elements", n_seeds=2)
    truth = predictions.columns["metal_like"][0]
    # Few values, so that many are tied.
    noisy = np.round(np.clip(truth * 0.3 + rng.random((2, len(truth))) * 0.7, 0, 1), 1)
    predictions = changed(predictions, "metal_like", lambda _: noisy)
    found = evaluator.classifications(predictions)
    for part, (single, ensemble) in found.items():
        inside = predictions.rows.parts == part
        for values, mean in ((noisy, single), (noisy.mean(axis=0)[None], ensemble)):
            accuracy = [
                metrics.balanced_accuracy_score(truth[inside], seed[inside] >= 0.5)
                for seed in values
            ]
            areas = [metrics.roc_auc_score(truth[inside], seed[inside]) for seed in values]
            assert mean.balanced_accuracy == pytest.approx(np.mean(accuracy))
            assert mean.auroc == pytest.approx(np.mean(areas))


@pytest.mark.parametrize(
    ("label", "unit", "factor"),
    [
        ("total_energy_ev", "hartree", 27.211386),
        ("e_homo_ev", "hartree", 27.211386),
        ("e_g_ev", "kJ/mol", 1 / 96.485),
        ("e_g_ev", "meV", 1e-3),
        ("softness_evinv", "1/hartree", 1 / 27.211386),
        ("dipole_mag_d", "e bohr", 2.541746),
        ("distance_ang", "bohr", 0.529177),
        ("distance_ang", "pm", 0.01),
    ],
)
def test_values_in_another_unit_are_refused(pairs, evaluator, label, unit, factor):
    """Also where they are not exact: 5 % noise."""
    rng = np.random.default_rng(0)
    predictions = perfect(pairs, "element", "elements")
    noisy = changed(predictions, label, lambda v: v * rng.normal(1, 0.05, v.shape) / factor)
    with pytest.raises(ParseError) as error:
        evaluator.frame(noisy)
    assert error.value.found == f"values in {unit}"
    assert label in error.value.expected


def test_poor_predictions_are_not_taken_for_another_unit(pairs, evaluator):
    rng = np.random.default_rng(0)
    predictions = perfect(pairs, "element", "elements")
    for label in targets.TARGETS:
        predictions = changed(predictions, label, lambda v: rng.normal(0, 10, v.shape))
    evaluator.check_units(predictions)


def test_the_digest_changes_with_any_label_and_with_nothing_else(pairs, evaluator):
    other = {**pairs.labels, "e_g_ev": pairs.label("e_g_ev").copy()}
    assert Evaluator(replace(pairs, labels=other, rows={})).digest == evaluator.digest
    other["e_g_ev"][17] = np.nextafter(other["e_g_ev"][17], 10)
    assert Evaluator(replace(pairs, labels=other)).digest != evaluator.digest


def test_an_archive_of_other_pairs_is_refused(pairs):
    fewer = replace(pairs, names=pairs.names[:-1])
    with pytest.raises(ParseError, match=r"the 2850 pairs of the benchmark, found 2849 pairs"):
        Evaluator(fewer)


def test_the_derived_labels_of_the_archive_obey_the_identities(archive):
    pairs = read(archive)
    labels = targets.with_derived({name: pairs.label(name) for name in targets.TARGETS})
    for name in targets.DERIVED[:-1]:
        np.testing.assert_allclose(pairs.label(name), labels[name], rtol=0, atol=1e-12)
    z = np.abs(pairs.label("dipole_z_d"))
    np.testing.assert_allclose(z, labels[targets.ABS_DIPOLE_Z], rtol=0, atol=1e-12)
