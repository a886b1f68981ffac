"""The package in a user's hands: a wheel in an empty folder has the data, a command and types."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from pages import copy_of_repository
from shipped import ROOT

import twobody
from twobody.__main__ import SCRIPTS, main
from twobody.archive.container import Container
from twobody.archive.layout import SHIPPED
from twobody.archive.reader import read
from twobody.archive.writer import write_numbers

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
USE = """
from twobody import TwoBodyDataset, TwoBodyGraphDataset, load_labels

for encoding in ("published", "field"):
    dataset = TwoBodyDataset(target_label="e_g_ev", encoding=encoding)
    image, target = dataset[0]
    print(len(dataset), dataset.pair_names[0], *image.shape, f"{target:.4f}")
graph = TwoBodyGraphDataset(target_labels=["e_g_ev"])[0]
print(graph.pair_name, *graph.z.tolist(), f"{graph.y.item():.4f}")
print(f"{load_labels().loc['Ag_Ag', 'e_g_ev']:.4f}")
"""
MISTAKES = """
from pytorch_dataset import TwoBodyDataset as SameDataset
from twobody import Nonsense, TwoBodyDataset, TwoBodyGraphDataset, load_labels

SameDataset(mising="nan")
TwoBodyDataset(mising="nan")
TwoBodyGraphDataset(missing="none")
load_labels(3)
TwoBodyDataset(missing="nan")
"""
# What is outside the package is Any: reading the types of torch would take a minute.
ALONE = """
[mypy]
[mypy-numpy.*,pandas.*,torch.*,torch_geometric.*]
follow_imports = skip
ignore_missing_imports = true
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of a new environment in which the wheel is installed, beside its needs."""
    pytest.importorskip("setuptools", "77")
    folder = tmp_path_factory.mktemp("package")
    (folder / "no_raw_data").mkdir()
    (folder / "copy").mkdir()
    copy = copy_of_repository(folder / "copy", folder / "no_raw_data")
    shutil.copy(ROOT / "pyproject.toml", copy)
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=copy, check=True)
    (wheel,) = folder.glob("twobody_dataset-*-py3-none-any.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv")]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (site_packages,) = (folder / "venv").glob("**/site-packages")
    (site_packages / "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def run(folder, *command):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_in_an_empty_folder_loads_all_pairs_in_both_encodings(python, tmp_path):
    pytest.importorskip("torch_geometric")
    result = run(tmp_path, python, "-c", USE)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        *["2847 Ag_Ag 10 32 32 1.3920"] * 2,
        "Ag_Ag 47 47 1.3920",
        "1.3920",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_type_checker_sees_the_datasets_of_the_wheel(python, tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(MISTAKES, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(ALONE, encoding="utf-8")
    mypy = (sys.executable, "-m", "mypy", "--python-executable", python, "script.py")
    result = run(tmp_path, *mypy)
    errors = re.findall(r"script\.py:(\d+): error:.*\[(.*)\]", result.stdout)
    assert errors == [
        ("3", "attr-defined"),
        ("5", "call-arg"),
        ("6", "call-arg"),
        ("7", "arg-type"),
        ("8", "call-arg"),
    ]


def test_the_wheel_has_one_command(python, tmp_path):
    programs = {path.stem for path in python.parent.iterdir()}
    assert {name for name in programs if name.startswith("twobody")} == {"twobody"}
    result = run(tmp_path, python.parent / "twobody", "check", SHIPPED, "--pair", "Ag_Al")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Ag_Al (number 1)\n")


def test_the_readme_of_the_wheel_leads_to_no_file_beside_it(python):
    (metadata,) = python.parents[1].glob("**/twobody_dataset-*.dist-info/METADATA")
    text = metadata.read_text(encoding="utf-8")
    assert "# twobody\n" in text
    assert set(re.findall(r"\]\((.{6})", text)) <= {"https:"}


def test_the_source_distribution_holds_what_is_committed(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("no clone")
    listing = ["-c", "core.quotePath=false", "ls-files"]
    tracked = subprocess.run(
        ["git", *listing],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    (sources,) = tmp_path.glob("*/SOURCES.txt")
    assert set(tracked.stdout.split()) - set(sources.read_text(encoding="utf-8").split()) == set()


def test_the_shipped_pairs_are_those_of_the_raw_data(archive, tmp_path):
    """Where this fails: python build_dataset.py, then python -m docs.refresh."""
    with (tmp_path / "pairs.npz").open("wb") as file:
        write_numbers(file, read(archive))
    with Container(tmp_path / "pairs.npz") as new, Container(SHIPPED) as old:
        assert new.content_digest() == old.content_digest()
    assert SHIPPED.stat().st_size < 1_000_000


@pytest.mark.parametrize("encoding", ["published", "field"])
def test_a_dataset_without_a_path_is_the_one_of_the_archive(archive, encoding):
    pytest.importorskip("torch")
    labels = ["e_g_ev", "dipole_z_d"]
    here = twobody.TwoBodyDataset(target_label=labels, encoding=encoding)
    there = twobody.TwoBodyDataset(archive, labels, encoding=encoding)
    assert here.targets.equal(there.targets)
    assert here.pair_names.tolist() == there.pair_names.tolist()
    assert here.geometries.tobytes() == there.geometries.tobytes()
    for i in range(0, len(here), 100):
        assert here[i][0].equal(there[i][0])


def test_graphs_without_a_path_are_those_of_the_archive(archive):
    pytest.importorskip("torch_geometric")
    here, there = twobody.TwoBodyGraphDataset(), twobody.TwoBodyGraphDataset(archive)
    assert len(here) == len(there) == 2847
    for i in range(0, len(here), 100):
        assert str(here[i]) == str(there[i])
        assert all(here[i][key].equal(there[i][key]) for key in ("x", "edge_attr", "y", "pos"))


def test_load_labels_gives_the_table_of_the_analysis():
    labels = twobody.load_labels()
    table = pd.read_csv(
        ROOT / "analysis" / "all_labels.csv", index_col="pair_name", keep_default_na=False
    )
    assert labels.index.tolist() == table.index.tolist()
    assert labels.columns.tolist() == table.columns.tolist()
    assert labels.system_id_guess.tolist() == table.system_id_guess.tolist()
    numbers = table.drop(columns="system_id_guess").replace("", np.nan).astype(np.float64)
    assert set(table.select_dtypes("int64")) == set(labels.select_dtypes("int64"))
    pd.testing.assert_frame_equal(
        labels[numbers.columns].astype(np.float64),
        numbers,
        check_exact=True,
        check_index_type=False,
    )


def test_the_package_imports_neither_torch_nor_pandas_nor_numpy():
    program = "import sys, twobody; print({'torch', 'pandas', 'numpy'} & sys.modules.keys())"
    assert run(ROOT, sys.executable, "-c", program).stdout == "set()\n"


def test_a_name_that_the_package_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'twobody' has no attribute 'TwoBodyDatset'"):
        twobody.TwoBodyDatset  # noqa: B018


@pytest.mark.parametrize("script", SCRIPTS.values())
def test_a_script_too_answers_to_h(script):
    result = CliRunner().invoke(import_module(script).main, ["-h"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage:")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_command_lists_the_scripts(option):
    result = CliRunner().invoke(main, [option])
    assert re.findall(r"(?m)^  (\w+)  ", result.output.partition("Commands:")[2]) == list(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_says_how_it_is_used(name):
    result = run(ROOT, sys.executable, "-m", "twobody", name, "-h")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"Usage: twobody {name} [OPTIONS] ")


def test_a_command_that_there_is_not_is_refused():
    result = CliRunner().invoke(main, ["built"])
    assert (result.exit_code, "No such command 'built'" in result.output) == (2, True)


def test_the_module_runs_a_script_with_its_arguments(small_raw_data, tmp_path):
    output = tmp_path / "out"
    result = run(ROOT, sys.executable, "-m", "twobody", "build", small_raw_data, output)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{output / 'dataset_combined.npz'}\n  pairs     6 found")
