"""One self-contained page to explore an archive in a browser, without a network.

The page is ``templates/page.html`` with the numbers of the archive and plotly.js (which the extra
``plot`` installs) put in. Images that are products of amplitudes and basis are not stored in it but
rendered there from these; of other encodings it shows everything but the images.
"""

from __future__ import annotations

import base64
import json
import re
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
        raise ImportError('the page needs plotly: python -m pip install ".[plot]"') from error
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
    """Return the channels and what the page renders them from; no channels if it cannot."""
    encoding = get_encoding(pairs.encoding)
    if pairs.images is None or (products := encoding.products(pairs.images)) is None:
        return {"channels": [], "encoding": encoding.name}
    amplitudes, basis = products
    return {
        "encoding": encoding.name,
        "channels": [
            {
                "name": channel.name,
                "unit": channel.unit,
                "formula": channel.formula,
                "atoms": encoding.atom_pixels(channel, pairs.take(slice(1))).tolist(),
            }
            for channel in encoding.channels
        ],
        "size": basis.shape[2],
        "amplitudes": _base64(amplitudes, "<f8"),
        "basis": _base64(basis, "<f4"),
    }


def _base64(array: NDArray[Any], dtype: str) -> str:
    return base64.b64encode(array.astype(dtype).tobytes()).decode("ascii")
