"""What many tests need: the archive of all shipped pairs, and a small raw_data to damage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # they share the cores: threads would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import archives
from pages import copy_of_repository
from shipped import RAW_DATA, SMALL, copy_pairs, pairs_of
from toy import Toy

from twobody.archive.layout import FORMAT_VERSION
from twobody.encodings import DEFAULT, ENCODINGS, get_encoding
from twobody.pairs import Pairs


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the archive of all shipped pairs once; its analysis/ lies beside it."""
    return archives.build(RAW_DATA, tmp_path_factory.mktemp("full") / "dataset_combined.npz")


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Path:
    """Copy what a clone holds, with the archive that the first command of the README builds."""
    folder = copy_of_repository(tmp_path_factory.mktemp("clone"), RAW_DATA)
    shutil.copy(archive, folder)
    return folder


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


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the archive of the pairs `SMALL` once; its analysis/ lies beside it."""
    folder = tmp_path_factory.mktemp("small")
    return archives.build(copy_pairs(SMALL, folder / "raw_data"), folder / "built" / "small.npz")


@pytest.fixture
def built(small_archive: Path, tmp_path: Path) -> Path:
    """Copy the archive of the pairs `SMALL`, and its analysis/: they may be damaged."""
    return shutil.copytree(small_archive.parent, tmp_path / "built") / small_archive.name


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
