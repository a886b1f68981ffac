"""The pages are true: what they link to is there, and their commands and programs run."""

import json
import re
import shlex

import pytest
from pages import ROOT, blocks, copy_of_repository, run
from shipped import copy_pairs

from twobody.archive import read

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("**/*.md")), ROOT / "raw_data" / "README.md"]
TUTORIAL, TRAINING = DOCS / "tutorial.md", DOCS / "training.md"
NOTEBOOK = DOCS / "tutorial.ipynb"
QUANTUMCANVAS = DOCS / "quantumcanvas.md"


def run_commands(page, folder):
    """Run the commands of a page that begin with python, one after the other."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("python ")]
    assert commands
    for command in commands:
        result = run(command[1:], folder)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_link_names_exists(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_heading_that_a_link_names_exists(page):
    wrong = []
    for link, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        target = (page.parent / link if link else page).read_text(encoding="utf-8")
        headings = [line.lstrip("# ") for line in target.splitlines() if line.startswith("#")]
        if heading not in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]:
            wrong.append(f"{link}#{heading}")
    assert wrong == []


def test_the_page_of_data_runs(clone):
    pytest.importorskip("matplotlib")
    run_commands(DOCS / "data.md", clone)
    (program,) = blocks(DOCS / "data.md", "python")
    result = run(["-c", f"{program}print(labels.loc['H_H', 'n_atoms'])"], clone)
    assert result.stdout == "2.0\n"


@pytest.mark.parametrize(
    "page", [DOCS / "howto.md", ROOT / "RELEASE_GUIDE.md"], ids=lambda page: page.name
)
def test_the_commands_of_a_guide_run(page, tmp_path, small_raw_data):
    folder = tmp_path / "clone"
    folder.mkdir()
    run_commands(page, copy_of_repository(folder, small_raw_data))


def test_what_the_original_project_shows_runs_unchanged(tmp_path):
    """Its calls in the order of its README: build, classes, arrays, files, tables, targets."""
    pytest.importorskip("torch_geometric")
    folder = tmp_path / "clone"
    folder.mkdir()
    raw_data = copy_pairs(("Ag_Ag", "Ag_Al", "He_He"), tmp_path / "raw_data")
    run_commands(QUANTUMCANVAS, copy_of_repository(folder, raw_data))
    assert (folder / "my_output" / "dataset_combined.npz").exists()
    assert (folder / "my_output" / "my_dataset.npz").exists()
    result = run(["-c", "".join(blocks(QUANTUMCANVAS, "python"))], folder)
    assert result.returncode == 0, result.stderr
    assert re.search(r"\n0 +Ag_Ag +[0-9.]+ +[0-9.]+\n", result.stdout)


def test_the_quick_start_of_the_first_page_runs(tmp_path):
    pytest.importorskip("torch_geometric")
    (program,) = blocks(DOCS / "index.md", "python")
    result = run(["-c", program], tmp_path, modules=ROOT)
    assert result.returncode == 0, result.stderr
    assert re.search(r"(?m)^distance_ang +2\.678", result.stdout)


def test_the_tutorial_goes_from_raw_files_to_an_archive(clone):
    run_commands(TUTORIAL, clone)
    assert read(clone / "tutorial" / "dataset_combined.npz").names[0] == "Ag_Ag"


def test_the_notebook_trains_a_model_that_is_better_than_a_constant(tmp_path):
    """Away from the repository, cell by cell; what IPython alone knows is not needed there."""
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    program = re.sub(r"(?m)^( *)%pip .*$", r"\1raise SystemExit('not installed')", "\n".join(cells))
    result = run(["-c", program], tmp_path, modules=ROOT)
    assert result.returncode == 0, result.stderr
    error, constant = re.findall(r"([0-9.]+) eV", result.stdout.splitlines()[-1])
    assert 0 < float(error) < 0.7 * float(constant)
    assert (tmp_path / "homo.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_on_training_runs_from_block_to_block(tmp_path):
    pytest.importorskip("torch_geometric")
    programs = blocks(TRAINING, "python")
    assert len(programs) == TRAINING.read_text(encoding="utf-8").count("```") / 2
    result = run(["-c", "\n".join(programs)], tmp_path, modules=ROOT)
    assert result.returncode == 0, result.stderr
    printed = r"mean absolute error ([0-9.]+) eV; of always guessing the median, ([0-9.]+) eV"
    error, constant = re.search(printed, result.stdout).groups()
    assert 0 < float(error) < 0.9 * float(constant)
