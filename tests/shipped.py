"""The shipped pairs that tests use, and how to copy or read some of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from twobody.pairs import Pairs
from twobody.raw_data.label_csv import BONDS_FILE, LABELS_FILE
from twobody.raw_data.read import read

ROOT = Path(__file__).resolve().parents[1]
RAW_DATA = ROOT / "raw_data"

SMALL = (  # sorted, as Python sorts strings
    "Al_N",  # a gap, and a negative orbital population
    "H_H",  # homonuclear
    "H_He",  # metal-like: three electrons
    "H_Li",  # a gap, and a dipole moment
    "He_He",  # no virtual level
    "N_Na",  # names that look like missing values
)


def below(folder: Path, message: object) -> str:
    """Return a message with its paths relative to `folder`, with slashes on every system."""
    text = str(message).replace(f"{folder}{os.sep}", "")
    return text if os.sep == "/" else text.replace(os.sep, "/")


def copy_pairs(names: Sequence[str], raw_data: Path) -> Path:
    """Copy shipped pairs and their rows of the CSV files: a raw_data that may be damaged."""
    for name in names:
        shutil.copytree(RAW_DATA / name, raw_data / name)
    for file in (LABELS_FILE, BONDS_FILE):
        header, *rows = (RAW_DATA / file).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [row for row in rows if row.split(",")[0] in names]
        (raw_data / file).write_text("".join([header, *kept]), encoding="utf-8", newline="\n")
    return raw_data


def pairs_of(names: Sequence[str]) -> Pairs:
    """Read shipped pairs, in the order of their names; the images are not encoded."""
    with tempfile.TemporaryDirectory() as folder:
        raw = read(copy_pairs(names, Path(folder, "raw_data")), allow_unconverged=False)
    assert raw.problems == []
    return raw.good()
