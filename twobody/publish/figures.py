"""Figures: the image channels of a pair, and a label as a map of elements by elements.

Drawn with matplotlib, which the extra ``plot`` installs; as wide as two columns of a journal.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from twobody.elements import PERIOD_STARTS, SYMBOLS
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.labels import ANTISYMMETRIC, LABELS, ROUNDING, SIGNED_GROUPS, Label, nearest_labels
from twobody.pairs import Pairs, distances
from twobody.text import quote

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN_LABEL = "e_g_ev"
FORMATS = (".png", ".pdf", ".svg")

Scale = Literal["flag", "diverging", "root", "linear"]

_WIDTH = 7.0  # inches: two columns of most journals
_TEXT, _SMALL = 7, 6  # points; journals ask for 5 to 7 at least
_PANELS_PER_ROW = 5

# All are told apart with any kind of colour vision, the first also in grey.
_SEQUENTIAL, _DIVERGING, _FLAG = "viridis", "RdBu_r", ("#cfd8e3", "#d95f02")
_ZERO, _HATCH = "0.82", "////////"  # of values that are 0, and of missing ones
_LONG_TAIL = 8  # a label whose median is this many times below its maximum is drawn by its root


def pair_figure(pairs: Pairs, row: int) -> Figure:
    """Draw the channels of a pair, five in a row, with its atoms marked where they show space."""
    encoding, pair = get_encoding(pairs.encoding), pairs.take(slice(row, row + 1))
    rows = math.ceil(len(encoding.channels) / _PANELS_PER_ROW)
    figure = _figure(1.75 * rows + 0.3)
    name, images = str(pair.names[0]), pair.encoded[:][0]
    length = float(distances(pair.rows["positions"])[0])
    title = f"{name.replace('_', '–')}, bond length {length:.4f} Å"
    figure.suptitle(title, fontsize=_TEXT + 1, parse_math=False)
    panels = figure.subplots(rows, _PANELS_PER_ROW, squeeze=False).flat
    for axes in panels[len(images) :]:
        axes.set_visible(False)
    for k, (channel, image) in enumerate(zip(encoding.channels, images, strict=True)):
        axes = panels[k]
        _draw_channel(axes, image, channel.unit)
        axes.set_title(channel.name, fontsize=_SMALL, pad=3)
        axes.set_title(chr(ord("a") + k), fontsize=_TEXT, fontweight="bold", loc="left", pad=3)
        _mark_atoms(axes, pair.elements[0].tolist(), encoding.atom_pixels(channel, pair))
    return figure


def _draw_channel(axes: Axes, image: NDArray[np.float32], unit: str) -> None:
    finite = image[np.isfinite(image)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    limits = _colours("linear", 0, high or 1) if low == 0 else _colours("diverging", low, high)
    drawn = axes.imshow(image, interpolation="nearest", **limits)
    size = image.shape[0]
    ticks = [*range(0, size - 1, math.ceil(size / 4)), size - 1]
    axes.set(xticks=ticks, yticks=ticks)
    axes.tick_params(labelsize=_SMALL, length=2, pad=1)
    bar = axes.figure.colorbar(drawn, ax=axes, location="bottom", aspect=18, pad=0.03)
    bar.ax.locator_params(nbins=3)
    bar.ax.tick_params(labelsize=_SMALL, length=2, pad=1)
    empty = low == high == 0
    bar.set_label("zero everywhere" if empty else _in_unit("value", unit), fontsize=_SMALL)


def _colours(scale: Scale, low: float, high: float) -> dict[str, Any]:
    """Return what imshow needs for colours of a scale from `low` to `high`."""
    from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize, PowerNorm  # noqa: PLC0415

    if scale == "flag":
        return {"cmap": ListedColormap(_FLAG), "norm": BoundaryNorm([-0.5, 0.5, 1.5], 2)}
    if scale == "diverging":
        limit = max(-low, high)
        return {"cmap": _DIVERGING, "norm": Normalize(-limit, limit)}
    norm = PowerNorm(0.5, 0, high) if scale == "root" else Normalize(low, high)
    return {"cmap": _SEQUENTIAL, "norm": norm}


def _in_unit(name: str, unit: str) -> str:
    return name if unit in ("1", "0/1", "") else f"{name} ({unit})"


def _mark_atoms(axes: Axes, symbols: list[str], atoms: NDArray[np.float64]) -> None:
    """Mark each atom at its column and row, and name it above."""
    from matplotlib import patheffects  # noqa: PLC0415 - an extra

    outline = [patheffects.withStroke(linewidth=1.5, foreground="black")]
    style: dict[str, Any] = {"color": "white", "path_effects": outline}
    letters: dict[str, Any] = {"fontsize": _TEXT, "fontweight": "bold", "ha": "center"}
    # A channel that shows no space has no atoms to mark.
    for (x, y), symbol in zip(atoms.tolist(), symbols, strict=False):
        axes.plot(x, y, "+", markersize=4, markeredgewidth=0.8, **style)
        axes.text(x, y - 2.2, symbol, parse_math=False, **letters, **style)


def schema_of(label: str) -> Label:
    """Return what the schema says of a label; of one that it does not know, nothing but a name."""
    known = {label.name: label for label in LABELS}
    return known.get(label, Label(label, "", "number", "", "", "", title=label))


def colour_scale(label: str, values: NDArray[np.float64]) -> Scale:
    """Return how colours follow the values of a label; NaN is missing.

    A flag has two colours; where the sign means something, colours diverge from 0; where most
    values are far below the largest one they go by the square root, with a colour for exactly 0.
    """
    schema, finite = schema_of(label), values[np.isfinite(values)]
    if schema.kind == "flag":
        return "flag"
    low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
    if low < 0 < high and schema.group in SIGNED_GROUPS:
        return "diverging"
    skewed = low >= 0 and len(finite) > 0 and np.median(finite) * _LONG_TAIL < high
    return "root" if skewed else "linear"


def as_drawn(label: str, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the values of a label with 0 for what is rounding, and its limit: see `ROUNDING`."""
    limit = ROUNDING.get(schema_of(label).group, 0.0)
    return np.where(np.abs(values) < limit, 0.0, values), limit


