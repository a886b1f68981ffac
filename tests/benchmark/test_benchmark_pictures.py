"""Pictures of results: what they draw is what the predictions say."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import perfect

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from twobody.benchmark import pictures
from twobody.benchmark.results import Result, Run, write_result
from twobody.benchmark.splits import read_splits
from twobody.benchmark.table import leaderboard
from twobody.models.runner import CURVE


def store(folder, pairs, evaluator, model, split, errors, train_pairs=0):
    right = perfect(pairs, split, "geometry")
    columns = {label: values + errors(right.rows) for label, values in right.columns.items()}
    columns["metal_like"] = right.columns["metal_like"]
    run = Run(split, "geometry", (0,), evaluator.digest, train_pairs=train_pairs)
    write_result(folder, Result(model, "", run, replace(right, columns=columns)))


def period_of_new(rows):
    """An error of 1 for every pair, of 3 where one of its atoms is caesium."""
    return np.array([3.0 if "Cs" in name.split("_") else 1.0 for name in rows.names.tolist()])


@pytest.fixture(scope="module")
def results(pairs, evaluator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    store(folder, pairs, evaluator, "some", "pair", lambda _: 0.5)
    store(folder, pairs, evaluator, "some", "element", period_of_new)
    for n in (100, 1000):
        store(folder / CURVE, pairs, evaluator, f"some_{n}", "pair", lambda _, n=n: 50 / n, n)
    return folder


@pytest.fixture(scope="module")
def blocks(results, evaluator):
    return leaderboard(results, evaluator)


def test_every_picture_is_drawn(results, blocks, evaluator, tmp_path):
    files = pictures.draw_all(results, blocks, evaluator, tmp_path / "new")
    names = ["parity", "new_elements", "modalities", "elements", "learning_curve"]
    assert [path.stem for path in files] == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in files)


def test_errors_of_elements_are_of_pairs_whose_new_element_they_are(results, blocks, evaluator):
    line = pictures.best_line(blocks["element", "C2"], "e_homo_ev")
    errors = pictures.element_errors(results, line, "e_homo_ev", evaluator)
    assert len(errors) == 75
    assert errors["Cs"] == pytest.approx(3, abs=1e-3)
    names, cells = read_splits()
    (fold,) = [f for f in range(1, 6) if cells[f"element-{f}"][names == "Cs_Cs"] == "C3"]
    tested_with_cs = cells[f"element-{fold}"][names == "Ag_Cs"] == "C3"
    # One in sixty of the partners of an element is caesium, unless both are new.
    expected = 1.0 if tested_with_cs else 1 + 2 / 60
    assert errors["Ag"] == pytest.approx(expected, abs=1e-3)


def test_a_learning_curve_ends_with_all_pairs(results, blocks, evaluator):
    figure = pictures.curve_figure(results, blocks, evaluator)
    line = figure.axes[0].get_lines()[0]
    assert line.get_xdata() == pytest.approx([100, 1000, 2280])
    assert line.get_ydata() == pytest.approx([0.5, 0.05, 0.5], abs=1e-3)
    assert line.get_label() == "some, geometry"


def test_new_elements_are_counted(blocks):
    figure = pictures.new_elements_figure(blocks)
    line = figure.axes[0].get_lines()[0]
    assert line.get_xdata() == pytest.approx([0, 1, 2])
    scores = [blocks[key][0].scores["e_g_ev"] for key in pictures._NEW_ELEMENTS]
    assert line.get_ydata() == pytest.approx([s.single.mae / s.constant for s in scores])


def test_names_of_lines_that_end_at_one_height_stand_above_each_other():
    axes = Figure().subplots()
    axes.set_yscale("log")
    axes.set_ylim(0.01, 1)
    ends = [((2, 0.1001), "b", "density"), ((2, 0.1), "a", "elements"), ((2, 0.5), "c", "density")]
    pictures._name_ends(axes, ends)
    found = {text.get_text(): (*text.xy, text.get_color()) for text in axes.texts}
    assert found == {
        "a": (2, pytest.approx(0.5), pictures.COLOURS["elements"]),
        "b": (2, pytest.approx(0.54), pictures.COLOURS["density"]),
        "c": (2, pytest.approx(1 + np.log10(0.5) / 2), pictures.COLOURS["density"]),
    }


def test_parity_shows_predictions_against_the_truth(results, blocks, evaluator):
    figure = pictures.parity_figure(results, blocks, evaluator)
    points = figure.axes[0].get_lines()[0]
    assert len(points.get_xdata()) == 2850
    assert points.get_ydata() == pytest.approx(points.get_xdata() + 0.5, abs=1e-3)


def test_tracks_are_drawn_with_their_intervals(blocks):
    figure = pictures.modalities_figure(blocks)
    interval, point = figure.axes[0].get_lines()[:2]
    low, high = interval.get_xdata()
    assert low <= point.get_xdata()[0] <= high
    assert figure.axes[0].get_yticklabels()[0].get_text() == "gap"
