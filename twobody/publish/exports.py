"""Pairs in the formats of other programs: extended XYZ for ASE, Parquet for Hugging Face.

Formats: the comment line of ASE's extended XYZ, features of the library ``datasets`` in the
metadata of a Parquet file, PNG (ISO/IEC 15948).
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from twobody.analysis import WHOLE, cells
from twobody.encodings import get_encoding
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.labels import NUMERIC_LABELS
from twobody.pairs import Image, Pairs

_BLOCK = 128  # pairs whose images are in memory at a time: 5 MB
_ZOOM = 2  # pixels of a picture for one of the image


def export(path: Path, pairs: Pairs) -> None:
    """Write pairs into a file, whole or not at all; its suffix, a key of `FORMATS`, says how.

    For Parquet an ImportError says that pyarrow is not installed, and a ParseError names a number
    that it has no type for.
    """
    with staging(path.parent) as staged:
        FORMATS[path.suffix.lower()](staged / "export", pairs)
        publish([(staged / "export", path)], path.parent)


def _write_xyz(path: Path, pairs: Pairs) -> None:
    """Write a frame a pair; labels that a pair lacks are left out of its comment line.

    ``energy`` [eV], which ASE hands to its calculator, is the label `total_energy_ev`.
    """
    labels = {label.name: cells(label.name, pairs.label(label.name)) for label in NUMERIC_LABELS}
    columns = {"energy": labels["total_energy_ev"], **labels}
    positions = pairs.geometries[:, :, :3] + np.float32(0)  # no -0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for i, symbols in enumerate(pairs.elements.tolist()):
            stated = ((name, values[i]) for name, values in columns.items())
            info = [f"{name}={value!r}" for name, value in stated if value is not None]
            file.write(
                "2\nProperties=species:S:1:pos:R:3 "
                f'pair_name={"_".join(symbols)} {" ".join(info)} pbc="F F F"\n'
            )
            for symbol, position in zip(symbols, positions[i].tolist(), strict=True):
                file.write(f"{symbol} {' '.join(f'{x:.9g}' for x in position)}\n")


def _write_parquet(path: Path, pairs: Pairs) -> None:
    """Write a row a pair: geometry, labels, its images as numbers, and a picture of them."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        message = 'Parquet files need pyarrow: python -m pip install "twobody-dataset[parquet]"'
        raise ImportError(message) from error
    table = {"pair_name": pairs.names, **pairs.geometry_columns(), **pairs.label_columns()}
    columns = {}
    for name, values in table.items():
        number = pa.int64() if name in WHOLE else pa.float64()
        kind = pa.string() if values.dtype.kind == "U" else number
        try:
            columns[name] = pa.array(cells(name, values), kind)
        except (OverflowError, pa.ArrowInvalid) as error:
            raise ParseError(pairs.path, None, f"{name} of 64 bits", str(error)) from error
    features: dict[str, Any] = {
        name: {"dtype": {"double": "float64"}.get(str(c.type), str(c.type)), "_type": "Value"}
        for name, c in columns.items()
    }
    shape = list(pairs.encoded.shape[1:])
    features["channels"] = {"shape": shape, "dtype": "float32", "_type": "Array3D"}
    features["picture"] = {"_type": "Image"}
    channels = get_encoding(pairs.encoding).channel_names
    about = {"encoding": pairs.encoding, "channels": channels, "provenance": pairs.provenance}
    described = {"huggingface": {"info": {"features": features}}, "twobody": about}
    metadata = {key: json.dumps(value) for key, value in described.items()}
    fields = [(name, column.type) for name, column in columns.items()]
    pixels = pa.list_(pa.list_(pa.list_(pa.float32())))
    pictures = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([*fields, ("channels", pixels), ("picture", pictures)], metadata)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        for start in range(0, len(pairs), _BLOCK):
            images = pairs.encoded[start : start + _BLOCK]
            nested = pa.array(images.ravel())
            for size in reversed(shape):
                ends = np.arange(0, len(nested) + 1, size, dtype=np.int32)
                nested = pa.ListArray.from_arrays(ends, nested)
            rows = [{"bytes": _picture(image), "path": None} for image in images]
            block = [column[start : start + _BLOCK] for column in columns.values()]
            block += [nested, pa.array(rows, pictures)]
            writer.write_table(pa.table(block, schema=schema))


FORMATS = {".extxyz": _write_xyz, ".parquet": _write_parquet}  # by the suffix of their files


def _picture(image: Image) -> bytes:
    """Return a PNG of the channels [C, S, S] in two rows; black is the lowest pixel of each.

    For people: the numbers are in the channels.
    """
    n_channels, height, width = image.shape
    low, span = image.min((1, 2), keepdims=True), np.ptp(image, (1, 2), keepdims=True)
    grey = np.rint(255 * (image - low) / np.where(span == 0, 1, span))
    panels = np.zeros((2, -(-n_channels // 2), height, width), np.uint8)
    panels.reshape(-1, height, width)[:n_channels] = grey
    picture = panels.transpose(0, 2, 1, 3).reshape(2 * height, -1)
    picture = picture.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
    lines = np.pad(picture, ((0, 0), (1, 0)))  # each begins with its filter, 0: none
    header = struct.pack(">2I5B", picture.shape[1], picture.shape[0], 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)
