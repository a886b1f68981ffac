"""Few dependencies, pinned; no network, no shell, no eval, and nothing that reads pickles."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.trust

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("*.py"), *ROOT.glob("twobody/**/*.py")])
PICKLE_WRITER = "pickles.py"  # for users of numpy.load; it calls `dumps` and no `loads`
WEIGHTS_READER = "pretrain.py"  # calls `NetworkModel.load`, which reads safetensors
CLUSTER = "pools.py"  # greets the scheduler whose address the user gave

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "loads", "load"}
HARMLESS = {"json", "tomllib", "hsd"}  # whose `load` and `loads` make plain data
NETWORK = {"socket", "ssl", "http", "urllib", "requests", "ftplib", "smtplib", "asyncio"}

# Runs a script with every attempt to reach out turned into an error.
GUARD = """
import runpy, sys

def guard(event, arguments):
    if event.startswith(("socket.", "urllib.", "os.system", "os.exec", "subprocess.")):
        raise RuntimeError(f"reached out: {event} {arguments}")

sys.addaudithook(guard)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_holds_nothing_that_runs_or_fetches_code(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.name != CLUSTER:
        assert imported(tree) & NETWORK == set()
    if path.name != PICKLE_WRITER:
        assert imported(tree) & {"pickle", "marshal", "shelve", "dill", "cloudpickle"} == set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = f"{path.name}:{node.lineno}"
            assert is_harmless(node, path), f"{place}: {ast.unparse(node.func)}"
            for keyword in node.keywords:
                assert keyword.arg != "shell", f"{place}: shell"
                if keyword.arg == "allow_pickle":
                    assert isinstance(keyword.value, ast.Constant)
                    assert keyword.value.value is False


def is_harmless(call, path):
    """Tell whether a call runs or reads nothing foreign, as far as its name says."""
    if isinstance(call.func, ast.Name):
        return call.func.id not in FORBIDDEN_CALLS
    if not isinstance(call.func, ast.Attribute):
        return True
    owner, name = ast.unparse(call.func.value), call.func.attr
    harmless = {"eval"}  # a method of a network of torch
    if path.name == WEIGHTS_READER or (
        owner == "np" and any(k.arg == "allow_pickle" for k in call.keywords)
    ):
        harmless.add("load")
    return owner in {*HARMLESS, "re"} or name not in FORBIDDEN_CALLS - harmless


def run_guarded(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", GUARD, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_guard_itself_sees_a_socket(tmp_path):
    script = tmp_path / "reach.py"
    script.write_text("import socket; socket.socket()")
    assert "reached out: socket" in run_guarded(str(script)).stderr


def test_the_build_reaches_out_to_nothing(tmp_path):
    result = run_guarded("build_dataset.py", "raw_data", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr


def test_every_dependency_is_pinned_by_the_constraints():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    wanted = [*project["dependencies"], *(name for extra in extras for name in extra)]

    def plain(requirement: str) -> str:
        return re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-")

    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {
        plain(m[1]) for m in re.finditer(r"^([A-Za-z0-9_.-]+)==\S+", constraints, re.MULTILINE)
    }
    assert {plain(name) for name in wanted} - pinned == {"twobody-dataset"}  # extras of its own


def test_the_core_needs_four_packages_only():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[^A-Za-z]", name)[0] for name in project["dependencies"]}
    assert names == {"numpy", "pandas", "click", "tqdm"}
