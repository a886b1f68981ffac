"""A release described in Croissant, the metadata format of MLCommons: files, records, fields.

Croissant 1.0: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from twobody import __version__
from twobody.analysis import ANALYSIS, GEOMETRY_CSV, LABELS_CSV
from twobody.archive.layout import ARCHIVE
from twobody.files import sha256
from twobody.labels import LABELS

KEYWORDS = ("chemistry", "physics", "DFTB", "diatomic molecules", "quantum chemistry")
_TYPES = {"number": "Float", "count": "Integer", "flag": "Boolean", "text": "Text"}


def describe(release: Path, n_pairs: int, date: str, url: str | None) -> dict[str, Any]:
    """Return the metadata of the files in `release`, published on `date` (``YYYY-MM-DD``) at `url`.

    Before the first upload there is no `url`.
    """
    context = files("twobody.publish") / "templates" / "croissant_context.json"
    labels, geometries = f"{ANALYSIS}/{LABELS_CSV}", f"{ANALYSIS}/{GEOMETRY_CSV}"
    label_fields = {
        label.name: (_TYPES[label.kind], f"{label.meaning} [{label.unit}]") for label in LABELS
    }
    formats = {ARCHIVE: "application/zip", labels: "text/csv", geometries: "text/csv"}
    return {
        "@context": json.loads(context.read_text(encoding="utf-8")),
        "@type": "sc:Dataset",
        "name": "TwoBody",
        "description": f"{n_pairs} pairs of elements, computed with DFTB+: images, "
        f"geometries and {len(LABELS)} labels. {ARCHIVE} is a NumPy .npz file; README.md lists its "
        "arrays. The record sets are labels and geometries; images are in the archive only.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "https://creativecommons.org/licenses/by/4.0/",
        **({"url": url} if url else {}),
        "keywords": [*KEYWORDS],
        "version": __version__,
        "datePublished": date,
        "creator": {"@type": "sc:Organization", "name": "The twobody authors"},
        "citeAs": f"@misc{{twobody, author={{{{The twobody authors}}}}, title={{TwoBody}}, "
        f"version={{{__version__}}}, year={{{date[:4]}}}}}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "contentSize": f"{(release / name).stat().st_size} B",
                "encodingFormat": encoding_format,
                "sha256": sha256(release / name),
            }
            for name, encoding_format in formats.items()
        ],
        "recordSet": [
            _record_set("labels", labels, label_fields),
            _record_set("geometries", geometries, _geometry_fields()),
        ],
    }


def _geometry_fields() -> dict[str, tuple[str, str]]:
    """Return the columns after ``pair_name``: data type and description."""
    columns = {f"element_{k}": ("Text", f"symbol of atom {k}") for k in (1, 2)}
    for k in (1, 2):
        columns |= {f"{axis}{k}": ("Float", f"{axis} of atom {k} [Å]") for axis in "xyz"}
        columns[f"population_{k}"] = ("Float", f"Mulliken population of atom {k} [e]")
    return columns | {"bond_length_ang": ("Float", "bond length [Å]")}


def _record_set(name: str, file: str, columns: dict[str, tuple[str, str]]) -> dict[str, Any]:
    columns = {"pair_name": ("Text", "name of the pair, A_B")} | columns
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": {"@id": f"{name}/pair_name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": description,
                "dataType": f"sc:{data_type}",
                "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
            }
            for column, (data_type, description) in columns.items()
        ],
    }
