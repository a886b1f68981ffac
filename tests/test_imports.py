"""What imports what: arrows point down, and loading a dataset needs no reader of DFTB+ output."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from shipped import ROOT

# From the ground up: what stands on one floor imports nothing but what stands below.
FLOORS = (
    {"errors"},
    {"elements", "text", "progress", "files", "labels"},
    {"pairs"},
    {"dftbplus", "encodings", "analysis"},
    {"raw_data", "archive"},
    {"samples", "check", "campaign"},
    {"graphs"},
    {"publish"},
    {"benchmark"},
    {"models"},
    {"transfer"},
)
FLOOR = {name: k for k, floor in enumerate(FLOORS) for name in floor}
PACKAGE = ROOT / "twobody"


def imports(path):
    """Yield the parts of the package that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("twobody."):
                yield name.split(".")[1]


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_point_down(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert [name for name in imports(path) if name != own and FLOOR[name] >= FLOOR[own]] == []


def test_loading_a_dataset_imports_no_reader_of_raw_data():
    pytest.importorskip("torch")
    program = (
        "import sys, pytorch_dataset; "
        "print(*sorted(name for name in sys.modules if name.split('.')[0] == 'twobody'))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = result.stdout.split()
    parts = {name.split(".")[1] for name in modules if "." in name}
    assert parts == {*("archive", "elements", "encodings", "errors", "pairs", "samples", "text")}
    assert len(modules) <= 16
