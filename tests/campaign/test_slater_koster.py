import shutil

import pytest
from dftb_runs import OVERLAPS, homonuclear, write_skf

from twobody import ParseError
from twobody.campaign.slater_koster import SlaterKosterFiles, highest_shell


@pytest.fixture
def skf(tmp_path):
    """Return a function that writes a file and returns its highest shell."""

    def read(text):
        path = tmp_path / "A-A.skf"
        path.write_text(text)
        return highest_shell(text.split("\n"), path)

    return read


@pytest.mark.parametrize("shell", OVERLAPS)
def test_the_highest_shell_is_the_last_one_with_an_overlap(skf, shell):
    assert skf(homonuclear(shell)) == shell


def test_an_empty_shell_of_the_basis_counts_though_nothing_is_known_of_it_on_the_site(skf):
    # Homonuclear d overlaps, but no occupation, Hubbard value or on-site energy of d.
    text = homonuclear("d")
    assert text.splitlines()[1].split()[0] == "0"
    assert skf(text) == "d"


def test_on_site_values_of_a_shell_without_overlap_do_not_put_it_into_the_basis(skf):
    # Some sets give the Hubbard value of s for every shell.
    on_site = "0.4 0.3 -0.238547 0.000000 0.419 0.419 0.391066 0 0 1"
    lines = homonuclear("s").splitlines()
    assert skf("\n".join([lines[0], on_site, *lines[2:]])) == "s"


def test_one_distance_with_an_overlap_is_enough(skf):
    lines = homonuclear("s").splitlines()
    lines[6] = f"10*0.0 {OVERLAPS['p']}"
    assert skf("\n".join(lines)) == "p"


def test_the_extended_format_knows_f(skf):
    # Sff0 to 3, Sdf0 to 2, Sdd0 to 2, Spf0, Spf1, Spd0, Spd1, Spp0, Spp1, Ssf0, Ssd0, Ssp0, Sss0
    overlaps = "0.1 3*0.0 3*0.0 0.2 2*0.0 4*0.0 0.3 0.0 3*0.0 0.4"
    header = "@ with f\n0.02 3\n" + " ".join(["0.0"] * 12) + " 1\n1.0 19*0.0\n"
    rows = f"20*0.0 {overlaps}\n" * 2
    assert skf(header + rows) == "f"
    assert skf(header + rows.replace("0.1 3*0.0", "4*0.0")) == "d"
    assert skf(header + rows.replace("0.1 3*0.0", "4*0.0").replace("0.2", "0.0")) == "p"


def test_the_third_number_of_the_first_line_and_commas_are_legal(skf):
    assert skf(homonuclear("p").replace("0.020000000000, 5", "0.02,5,2")) == "p"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.020000000000, 5\n", "0.02\n", ":1: expected grid distance and number of grid points"),
        (", 5\n", ", five\n", ":1: expected the number of grid points, an integer"),
        (", 5\n", ", 1\n", ":1: expected at least two grid points, found 1"),
        (", 5\n", ", 9\n", ":8: expected 20 numbers, found 0"),
        ("0 0 -0.238547", "0 -0.238547", ":2: expected 10 numbers, found 9"),
        ("9*0.0 0.9", "9*0.0 *****", ":6: expected a repeat count"),
        ("9*0.0 0.9", "9*0.0 NaN", ":6: expected an integral, a number, found 'NaN'"),
        ("9*0.0 0.9", "8*0.0 0.9", ":6: expected 20 numbers, found 19"),
        ("9*0.0 0.9", "999999999*0.0 0.9", ":6: expected 20 numbers, found 21"),
        ("9*0.0 0.9", "10*0.0", "an overlap of the occupied s shell, found zero at every"),
        ("9*0.0 0.9", "0.5 8*0.0 0.9", "all shells from s up to the highest, found overlaps of sd"),
    ],
)
def test_a_damaged_file_is_refused(skf, old, new, message):
    text = homonuclear("s")
    assert old in text
    with pytest.raises(ParseError) as caught:
        skf(text.replace(old, new))
    assert message in str(caught.value)