def map_figure(pairs: Pairs, label: str) -> Figure:
    """Draw a numeric label for every pair, element by element, ordered by atomic number.

    Raises a ParseError where there is no such label, or no pair has it.
    """
    names = pairs.label_names.tolist()
    if label not in names:
        expected = f"one of the labels {', '.join(nearest_labels(label, names) or names)}"
        raise ParseError(pairs.path, None, expected, quote(label))
    values, tiny = as_drawn(label, pairs.label(label))
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise ParseError(pairs.path, None, f"pairs with {label}", "none")
    turns = label in ANTISYMMETRIC
    numbers, matrix = element_matrix(pairs.atomic_numbers, values, -values if turns else values)
    scale = colour_scale(label, values)
    figure = _figure(6.4)
    axes = figure.subplots()
    colours = _colours(scale, finite.min(), finite.max())
    drawn = axes.imshow(matrix, interpolation="nearest", **colours)
    unit = pairs.label_units[names.index(label)]
    name = _in_unit(schema_of(label).title, unit)
    bar = figure.colorbar(drawn, ax=axes, fraction=0.04, pad=0.02, shrink=0.85)
    bar.set_label(name, fontsize=_TEXT + 1, parse_math=False)
    bar.ax.tick_params(labelsize=_TEXT)
    if scale == "flag":
        bar.set_ticks([0, 1], labels=["no", "yes"])
    grey = f"below {tiny:g} {unit}" if tiny else "exactly 0"
    _name_greys(axes, values, matrix if scale == "root" else None, grey)
    _name_elements(axes, numbers)
    if turns:
        axes.set_ylabel("first atom", fontsize=_TEXT)
        axes.set_xlabel("second atom, at larger z", fontsize=_TEXT)
    return figure


