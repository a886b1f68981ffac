"""A release is whole, says what it holds, and trains with PyTorch and NumPy alone."""

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from shipped import ROOT, SMALL

import build_dataset
from twobody import ParseError, __version__
from twobody.archive import read
from twobody.archive.container import Container
from twobody.files import sha256
from twobody.labels import LABELS
from twobody.publish.croissant import KEYWORDS, describe
from twobody.publish.release import address, card, check_release, release_date, write_release

# What the project depends on, and what lies in the repository; a release must do without.
GUARD = """
import sys

refused = set(sys.argv.pop().split(","))

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in refused else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Without, sys.meta_path)
sys.path.insert(0, ".")
"""
SCRIPTS = {path.stem for path in ROOT.glob("*.py")} - {
    "pytorch_dataset",
    "pytorch_geometric_dataset",
}
OTHERS = {"pandas", "click", "matplotlib", "isal", "hsd", "distributed"}
ONLY_FROM_HERE = """
ours = ("twobody", "pytorch_")
loaded = [module for name, module in sys.modules.items() if name.startswith(ours)]
here = Path.cwd()
assert len(loaded) > 5
assert all(here in Path(module.__file__).resolve().parents for module in loaded), loaded
"""
TRAIN = """
from pathlib import Path
import torch
from torch.utils.data import DataLoader

images, targets = next(iter(DataLoader(dataset, batch_size=4)))
model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(10 * 32 * 32, 1))
before = model[1].weight.detach().clone()
loss = torch.nn.functional.mse_loss(model(images).squeeze(1), targets)
loss.backward()
torch.optim.SGD(model.parameters(), lr=1e-3).step()
assert loss.isfinite()
assert (model[1].weight != before).any()
"""
TRAIN_GRAPH = """
from pathlib import Path
import torch
from torch_geometric.nn import GCNConv

convolution = GCNConv(graph.x.shape[1], 1)
before = convolution.lin.weight.detach().clone()
loss = (convolution(graph.x, graph.edge_index).sum() - graph.y.sum()) ** 2
loss.backward()
torch.optim.SGD(convolution.parameters(), lr=1e-3).step()
assert loss.isfinite()
assert (convolution.lin.weight != before).any()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The small dataset, built from the six pairs of `SMALL`, and its release."""
    folder = tmp_path_factory.mktemp("built")
    raw_data = folder / "raw_data"
    for name in SMALL:
        shutil.copytree(ROOT / "raw_data" / name, raw_data / name)
    for path in (ROOT / "raw_data").glob("*.csv"):
        header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [row for row in rows if row.split(",")[0] in SMALL]
        (raw_data / path.name).write_text("".join([header, *kept]), encoding="utf-8", newline="\n")
    arguments = [str(raw_data), str(folder), "--release", str(folder / "release")]
    result = CliRunner().invoke(build_dataset.main, arguments)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def release(built, tmp_path):
    """A copy of the release somewhere else."""
    return shutil.copytree(built / "release" / "TwoBody", tmp_path / "elsewhere")


def run_alone(release, script, refused):
    """Run a script that sees neither the repository nor the packages `refused`."""
    code = GUARD + script + ONLY_FROM_HERE
    command = [sys.executable, "-I", "-B", "-c", code, ",".join(sorted(refused))]
    return subprocess.run(command, cwd=release, capture_output=True, text=True, check=False)


def card_snippets(release):
    text = (release / "README.md").read_text(encoding="utf-8")
    return re.findall(r"(?ms)^```python\n(.*?)^```$", text)


def test_archive_and_analysis_are_those_of_the_build(built):
    release = built / "release" / "TwoBody"
    with Container(release / "dataset_combined.npz") as archive:
        assert archive.read("pair_names").tolist() == list(SMALL)
    for name in ("dataset_combined.npz", "analysis/all_labels.csv", "analysis/geometry_data.csv"):
        assert (release / name).read_bytes() == (built / name).read_bytes()


def test_a_release_holds_the_loaders_and_only_what_they_import(release):
    sources = {path.relative_to(release).as_posix() for path in release.rglob("*.py")}
    assert {"pytorch_dataset.py", "pytorch_geometric_dataset.py"} < sources
    assert {
        "twobody/__init__.py",
        "twobody/archive/reader.py",
        "twobody/encodings/published.py",
    } < sources
    assert (
        sources & {"twobody/archive/writer.py", "twobody/publish/release.py", "build_dataset.py"}
        == set()
    )


def test_one_step_trains_where_only_torch_and_numpy_are(release):
    result = run_alone(release, card_snippets(release)[0] + TRAIN, OTHERS | SCRIPTS | {"tqdm"})
    assert result.returncode == 0, result.stderr


