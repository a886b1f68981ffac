"""The README is true: its commands and snippets run as they stand there."""

import re
import shlex
import tomllib

import pytest
from pages import ROOT, blocks, run

import twobody

README, INSTALL = ROOT / "README.md", ROOT / "docs" / "install.md"
SETUP, COMMANDS = blocks(README, "sh")[:2], blocks(README, "sh")[2:]


def test_the_set_up_commands_are_the_ones_that_the_workflow_runs():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    for command in SETUP:
        assert f"run: {command.strip()}\n" in workflow


def test_it_is_short():
    """At most 900 words, as ``wc -w`` counts them, beside the leaderboard."""
    text, leaderboards = re.subn(
        r"(?s)<!-- leaderboard: .*?<!-- end of leaderboard -->", "", README.read_text("utf-8")
    )
    assert leaderboards == 1
    assert len(text.split()) <= 900


def test_the_citation_to_copy_is_that_of_the_citation_file():
    (entry,) = blocks(README, "bibtex")
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    copied = {k: re.sub("[{}]", "", v) for k, v in re.findall(r"(\w+) += \{(.*)\}", entry)}
    released = re.search(r"(?m)^date-released: (\d{4})", cff)[1]
    title = re.search(r'(?m)^title: "(.*)"$', cff)[1]
    assert copied == {
        "title": title,
        "author": "The twobody authors",
        "version": twobody.__version__,
        "year": released,
    }
    assert f"\nversion: {twobody.__version__}\n" in cff
    assert "\nauthors:\n  - name: The twobody authors\n" in cff


def test_powershell_gets_the_same_commands_without_what_it_lacks():
    (powershell,) = blocks(INSTALL, "powershell")
    assert powershell.splitlines() == [c for line in SETUP for c in line.strip().split(" && ")]


def test_the_table_of_extras_names_them_all():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = INSTALL.read_text(encoding="utf-8").partition("| extra |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[3:]]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(
        project["optional-dependencies"]
    )


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
