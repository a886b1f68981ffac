"""One self-contained page to explore an archive in a browser, without a network.

The page is ``templates/page.html`` with the numbers of the archive and plotly.js (which the extra
``plot`` installs) put in. Images that are products of amplitudes and basis are rendered there from
these; of other encodings it holds the pixels, deflated.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.archive.container import Container
from twobody.archive.reader import pairs_in
from twobody.check.describe import describe_labels
from twobody.elements import PERIOD_STARTS, SYMBOLS
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.labels import LABELS, SIGNED_GROUPS
from twobody.pairs import Pairs

_FIRST_LABEL = "e_g_ev"  # shown when the page opens


def write_page(path: Path, archive: Container) -> None:
    """Write the page of an archive, whole or not at all.

    Raises
    ------
    ParseError
        The archive cannot be read.
    ImportError
        plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(
            'the page needs plotly: python -m pip install "twobody-dataset[plot]"'
        ) from error
    template = (files("twobody.publish") / "templates/page.html").read_text(encoding="utf-8")
    content = script_json(page_content(pairs_in(archive), archive.content_digest()))
    before, between, after = re.split("@DATA@|@PLOTLY@", template)
    page = f"{before}{content}{between}{get_plotlyjs()}{after}"
    with staging(path.parent) as staged:
        (staged / "page").write_text(page, encoding="utf-8", newline="\n")
        publish([(staged / "page", path)], path.parent)


def script_json(content: Any) -> str:
    """Return JSON that can stand in a script element: nothing in it ends one or begins markup."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_content(pairs: Pairs, digest: str) -> dict[str, Any]:
    """Return what the page shows; arrays as base64 of their little-endian bytes."""
    numbers = np.unique(pairs.atomic_numbers)
    starts = np.searchsorted(numbers, PERIOD_STARTS)
    labels = describe_labels(pairs)
    names = [label["name"] for label in labels]
    known = {label.name: label for label in LABELS}
    for label in labels:
        schema = known.get(label["name"])
        label["meaning"] = schema.meaning if schema else ""
        label["signed"] = schema is not None and schema.group in SIGNED_GROUPS
    provenance = dict(pairs.provenance or {})
    provenance.pop("units", None)  # the labels say them
    return {
        "file": pairs.path.name,
        "content_sha256": digest,
        "provenance": {key: json.dumps(value) for key, value in provenance.items()},
        "pairs": pairs.elements.tolist(),
        "elements": [SYMBOLS[z - 1] for z in numbers],
        "period_starts": [int(k) for k in np.unique(starts) if 0 < k < len(numbers)],
        "labels": labels,
        "first_label": names.index(_FIRST_LABEL) if _FIRST_LABEL in names else 0,
        "label_values": _base64(pairs.label_values, "<f8"),
        "geometries": _base64(pairs.geometries, "<f4"),
        **_image_content(pairs),
    }


def _image_content(pairs: Pairs) -> dict[str, Any]:
    """Return the channels, and what the page has of their pixels: products, or pixels, deflated."""
    encoding = get_encoding(pairs.encoding)
    if pairs.images is None:
        raise ParseError(pairs.path, None, "an archive with images", "none")
    singles = [pairs.take(slice(i, i + 1)) for i in range(len(pairs))]
    spatial = [c for c in encoding.channels if len(encoding.atom_pixels(c, singles[0]))]
    content = {
        "encoding": encoding.name,
        "channels": [
            {"name": c.name, "unit": c.unit, "formula": c.formula, "spatial": c in spatial}
            for c in encoding.channels
        ],
        "atoms": [encoding.atom_pixels(spatial[0], pair).tolist() for pair in singles]
        if spatial
        else [],
        "size": encoding.size,
    }
    if (products := encoding.products(pairs.images)) is not None:
        amplitudes, basis = products
        arrays = {"amplitudes": _base64(amplitudes, "<f8"), "basis": _base64(basis, "<f4")}
        return content | arrays | {"size": basis.shape[2]}
    images = pairs.images[:]
    halves = images.astype("<f2")
    pixels = halves if (halves == images).all() else images.astype("<f4")
    packed = [zlib.compress(image.tobytes(), wbits=-zlib.MAX_WBITS) for image in pixels]
    texts = [base64.b64encode(data).decode("ascii") for data in packed]
    return content | {"pixels": texts, "pixel_type": pixels.dtype.str}


def _base64(array: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(array.astype(dtype).tobytes()).decode("ascii")
