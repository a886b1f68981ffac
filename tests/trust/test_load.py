"""Many samples, many openings and many processes: memory and files do not grow, readers agree."""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from mode import LONG
from small import small_archive
from torch.utils.data import DataLoader, RandomSampler

from build_dataset import encode
from pytorch_dataset import TwoBodyDataset
from twobody.archive.container import Container
from twobody.archive.writer import write
from twobody.encodings import DEFAULT
from twobody.raw_data.read import read

pytestmark = pytest.mark.trust

ROOT = Path(__file__).parents[2]
SAMPLES = 285_000  # of an epoch
COPIES = 100 if LONG else 10  # of the 2,850 pairs: an archive of 11.7 GB, or 1.2 GB
MOST_GROWTH = 16 << 20  # bytes
OPENINGS = 1_000
BUILDS = 50 if LONG else 8


def own_memory(process: int) -> int:
    """Return how many bytes a process has for itself, that is without shared memory and files."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) << 10


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(scope="module")
def large_archive(tmp_path_factory):
    """All pairs many times over, under names of their own."""
    once = encode(read(ROOT / "raw_data", allow_unconverged=False), DEFAULT)
    pairs = once.take(np.tile(np.arange(len(once)), COPIES))
    names = np.array([f"{name}-{i}" for i, name in enumerate(pairs.names.tolist())])
    path = tmp_path_factory.mktemp("large") / "large.npz"
    with path.open("wb") as file:
        write(file, replace(pairs, names=names), store=True)
    assert path.stat().st_size > len(pairs) * 10 * 32 * 32 * 4
    yield path
    path.unlink()


def test_an_epoch_of_285_000_samples_takes_no_more_memory_at_its_end(large_archive, report):
    dataset = TwoBodyDataset(large_archive, "total_energy_ev")
    sampler = RandomSampler(dataset, replacement=len(dataset) < SAMPLES, num_samples=SAMPLES)
    loader = DataLoader(dataset, batch_size=256, sampler=sampler, num_workers=2)
    taken: list[list[int]] = []
    samples = 0
    for k, (images, targets) in enumerate(loader):
        assert images.shape[1:] == (10, 32, 32)
        samples += len(targets)
        if k % 16 == 0:
            workers = [child.pid for child in multiprocessing.active_children()]
            assert len(workers) == 2
            taken.append([own_memory(pid) for pid in (os.getpid(), *sorted(workers))])
    assert samples == SAMPLES
    quarter = len(taken) // 4
    first, last = np.max(taken[:quarter], axis=0), np.max(taken[-quarter:], axis=0)
    report(f"{len(dataset)} pairs, {samples} samples; own memory of the process and two workers")
    report(f"first quarter {first >> 20} MiB, last quarter {last >> 20} MiB")
    assert (last - first < MOST_GROWTH).all()


def open_archive(path: Path) -> None:
    with Container(path) as archive:
        archive.read("label_values")


def open_images(path: Path) -> None:
    assert len(TwoBodyDataset(path)[0]) == 2


def open_graphs(path: Path) -> None:
    with warnings.catch_warnings():  # PyTorch Geometric's own, when it is imported
        warnings.simplefilter("ignore", DeprecationWarning)
        from pytorch_geometric_dataset import TwoBodyGraphDataset
    assert TwoBodyGraphDataset(path)[0].num_nodes == 2


@pytest.mark.parametrize("use", [open_archive, open_images, open_graphs])
def test_a_thousand_openings_leave_no_file_open_and_no_memory_taken(
    small_raw_data, tmp_path, use, report
):
    path = tmp_path / "small.npz"
    small_archive(path, small_raw_data)

    for _ in range(OPENINGS // 10):  # until caches are filled
        use(path)
    gc.collect()
    files, memory = open_files(), own_memory(os.getpid())
    for _ in range(OPENINGS):
        use(path)
    gc.collect()
    assert open_files() == files
    growth = own_memory(os.getpid()) - memory
    report(f"{OPENINGS} openings, {growth >> 10} KiB more memory")
    assert growth < MOST_GROWTH


def read_over_and_over(path: Path, expected: set[str], stop: Path, first: Path) -> None:
    """Read an archive until `stop` exists; what was opened before a build stays as it was."""
    seen: dict[str, int] = {}
    with Container(path) as kept:
        kept_digest = kept.content_digest()
        first.touch()
        for _ in count():
            with Container(path) as archive:
                digest = archive.content_digest()
            assert digest in expected
            seen[digest] = seen.get(digest, 0) + 1
            assert kept.content_digest() == kept_digest
            if stop.exists():
                break
    assert seen.keys() == expected  # the builds were seen


def less_by_a_pair(raw_data: Path, less: Path) -> Path:
    """Copy `raw_data` without the pair that comes last."""
    shutil.copytree(raw_data, less)
    last = max(path.name for path in less.iterdir() if path.is_dir())
    shutil.rmtree(less / last)
    for file in less.glob("*.csv"):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(f"{last},")]
        file.write_text("".join(kept), encoding="utf-8", newline="\n")
    return less


def build(raw_data: Path, output: Path) -> str:
    command = [sys.executable, str(ROOT / "build_dataset.py"), str(raw_data), str(output)]
    subprocess.run(command, check=True, capture_output=True)
    with Container(output) as archive:
        return archive.content_digest()


def test_readers_keep_what_they_opened_while_builds_replace_it(
    small_raw_data, tmp_path, report: Callable[[str], None]
):
    output = tmp_path / "dataset_combined.npz"
    inputs = [small_raw_data, less_by_a_pair(small_raw_data, tmp_path / "less")]
    digests = {build(raw_data, output) for raw_data in inputs}
    assert len(digests) == 2
    stop = tmp_path / "stop"
    context = multiprocessing.get_context("spawn")
    begun = [tmp_path / f"begun-{k}" for k in range(3)]
    readers = [
        context.Process(target=read_over_and_over, args=(output, digests, stop, first))
        for first in begun
    ]
    for reader in readers:
        reader.start()
    while not all(first.exists() for first in begun):
        assert all(reader.is_alive() for reader in readers)
    for k in range(BUILDS):
        assert build(inputs[k % 2], output) in digests
    stop.touch()
    for reader in readers:
        reader.join()
    assert [reader.exitcode for reader in readers] == [0, 0, 0]
    report(f"3 readers, {BUILDS} builds beneath them")
