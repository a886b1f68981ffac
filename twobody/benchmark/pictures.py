"""Pictures of the results, drawn from stored predictions alone, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from twobody.benchmark.evaluate import Evaluator
from twobody.benchmark.periodic import place
from twobody.benchmark.results import CURVE, prediction_file, read_result, read_results
from twobody.benchmark.table import BLOCKS, SHORT, Leaderboard, Line
from twobody.benchmark.targets import TARGETS, TRACKS, UNITS
from twobody.elements import ATOMIC_NUMBERS, SYMBOLS
from twobody.errors import ParseError
from twobody.publish.figures import save_figure

COLOURS = {"elements": "#4477aa", "geometry": "#228833", "density": "#cc6677"}
"""Of the tracks; told apart with any kind of colour vision (P. Tol's bright and muted schemes)."""

_PARITY = ("e_g_ev", "e_homo_ev", "total_energy_ev", "repulsive_energy_ev", "dipole_mag_d")
_CURVES = ("e_g_ev", "e_homo_ev", "total_energy_ev", "repulsive_energy_ev")
_NEW_ELEMENTS = {("pair", "C1"): 0, ("element", "C2"): 1, ("element", "C3"): 2}


def draw_all(results: Path, blocks: Leaderboard, evaluator: Evaluator, folder: Path) -> list[Path]:
    """Draw every picture that the results have predictions for; return the files.

    Raises
    ------
    ParseError
        The results of a learning curve cannot be read.
    """
    figures = {
        "parity": parity_figure(results, blocks, evaluator),
        "new_elements": new_elements_figure(blocks),
        "modalities": modalities_figure(blocks),
    }
    if blocks["element", "C2"]:
        figures["elements"] = elements_figure(results, blocks, evaluator)
    if (results / CURVE).exists():
        figures["learning_curve"] = curve_figure(results, blocks, evaluator)
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        save_figure(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def best_line(lines: Sequence[Line], label: str, track: str | None = None) -> Line | None:
    """Return the line of single models that predicts a label best, on a track or on any."""
    rivals = [
        line
        for line in lines
        if label in line.errors and not line.ensemble and track in (None, line.track)
    ]
    return min(rivals, key=lambda line: line.errors[label].mae, default=None)


def parity_figure(results: Path, blocks: Leaderboard, evaluator: Evaluator) -> Figure:
    """Draw predicted against true values of the best model of each part and target, seed 0."""
    drawn = [block for block in _NEW_ELEMENTS if blocks[block]]
    figure = Figure(figsize=(3 * len(_PARITY), 3.2 * len(drawn)), layout="constrained")
    panels = figure.subplots(len(drawn), len(_PARITY), squeeze=False)
    for row, (split, part) in zip(panels, drawn, strict=True):
        for axes, label in zip(row, _PARITY, strict=True):
            line = best_line(blocks[split, part], label)
            if line is None:
                axes.set_visible(False)
                continue
            truth, predicted = _values(results, line, part, label, evaluator)
            axes.plot(truth, predicted, ".", markersize=2, alpha=0.5, color=COLOURS[line.track])
            limits = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
            axes.plot(limits, limits, color="black", linewidth=0.7)
            axes.set_title(f"{part}: {line.model}, {line.track}", fontsize=9)
            axes.set_xlabel(f"{SHORT[label]} [{UNITS[label]}]", fontsize=9)
            axes.tick_params(labelsize=7)
        row[0].set_ylabel("predicted", fontsize=9)
    return figure


def _values(
    results: Path, line: Line, part: str, label: str, evaluator: Evaluator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return true and predicted values of a part, where there is a true one, of the first seed."""
    file = prediction_file(results, line.model, line.run.split, line.track)
    predictions = read_result(file, evaluator.digest).predictions
    rows = predictions.rows
    truth = evaluator.labels[label][rows.pairs]
    drawn = (rows.parts == part) & ~np.isnan(truth)
    return truth[drawn], predictions.columns[label][0, drawn]


def elements_figure(
    results: Path, blocks: Leaderboard, evaluator: Evaluator, label: str = "e_homo_ev"
) -> Figure:
    """Draw the periodic table, coloured by the error of pairs whose one new element this is."""
    line = best_line(blocks["element", "C2"], label)
    if line is None:
        raise ParseError(results, None, f"predictions of {label} on element", "none")
    errors = element_errors(results, line, label, evaluator)
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    table = np.full((9, 18), np.nan)
    cells = {}
    for symbol, error in errors.items():
        period, group, block = place(ATOMIC_NUMBERS[symbol])
        row = period + 1 if block == "f" else period - 1  # the f block stands below the others
        cells[symbol] = row, group - 1
        table[cells[symbol]] = error
    image = axes.imshow(table, cmap="viridis", vmin=0)
    middle = np.nanmax(table) / 2
    for symbol, (row, column) in cells.items():
        text = f"{symbol}\n{errors[symbol]:.2f}"
        colour = "white" if errors[symbol] < middle else "black"
        axes.text(column, row, text, fontsize=8, color=colour, ha="center", va="center")
    axes.set_xticks(range(18), [str(group) for group in range(1, 19)])
    axes.set_yticks(range(7), [str(period) for period in range(1, 8)])
    bar = figure.colorbar(image, ax=axes, fraction=0.02)
    bar.set_label(f"MAE of the {SHORT[label]} [{UNITS[label]}]")
    axes.set_title(f"Pairs with one new element, by that element: {line.model}, {line.track}")
    return figure


def element_errors(results: Path, line: Line, label: str, evaluator: Evaluator) -> dict[str, float]:
    """Return, for each element, the MAE over the pairs (C2) whose one new element it is."""
    file = prediction_file(results, line.model, "element", line.track)
    predictions = read_result(file, evaluator.digest).predictions
    rows = predictions.rows
    errors = np.abs(predictions.columns[label] - evaluator.labels[label][rows.pairs]).mean(axis=0)
    found: dict[str, list[float]] = {}
    new = {fold: set[str]() for fold in predictions.folds}
    for name, fold, part in zip(rows.names.tolist(), rows.folds.tolist(), rows.parts, strict=True):
        if part == "C3":
            new[fold].update(name.split("_"))
    for name, fold, part, error in zip(
        rows.names.tolist(), rows.folds.tolist(), rows.parts, errors.tolist(), strict=True
    ):
        if part == "C2" and not np.isnan(error):
            (symbol,) = set(name.split("_")) & new[fold]
            found.setdefault(symbol, []).append(error)
    return {symbol: float(np.mean(found[symbol])) for symbol in SYMBOLS if symbol in found}


def new_elements_figure(blocks: Leaderboard) -> Figure:
    """Draw each model's error, over the constant's, against the number of new elements."""
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    panels = figure.subplots(1, len(_CURVES))
    for axes, label in zip(panels, _CURVES, strict=True):
        points: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for block, n_new in _NEW_ELEMENTS.items():
            for line in blocks[block]:
                if label in line.errors and not line.ensemble:
                    ratio = line.errors[label].mae / line.scores[label].constant
                    points.setdefault((line.model, line.track), []).append((n_new, ratio))
        best = {best_line(blocks["element", "C3"], label, track) for track in TRACKS} - {None}
        named = {(line.model, line.track) for line in best if line is not None}
        for (_, track), xy in points.items():
            x, y = zip(*xy, strict=True)
            axes.plot(x, y, "o-", color=COLOURS[track], markersize=3, linewidth=1)
        axes.axhline(1, color="black", linewidth=0.7, linestyle=":")
        _log_scale(axes, "y")
        # The names of all would hide each other.
        _name_ends(axes, [(points[key][-1], *key) for key in named])
        axes.set_xticks([0, 1, 2])
        axes.set_xlim(-0.2, 2.8)
        axes.set_xlabel("new elements in the pair")
        axes.set_title(SHORT[label])
    panels[0].set_ylabel("MAE / that of the constant")
    _legend(panels[0])
    return figure


def modalities_figure(blocks: Leaderboard) -> Figure:
    """Draw, for each target, the best error on each track over the constant's, with intervals."""
    figure = Figure(figsize=(4 * len(BLOCKS), 5), layout="constrained")
    panels = figure.subplots(1, len(BLOCKS), sharey=True)
    for axes, block in zip(panels, BLOCKS, strict=True):
        for k, label in enumerate(TARGETS):
            for shift, track in enumerate(TRACKS):
                line = best_line(blocks[block], label, track)
                if line is None:
                    continue
                constant, errors = line.scores[label].constant, line.errors[label]
                y = k + 0.2 * (shift - 1)
                low, high = errors.interval
                axes.plot([low / constant, high / constant], [y, y], color=COLOURS[track])
                axes.plot(errors.mae / constant, y, "o", color=COLOURS[track], markersize=4)
        axes.axvline(1, color="black", linewidth=0.7, linestyle=":")
        _log_scale(axes, "x")
        axes.set_title(f"{block[0]}, {block[1]}")
        axes.set_xlabel("best MAE / that of the constant")
    panels[0].set_yticks(range(len(TARGETS)), [SHORT[label] for label in TARGETS])
    panels[0].invert_yaxis()
    _legend(panels[0])
    return figure


def curve_figure(results: Path, blocks: Leaderboard, evaluator: Evaluator) -> Figure:
    """Draw errors against the number of pairs trained on, the whole training part included.

    Raises
    ------
    ParseError
        The results of fewer pairs cannot be read.
    """
    points: dict[tuple[str, str], dict[str, list[tuple[int, float]]]] = {}
    for result in read_results(results / CURVE, evaluator.digest):
        n = result.run.train_pairs
        model, track = result.model.removesuffix(f"_{n}"), result.run.track
        for (part, label), score in evaluator.scores(result.predictions).items():
            if part == "C1" and label in _CURVES:
                of_label = points.setdefault((model, track), {}).setdefault(label, [])
                of_label.append((n, score.single.mae))
    for line in blocks["pair", "C1"]:
        for label, of_label in points.get((line.model, line.track), {}).items():
            if not line.ensemble:
                of_label.append((_TRAINED, line.errors[label].mae))
    models = sorted({model for model, _ in points})
    figure = Figure(figsize=(15, 4), layout="constrained")
    panels = figure.subplots(1, len(_CURVES))
    for axes, label in zip(panels, _CURVES, strict=True):
        for (model, track), by_label in points.items():
            x, y = zip(*sorted(by_label.get(label, [(np.nan, np.nan)])), strict=True)
            style = {"color": COLOURS[track], "label": f"{model}, {track}"}
            axes.plot(x, y, marker="o", linestyle=_LINES[models.index(model) % 4], **style)
        _log_scale(axes, "x")
        _log_scale(axes, "y")
        axes.set_xlabel("pairs trained on")
        axes.set_title(f"{SHORT[label]}, MAE [{UNITS[label]}]")
    panels[0].legend(fontsize=8)
    return figure


_LINES = ("--", "-", ":", "-.")  # of models, whose colour is that of their track
_TRAINED = 2280  # pairs of each fold of `pair` that are not tested


def _name_ends(axes: Axes, ends: list[tuple[tuple[int, float], str, str]]) -> None:
    """Write the model beside the end of its line, above another where it would hide that."""
    low, high = np.log(axes.get_ylim())
    height = -np.inf
    for (x, y), model, track in sorted(ends):
        height = max((np.log(y) - low) / (high - low), height + 0.04)
        axes.annotate(
            model,
            (x, height),
            (4, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=COLOURS[track],
            fontsize=7,
            verticalalignment="center",
        )


def _log_scale(axes: Axes, which: Literal["x", "y"]) -> None:
    """Scale an axis by logarithms, with ticks at 1, 2, 5, 10, ..., or at powers on a long one."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axis.get_data_interval()
    if high < 1e3 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def _legend(axes: Axes) -> None:
    style: dict[str, Any] = {"marker": "o", "markersize": 4, "linestyle": "-"}
    for track, colour in COLOURS.items():
        axes.plot([], [], color=colour, label=track, **style)
    axes.legend(fontsize=8)
