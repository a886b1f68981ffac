"""The benchmarks in small: that they run, and that the yardstick does the same job as the build."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from shipped import ROOT, SMALL

import build_dataset

pytest.importorskip("resource", reason="the system does not count the memory of processes")


@pytest.fixture
def plain_archive(small_raw_data, tmp_path):
    """Build the plain way; as a process, so that nothing of pandas reaches these tests."""
    command = [sys.executable, "-m", "speed.plain_builder", small_raw_data, tmp_path]
    subprocess.run(command, check=True, cwd=ROOT)
    return tmp_path / "dataset_combined.npz"


def test_the_plain_builder_makes_the_images_and_labels_of_the_build(
    plain_archive, small_raw_data, tmp_path
):
    output = tmp_path / "twobody.npz"
    result = CliRunner().invoke(build_dataset.main, [str(small_raw_data), str(output)])
    assert result.exit_code == 0, result.output
    with (
        np.load(plain_archive, allow_pickle=True) as plain,
        np.load(output, allow_pickle=True) as ours,
    ):
        for name in ("images", "geometries"):
            # 2 units in the last place of float32; 1e-12 of rounded sums that are 0 exactly.
            np.testing.assert_allclose(plain[name], ours[name], rtol=2**-22, atol=1e-12)
        for name in ("elements", "pair_names", "labels"):
            assert plain[name].tolist() == ours[name].tolist()
        for there, here in zip(plain["metadata"], ours["metadata"], strict=True):
            assert there.pop("bond_length") == pytest.approx(here.pop("bond_length"), rel=1e-15)
            assert there == here


def test_the_benchmark_of_the_build_measures_every_builder_phase_and_scale(
    small_raw_data, tmp_path
):
    file = tmp_path / "build.json"
    command = [sys.executable, "-m", "speed.bench_build", str(small_raw_data)]
    command += ["--repetitions", "1", "--factor", "1", "--factor", "3", "--json", str(file)]
    table = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    measured = [(row["what"], row["how"]) for row in rows]
    assert set(measured) >= {
        ("whole build", "plain"),
        ("whole build", "twobody, zlib"),
        ("parsing", "plain"),
        ("parsing", "twobody"),
        ("rendering", "plain"),
        ("rendering", "twobody"),
        ("rendering", "twobody, 1 thread"),
        ("scale", "1 x the pairs"),
        ("scale", "3 x the pairs"),
    }
    assert len(table.splitlines()) == 1 + len(rows)
    assert all(len(row["seconds"]) == 1 and row["seconds"][0] > 0 for row in rows)
    whole = [row for row in rows if row["what"] in ("whole build", "scale")]
    assert all(row["peak_mb"] > 1 and row["size_mb"] > 0 for row in whole)


def test_the_scaled_build_holds_every_pair_as_often_as_asked(small_raw_data, tmp_path):
    from speed import scale

    assert scale.build(small_raw_data, tmp_path, 3) == 3 * len(SMALL)
    with np.load(tmp_path / "dataset_combined.npz") as archive:
        assert archive["pair_names"].tolist() == [*SMALL] * 3
        images = archive["images"].reshape(3, len(SMALL), 10, 32, 32)
        assert (images[0] == images[2]).all()
        assert archive["label_values"].shape == (3 * len(SMALL), 36)
