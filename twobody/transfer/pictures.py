"""Pictures of the experiments with diatomics and crystals, with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from twobody.benchmark.periodic import place
from twobody.elements import ATOMIC_NUMBERS, SYMBOLS
from twobody.pairs import Pairs
from twobody.publish.figures import save_figure
from twobody.transfer import crystals, diatomics
from twobody.transfer.scores import Cells
from twobody.transfer.spectroscopy import GroundStates

_Float = NDArray[np.float64]

BLUE, GREEN, RED = "#4477aa", "#228833", "#cc6677"
"""Told apart with any kind of colour vision (P. Tol's bright and muted schemes)."""

_SHOWN = "labels + elements"  # the model of the second panel
_NAMED = 8  # molecules that are written beside their points


def draw_diatomics(
    states: GroundStates, pairs: Pairs, predictions: pd.DataFrame, cells: Cells, folder: Path
) -> None:
    """Draw ``diatomics.png``: R_e against experiment, errors by element, errors of the models."""
    rows = diatomics.rows_of(states.names, pairs)
    truth, raw = states.measured["r_e_ang"], pairs.label("distance_ang")[rows]
    figure = Figure(figsize=(14, 11), layout="constrained")
    top, bottom = np.asarray(figure.subfigures(2, 1, height_ratios=(1, 1.1)))
    parity, corrected, models = top.subplots(1, 3, width_ratios=(1, 1, 1.1))
    _parity(parity, truth, raw, states.names, "R of the archive")
    of_model = predictions[
        (predictions["model"] == _SHOWN) & (predictions["split"] == "pair")
    ].groupby("pair")["r_e_ang"]
    predicted = of_model.mean().reindex(states.names).to_numpy()
    _parity(
        corrected,
        truth,
        predicted,
        states.names,
        f"“{_SHOWN}”, mean of three that have not seen it",
    )
    _dots(models, cells, {(*key, "r_e_ang"): about for key, about in diatomics.PARTS.items()})
    models.set_xlabel("MAE of R_e [Å], 95 % interval")
    _map(bottom, states.names, raw - truth)
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(figure, folder / "diatomics.png")


def _parity(
    axes: Axes, truth: _Float, predicted: _Float, names: NDArray[np.str_], title: str
) -> None:
    """Draw predicted against measured lengths, and the names of those that are farthest off."""
    axes.plot(truth, predicted, ".", color=BLUE, markersize=5, alpha=0.7)
    limits = [float(np.nanmin(truth)) - 0.1, float(np.nanmax(truth)) + 0.1]
    axes.plot(limits, limits, color="black", linewidth=0.7)
    errors = np.abs(predicted - truth)
    for k in np.argsort(np.nan_to_num(errors))[-_NAMED:]:
        name = names[k].replace("_", "")
        axes.annotate(
            name, (truth[k], predicted[k]), (3, 3), textcoords="offset points", fontsize=7
        )
    axes.set_title(f"{title}: MAE {np.nanmean(errors):.3f} Å", fontsize=10)
    axes.set_xlabel("R_e, experiment [Å]")
    axes.set_ylabel("R [Å]")


def _dots(axes: Axes, cells: Cells, columns: Mapping[tuple[str, ...], str]) -> None:
    """Draw the errors of all models with intervals, a colour per column."""
    models = list(cells)
    for shift, ((column, title), colour) in enumerate(
        zip(columns.items(), (BLUE, GREEN, RED), strict=False)
    ):
        for k, model in enumerate(models):
            if column in cells[model]:
                errors, y = cells[model][column], k + 0.22 * (shift - 1)
                axes.plot(errors.interval, [y, y], color=colour, linewidth=1)
                axes.plot(errors.mae, y, "o", color=colour, markersize=4)
        axes.plot([], [], "o-", color=colour, markersize=4, label=title)
    axes.set_yticks(range(len(models)), models, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.grid(axis="x", linewidth=0.3)
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _map(figure: Figure, names: NDArray[np.str_], errors: _Float) -> None:
    """Draw the periodic table, coloured by the mean error of the molecules of each element."""
    found: dict[str, list[float]] = {}
    for name, error in zip(names.tolist(), errors.tolist(), strict=True):
        for symbol in name.split("_"):
            if not np.isnan(error):
                found.setdefault(symbol, []).append(error)
    axes = figure.subplots()
    table = np.full((9, 18), np.nan)
    for symbol in SYMBOLS:
        if symbol in found:
            period, group, block = place(ATOMIC_NUMBERS[symbol])
            row = period + 1 if block == "f" else period - 1  # the f block stands below the others
            table[row, group - 1] = mean = float(np.mean(found[symbol]))
            text = f"{symbol}\n{mean:+.2f}\n{len(found[symbol])}".replace("-", "−")
            colour = "white" if abs(mean) > 0.35 else "black"
            axes.text(group - 1, row, text, fontsize=7, color=colour, ha="center", va="center")
    image = axes.imshow(table, cmap="RdBu_r", vmin=-0.6, vmax=0.6, aspect="auto")
    axes.set_xticks(range(18), [str(group) for group in range(1, 19)])
    axes.set_yticks(range(7), [str(period) for period in range(1, 8)])
    axes.set_title(
        "R of the archive less experiment, mean over the molecules of an element; their number"
    )
    figure.colorbar(image, ax=axes, fraction=0.02).set_label("mean error [Å]")


def draw_crystals(cells: Cells, folder: Path) -> None:
    """Draw ``crystals.png``: the errors of all vectors, a panel per kind of quantity."""
    figure = Figure(figsize=(14, 5), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = ("volume per atom, ln V", "bulk modulus, ln B", "cohesive energy [eV]")
    names = list(crystals.QUANTITIES)
    for axes, title, calculated, measured in zip(
        panels, titles, (*names[:2], None), names[2:], strict=True
    ):
        columns: dict[tuple[str, ...], str] = {(measured,): "experiment"}
        if calculated:
            columns[calculated,] = "calculated"
        _dots(axes, cells, columns)
        axes.set_xlabel(f"{title}: MAE, 95 % interval")
    folder.mkdir(parents=True, exist_ok=True)
    save_figure(figure, folder / "crystals.png")
