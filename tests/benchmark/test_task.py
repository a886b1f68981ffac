"""Tasks: three lines to a score, only what the track shows, and no way to the test labels."""

import gc
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from twobody import ParseError
from twobody.benchmark import descriptors
from twobody.benchmark.results import read_result
from twobody.benchmark.splits import SPLITS_SHA256, read_splits
from twobody.benchmark.targets import TARGETS
from twobody.benchmark.task import Samples, Task

NAMES, CELLS = read_splits()
ALWAYS = {"names", "elements", "atomic_numbers", "descriptors"}
OF_GEOMETRY = ALWAYS | {"positions", "bond_lengths"}
OF_DENSITY = OF_GEOMETRY | {"populations", "charges", "orbital_populations"}


class Median:
    def fit(self, train, validation):
        both = {
            name: [*values, *validation.targets[name]] for name, values in train.targets.items()
        }
        self.medians = {name: np.nanmedian(values) for name, values in both.items()}

    def predict(self, test):
        return {name: np.full(len(test), median) for name, median in self.medians.items()}


def run(task, model, seed=0):
    for fold in task.folds:
        model.fit(fold.train, fold.validation)
        task.record(fold, model.predict(fold.test), seed)


def test_three_lines_to_a_score(pairs):
    task = Task("element", track="geometry", pairs=pairs)
    run(task, Median())
    frame = task.score()
    numbers = frame.drop("metal_like", level="label")
    assert numbers["ratio"].tolist() == pytest.approx([1] * len(numbers), rel=1e-3)
    assert len(frame) == 2 * (11 + 6 + 1)


@pytest.mark.parametrize(
    ("track", "encoding", "seen"),
    [
        ("elements", None, ALWAYS),
        ("geometry", None, OF_GEOMETRY),
        ("density", None, OF_DENSITY),
        ("density", "published", OF_DENSITY | {"images", "encoding"}),
    ],
)
def test_a_track_shows_what_it_says_and_nothing_else(archive, track, encoding, seen):
    task = Task("pair", track, archive, encoding)
    fold = task.fold(2)
    for samples in (fold.train, fold.validation, fold.test):
        shown = {f.name for f in fields(samples) if getattr(samples, f.name) is not None}
        assert shown - {"targets"} == seen
        n = len(samples)
        assert all(len(getattr(samples, name)) == n for name in seen - {"encoding"})
    assert fold.train.targets.keys() == fold.validation.targets.keys()
    assert fold.train.targets.keys() == {*task.targets, "metal_like"}
    if encoding:
        assert fold.test.images.shape == (570, 10, 32, 32)


def test_samples_are_those_of_the_archive(archive):
    with np.load(archive) as file:
        names, labels = file["pair_names"], file["label_values"]
        column = file["label_names"].tolist().index("e_homo_ev")
        images = file["images"]
    fold = Task("element", "density", archive, "published").fold(4)
    for samples, roles in ((fold.train, ["T"]), (fold.validation, ["V2", "V3"])):
        rows = np.flatnonzero(np.isin(CELLS["element-4"], roles))
        assert (samples.names == names[rows]).all()
        assert np.array_equal(samples.targets["e_homo_ev"], labels[rows, column], equal_nan=True)
        assert (samples.images == images[rows]).all()
    rows = np.flatnonzero(np.isin(CELLS["element-4"], ["C2", "C3"]))
    assert (fold.test.names == names[rows]).all()
    assert [f"{a}_{b}" for a, b in fold.test.elements.tolist()] == fold.test.names.tolist()


@pytest.mark.parametrize("track", ["elements", "geometry", "density"])
def test_the_test_part_leads_to_no_label(pairs, track):
    """Whatever its arrays refer to, no float64 array within reach holds labels of test pairs."""
    fold = Task("element", track, pairs=pairs).fold(1)
    tested = np.isin(CELLS["element-1"], ["C2", "C3"])
    assert fold.test.targets is None
    seen, waiting = set(), [fold.test]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        waiting += gc.get_referents(thing)
        if isinstance(thing, np.ndarray):
            assert thing.base is None
            assert len(thing) == tested.sum()
    for name in Task("element", track, pairs=pairs).targets:
        hidden = pairs.label(name)[tested]
        arrays = [getattr(fold.test, f.name) for f in fields(fold.test)]
        for array in (a for a in arrays if isinstance(a, np.ndarray) and a.dtype == np.float64):
            columns = array.reshape(len(array), -1).T
            assert not any(np.array_equal(c, hidden, equal_nan=True) for c in columns)


def test_samples_can_be_changed_without_harm(pairs):
    task = Task("element", "geometry", pairs=pairs)
    before = task.fold(1)
    before.train.targets["e_g_ev"][:] = 0
    before.test.positions[:] = 0
    after = task.fold(1)
    assert (after.train.targets["e_g_ev"] != 0).any()
    assert (after.test.positions != 0).any()
    assert (pairs.rows["positions"] != 0).any()


def test_a_model_that_is_given_the_test_labels_shuffled_scores_no_better(pairs):
    """The bytes of the answers in another order are worth less than the constant."""
    task = Task("element", "elements", pairs=pairs)
    rng = np.random.default_rng(0)
    for fold in task.folds:
        test = np.isin(CELLS[f"element-{fold.number}"], ["C2", "C3"])
        answers = {name: np.nan_to_num(pairs.label(name)[test], nan=1) for name in TARGETS}
        task.record(fold, {name: rng.permutation(values) for name, values in answers.items()})
    assert (task.score()["ratio"] > 1).all()


