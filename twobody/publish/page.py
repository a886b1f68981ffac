"""One self-contained page to explore an archive in a browser, without a network.

The page is ``templates/report.html`` with the numbers of the archive and plotly.js (which the
extra ``plot`` installs) put in. Images are not stored in it: it renders them from amplitudes and
basis, as `twobody.encodings.published.render` does.
"""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import Container
from twobody.archive.reader import read_columns, read_provenance
from twobody.check.describe import describe_labels
from twobody.columns import Columns, RenderedImages
from twobody.elements import PERIOD_STARTS, SYMBOLS
from twobody.encodings.published import CHANNELS, Image, atom_pixels, basis_images, render
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.labels import LABELS, SIGNED_GROUPS

FIRST_LABEL = "e_g_ev"  # shown when the page opens
FIT_TOLERANCE = 1e-6  # of the largest pixel of a channel: ten roundings to float32


def write_report(path: Path, archive_path: Path) -> None:
    """Write the page of an archive, whole or not at all.

    Raises
    ------
    ParseError
        The archive cannot be read, or plotly is not installed.
    """
    template = (
        files("twobody.publish").joinpath("templates/report.html").read_text(encoding="utf-8")
    )
    with Container(archive_path) as archive:
        digest = archive.content_digest()
    content = page_content(read_columns(archive_path), digest)
    before, rest = template.split("@DATA@")
    between, after = rest.split("@PLOTLY@")
    page = "".join((before, script_json(content), between, _plotly_js(), after))
    with staging(path.parent) as staged:
        (staged / "page").write_text(page, encoding="utf-8", newline="\n")
        publish([(staged / "page", path)], path.parent)


def script_json(content: Any) -> str:
    """Return JSON that can stand in a script element: nothing in it ends one or begins markup."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_content(columns: Columns, digest: str) -> dict[str, Any]:
    """Return what the page shows; arrays as base64 of their little-endian bytes."""
    amplitudes, basis = _terms(columns)
    size = basis.shape[2]
    numbers = np.unique(columns.atomic_numbers)
    starts = np.searchsorted(numbers, PERIOD_STARTS)
    labels = describe_labels(columns)
    names = [label["name"] for label in labels]
    known = {label.name: label for label in LABELS}
    for label in labels:
        schema = known.get(label["name"])
        label["meaning"] = schema.meaning if schema else ""
        label["signed"] = schema is not None and schema.group in SIGNED_GROUPS
    return {
        "file": columns.path.name,
        "content_sha256": digest,
        "provenance": {
            key: json.dumps(value)
            for key, value in (read_provenance(columns) or {}).items()
            if key != "units"  # the labels say them
        },
        "pairs": columns.elements.tolist(),
        "elements": [SYMBOLS[z - 1] for z in numbers],
        "period_starts": [int(k) for k in np.unique(starts) if 0 < k < len(numbers)],
        "labels": labels,
        "first_label": names.index(FIRST_LABEL) if FIRST_LABEL in names else 0,
        "channels": [
            {"name": channel.name, "unit": channel.unit, "formula": channel.formula}
            for channel in CHANNELS
        ],
        "size": size,
        "atom_columns": atom_pixels(basis.shape[1], size).tolist(),
        "arrays": {
            "label_values": _base64(columns.label_values, "<f8"),
            "amplitudes": _base64(amplitudes, "<f8"),
            "basis": _base64(basis, "<f4"),
            "geometries": _base64(columns.geometries, "<f4"),
        },
    }


def _base64(array: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(array.astype(dtype).tobytes()).decode("ascii")


def _terms(columns: Columns) -> tuple[NDArray[np.float64], Image]:
    """Return the amplitudes and the basis of the images; fitted where the archive has none."""
    if isinstance(columns.images, RenderedImages):
        return columns.images.amplitudes, columns.images.basis
    if not np.isfinite(columns.images).all():
        raise ParseError(columns.path, None, "finite images", "others")
    n, n_channels, size, _ = columns.images.shape
    basis = basis_images(size=size)
    amplitudes = np.empty((n, n_channels, basis.shape[1]))
    for k in range(n_channels):
        terms = basis[k].reshape(basis.shape[1], -1).T.astype(np.float64)
        pixels = columns.images[:, k].reshape(n, -1).T.astype(np.float64)
        amplitudes[:, k] = np.linalg.lstsq(terms, pixels, rcond=None)[0].T
    error = np.abs(render(amplitudes, basis) - columns.images).max((0, 2, 3))
    if not (error <= FIT_TOLERANCE * np.abs(columns.images).max((0, 2, 3))).all():
        raise ParseError(columns.path, None, "images of the encoding 'published'", "others")
    return amplitudes, basis


def _plotly_js() -> str:
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ParseError(
            "plotly", None, 'it installed (python -m pip install ".[plot]")', "none"
        ) from error
    source: str = get_plotlyjs()
    return source
