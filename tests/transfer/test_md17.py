"""Revised MD17: energies and forces in eV, and the authors' own folds."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest

pytest.importorskip("torch_geometric")

import md17_files as raw
from torch_geometric.datasets import MD17

from twobody.transfer.md17 import EV_PER_KCAL_PER_MOL, MOLECULES, md17


def test_a_kilocalorie_per_mole_in_electronvolts():
    # 4184 J / (96 485.332 123 310 018 4 C), Faraday's constant as CODATA 2018 prints it
    assert pytest.approx(4184 / 96485.3321233100184, rel=1e-15) == EV_PER_KCAL_PER_MOL
    assert round(EV_PER_KCAL_PER_MOL, 10) == 0.0433641042


def test_the_ten_molecules():
    names = "benzene, uracil, naphthalene, aspirin, salicylic acid, malonaldehyde, ethanol, "
    assert ", ".join(MOLECULES) == names + "toluene, paracetamol, azobenzene"


def test_what_the_index_files_name_is_read_in_their_order(tmp_path):
    raw.write(tmp_path)
    source = md17(tmp_path, "ethanol")
    structures = source.structures
    assert source.name == "md17-ethanol-1"
    assert structures.names.tolist() == ["4", "0", "3", "5", "1"]
    assert structures.offsets.tolist() == [0, 3, 6, 9, 12, 15]
    assert structures.atomic_numbers.tolist() == [8, 1, 1] * 5
    assert structures.positions[:3].tolist() == [[4, 0, 0], [4, 0.96, 0], [4, -0.24, 0.93]]
    assert structures.positions[::3, 0].tolist() == [4, 0, 3, 5, 1]


def test_energies_and_forces_are_in_electronvolts(tmp_path):
    raw.write(tmp_path)
    structures = md17(tmp_path, "ethanol").structures
    assert list(structures.targets) == ["energy_eV"]
    # -97199.125 × 0.04336410424180094
    assert structures.targets["energy_eV"][0] == pytest.approx(-4214.95298871184, abs=1e-9)
    assert structures.targets["energy_eV"].dtype == np.float64
    # the first force of structure 4 is (36, 37, 38) kcal/mol/Å
    expected = [1.561107752705, 1.604471856947, 1.647835961188]
    assert structures.forces[0] == pytest.approx(expected, abs=1e-12)
    assert structures.forces[3].tolist() == [0, 1 * EV_PER_KCAL_PER_MOL, 2 * EV_PER_KCAL_PER_MOL]


def test_the_last_twentieth_of_the_training_index_is_for_validation(tmp_path):
    n = 2000
    train, test = np.random.default_rng(0).permutation(n).reshape(2, 1000)
    many = {
        "coords": np.zeros((n, 3, 3)),
        "energies": np.arange(n, dtype=float),
        "forces": np.zeros((n, 3, 3)),
    }
    lines = ["".join(f"{row}\n" for row in rows) for rows in (train, test)]
    raw.write(tmp_path, train=lines[0], test=lines[1], fold=3, **many)
    source = md17(tmp_path, "ethanol", fold=3)
    names = source.structures.names.astype(int)
    assert names[source.train].tolist() == train[:950].tolist()
    assert names[source.validation].tolist() == train[950:].tolist()
    assert names[source.test].tolist() == test.tolist()
    energies = source.structures.targets["energy_eV"]
    assert energies == pytest.approx(names * EV_PER_KCAL_PER_MOL, rel=1e-15)


def test_a_molecule_with_a_blank_in_its_name(tmp_path):
    raw.write(tmp_path, molecule="salicylic")
    assert md17(tmp_path, "salicylic acid").name == "md17-salicylic-acid-1"


def test_index_files_without_a_last_line_end_or_of_windows(tmp_path):
    raw.write(tmp_path, train="4\r\n0\r\n3\r\n", test="5\n1")
    assert md17(tmp_path, "ethanol").structures.names.tolist() == ["4", "0", "3", "5", "1"]


def test_arrays_in_fortran_order_read_the_same(tmp_path):
    members = raw.arrays()
    raw.write(tmp_path)
    expected = md17(tmp_path, "ethanol").structures
    raw.write(tmp_path, **{k: np.asfortranarray(members[k]) for k in ("coords", "forces")})
    structures = md17(tmp_path, "ethanol").structures
    assert np.array_equal(structures.positions, expected.positions)
    assert np.array_equal(structures.forces, expected.forces)


def test_the_class_of_pytorch_geometric_reads_the_same_but_rounds(tmp_path):
    raw.write(tmp_path)
    ours = md17(tmp_path, "ethanol").structures
    theirs = MD17(str(tmp_path), "revised ethanol")
    assert len(theirs) == 6
    for k, name in enumerate(ours.names):
        data = theirs[int(name)]
        atoms = slice(*ours.offsets[k : k + 2])
        assert data.z.tolist() == ours.atomic_numbers[atoms].tolist()
        assert np.array_equal(data.pos.numpy(), ours.positions[atoms].astype(np.float32))
        forces = ours.forces[atoms] / EV_PER_KCAL_PER_MOL
        assert data.force.numpy() == pytest.approx(forces, rel=1e-6)
    energy = float(theirs[0].energy) * EV_PER_KCAL_PER_MOL
    lost = abs(energy - ours.targets["energy_eV"][1])
    assert 1e-5 < lost < 2e-4  # eV: at -97 000 kcal/mol the steps of a float32 are 1/128 kcal/mol


@raw.unpacked_by_torch_geometric
def test_what_pytorch_geometric_downloads_is_read(tmp_path, monkeypatch):
    raw.write(tmp_path / "made")
    archive = tmp_path / "rmd17.tar.bz2"
    with tarfile.open(archive, "w:bz2") as file:
        file.add(tmp_path / "made" / "raw" / "rmd17", "rmd17")
    monkeypatch.setattr(MD17, "revised_url", archive.as_uri())
    root = tmp_path / "root"
    root.mkdir()
    assert md17(root, "ethanol").structures.names.tolist() == ["4", "0", "3", "5", "1"]
    assert (root / "raw/rmd17/npz_data/rmd17_ethanol.npz").exists()
