"""Hostile archives run nothing, take little, and end with one clear error in every reader.

Each attack has a process of its own, whose memory and time are limited and measured.
"""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.connection
import os
import pickle
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from small import small_archive

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "attacks"))  # also for the processes that are started

import make_attacks  # noqa: E402 - it lies in a folder of its own

pytestmark = pytest.mark.trust

MOST_SECONDS = 10  # for one reading
MOST_MEMORY = 500 << 20  # bytes beyond those of the modules
ADDRESS_SPACE = 8 << 30  # bytes; what no reader may come near, mapped or not


class Outcome(NamedTuple):
    """What the readers made of an archive."""

    opened: dict[str, str]  # loader: its error, or nothing
    checked: dict[str, tuple[int, str]]  # options of check_npz: exit status and output
    memory: int  # bytes, at the most
    seconds: float  # of the longest reading, of the processor


def loaders() -> dict[str, Callable[[Path], object]]:
    from pytorch_dataset import TwoBodyDataset
    from pytorch_geometric_dataset import TwoBodyGraphDataset
    from twobody.archive import read

    return {
        "read": read,
        "TwoBodyDataset": TwoBodyDataset,
        "TwoBodyGraphDataset": TwoBodyGraphDataset,
    }


def commands(path: Path, whole: Path) -> dict[str, list[str]]:
    return {
        "overview": [str(path)],
        "verify": [str(path), "--verify"],
        "pair": [str(path), "--pair", "0"],
        "compare": [str(path), "--compare", str(whole)],
        "compared": [str(whole), "--compare", str(path)],
        "json": [str(path), "--json"],
    }


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def attack(path: Path, whole: Path, answer: multiprocessing.connection.Connection) -> None:
    """Let every reader open an archive; runs in a process of its own."""
    import check_npz
    from twobody import ParseError

    make_attacks.register_extension()
    opened: dict[str, str] = {}
    checked = {}
    open_by = loaders()
    before, times = peak_memory(), [time.process_time()]
    gc.freeze()  # torch and its modules are a million objects, and are left alone from here on
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    for name, load in open_by.items():
        gc.collect()  # what the error of the last reading holds
        try:
            load(path)
        except ParseError as error:
            opened[name] = str(error)
        else:
            opened[name] = ""
        times.append(time.process_time())
    for name, arguments in commands(path, whole).items():
        gc.collect()
        result = CliRunner().invoke(check_npz.main, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        checked[name] = (result.exit_code, result.output)
        times.append(time.process_time())
    longest = max(end - start for start, end in pairwise(times))
    answer.send(Outcome(opened, checked, peak_memory() - before, longest))


def outcome(path: Path, whole: Path) -> Outcome | str:
    """Run `attack`; return what came out, or how the process ended without an answer."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=attack, args=(path, whole, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(9 * MOST_SECONDS) else "no end"
    except EOFError:
        return "an end without an answer"
    finally:
        process.kill()
        process.join()


@pytest.fixture(scope="module", autouse=True)
def _forkserver() -> Iterator[None]:
    """Start processes from one that has already imported everything."""
    modules = ["check_npz", "pytorch_dataset", "pytorch_geometric_dataset", "test_attacks"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        yield


@pytest.fixture
def whole(small_raw_data, tmp_path) -> Path:
    path = tmp_path / "whole.npz"
    small_archive(path, small_raw_data)
    return path


def test_the_whole_archive_that_attacks_are_made_from_is_read(whole):
    found = outcome(whole, whole)
    assert isinstance(found, Outcome), found
    assert set(found.opened.values()) == {""}
    assert {name: code for name, (code, _) in found.checked.items() if code} == {"verify": 1}
    assert "FAILED" in found.checked["verify"][1]  # its images are of another size


def test_the_commands_in_the_pickles_do_run_where_a_pickle_is_run(tmp_path):
    canary = tmp_path / "ran"
    make_attacks.register_extension()
    for name, data in make_attacks.gadgets(f"touch {canary}"):
        with suppress(Exception):  # whatever it ends with, it has run
            pickle.loads(data)  # noqa: S301 - that is what is shown here
        assert canary.exists(), name
        canary.unlink()


def test_no_attack_runs_anything_or_takes_much_and_each_ends_with_one_error(
    whole, tmp_path, report
):
    folder = tmp_path / "attacks"
    folder.mkdir()
    names, paths = [], []
    for k, (name, data) in enumerate(make_attacks.attacks(whole, folder)):
        names.append(name)
        paths.append(folder / f"{k}.npz")
        paths[-1].write_bytes(data)
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda path: outcome(path, whole), paths))
    assert not (folder / "ran").exists()
    wrong = [f"{n}: {w}" for n, o in zip(names, outcomes, strict=True) for w in faults(n, o)]
    assert not wrong, "\n".join(wrong)
    report(f"{len(names)} attacks, {len(names) * 9} readings refused or harmless")
    report(f"largest memory {max(o.memory for o in outcomes) >> 20} MiB")
    report(f"longest time {max(o.seconds for o in outcomes):.1f} s for one reading")


def faults(name: str, found: Outcome | str) -> list[str]:
    """Return what is wrong with the outcome of an attack."""
    if isinstance(found, str):
        return [found]
    wrong = []
    if found.seconds > MOST_SECONDS:
        wrong.append(f"{found.seconds:.1f} s")
    if found.memory > MOST_MEMORY:
        wrong.append(f"{found.memory >> 20} MiB")
    for loader, message in found.opened.items():
        if not (name.startswith("unread") or "harmless" in name or message):
            wrong.append(f"{loader} opened it")
        if "\n" in message or len(message) > 1000:
            wrong.append(f"{loader}: {message[:300]!r}")
    for command, (code, output) in found.checked.items():
        if code not in expected_status(name, command):
            wrong.append(f"check_npz {command}: exit status {code}, {output[:200]!r}")
        if code == 2 and (not output.startswith("Error: ") or output.count("\n") != 1):
            wrong.append(f"check_npz {command}: {output[:300]!r}")
    return wrong


def expected_status(name: str, command: str) -> set[int]:
    """Return which exit statuses of check_npz are right; --verify counts a wrong layout as 1."""
    if "harmless" in name:
        return {0, 1, 2}
    return {1, 2} if command == "verify" else {2}
