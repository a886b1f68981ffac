"""QM9 from the files of qm9pack: molecules, units, parts, and every kind of bad file."""

import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
from qm9_files import ACETYLENE, METHANE, WATER, made_up, write

from twobody import ParseError
from twobody.transfer import qm9 as module
from twobody.transfer.qm9 import installed_folder, qm9, read_pyg, read_qm9pack


def test_molecules_come_in_angstrom_and_electronvolt(tmp_path):
    molecules = read_qm9pack(write(tmp_path, [METHANE], [WATER], [ACETYLENE]))
    assert molecules.names.tolist() == ["gdb_1", "gdb_3", "gdb_4"]
    assert molecules.offsets.tolist() == [0, 5, 8, 12]
    assert molecules.atomic_numbers.tolist() == [6, 1, 1, 1, 1, 8, 1, 1, 6, 6, 1, 1]
    assert molecules.positions[0].tolist() == [-0.0126981359, 1.0858041578, 0.0080009958]
    assert molecules.positions[8].tolist() == [0.5995394918, 0.0, 1.0]
    found = {name: values[0] for name, values in molecules.targets.items()}
    # 0.5048 · 27.211386245988; (-40.47893 + 37.846772 + 4 · 0.500273) · 27.211386245988
    assert found["E_g_eV"] == pytest.approx(13.736307777, abs=1e-9)
    assert found["E_HOMO_eV"] == pytest.approx(-10.549854448, abs=1e-9)
    assert found["E_LUMO_eV"] == pytest.approx(3.186453329, abs=1e-9)
    assert found["U0_atomisation_eV"] == pytest.approx(-17.172180673, abs=1e-9)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "N_TEST", 4)
    monkeypatch.setattr(module, "N_VALIDATION", 2)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    package = tmp_path / "qm9pack"
    write(package / "data", *([made_up(k) for k in range(first, 30, 3)] for first in range(3)))
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return package


@pytest.mark.usefixtures("small_parts", "installed")
def test_parts_are_the_same_molecules_for_every_size():
    large, small = qm9("qm9-levels", 20), qm9("qm9-levels", 7)
    for part in ("test", "validation"):
        one, other = (s.structures.names[getattr(s, part)].tolist() for s in (large, small))
        assert one == other
    train = large.structures.names[large.train].tolist()
    assert small.structures.names[small.train].tolist() == train[:7]
    assert len(set(train) | set(large.structures.names[large.test].tolist())) == 24
    assert "qm9pack" not in sys.modules


@pytest.mark.usefixtures("small_parts", "installed")
def test_the_energy_alone_is_a_sum_over_atoms():
    levels, energy = qm9("qm9-levels", 7), qm9("qm9-energy", 7)
    assert list(levels.structures.targets) == ["E_g_eV", "E_HOMO_eV", "E_LUMO_eV"]
    assert list(energy.structures.targets) == ["U0_atomisation_eV"]
    assert levels.extensive == frozenset()
    assert energy.extensive == {"U0_atomisation_eV"}


@pytest.mark.usefixtures("small_parts", "installed")
def test_more_molecules_than_there_are_are_refused():
    with pytest.raises(ParseError, match=r"expected 36 molecules, 4 and 2 of them .* found 30"):
        qm9("qm9-energy", 30)


def test_where_qm9pack_is_not_installed_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "data_folder", lambda _: None)
    with pytest.raises(ParseError, match="pip install qm9pack"):
        qm9("qm9-energy", 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"N_atoms": 6}, r"part1.csv:3: expected 6 atoms, found 5 elements, 5 positions"),
        ({"Elements": "['C','H','H','H','Cl']"}, r"part1.csv:3: expected the elements H, C, N, O"),
        ({"Elements": "['C','H','H','H','Xx']"}, r"part1.csv:3: expected elements and positions"),
        ({"Elements": "C H4"}, r"part1.csv:3: expected elements and positions"),
        ({"XYZ_Ang": METHANE["XYZ_Ang"][:-40]}, r"part1.csv:3: expected"),
        ({"XYZ_Ang": "[[0.,0.,nan]]" + METHANE["XYZ_Ang"][:0]}, r"part1.csv:3: expected 5 atoms"),
        ({"HOMO_au": ""}, r"part1.csv:3: expected a number as HOMO_au, found 'nan'"),
        ({"LUMO_au": "high"}, r"part1.csv:3: expected a number as LUMO_au, found 'high'"),
        ({"Index": 3}, r"expected each molecule once, found gdb_3 twice"),
    ],
)
def test_a_wrong_line_is_one_clear_error(change, message, tmp_path):
    write(tmp_path, [WATER, {**METHANE, **change}])
    with pytest.raises(ParseError, match=message):
        read_qm9pack(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    (write(tmp_path) / "qm9_part2.csv").unlink()
    with pytest.raises(ParseError, match=r"qm9_part2.csv: expected a file of qm9pack, found none"):
        read_qm9pack(tmp_path)


def test_another_table_is_refused(tmp_path):
    (write(tmp_path) / "qm9_part2.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ParseError, match=r"qm9_part2.csv: expected the columns of qm9pack"):
        read_qm9pack(tmp_path)


def test_molecules_of_torch_geometric_have_the_same_units(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    datasets = pytest.importorskip("torch_geometric.datasets")
    ours = read_qm9pack(write(tmp_path / "files", [METHANE], [WATER], [ACETYLENE]))
    y = torch.zeros(3, 19)  # its 19 properties, energies in eV
    for row, (homo, lumo, gap, u0_atomisation) in enumerate(
        [
            (-0.3877, 0.1171, 0.5048, -17.172181),
            (-0.2928, 0.0687, 0.3615, -9.240360),
            (-0.2845, 0.0506, 0.3351, -16.716961),
        ]
    ):
        y[row, 2:5] = torch.tensor([homo, lumo, gap]) * module.HARTREE
        y[row, 12] = u0_atomisation
    data = SimpleNamespace(
        y=y,
        z=torch.from_numpy(ours.atomic_numbers),
        pos=torch.from_numpy(ours.positions.round(4)).float(),
        name=ours.names.tolist(),
    )
    whole = SimpleNamespace(_data=data, slices={"z": torch.from_numpy(ours.offsets)})
    monkeypatch.setattr(datasets, "QM9", lambda _: whole)
    theirs = read_pyg(tmp_path)
    assert theirs.names.tolist() == ours.names.tolist()
    np.testing.assert_array_equal(theirs.offsets, ours.offsets)
    np.testing.assert_allclose(theirs.positions, ours.positions, atol=6e-5)
    for name, values in ours.targets.items():
        np.testing.assert_allclose(theirs.targets[name], values, atol=2e-4, err_msg=name)


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(ParseError, match=r"nowhere: expected a folder, found none"):
        read_pyg(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(find_spec("qm9pack") is None, reason="qm9pack is not installed")
def test_the_real_files_hold_130831_molecules():
    molecules = read_qm9pack(installed_folder())
    assert len(molecules) == 130_831
    u0 = molecules.targets["U0_atomisation_eV"]
    # What is published of the whole: a mean of about -76.1 eV, a deviation of 10.3 eV.
    assert u0.mean() == pytest.approx(-76.116, abs=1e-3)
    assert u0.std() == pytest.approx(10.3237, abs=1e-3)
