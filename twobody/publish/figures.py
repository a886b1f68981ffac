"""Figures: the image channels of a pair, and a label as a map of elements by elements.

Drawn with matplotlib, which the extra ``plot`` installs.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twobody.elements import PERIOD_STARTS, SYMBOLS
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.labels import LABELS, SIGNED_GROUPS
from twobody.pairs import Pairs, distances
from twobody.text import quote

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN_LABEL = "e_g_ev"
_PANELS_PER_ROW = 5

# Both are told apart with any kind of colour vision, the first also in grey.
_SEQUENTIAL, _DIVERGING = "viridis", "RdBu_r"


def pair_figure(pairs: Pairs, row: int) -> Figure:
    """Draw the channels of a pair, five in a row, with its atoms marked where they show space."""
    encoding = get_encoding(pairs.encoding)
    rows = math.ceil(len(encoding.channels) / _PANELS_PER_ROW)
    figure = _figure(17, 3.7 * rows)
    pair = pairs.take(slice(row, row + 1))
    if pair.images is None:
        raise ParseError(pairs.path, None, "an archive with images", "none")
    name, images = str(pair.names[0]), pair.images[:][0]
    length = float(distances(pair.rows["positions"])[0])
    title = f"{name.replace('_', '–')}, bond length {length:.4f} Å"
    figure.suptitle(title, fontsize=15, parse_math=False)
    panels = figure.subplots(rows, _PANELS_PER_ROW, squeeze=False).flat
    for axes in panels[len(images) :]:
        axes.set_visible(False)
    for axes, channel, image in zip(panels[: len(images)], encoding.channels, images, strict=True):
        _draw_channel(axes, image, channel.unit)
        axes.set_title(channel.name, fontsize=11)
        _mark_atoms(axes, pair.elements[0].tolist(), encoding.atom_pixels(channel, pair))
    return figure


def _draw_channel(axes: Axes, image: NDArray[np.float32], unit: str) -> None:
    finite = image[np.isfinite(image)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    limits = _colours(0, high or 1) if low == 0 else _colours(low, high, signed=True)
    drawn = axes.imshow(image, interpolation="nearest", **limits)
    size = image.shape[0]
    ticks = [*range(0, size - 1, math.ceil(size / 4)), size - 1]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.tick_params(labelsize=7)
    bar = axes.figure.colorbar(drawn, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("zero everywhere" if low == high == 0 else f"[{unit}]", fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _colours(low: float, high: float, *, signed: bool = False) -> dict[str, Any]:
    """Return colour map and limits: diverging about zero where the sign means something."""
    limit = max(-low, high)
    if signed:
        return {"cmap": _DIVERGING, "vmin": -limit, "vmax": limit}
    return {"cmap": _SEQUENTIAL, "vmin": low, "vmax": high}


def _mark_atoms(axes: Axes, symbols: list[str], atoms: NDArray[np.float64]) -> None:
    """Mark each atom at its column and row, and name it above."""
    from matplotlib import patheffects  # noqa: PLC0415 - an extra

    outline = [patheffects.withStroke(linewidth=2.5, foreground="black")]
    style: dict[str, Any] = {"color": "white", "path_effects": outline}
    # A channel that shows no space has no atoms to mark.
    for (x, y), symbol in zip(atoms.tolist(), symbols, strict=False):
        axes.plot(x, y, "+", markersize=9, **style)
        axes.text(x, y - 2.2, symbol, fontsize=10, fontweight="bold", ha="center", **style)


def map_figure(pairs: Pairs, label: str) -> Figure:
    """Draw a numeric label for every pair, element by element, ordered by atomic number.

    Raises
    ------
    ParseError
        There is no such label, or no pair has it.
    """
    names = pairs.label_names.tolist()
    if label not in names:
        expected = f"one of the labels {', '.join(names)}"
        raise ParseError(pairs.path, None, expected, quote(label))
    values = pairs.label(label)
    finite = np.isfinite(values)
    if not finite.any():
        raise ParseError(pairs.path, None, f"pairs with {label}", "none")
    numbers, matrix = element_matrix(pairs.atomic_numbers, values)
    figure = _figure(13.5, 12.5)
    axes = figure.subplots()
    axes.set_facecolor("0.6")
    unit = pairs.label_units[names.index(label)]
    named = label if unit in ("1", "0/1", "") else f"{label} [{unit}]"
    schema = next((known for known in LABELS if known.name == label), None)
    low, high = float(values[finite].min()), float(values[finite].max())
    signed = low < 0 < high and schema is not None and schema.group in SIGNED_GROUPS
    drawn = axes.imshow(matrix, interpolation="nearest", **_colours(low, high, signed=signed))
    bar = figure.colorbar(drawn, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label(named, fontsize=12, parse_math=False)
    symbols = [SYMBOLS[z - 1] for z in numbers]
    axes.set_xticks(range(len(symbols)), symbols, fontsize=6.5, rotation=90)
    axes.set_yticks(range(len(symbols)), symbols, fontsize=6.5)
    axes.tick_params(labeltop=True, labelright=False, length=0)
    for start in PERIOD_STARTS:
        edge = int(np.searchsorted(numbers, start)) - 0.5
        if 0 < edge < len(symbols) - 1:
            for line in (axes.axhline, axes.axvline):
                line(edge, color="black" if signed else "white", linewidth=0.7)
    have = int((~np.isnan(values)).sum())
    title = f"{named}: {schema.meaning if schema else ''}\n"
    title += f"{have} of {len(values)} pairs; grey: missing; lines: periods"
    axes.set_title(title, fontsize=12, pad=14, parse_math=False)
    return figure


def element_matrix(
    atomic_numbers: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Lay values [N] of pairs out by elements.

    Returns the E atomic numbers [E] that occur in `atomic_numbers` [N, 2], sorted, and the values
    as a symmetric matrix [E, E]; NaN where there is no pair or no value.
    """
    numbers, cells = np.unique(atomic_numbers, return_inverse=True)
    first, second = cells.reshape(-1, 2).T
    matrix = np.full((len(numbers), len(numbers)), np.nan)
    matrix[first, second] = matrix[second, first] = values
    return numbers, matrix


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError('figures need matplotlib: python -m pip install ".[plot]"') from error
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, whole or not at all, the same bytes every time."""
    with staging(path.parent) as staged:
        # Without the version of matplotlib that it would write into the file.
        figure.savefig(staged / "picture", format="png", dpi=150, metadata={"Software": None})
        publish([(staged / "picture", path)], path.parent)
