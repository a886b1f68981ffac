"""The README is true: its commands and snippets run as they stand there."""

import shlex

import pytest
from pages import ROOT, blocks, run

README = ROOT / "README.md"
SETUP, COMMANDS = blocks(README, "sh")[:2], blocks(README, "sh")[2:]


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


@pytest.mark.parametrize("snippet", blocks(README, "python"))
def test_a_snippet_runs(snippet, clone):
    pytest.importorskip("torch_geometric")
    result = run(["-c", snippet], clone)
    assert result.returncode == 0, result.stderr