def test_taking_samples(pairs):
    samples = Task("pair", "geometry", pairs=pairs).fold(1).train
    some = samples.take([5, 3])
    assert isinstance(some, Samples)
    assert len(some) == 2
    assert some.names.tolist() == samples.names[[5, 3]].tolist()
    assert some.targets["e_g_ev"].tolist() == samples.targets["e_g_ev"][[5, 3]].tolist()
    assert samples.take(samples.bond_lengths > 2).bond_lengths.min() > 2


def test_descriptors_of_carbon_by_hand():
    """2s2 2p2: screened by 2 x 0.85 + 3 x 0.35, n* = 2 (Slater 1930)."""
    found = dict(zip(descriptors.NAMES, descriptors.descriptors(np.array([6]))[0], strict=True))
    expected = {"period": 2, "group": 14, "block_p": 1, "covalent_radius": 0.76}
    expected |= {"occupation_s": 2, "occupation_p": 2}
    expected |= dict.fromkeys(("exponent_s", "exponent_p", "exponent_d"), (6 - 2.75) / 2)
    assert found == pytest.approx({**dict.fromkeys(descriptors.NAMES, 0), **expected})


def test_descriptors_are_those_of_the_elements(pairs):
    samples = Task("pair", "elements", pairs=pairs).fold(1).test
    assert samples.descriptors.shape == (570, 2, len(descriptors.NAMES))
    assert np.isfinite(samples.descriptors).all()
    rows = samples.descriptors.reshape(1140, -1)
    of_element = dict(zip(samples.elements.ravel().tolist(), rows, strict=True))
    assert (rows == [of_element[symbol] for symbol in samples.elements.ravel().tolist()]).all()
    assert len(np.unique(rows, axis=0)) == len(of_element) == 75


def test_saved_predictions_score_the_same(pairs, tmp_path):
    task = Task("period", "elements", pairs=pairs)
    run(task, Median(), seed=0)
    run(task, Median(), seed=7)
    task.save(tmp_path / "predictions" / "mine.csv.gz", sees="nothing")
    result = read_result(tmp_path / "predictions" / "mine.csv.gz", task.digest)
    assert (result.model, result.sees, result.run.seeds) == ("mine", "nothing", (0, 7))
    saved = task._evaluator.frame(result.predictions)
    assert saved.equals(task.score())
    card = tomllib.loads((tmp_path / "predictions" / "mine.toml").read_text(encoding="utf-8"))
    assert card["period-elements"]["labels"] == task.digest
    assert card["period-elements"]["splits"] == SPLITS_SHA256


def good(task, fold=1):
    return {"e_g_ev": np.zeros(len(task.fold(fold).test))}


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({}, "a target among"),
        ({"metal_like": np.zeros(1020)}, "a target among"),
        ({"gap": np.zeros(1020)}, "labels among"),
        ({"distance_ang": np.zeros(1020)}, "which leaks"),
        ({"i_ev": np.zeros(1020)}, "which follows from others"),
        ({"e_g_ev": np.zeros(1019)}, r"shape \[1020\] for e_g_ev, found \[1019\]"),
        ({"e_g_ev": np.full(1020, np.nan)}, "finite numbers for e_g_ev, found nan for Ag_As"),
        ({"e_g_ev": np.zeros(1020), "metal_like": np.full(1020, 2)}, "probabilities"),
    ],
)
def test_predictions_that_cannot_be_recorded(pairs, predictions, message):
    task = Task("element", "geometry", pairs=pairs)
    with pytest.raises(ParseError, match=message):
        task.record(1, predictions)


def test_what_was_not_recorded_is_neither_scored_nor_saved(pairs, tmp_path):
    task = Task("element", "geometry", pairs=pairs)
    with pytest.raises(ParseError, match="recorded folds, found none"):
        task.score()
    task.record(1, good(task))
    assert task.score().loc[("C2", "e_g_ev"), "n"] == 900  # some folds are scored alone
    with pytest.raises(ParseError, match="all folds of element, found none of 2"):
        task.save(tmp_path / "mine.csv.gz")
    task.record(2, good(task), seed=1)
    with pytest.raises(ParseError, match="fold 1 with seed 1"):
        task.score()
    other = Task("element", "geometry", pairs=pairs)
    other.record(1, good(task))
    other.record(2, {"e_homo_ev": np.zeros(1020)})
    with pytest.raises(ParseError, match="the labels e_g_ev in fold 2, found e_homo_ev"):
        other.score()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "random"}, "split 'random'; known: pair, element, period"),
        ({"track": "all"}, "track 'all'; known: elements, geometry, density"),
        ({"encoding": "published"}, "the track geometry shows no images"),
    ],
)
def test_tasks_that_there_are_not(pairs, arguments, message):
    with pytest.raises(ValueError, match=message):
        Task(**{"split": "pair", "track": "geometry", "pairs": pairs, **arguments})


def test_the_benchmark_needs_no_torch():
    code = "import sys, twobody.benchmark.task; print('torch' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=root) == "False\n"
