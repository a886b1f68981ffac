"""Pairs as other programs read them: ASE, Hugging Face; whole, and with what is missing missing."""

import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from shipped import ROOT, SMALL

import check_npz
from twobody import ParseError
from twobody.archive.writer import write
from twobody.encodings.published import PUBLISHED
from twobody.labels import LABELS, NUMERIC_LABELS
from twobody.publish.exports import export


@pytest.fixture(scope="module")
def path(small, tmp_path_factory):
    """The archive of the six pairs."""
    path = tmp_path_factory.mktemp("archive") / "small.npz"
    with path.open("wb") as file:
        write(file, small)
    return path


def run(path, *arguments):
    return CliRunner().invoke(check_npz.main, [str(path), *map(str, arguments)])


@pytest.fixture
def frames(path, tmp_path):
    """The lines of the extended XYZ file, by pair."""
    result = run(path, "--export", tmp_path / "pairs.extxyz")
    assert (result.exit_code, result.output) == (0, "")
    lines = (tmp_path / "pairs.extxyz").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 * len(SMALL)
    return dict(zip(SMALL, (lines[k : k + 4] for k in range(0, len(lines), 4)), strict=True))


def test_a_frame_has_the_atoms_and_labels_of_a_pair(frames):
    number, comment, first, second = frames["H_Li"]
    assert number == "2"
    assert [first.split()[0], second.split()[0]] == ["H", "Li"]
    assert [float(x) for x in first.split()[1:]] == pytest.approx([0, 0, -0.09238595], rel=1e-7)
    assert [float(x) for x in second.split()[1:]] == pytest.approx([0, 0, 1.68238595], rel=1e-7)
    assert comment.startswith("Properties=species:S:1:pos:R:3 pair_name=H_Li energy=-13.2")
    assert " e_g_ev=3.157 " in comment
    assert " metal_like=0 " in comment
    assert comment.endswith(' n_atoms=2 pbc="F F F"')


def test_a_label_that_a_pair_lacks_is_not_in_its_frame(frames):
    assert "e_g_ev=" in frames["H_H"][1]
    assert "e_g_ev=" not in frames["He_He"][1]
    assert not any("nan" in line or "-0.0 " in line for frame in frames.values() for line in frame)


def test_ase_reads_positions_energies_and_labels(path, small, tmp_path):
    ase_io = pytest.importorskip("ase.io")
    assert run(path, "--export", tmp_path / "pairs.extxyz").exit_code == 0
    read = ase_io.read(tmp_path / "pairs.extxyz", index=":")
    energies = [atoms.get_potential_energy() for atoms in read]
    assert energies == small.label("total_energy_ev").tolist()
    for i, atoms in enumerate(read):
        assert atoms.get_chemical_symbols() == small.elements[i].tolist()
        np.testing.assert_array_equal(
            atoms.positions.astype(np.float32), small.geometries[i, :, :3]
        )
        assert not atoms.pbc.any()
        assert atoms.info["pair_name"] == SMALL[i]
        for label in NUMERIC_LABELS:
            value = atoms.info.get(label.name, np.nan)
            np.testing.assert_array_equal(value, small.label(label.name)[i])


@pytest.fixture
def table(path, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    result = run(path, "--export", tmp_path / "pairs.parquet")
    assert (result.exit_code, result.output) == (0, "")
    return parquet.read_table(tmp_path / "pairs.parquet")


def test_a_parquet_file_has_a_row_a_pair_with_labels_geometry_and_channels(table, small):
    assert table["pair_name"].to_pylist() == list(SMALL)
    assert set(table.column_names) >= {label.name for label in LABELS} | {"element_2", "z2"}
    gaps = table["e_g_ev"].to_pylist()
    assert gaps[SMALL.index("H_Li")] == 3.157
    assert gaps[SMALL.index("He_He")] is None
    types = {label.name: str(table.schema.field(label.name).type) for label in LABELS}
    assert types == {
        label.name: {"number": "double", "text": "string"}.get(label.kind, "int64")
        for label in LABELS
    }
    channels = np.array(table["channels"].to_pylist(), np.float32)
    np.testing.assert_array_equal(channels, small.images[:], strict=True)


def test_the_library_datasets_finds_the_kinds_of_all_columns(table):
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == table.column_names
    assert features["picture"] == {"_type": "Image"}
    channels = {"shape": [10, 32, 32], "dtype": "float32", "_type": "Array3D"}
    assert features["channels"] == channels
    assert features["e_g_ev"] == {"dtype": "float64", "_type": "Value"}
    about = json.loads(table.schema.metadata[b"twobody"])
    assert (about["encoding"], about["channels"]) == ("published", [*PUBLISHED.channel_names])


def test_a_label_that_no_pair_has_keeps_its_type_and_a_count_beyond_64_bits_is_refused(
    small, tmp_path
):
    parquet = pytest.importorskip("pyarrow.parquet")
    names, values = small.label_names.tolist(), small.label_values.copy()
    values[:, [names.index("e_g_ev"), names.index("n_levels")]] = np.nan
    export(tmp_path / "pairs.parquet", replace(small, label_values=values))
    read = parquet.read_table(tmp_path / "pairs.parquet")
    assert [str(read.schema.field(name).type) for name in ("e_g_ev", "n_levels")] == [
        *("double", "int64")
    ]
    assert read["n_levels"].to_pylist() == [None] * 6
    values[2, names.index("n_levels")] = 1e30
    with pytest.raises(ParseError, match="expected n_levels of 64 bits"):
        export(tmp_path / "pairs.parquet", replace(small, label_values=values))


def test_a_picture_shows_the_channels_in_two_rows_from_black_to_white(table, small):
    image_module = pytest.importorskip("PIL.Image")
    row = SMALL.index("H_Li")
    data = table["picture"][row]["bytes"].as_py()
    picture = np.asarray(image_module.open(io.BytesIO(data)))
    assert picture.shape == (128, 320)
    panels = picture[::2, ::2].reshape(2, 32, 5, 32).swapaxes(1, 2).reshape(10, 32, 32)
    for panel, image in zip(panels, small.images[row : row + 1][0], strict=True):
        if np.ptp(image) == 0:
            assert not panel.any()
            continue
        assert (panel.min(), panel.max()) == (0, 255)
        expected = 255 * (image - image.min()) / np.ptp(image)
        assert np.abs(panel - expected).max() <= 0.5 + 1e-4


def test_without_the_extra_parquet_says_what_to_install_and_writes_nothing(path, tmp_path):
    program = "import sys; sys.modules['pyarrow'] = None; import check_npz; check_npz.main()"
    command = [sys.executable, "-c", program, str(path), "--export", str(tmp_path / "out.parquet")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert (
        'Parquet files need pyarrow: python -m pip install "twobody-dataset[parquet]"'
        in result.stderr
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["pairs.csv", "pairs", "small.npz"])
def test_another_suffix_is_refused(name, path, tmp_path):
    result = run(path, "--export", tmp_path / name)
    assert result.exit_code == 2
    assert f"expected a new file with the suffix .extxyz or .parquet, found '{name}'" in (
        result.stderr
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", [["--json"], ["--verify"], ["--pair", "H_H"]])
def test_an_export_goes_with_no_other_mode(other, path, tmp_path):
    result = run(path, "--export", tmp_path / "pairs.extxyz", *other)
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []
