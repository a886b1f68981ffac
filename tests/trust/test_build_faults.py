"""A build that is killed, starved, interrupted or run twice at once leaves whole output behind.

One small raw_data has two versions, so that each build makes output that can be told from the one
before. After every fault the archive and each analysis file are those of one version or the other.
"""

import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.trust

ROOT = Path(__file__).parents[2]
PAIRS = ["Ag_Al", "Ag_Ag", "H_He", "H_H", "C_O", "Si_Si", "Na_Na", "Fe_Fe", "He_He", "Mg_O"]
PAIRS = [name for name in PAIRS if (ROOT / "raw_data" / name).is_dir()]
KILLS = 200


def copy_of_raw_data(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name in names:
        shutil.copytree(ROOT / "raw_data" / name, folder / name)
    for file in ("dftb_ptbp_combined.csv", "bond_distances_all.csv"):
        lines = (ROOT / "raw_data" / file).read_text().splitlines(keepends=True)
        kept = [line for line in lines[1:] if line.split(",")[0] in names]
        (folder / file).write_text("".join([lines[0], *kept]))
    return folder


def command(raw_data: Path, output: Path) -> list[str]:
    return [sys.executable, str(ROOT / "build_dataset.py"), str(raw_data), str(output)]


def build(raw_data: Path, output: Path, **options) -> subprocess.CompletedProcess[str]:
    arguments = command(raw_data, output)
    return subprocess.run(arguments, capture_output=True, text=True, check=False, **options)


def state(output: Path) -> dict[str, str]:
    """The hash of every file below `output` that is not hidden."""
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.parts)
    }


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Two versions of the input, and what a clean build makes of each."""
    folder = tmp_path_factory.mktemp("versions")
    inputs = [
        copy_of_raw_data(folder / "raw_1", PAIRS),
        copy_of_raw_data(folder / "raw_2", PAIRS[:-1]),
    ]
    outputs = [folder / "out_1", folder / "out_2"]
    for raw_data, output in zip(inputs, outputs, strict=True):
        assert build(raw_data, output).returncode == 0
    states = [state(output) for output in outputs]
    assert states[0] != states[1]
    return inputs, states


@pytest.fixture
def output(versions, tmp_path):
    """A folder that holds the output of the first version."""
    inputs, _ = versions
    assert build(inputs[0], tmp_path / "out").returncode == 0
    return tmp_path / "out"


def leftovers(output: Path) -> list[str]:
    return [path.name for path in output.iterdir() if path.name.startswith(".")]


def test_kill_9_at_random_moments(versions, output):
    inputs, states = versions
    start = time.perf_counter()
    build(inputs[1], output)
    duration = time.perf_counter() - start
    seen, mixed = [], 0
    for kill in range(KILLS):
        process = subprocess.Popen(command(inputs[kill % 2], output), stdout=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 1.2 * duration))  # noqa: S311 - moments, not secrets
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = state(output)
        assert all(hash_ in (states[0][name], states[1][name]) for name, hash_ in now.items())
        assert now.keys() == states[0].keys()
        mixed += now not in states
        seen.append(process.returncode)
    assert seen.count(-signal.SIGKILL) > KILLS / 2  # most of them hit a live build
    # Each file is whole always; that they are of one version can fail only between the four
    # renames at the end, which take longer where the disk is busy.
    assert mixed <= KILLS / 20
    assert build(inputs[0], output).returncode == 0
    assert state(output) == states[0]
    assert leftovers(output) == []


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.8])
def test_a_full_disk(versions, output, share):
    """A limit on the size of files stands for a disk that is full at that point."""
    inputs, states = versions
    limit = int(share * (output / "dataset_combined.npz").stat().st_size)
    result = build(
        inputs[1],
        output,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1
    assert state(output) == states[0]
    assert leftovers(output) == []


def test_output_that_may_not_be_written(versions, output):
    inputs, states = versions
    # Root may write anywhere, unless this capability is taken away.
    bound = ["--bounding-set", "-dac_override", "--inh-caps", "-dac_override"]
    prefix = ["setpriv", *bound] if os.geteuid() == 0 else []
    if prefix and shutil.which("setpriv") is None:
        pytest.skip("running as root, without setpriv")
    output.chmod(0o555)
    try:
        arguments = [*prefix, *command(inputs[1], output)]
        result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    finally:
        output.chmod(0o755)
    assert result.returncode == 1
    assert "Permission denied" in result.stderr
    assert state(output) == states[0]


@pytest.mark.parametrize("moment", [0.2, 0.5, 0.8, 0.95])
def test_control_c(versions, output, moment):
    inputs, states = versions
    start = time.perf_counter()
    build(inputs[1], output.parent / "other")
    duration = time.perf_counter() - start
    process = subprocess.Popen(
        command(inputs[1], output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(moment * duration)
    process.send_signal(signal.SIGINT)
    code = process.wait()
    assert state(output) == states[1] if code == 0 else state(output) in states
    assert leftovers(output) == []


def test_several_builds_at_once_into_one_place(versions, output):
    inputs, states = versions
    processes = [
        subprocess.Popen(command(inputs[i % 2], output), stdout=subprocess.DEVNULL)
        for i in range(6)
    ]
    assert [process.wait() for process in processes] == [0] * 6
    assert state(output) in states
    assert leftovers(output) == []


def test_input_that_changes_while_it_is_read_is_an_error_or_one_version(versions, output):
    """A pair is replaced by another pair's files, file by file, over and over during a build."""
    inputs, states = versions
    raw_data = output.parent / "changing"
    shutil.copytree(inputs[0], raw_data)
    process = subprocess.Popen(
        command(raw_data, output), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    target = raw_data / "H_H" / "detailed.out"
    whole = target.read_bytes()
    while process.poll() is None:
        target.write_bytes(whole[: len(whole) // 2])
        target.write_bytes(whole)
    _, errors = process.communicate()
    if process.returncode == 0:
        assert state(output) == states[0]
    else:
        assert "H_H/detailed.out" in errors
        assert state(output) == states[0]
