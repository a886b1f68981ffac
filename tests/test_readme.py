"""The README is true: its commands and snippets run as they stand there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


SETUP, COMMANDS = blocks("sh")[:2], blocks("sh")[2:]


@pytest.fixture(scope="module")
def clone(tmp_path_factory, archive):
    """A copy of what a clone holds, with the archive that the first command builds."""
    folder = tmp_path_factory.mktemp("clone")
    for path in ROOT.glob("*.py"):
        shutil.copy(path, folder)
    for name in ("twobody", "raw_data", "analysis"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(archive, folder / "dataset_combined.npz")
    return folder


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_set_up_commands_are_the_ones_that_the_workflow_runs():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    for command in SETUP:
        assert f"run: {command.strip()}\n" in workflow


@pytest.mark.parametrize("line", [line for block in COMMANDS for line in block.splitlines()])
def test_a_command_runs(line, clone):
    program, *arguments = shlex.split(line)
    assert program == "python"
    result = run(arguments, clone)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("snippet", blocks("python"))
def test_a_snippet_runs(snippet, clone):
    pytest.importorskip("torch_geometric")
    result = run(["-c", snippet], clone)
    assert result.returncode == 0, result.stderr


def test_every_file_that_a_link_names_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