def test_a_file_cut_after_its_first_line_is_refused(skf):
    with pytest.raises(ParseError, match=":2: expected 10 numbers, found 0"):
        skf("0.02, 5")


def test_a_heteronuclear_file_has_no_basis_to_tell(skf):
    text = "0.02 3\n1.0 19*0.0\n" + f"10*0.0 {OVERLAPS['s']}\n" * 3
    with pytest.raises(ParseError, match=":2: expected 10 numbers"):
        skf(text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.02, 5", "0.02", ":1: expected grid distance and number of grid points"),
        ("0.02, 5", "0.0, 5", ":1: expected a grid distance above 0, found 0.0"),
        ("0.02, 5", "nan, 5", ":1: expected the grid distance, a number, found 'nan'"),
        ("0.02, 5", "0.02, 6", ":7: expected an integral, a number, found 'Spline'"),
        ("0.02, 5", "0.02, 99999999999", ":7: expected an integral, a number"),
        ("0.4", "NaN", ":6: expected an integral, a number, found 'NaN'"),
        ("0.4", "1_0", ":6: expected an integral, a number, found '1_0'"),
        ("0.4", "0.4 0.4", ":6: expected 20 numbers, found 21"),
        ("10*-0.1 9*0.0 0.4", "1e999" + 19 * " 0.0", ":6: expected an integral, a number in the"),
        ("10*-0.1 9*0.0 0.4", "1-2" + 19 * " 0.0", ":6: expected an integral, a number, found"),
    ],
)
def test_a_damaged_heteronuclear_file_is_refused(tmp_path, old, new, message):
    folder = write_skf(tmp_path / "skf", {"H": "s", "O": "p"})
    path = folder / "H-O.skf"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    files = SlaterKosterFiles(folder)
    files.digest(("O", "O"))
    with pytest.raises(ParseError) as caught:
        files.digest(("H", "O"))
    assert f"H-O.skf{message}" in str(caught.value)


@pytest.mark.parametrize("row", [20 * " 0.25", " 2.5D-1" + 19 * " 0.25", "20*0.25", 20 * "0.25,"])
def test_rows_are_read_however_they_are_written(skf, row):
    lines = homonuclear("d").splitlines()
    lines[3] = row
    assert skf("\n".join(lines)) == "d"


def test_the_elements_of_a_folder_are_those_with_a_homonuclear_file(tmp_path):
    folder = write_skf(tmp_path / "skf", {"O": "p", "H": "s"})
    (folder / "O-O.skf").unlink()
    (folder / "X-X.skf").write_text("")
    assert SlaterKosterFiles(folder).elements() == ["H"]


def test_a_folder_without_slater_koster_files_is_refused(tmp_path):
    with pytest.raises(ParseError, match="expected a folder of Slater-Koster files"):
        SlaterKosterFiles(tmp_path).elements()


def test_the_digest_changes_with_each_file_that_a_run_reads_and_with_no_other(tmp_path):
    folder = write_skf(tmp_path / "skf", {"H": "s", "O": "p", "C": "p"})
    before = SlaterKosterFiles(folder).digest(("H", "O"))
    (folder / "C-H.skf").write_text("another")
    assert SlaterKosterFiles(folder).digest(("H", "O")) == before
    for name in ("H-H.skf", "H-O.skf", "O-H.skf", "O-O.skf"):
        copy = tmp_path / name
        shutil.copytree(folder, copy)
        with (copy / name).open("a") as file:
            file.write("another line below what is read\n")
        assert SlaterKosterFiles(copy).digest(("H", "O")) != before


def test_a_missing_file_of_a_pair_is_named(tmp_path):
    folder = write_skf(tmp_path / "skf", {"H": "s", "O": "p"})
    (folder / "O-H.skf").unlink()
    with pytest.raises(ParseError, match=r"O-H\.skf: expected a readable file"):
        SlaterKosterFiles(folder).digest(("H", "O"))