def _name_greys(
    axes: Axes, values: NDArray[np.float64], matrix: NDArray[np.float64] | None, meaning: str
) -> None:
    """Hatch what is missing, and draw what is 0 in a `matrix` in grey, which has a meaning."""
    from matplotlib.colors import ListedColormap  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    axes.patch.set(facecolor="white", edgecolor="0.7", hatch=_HATCH, linewidth=0)
    keys = []
    if matrix is not None and (zeros := int((values == 0).sum())):
        grey = np.where(matrix == 0, 0.0, np.nan)
        axes.imshow(grey, interpolation="nearest", cmap=ListedColormap([_ZERO]))
        keys.append(Patch(facecolor=_ZERO, label=f"{meaning}: {zeros:,} pairs"))
    if missing := int(np.isnan(values).sum()):
        style: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.7", "hatch": _HATCH}
        keys.append(Patch(**style, label=f"missing: {missing:,} pairs"))
    if keys:
        place: dict[str, Any] = {"loc": "outside upper left", "ncols": 2, "frameon": False}
        axes.figure.legend(handles=keys, fontsize=_TEXT, **place)


def _name_elements(axes: Axes, numbers: NDArray[np.int64]) -> None:
    """Write the symbols of atomic numbers at rows and columns, and part the periods."""
    symbols = np.array([SYMBOLS[z - 1] for z in numbers.tolist()])
    # In two rows, so that neighbours do not touch.
    for start, minor in ((0, False), (1, True)):
        places = np.arange(start, len(symbols), 2)
        axes.set_xticks(places, symbols[places], minor=minor)
        axes.set_yticks(places, symbols[places], minor=minor)
    axes.tick_params(which="both", labelsize=_SMALL, length=0, pad=2)
    axes.tick_params(which="minor", pad=10)
    for first in PERIOD_STARTS:
        edge = int(np.searchsorted(numbers, first)) - 0.5
        if 0 < edge < len(symbols) - 1:
            axes.axhline(edge, color="black", linewidth=0.4)
            axes.axvline(edge, color="black", linewidth=0.4)


def element_matrix(
    atomic_numbers: NDArray[np.int64], values: NDArray[np.float64], swapped: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Lay values [N] of pairs out by elements, and those [N] of the pairs with atoms swapped.

    Returns the E atomic numbers [E] that occur in `atomic_numbers` [N, 2], sorted, and the values
    as a matrix [E, E], a row for each first atom; NaN where there is no pair or no value.
    """
    numbers, cells = np.unique(atomic_numbers, return_inverse=True)
    first, second = cells.reshape(-1, 2).T
    matrix = np.full((len(numbers), len(numbers)), np.nan)
    matrix[second, first] = swapped
    matrix[first, second] = values
    return numbers, matrix


def _figure(height: float) -> Figure:
    """Return an empty figure of a height in inches."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = 'figures need matplotlib: python -m pip install "twobody-dataset[plot]"'
        raise ImportError(message) from error
    return Figure(figsize=(_WIDTH, height), layout="constrained")


def save_figure(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure as PNG, PDF or SVG, as the suffix says, whole or not at all.

    The bytes are the same every time: no date and no version of matplotlib is in them. Letters in
    a PDF or SVG file are text, to be searched and edited.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - an extra

    kind = path.suffix.lower().removeprefix(".")
    unsaid = {"png": ["Software"], "pdf": ["Creator", "Producer", "CreationDate"]}
    metadata = dict.fromkeys(unsaid.get(kind, ["Creator", "Date"]))
    with (
        staging(path.parent) as staged,
        rc_context({"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "twobody"}),
    ):
        figure.savefig(staged / "picture", format=kind, dpi=dpi, metadata=metadata)
        publish([(staged / "picture", path)], path.parent)
