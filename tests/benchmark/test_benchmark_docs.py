"""The page on the benchmark is true: its commands run, and its model of thirty lines."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from twobody.archive import read
from twobody.benchmark.evaluate import Evaluator
from twobody.benchmark.results import read_result

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "own_model.py"
PAGE = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")


@pytest.fixture
def run(archive, tmp_path):
    (tmp_path / archive.name).hardlink_to(archive)

    def python(*arguments):
        return subprocess.run(
            [sys.executable, "-W", "error", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    return python


def test_the_model_of_thirty_lines_runs_and_its_file_is_scored(run, tmp_path, archive):
    result = run(EXAMPLE)
    assert result.returncode == 0, result.stderr
    assert "C3   e_homo_ev" in result.stdout
    digest = Evaluator(read(archive)).digest
    saved = read_result(tmp_path / "predictions" / "nearest.csv.gz", digest)
    assert (saved.model, saved.run.key, saved.run.seeds) == ("nearest", "element-geometry", (0,))
    scored = run(ROOT / "benchmark.py", "score", "predictions/nearest.csv.gz")
    assert scored.returncode == 0, scored.stderr
    homo = next(line for line in scored.stdout.splitlines() if line.startswith("C3 e_homo_ev"))
    assert float(homo.split()[-3]) < 0.9  # its ratio: better than the constant on unseen elements


def test_the_page_shows_that_model():
    code = EXAMPLE.read_text(encoding="utf-8")
    assert f"```python\n{code}```\n" in PAGE
    assert len(code.splitlines()) < 40


def test_the_commands_of_the_page_run(run):
    (block,) = (part.split("```")[0] for part in PAGE.split("```sh\n")[1:])
    for line in block.splitlines():
        program, script, *arguments = shlex.split(line)
        assert program == "python"
        result = run(ROOT / script, *arguments)
        assert result.returncode == 0, result.stderr
