"""CrysMTM: clusters and labels by temperature, never one structure on both sides of a split."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import crysmtm_files as raw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shipped import ROOT

from twobody.transfer.crysmtm import PHASES, TARGETS, TEMPERATURES, crysmtm

ID, OOD = TEMPERATURES["id"], TEMPERATURES["ood"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Write a folder that nobody changes."""
    return raw.write(tmp_path_factory.mktemp("crysmtm") / "data")


def structure_of(name):
    """Return the name of what a rotation is a rotation of."""
    return name.rpartition("/")[0]


def test_every_temperature_is_in_one_part():
    parts = sorted(kelvin for part in TEMPERATURES.values() for kelvin in part)
    assert parts == list(raw.TEMPERATURES)


def test_the_tests_are_those_of_the_authors():
    assert ID == (250, 450, 650, 750, 800)
    assert OOD == (0, 50, 100, 900, 950, 1000)


def test_the_page_of_these_data_says_the_same():
    page = (ROOT / "docs" / "transfer_data.md").read_text(encoding="utf-8")
    for parameter, target in TARGETS.items():
        assert f"| `{parameter}` | `{target}` |" in page
    for part, temperatures in TEMPERATURES.items():
        listed = ", ".join(map(str, temperatures))
        assert f"| `{part}` | {listed} | {3 * len(temperatures)} |" in page


def test_a_structure_is_a_phase_at_a_temperature(whole):
    source = crysmtm(whole)
    assert source.name == "crysmtm-id"
    names = source.structures.names
    assert names[:9].tolist() == [
        *(f"anatase/{kelvin}K/rot_0" for kelvin in (150, 200, 350, 400, 500, 550, 700, 850)),
        "brookite/150K/rot_0",
    ]
    assert [len(part) for part in (source.train, source.validation, source.test)] == [24, 6, 15]
    assert np.concatenate([source.train, source.validation, source.test]).tolist() == [*range(45)]
    expected = [f"{phase}/{kelvin}K/rot_0" for phase in PHASES for kelvin in ID]
    assert names[source.test].tolist() == expected


def test_the_other_test_has_the_same_training(whole):
    near, far = crysmtm(whole), crysmtm(whole, test="ood")
    assert far.name == "crysmtm-ood"
    for part in ("train", "validation"):
        names = [source.structures.names[getattr(source, part)] for source in (near, far)]
        assert names[0].tolist() == names[1].tolist()
    expected = [f"{phase}/{kelvin}K/rot_0" for phase in PHASES for kelvin in OOD]
    assert far.structures.names[far.test].tolist() == expected


def test_atoms_and_positions(whole):
    structures = crysmtm(whole).structures
    row = structures.names.tolist().index("rutile/300K/rot_0")
    assert np.diff(structures.offsets)[[0, row]].tolist() == [6, 9]
    atoms = slice(*structures.offsets[row : row + 2])
    assert structures.atomic_numbers[atoms].tolist() == [22, 8, 8] * 3
    assert structures.positions[atoms][[0, 8]].tolist() == [[300, 0, 0], [308, 0, -2]]
    assert structures.forces is None
    assert len(structures.positions) == structures.offsets[-1] == 15 * (6 + 6 + 9)


def test_targets_have_their_units_in_their_names(whole):
    structures = crysmtm(whole).structures
    row = structures.names.tolist().index("brookite/250K/rot_0")
    assert {name: values[row] for name, values in structures.targets.items()} == {
        "E_HOMO_eV": 1000.25,
        "E_LUMO_eV": 999.25,
        "E_g_eV": 998.25,
        "fermi_level_eV": 997.25,
        "total_energy_eV": 996.25,
        "total_energy_per_atom_eV": 995.25,
        "max_displacement_Ang": 994.25,
        "volume_expansion_Ang3": 993.25,
        "Ti_O_bond_change_Ang": 992.25,
    }


def test_rotations_are_those_of_the_lowest_numbers(whole):
    structures = crysmtm(whole, rotations=2).structures
    assert structures.names[:3].tolist() == [
        *("anatase/150K/rot_0", "anatase/150K/rot_1", "anatase/200K/rot_0"),
    ]
    assert structures.positions[structures.offsets[1]].tolist() == [150, 1, 0]
    # 0, 1 and 10, and no more although more are asked for
    assert len(crysmtm(whole, rotations=99).structures) == 3 * 45


def test_rotations_of_a_structure_have_its_labels(whole):
    structures = crysmtm(whole, rotations=3).structures
    for name in TARGETS.values():
        values = structures.targets[name].reshape(45, 3)
        assert np.array_equal(values, values[:, :1].repeat(3, axis=1))


@settings(max_examples=10, deadline=None)
@given(
    counts=st.lists(st.integers(1, 4), min_size=63, max_size=63),
    test=st.sampled_from(["id", "ood"]),
    rotations=st.integers(1, 5),
)
def test_no_structure_is_on_both_sides_however_it_is_turned(counts, test, rotations):
    left = iter(counts)
    with TemporaryDirectory() as folder:
        root = raw.write(Path(folder) / "data", lambda *_: range(next(left)))
        source = crysmtm(root, test, rotations)
    names = source.structures.names
    rows = [source.train, source.validation, source.test]
    assert np.sort(np.concatenate(rows)).tolist() == list(range(len(names)))
    assert len(set(names.tolist())) == len(names)
    parts = [{structure_of(name) for name in names[part].tolist()} for part in rows]
    assert [len(part) for part in parts] == [24, 6, 3 * len(TEMPERATURES[test])]
    assert len(set.union(*parts)) == sum(map(len, parts))


def test_an_empty_value_is_missing(tmp_path):
    root = raw.write(tmp_path / "data")
    text = (
        (root / "labels.csv").read_text().replace("Anatase,150K,disp,-5.8500", "Anatase,150K,disp,")
    )
    (root / "labels.csv").write_text(text)
    displacements = crysmtm(root).structures.targets["max_displacement_Ang"]
    assert np.flatnonzero(np.isnan(displacements)).tolist() == [0]


def test_other_files_columns_parameters_and_temperatures_are_left_alone(tmp_path, whole):
    root = raw.write(tmp_path / "data")
    folder = root / "anatase" / "150K"
    for name in ("rot_x.xyz", "rot_0.xyz.bak", "rot_00.xyz", ".DS_Store"):
        (folder / "xyz" / name).write_text("nothing")
    (folder / "text").mkdir()
    rows = [*raw.labels(), "rutile,25K,HOMO,1\n", "rutile,300K,width,x\n"]
    text = "\ufeffn," + "1,".join(rows).replace("\n", "\r\n")  # as a spreadsheet leaves it
    (root / "labels.csv").write_bytes(text.encode())
    source, expected = crysmtm(root), crysmtm(whole)
    assert source.structures.names.tolist() == expected.structures.names.tolist()
    for name, values in expected.structures.targets.items():
        assert np.array_equal(source.structures.targets[name], values)


def test_an_unknown_test_or_no_rotation(whole):
    with pytest.raises(ValueError, match=r"^no test 'far' in CrysMTM; it has id, ood$"):
        crysmtm(whole, test="far")
    with pytest.raises(ValueError, match=r"^0 rotations of a structure; at least 1 is needed$"):
        crysmtm(whole, rotations=0)
