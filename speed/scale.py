"""Build an archive of many times the pairs there are, to see what memory it takes.

    python -m speed.scale RAW_DATA FOLDER FACTOR

The names of the pairs come FACTOR times: each time the files are opened, read, hashed, parsed and
checked anew, and every sample is rendered, compressed, written and described in ``analysis/`` by
the code of the build. Only the label files are read once, and their rows repeated:
no two rows may have one name.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import build_dataset
from twobody.archive.layout import ARCHIVE
from twobody.encodings import DEFAULT
from twobody.files import InputDigest
from twobody.raw_data.folders import read_pairs
from twobody.raw_data.read import RawData, read


def build(raw_data: Path, folder: Path, factor: int) -> int:
    """Build the dataset `factor` times over in one archive; return how many samples it holds."""
    once = read(raw_data, allow_unconverged=False)
    if once.problems:
        raise once.problems[0].error
    names = once.pairs.names.tolist() * factor
    digest = InputDigest()
    rows, _, _ = read_pairs(raw_data, names, digest, allow_unconverged=False)
    many = once.pairs.take(np.tile(np.arange(len(once.pairs)), factor))
    raw = RawData(replace(many, rows=rows), [], len(names), digest.hexdigest())
    pairs = build_dataset.encode(raw, DEFAULT)
    archive = folder / ARCHIVE
    build_dataset.write_all(pairs, raw, archive, store=False, jobs=build_dataset.default_jobs())
    return len(pairs)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
