"""Build an archive of many times the pairs there are, to see what memory it takes.

    python -m speed.scale RAW_DATA FOLDER FACTOR

The names of the pairs come FACTOR times: each time the files are opened, read, hashed, parsed and
checked anew, and every sample is rendered, compressed, written and described in ``analysis/`` by
the code of the build. Only the label files are read once, and their rows repeated:
no two rows may have one name.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import build_dataset
from twobody.archive.layout import ARCHIVE
from twobody.files import InputDigest
from twobody.raw_data.folders import find_pairs, read_pairs
from twobody.raw_data.label_csv import read_label_files
from twobody.raw_data.read import Sources


def build(raw_data: Path, folder: Path, factor: int) -> int:
    """Build the dataset `factor` times over in one archive; return how many samples it holds."""
    digest = InputDigest()
    names, problems = find_pairs(raw_data)
    labels, label_problems = read_label_files(raw_data, names, digest)
    pairs, pair_problems = read_pairs(raw_data, names * factor, digest)
    if problems := [*problems, *label_problems, *pair_problems]:
        raise problems[0].error
    sources = Sources(
        raw_data=raw_data,
        found=len(pairs.names),
        pairs=pairs,
        labels=labels.take(np.tile(np.arange(len(names)), factor)),
        problems=[],
        digest=digest.hexdigest(),
    )
    dataset = build_dataset.merge(sources)
    archive = folder / ARCHIVE
    build_dataset.write(dataset, sources, archive, store=False, jobs=build_dataset.default_jobs())
    return len(pairs.names)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