def test_one_step_trains_on_graphs_where_torch_geometric_is_too(release):
    pytest.importorskip("torch_geometric")
    script = card_snippets(release)[1] + TRAIN_GRAPH  # PyTorch Geometric itself needs tqdm
    result = run_alone(release, script, OTHERS | SCRIPTS)
    assert result.returncode == 0, result.stderr


def test_without_a_path_a_release_loads_its_own_pairs(release):
    (release / "dataset_combined.npz").unlink()
    script = """
from pathlib import Path
from twobody import TwoBodyDataset

dataset = TwoBodyDataset(target_label="e_homo_ev", encoding="field")
print(*dataset.pair_names, *dataset[0][0].shape)
"""
    result = run_alone(release, script, OTHERS | SCRIPTS | {"tqdm"})
    assert result.stdout.split() == [*SMALL, "10", "32", "32"], result.stderr


def test_a_release_loads_its_own_labels(release):
    script = "from pathlib import Path\nimport twobody, twobody.samples\n"
    script += "print(*twobody.load_labels().index)\n"
    result = run_alone(release, script, SCRIPTS | {"torch", "click"})
    assert result.stdout.split() == [*SMALL], result.stderr


def test_what_is_refused_there_cannot_be_imported(release):
    for name in ("pandas", "build_dataset"):
        result = run_alone(release, f"import {name}", OTHERS | SCRIPTS)
        assert f"No module named '{name}'" in result.stderr


@pytest.mark.parametrize("module", ["pairs", "samples", "archive/reader"])
def test_a_release_without_one_module_does_not_load(release, module):
    (release / "twobody" / f"{module}.py").unlink()
    result = run_alone(release, "import twobody.samples", OTHERS | SCRIPTS | {"torch"})
    assert result.returncode == 1
    assert f"twobody.{module.replace('/', '.')}" in result.stderr


def test_the_two_lines_make_a_frame_of_the_labels(release):
    program = card_snippets(release)[2] + "print(labels.loc['H_H', 'distance_ang'])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=release,
        capture_output=True,
        text=True,
        check=True,
    )
    with (release / "analysis" / "all_labels.csv").open(encoding="utf-8") as file:
        (row,) = (row for row in csv.DictReader(file) if row["pair_name"] == "H_H")
    assert done.stdout.strip() == row["distance_ang"]


