"""Pictures of learning curves: errors over the number of structures, and the way to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from twobody.publish.figures import save_figure
from twobody.transfer import ARMS
from twobody.transfer.curve_scores import Cell, Cells, title

COLOURS = dict(zip(ARMS, ("black", "#ee6677", "#4477aa", "#ccbb44"), strict=True))
"""Of the arms; told apart with any kind of colour vision (P. Tol's bright scheme)."""


def draw_curves(cells: Cells, data: str, folder: Path) -> None:
    """Draw the errors, ``DATA-curves.png``, and errors in training, ``DATA-training.png``."""
    models = sorted({model for model, _, _ in cells})
    sizes = sorted({size for _, size, _ in cells})
    targets = list(next(iter(cells.values())).mae)
    folder.mkdir(parents=True, exist_ok=True)

    def of_arms(model: str) -> dict[str, list[tuple[int, Cell]]]:
        """Return what there is of a model, by arm."""
        known = [arm for arm in ARMS if any(key[::2] == (model, arm) for key in cells)]
        return {
            arm: [(s, cells[model, s, arm]) for s in sizes if (model, s, arm) in cells]
            for arm in known
        }

    figure, axes = _grid(len(models), len(targets), "structures trained on", "MAE")
    for row, model in zip(axes, models, strict=True):
        for axis, target in zip(row, targets, strict=True):
            for arm, found in of_arms(model).items():
                _draw_errors(axis, found, target, arm)
            axis.set(xscale="log", title=f"{model}: {title(target)}")
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes[0, 0].legend(fontsize=7)
    save_figure(figure, folder / f"{data}-curves.png")

    figure, axes = _grid(len(models), len(sizes), "step", "error on validation")
    for row, model in zip(axes, models, strict=True):
        for axis, size in zip(row, sizes, strict=True):
            for arm, found in of_arms(model).items():
                runs = [run for n, cell in found if n == size for run in cell.runs]
                for number, (_, outcome) in enumerate(runs):
                    label = "" if number else arm
                    axis.plot(*zip(*outcome.curve, strict=True), color=COLOURS[arm], label=label)
            axis.set_title(f"{model}, {size:,} structures")
    axes[0, 0].legend(fontsize=7)
    save_figure(figure, folder / f"{data}-training.png")


def _draw_errors(axis: Axes, found: list[tuple[int, Cell]], target: str, arm: str) -> None:
    sizes = [size for size, _ in found]
    mae = np.array([cell.mae[target] for _, cell in found])
    ends = np.array([np.quantile(cell.draws[target], [0.025, 0.975]) for _, cell in found])
    axis.errorbar(
        sizes, mae, abs(ends.T - mae), color=COLOURS[arm], label=arm, capsize=2, marker="."
    )


def _grid(n_rows: int, n_columns: int, x: str, y: str) -> tuple[Figure, NDArray[np.object_]]:
    figure = Figure(figsize=(3.2 * n_columns, 2.8 * n_rows), layout="constrained")
    axes = np.asarray(figure.subplots(n_rows, n_columns, squeeze=False))
    for axis in axes.ravel():
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_locator(NullLocator())
    for axis in axes[-1]:
        axis.set_xlabel(x)
    for axis in axes[:, 0]:
        axis.set_ylabel(y)
    return figure, axes
