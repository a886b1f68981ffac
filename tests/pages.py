"""Pages of documentation, and a copy of the repository to run what they show."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of code in a page, without their indent."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"(?ms)^( *)```{language}\n(.*?)^\1```$", text)
    return [re.sub(f"(?m)^{indent}", "", block) for indent, block in found]


def copy_of_repository(folder: Path, raw_data: Path) -> Path:
    """Copy what a clone holds, with another raw_data in it."""
    for path in ROOT.iterdir():
        if path.suffix in {".py", ".md", ".cff"} or path.name == "LICENSE":
            shutil.copy(path, folder)
    for name in ("twobody", "analysis", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(raw_data, folder / "raw_data")
    return folder


def run(
    arguments: list[str], folder: Path, modules: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder`, with the modules there or in another folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(modules or folder), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