def test_the_checksums_are_of_all_files_and_right(release):
    lines = (release / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert sums.keys() == files - {"SHA256SUMS"}
    assert {name: sha256(release / name) for name in sums} == sums


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this system")
def test_sha256sum_accepts_the_files_and_sees_a_changed_one(release):
    command = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=release, check=False).returncode == 0
    with (release / "LICENSE").open("a") as file:
        file.write("!")
    done = subprocess.run(command, cwd=release, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "LICENSE: FAILED" in done.stdout


def test_the_card_begins_with_the_header_of_the_hub(release):
    yaml = pytest.importorskip("yaml")
    text = (release / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["license"] == "cc-by-4.0"
    assert header["size_categories"] == ["n<1K"]
    assert header["tags"] == [*KEYWORDS]
    assert [config["config_name"] for config in header["configs"] if config.get("default")] == [
        "labels"
    ]
    for config in header["configs"]:
        assert (release / config["data_files"]).is_file()
    assert "6 pairs of elements" in text
    assert "$" not in text


@pytest.mark.parametrize(
    ("n_pairs", "category"),
    [(999, "n<1K"), (1_000, "1K<n<10K"), (99_999, "10K<n<100K"), (3_000_000, "1M<n<10M")],
)
def test_the_card_names_the_size_as_the_hub_does(built, n_pairs, category):
    pairs = replace(read(built / "dataset_combined.npz"), names=np.zeros(n_pairs, "U3"))
    assert f"size_categories:\n- {category}\n" in card(pairs)


# rdflib, which mlcroissant uses, warns of its own class.
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
def test_mlcroissant_validates_the_metadata_and_loads_the_record_sets(release):
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(str(release / "croissant.json"))
    assert dataset.metadata.ctx.issues.report() == ""
    labels = {record["labels/pair_name"].decode(): record for record in dataset.records("labels")}
    assert list(labels) == list(SMALL)
    assert labels["H_He"]["labels/metal_like"] is True
    assert labels["H_H"]["labels/system_id_guess"] == b"H_H"
    assert labels["N_Na"]["labels/n_atoms"] == 2
    (first, *_) = dataset.records("geometries")
    assert (first["geometries/element_1"], first["geometries/element_2"]) == (b"Al", b"N")


def test_the_metadata_name_every_column_with_its_unit_and_every_sum(release):
    metadata = json.loads((release / "croissant.json").read_text(encoding="utf-8"))
    for record_set, name in zip(
        metadata["recordSet"], ("all_labels", "geometry_data"), strict=True
    ):
        with (release / "analysis" / f"{name}.csv").open(encoding="utf-8") as file:
            header = next(csv.reader(file))
        assert [field["name"] for field in record_set["field"]] == header
    fields = {field["name"]: field for field in metadata["recordSet"][0]["field"]}
    assert all(f"[{label.unit}]" in fields[label.name]["description"] for label in LABELS)
    for file in metadata["distribution"]:
        assert file["sha256"] == sha256(release / file["contentUrl"])


def test_the_release_has_the_version_and_date_of_the_citation(release):
    date = release_date(ROOT / "CITATION.cff")
    metadata = json.loads((release / "croissant.json").read_text(encoding="utf-8"))
    assert (metadata["version"], metadata["datePublished"]) == (__version__, date)
    assert metadata["keywords"] == [*KEYWORDS]


def test_the_address_is_that_of_the_doi_once_the_citation_has_one(release, tmp_path):
    path = tmp_path / "CITATION.cff"
    path.write_text("doi: 10.5281/zenodo.1\nreferences:\n  - type: article\n    doi: 10.1/2\n")
    assert address(path) == "https://doi.org/10.5281/zenodo.1"
    assert describe(release, 6, "2026-01-31", address(path))["url"] == address(path)
    path.write_text("references:\n  - type: article\n    doi: 10.1/2\n")
    assert address(path) is None
    assert "url" not in describe(release, 6, "2026-01-31", address(path))


def test_a_citation_of_another_version_is_refused(tmp_path):
    path = tmp_path / "CITATION.cff"
    path.write_text("version: 9.9.9\ndate-released: 2026-01-31\n")
    with pytest.raises(ParseError, match=f"expected version: {__version__}, found 9.9.9"):
        release_date(path)


def test_a_citation_without_a_date_is_refused(tmp_path):
    path = tmp_path / "CITATION.cff"
    path.write_text(f"version: {__version__}\ndate-released: soon\n")
    with pytest.raises(ParseError, match="expected date-released: YYYY-MM-DD, found none"):
        release_date(path)


def test_a_second_release_replaces_the_first(built, tmp_path):
    archive = built / "dataset_combined.npz"
    first = write_release(tmp_path, archive, ROOT)
    (first / "LICENSE").write_text("changed")
    cache = first / "twobody" / "__pycache__"
    cache.mkdir()
    (cache / "images.pyc").write_bytes(b"")
    assert write_release(tmp_path, archive, ROOT) == first
    assert (first / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert not cache.exists()
    assert list(tmp_path.iterdir()) == [first]


@pytest.mark.parametrize("name", ["notes.txt", ".git/HEAD", "twobody/mine.py"])
def test_a_folder_that_holds_something_else_is_refused_before_the_build(name, built, tmp_path):
    target = write_release(tmp_path, built / "dataset_combined.npz", ROOT)
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text("mine")
    output = tmp_path / "new.npz"
    arguments = [str(built / "raw_data"), str(output), "--release", str(tmp_path)]
    result = CliRunner().invoke(build_dataset.main, arguments)
    assert result.exit_code == 1
    assert f"found {name}" in result.output
    assert (target / name).read_text() == "mine"
    assert not output.exists()


def test_a_file_in_the_place_of_the_release_is_refused(tmp_path):
    (tmp_path / "TwoBody").write_text("mine")
    with pytest.raises(ParseError, match="found TwoBody"):
        check_release(tmp_path, ROOT)


def test_a_release_below_a_file_is_refused_before_the_build(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ParseError, match="file: expected a folder, or nothing, found a file"):
        check_release(tmp_path / "file" / "release", ROOT)


def test_what_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(ParseError, match="a checkout of the repository, found no such file"):
        check_release(tmp_path, tmp_path)


def test_where_a_file_is_missing_nothing_appears_and_the_last_release_stays(built, tmp_path):
    archive = shutil.copy(built / "dataset_combined.npz", tmp_path / "dataset_combined.npz")
    shutil.copytree(built / "analysis", tmp_path / "analysis")
    folder = tmp_path / "release"
    target = write_release(folder, archive, ROOT)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    (tmp_path / "analysis" / "all_labels.csv").unlink()
    with pytest.raises(OSError, match="all_labels"):
        write_release(folder, archive, ROOT)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert list(folder.iterdir()) == [target]
    with pytest.raises(OSError, match="all_labels"):
        write_release(tmp_path / "other", archive, ROOT)
    assert list(Path(tmp_path / "other").iterdir()) == []
