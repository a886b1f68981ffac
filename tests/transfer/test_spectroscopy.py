"""Ground states from the database of diatomic molecules: what a line means, and what is refused."""

import math

import numpy as np
import pytest
from molecules_csv import B_1, line, table

from twobody.archive import read
from twobody.archive.layout import SHIPPED
from twobody.errors import ParseError
from twobody.transfer import spectroscopy
from twobody.transfer.spectroscopy import COLUMNS, installed_file, read_ground_states

ELEMENTS = ("H", "Li", "C", "O", "F", "Cu")


def measured(path, name, quantity):
    states = read_ground_states(path, ELEMENTS)
    return states.measured[quantity][states.names.tolist().index(name)]


def test_a_ground_state_gives_length_force_constant_depth_and_ionisation_energy(database):
    path = database(line("FH", mass=1.0, omega=1000, x=20, b=B_1 / 2.25, r=1.5, d0=4, ip=9))
    assert measured(path, "F_H", "r_e_ang") == 1.5
    # k = mu (2 pi c omega)^2; 58.918 N/m for 1 u and 1000 / cm.
    assert math.exp(measured(path, "F_H", "ln_k")) == pytest.approx(58.91831, rel=1e-6)
    # D_e = D_0 + omega / 2 - omega x / 4 = 4 eV + 495 / cm.
    assert measured(path, "F_H", "d_e_ev") == pytest.approx(4.06137217821, abs=1e-10)
    assert measured(path, "F_H", "ip_ev") == 9


def test_what_is_missing_stays_missing(database):
    path = database(line("CuO", omega=600, d0=3))  # no anharmonicity: no D_e
    states = read_ground_states(path, ELEMENTS)
    assert states.names.tolist() == ["Cu_O"]
    missing = {name: bool(np.isnan(values[0])) for name, values in states.measured.items()}
    assert missing == {"r_e_ang": True, "ln_k": False, "d_e_ev": True, "ip_ev": True}


def test_only_states_called_x_at_zero_are_ground_states(database):
    path = database(
        line("CO", r=1.1),
        line("CO", state=r"A $^1\Pi$", t_e=65075, r=9.0),
        line("CO", state=r"X$_2$ $^3\Pi$", t_e=120, r=9.0),
        line("CO", state=r"X$_3$ $^3\Pi$", t_e="", r=9.0),
        line("LiF", state=r"X $^1\Sigma$", t_e="", r=9.0),
        line("CuF", state=r"$X^1\Sigma^+$", r=1.7),
    )
    states = read_ground_states(path, ELEMENTS)
    assert dict(zip(states.names.tolist(), states.measured["r_e_ang"].tolist(), strict=True)) == {
        "C_O": 1.1,
        "Cu_F": 1.7,
    }


def test_rows_of_one_molecule_complement_each_other_and_their_mean_is_taken(database):
    path = database(line("LiH", r=1.5, d0=2.0), line("LiH", r=1.6, ip=7.0))
    assert measured(path, "H_Li", "r_e_ang") == pytest.approx(1.55)
    assert measured(path, "H_Li", "ip_ev") == 7.0


def test_a_deuteride_speaks_where_no_hydride_does(database):
    path = database(
        line("CuH", mass=1.0, omega=1900, r=1.46),
        line("CuD", mass=2.0, omega=1300, r=1.99, ip=8.0),
        line("DF", mass=2.0, omega=1000, r=0.9),
    )
    assert measured(path, "Cu_H", "r_e_ang") == 1.46
    assert measured(path, "Cu_H", "ip_ev") == 8.0
    assert measured(path, "F_H", "r_e_ang") == 0.9
    # The force constant is that of the hydride of the same curve: k = mu omega^2.
    assert math.exp(measured(path, "F_H", "ln_k")) == pytest.approx(2 * 58.91831, rel=1e-6)


@pytest.mark.parametrize(("r", "fine"), [(1.014, True), (1.016, False), (0.984, False)])
def test_a_length_that_b_e_contradicts_is_not_used(database, r, fine):
    path = database(line("CO", omega=1000, x=20, b=B_1, r=r, d0=4), line("CuF", r=1.7))
    states = read_ground_states(path, ELEMENTS)
    assert states.contradictory == (() if fine else ("C_O",))
    assert np.isfinite(states.measured["r_e_ang"][0]) == fine
    assert np.isfinite(states.measured["ln_k"][0]) == fine  # the mass may be what is wrong
    assert states.measured["d_e_ev"][0] == pytest.approx(4.06137217821)


def test_molecules_of_other_elements_are_left_out(database):
    path = database(line("CO", r=1.1), line("HoF", r=1.9), line("PD", r=1.4))
    assert read_ground_states(path, ELEMENTS).names.tolist() == ["C_O"]


def lines_with(k, cell):
    cells = line("CO", omega=1000, x=20, b=B_1, r=1.0, d0=4)
    cells[k] = cell
    return table(line("LiF"), cells)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "1: expected the columns Molecule, Electronic state"),
        (table().replace(b"Re (", b"R0 ("), "1: expected the columns Molecule, Electronic state"),
        (table(line()[:-1]), "2: expected 14 cells, found 13"),
        (lines_with(0, "C2O"), "3: expected the symbols of two elements, found 'C2O'"),
        (lines_with(0, "CX"), "3: expected the symbols of two elements, found 'CX'"),
        (lines_with(0, "Cu"), "3: expected the symbols of two elements, found 'Cu'"),
        (lines_with(1, " "), "3: expected an electronic state, found ''"),
        (lines_with(2, ""), "3: expected Reduced mass, found ''"),
        (lines_with(2, "0"), "3: expected Reduced mass above 0, found '0'"),
        (lines_with(4, "1.0.0"), "3: expected omega_e (cm^{-1}), a number, found '1.0.0'"),
        (lines_with(9, "nan"), r"3: expected Re (\AA), a number, found 'nan'"),
        (lines_with(9, "-1.2"), r"3: expected Re (\AA) above 0, found '-1.2'"),
        (table(line()) + b'"CO,', "3: expected comma-separated values, found unexpected end"),
        (table(line("HoF")), " expected ground states of pairs of the archive, found none"),
    ],
)
def test_a_damaged_file_is_refused_with_file_line_expected_and_found(database, data, message):
    path = database(data)
    with pytest.raises(ParseError) as caught:
        read_ground_states(path, ELEMENTS)
    assert str(caught.value).startswith(f"{path}:{message}")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ParseError, match="expected a readable file, found No such file"):
        read_ground_states(tmp_path / "nothing.csv", ELEMENTS)


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(spectroscopy, "data_folder", lambda _: None)
    with pytest.raises(ParseError, match=r"pip install diatomics.* or its file given with"):
        installed_file()


def test_the_real_database_holds_160_of_the_pairs():
    try:
        path = installed_file()
    except ParseError:
        pytest.skip("needs the package diatomics")
    pairs = read(SHIPPED)
    states = read_ground_states(path, np.unique(pairs.elements).tolist())
    assert len(states.names) == 160
    counts = {name: int(np.isfinite(v).sum()) for name, v in states.measured.items()}
    assert counts == {"r_e_ang": 153, "ln_k": 154, "d_e_ev": 134, "ip_ev": 43}
    assert states.contradictory == ("Al_Br", "Al_S", "Au_S", "Br_Cu", "Cl_Sc", "Mg_O")
    assert set(states.names.tolist()) < set(pairs.names.tolist())


def test_the_columns_are_those_of_the_database():
    assert len(COLUMNS) == 14
    assert COLUMNS[8].startswith("De (10^{-7}cm")  # the distortion, which is not read
