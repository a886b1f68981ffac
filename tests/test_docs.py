"""The blocks of docs/training.md run as they stand there, on an archive of fewer pairs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from twobody.archive import MEMBERS

ROOT = Path(__file__).parent.parent
TRAINING = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TRAINING, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(archive, tmp_path_factory):
    """Every twentieth pair, and the whole analysis."""
    folder = tmp_path_factory.mktemp("docs")
    with np.load(archive, allow_pickle=True) as full:
        arrays = {
            name: full[name][::20] if "N" in shape[:1] else full[name]
            for name, (_, shape) in MEMBERS.items()
        }
    np.savez(folder / archive.name, allow_pickle=True, **arrays)
    shutil.copytree(archive.parent / "analysis", folder / "analysis")
    return folder


def test_the_blocks_run_one_after_the_other(folder):
    pytest.importorskip("torch_geometric")
    result = subprocess.run(
        [sys.executable, "-c", "\n".join(BLOCKS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert re.search(r"mean absolute error \d+\.\d{3} eV", result.stdout)
    assert len(BLOCKS) == TRAINING.count("```") / 2
