"""One self-contained page to explore an archive in a browser, without a network.

The page is ``templates/page.html`` with the style, the scripts and the numbers of the archive put
in. Images that are products of amplitudes and basis are rendered there from these, to the bit; of
others it holds pictures: pixels rounded to `LEVELS` steps of the largest one of each picture.
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
from twobody.elements import COVALENT_RADII, PERIOD_STARTS, SHORTEST_PHYSICAL_BOND, SYMBOLS
from twobody.encodings import get_encoding
from twobody.files import publish, staging
from twobody.labels import ANTISYMMETRIC
from twobody.pairs import Pairs, distances
from twobody.publish.figures import as_drawn, colour_scale, schema_of

# Steps between 0 and the largest pixel: as fine as a screen shows, in a tenth of the room.
LEVELS = 50
# Shown when the page opens, where they are there.
_FIRST_LABEL, _OTHER_LABEL, _FIRST_PAIR = "e_g_ev", "distance_ang", "Cl_Na"
_SCRIPTS = ["data.js", "colours.js", "map.js", "elements.js", "pair.js", "charts.js", "page.js"]


def write_page(path: Path, archive: Container) -> None:
    """Write the page of an archive, whole or not at all; raises as `twobody.archive.read`."""
    templates = files("twobody.publish") / "templates"

    def read(*names: str) -> str:
        return "\n".join((templates / name).read_text(encoding="utf-8") for name in names)

    parts = {
        "@STYLE@": read("page.css"),
        "@DATA@": script_json(page_content(pairs_in(archive), archive.content_digest())),
        "@SCRIPT@": read(*_SCRIPTS),
    }
    page = re.sub("|".join(parts), lambda found: parts[found[0]], read("page.html"))
    with staging(path.parent) as staged:
        (staged / "page").write_text(page, encoding="utf-8", newline="\n")
        publish([(staged / "page", path)], path.parent)


def script_json(content: Any) -> str:
    """Return JSON that can stand in a script element: nothing in it ends one or begins markup."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_content(pairs: Pairs, digest: str) -> dict[str, Any]:
    """Return what the page shows; arrays deflated, as base64 of their little-endian bytes."""
    numbers = np.unique(pairs.atomic_numbers)
    starts = np.searchsorted(numbers, PERIOD_STARTS)
    labels = describe_labels(pairs)
    names = [label["name"] for label in labels]
    for label in labels:
        name = label["name"]
        schema = schema_of(name)
        label |= {"title": schema.title, "group": schema.group, "meaning": schema.meaning}
        values, limit = as_drawn(name, pairs.label(name))
        label |= {"scale": colour_scale(name, values), "rounding": limit}
        label["antisymmetric"] = name in ANTISYMMETRIC
    provenance = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in (pairs.provenance or {}).items()
        if key != "units"  # the labels say them
    }
    symbols = [SYMBOLS[z - 1] for z in numbers]
    return {
        "file": pairs.path.name,
        "content_sha256": digest,
        "provenance": provenance,
        "pairs": pairs.elements.tolist(),
        "elements": [{"symbol": s, "radius": COVALENT_RADII.get(s)} for s in symbols],
        "shortest_bond": SHORTEST_PHYSICAL_BOND,
        "period_starts": [int(k) for k in np.unique(starts) if 0 < k < len(numbers)],
        "labels": labels,
        "first_label": _place(_FIRST_LABEL, names),
        "other_label": _place(_OTHER_LABEL, names),
        "first_pair": _place(_FIRST_PAIR, pairs.names.tolist()),
        "values": _packed(pairs.label_values.T, "<f8"),
        "bonds": _packed(distances(pairs.rows["positions"]), "<f8"),
        "charges": _packed(pairs.rows["charges"], "<f8"),
        **_image_content(pairs),
    }


def _image_content(pairs: Pairs) -> dict[str, Any]:
    """Return the channels, and what the page has of their pixels: products, or pictures."""
    encoding, images = get_encoding(pairs.encoding), pairs.encoded
    singles = [pairs.take(slice(i, i + 1)) for i in range(len(pairs))]
    spatial = [c for c in encoding.channels if len(encoding.atom_pixels(c, singles[0]))]
    atoms = [encoding.atom_pixels(spatial[0], pair) for pair in singles] if spatial else []
    channels = [
        {"name": c.name, "unit": c.unit, "formula": c.formula, "spatial": c in spatial}
        for c in encoding.channels
    ]
    packed_atoms = _packed(np.array(atoms), "<f4")
    content = {"channels": channels, "atoms": packed_atoms, "size": images.shape[-1]}
    if (products := encoding.products(images)) is not None:
        amplitudes, basis = products
        return content | {"amplitudes": _packed(amplitudes, "<f8"), "basis": _packed(basis, "<f4")}
    whole = images[:]
    pixels, largest = [], np.empty(whole.shape[:2])
    for k, channel in enumerate(channels):
        image = whole[:, k]
        finite = np.isfinite(image)
        largest[:, k] = np.abs(image, where=finite, out=np.zeros_like(image)).max((1, 2))
        unit = np.maximum(largest[:, k], np.finfo(np.float32).tiny)[:, None, None] / LEVELS
        levels = np.where(finite, np.rint(np.where(finite, image, 0) / unit), -128).astype(np.int8)
        # Of an image that is its own mirror the lower half says all.
        channel["mirrored"] = bool((levels == levels[:, ::-1]).all())
        half = levels.shape[1] // 2 if channel["mirrored"] else 0
        pixels.append(_packed(levels[:, half:], "i1"))
    return content | {"levels": LEVELS, "pixels": pixels, "largest": _packed(largest, "<f4")}


def _place(name: str, names: list[str]) -> int:
    return names.index(name) if name in names else 0


def _packed(array: NDArray[Any], dtype: str) -> str:
    deflated = zlib.compress(array.astype(dtype).tobytes(), 9, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(deflated).decode("ascii")
