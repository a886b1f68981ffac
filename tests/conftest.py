"""What many tests need: the archive of all shipped pairs, and a small raw_data to damage."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pages import copy_of_repository
from toy import Toy

import build_dataset
from twobody.archive.layout import FORMAT_VERSION
from twobody.encodings import DEFAULT, ENCODINGS, get_encoding
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


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the archive of all shipped pairs once; its analysis/ lies beside it."""
    output = tmp_path_factory.mktemp("full") / "dataset_combined.npz"
    result = CliRunner().invoke(build_dataset.main, [str(RAW_DATA), str(output)])
    assert result.exit_code == 0, result.output
    return output


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Path:
    """Copy what a clone holds, with the archive that the first command of the README builds."""
    folder = copy_of_repository(tmp_path_factory.mktemp("clone"), RAW_DATA)
    shutil.copy(archive, folder)
    return folder


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


@pytest.fixture(scope="session")
def small() -> Pairs:
    """Read the pairs `SMALL`, with the images of the default encoding."""
    pairs = pairs_of(SMALL)
    images = get_encoding(DEFAULT).encode(pairs)
    provenance = {"format_version": FORMAT_VERSION, "encoding": DEFAULT}
    return replace(pairs, encoding=DEFAULT, images=images, provenance=provenance)


@pytest.fixture
def small_raw_data(tmp_path: Path) -> Path:
    """Copy the pairs `SMALL`: a raw_data that may be damaged."""
    return copy_pairs(SMALL, tmp_path / "raw_data")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """Register the toy encoding."""
    toy = Toy()
    monkeypatch.setitem(ENCODINGS, toy.name, toy)
    return toy


FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that takes a measured figure, to be listed when all tests are done."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda figure: figures.append(f"{request.node.name}: {figure}")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List the figures that tests have measured."""
    if figures := config.stash.get(FIGURES, []):
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{figure}\n" for figure in figures))
