"""CrysMTM: files that are missing or wrong, each refused in one line."""

from __future__ import annotations

from pathlib import Path

import crysmtm_files as raw
import pytest

from twobody.errors import ParseError
from twobody.transfer.crysmtm import crysmtm


def refused(root, *parts):
    """Return the message, one line, after checking that it names a file."""
    with pytest.raises(ParseError) as caught:
        crysmtm(root)
    message = str(caught.value)
    assert Path(caught.value.path) == root.joinpath(*parts)
    assert "\n" not in message
    return message.removeprefix(str(root.joinpath(*parts)))


def test_a_folder_that_is_not_there(tmp_path):
    message = refused(tmp_path / "typo", "labels.csv")
    assert message == ": expected a readable file, found No such file or directory"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "Parameter,Value",
            "Parameter,Wert",
            ":1: expected columns Polymorph, Temperature, Parameter, Value, found no Value",
        ),
        (
            "Anatase,0K,HOMO",
            "anatas,0K,HOMO",
            ":2: expected one of anatase, brookite, rutile, found 'anatas'",
        ),
        (
            "Anatase,0K,LUMO",
            "Anatase,0C,LUMO",
            ":3: expected a temperature in K, an integer, found '0C'",
        ),
        ("0K,HOMO,0.0000", "0K,HOMO,zero", ":2: expected HOMO, a number, found 'zero'"),
        ("0K,HOMO,0.0000", "0K,HOMO,inf", ":2: expected HOMO, a number, found 'inf'"),
        ("0K,HOMO,0.0000", "0K,HOMO", ":2: expected 4 cells, found more or fewer"),
        ("0K,HOMO,0.0000", "0K,HOMO,0,eV", ":2: expected 4 cells, found more or fewer"),
        ("0K,LUMO", "0K,HOMO", ":3: expected one HOMO of Anatase at 0 K, found a second"),
        ("0K,LUMO", '"0"K,LUMO', ":3: expected a table in CSV, found "),
        (
            "Rutile,650K,bond,1992.6500\n",
            "",
            ": expected a row rutile,650K,bond, found none",
        ),
    ],
)
def test_labels_that_are_wrong(tmp_path, old, new, message):
    root = raw.write(tmp_path / "data")
    text = (root / "labels.csv").read_text()
    assert old in text
    (root / "labels.csv").write_text(text.replace(old, new, 1))
    assert refused(root, "labels.csv").startswith(message)


def test_an_empty_file_of_labels(tmp_path):
    root = raw.write(tmp_path / "data")
    (root / "labels.csv").write_text("")
    assert refused(root, "labels.csv").startswith(":1: expected columns Polymorph, ")


def test_a_structure_without_a_folder_or_files(tmp_path):
    folder = ("brookite", "450K", "xyz")
    root = raw.write(tmp_path / "data")
    for path in root.joinpath(*folder).iterdir():
        path.unlink()
    assert refused(root, *folder) == ": expected a file rot_NUMBER.xyz, found none"
    root.joinpath(*folder).rmdir()
    assert refused(root, *folder) == ": expected a folder of rot_NUMBER.xyz, found none"


ATOM = "Ti or O and three coordinates"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: expected the number of atoms, an integer, found ''"),
        ("0\n\n", ":1: expected 0, the number of rows of atoms, found 0"),
        ("two\n\nTi 0 0 0\n", ":1: expected the number of atoms, an integer, found 'two'"),
        ("2\n\nTi 0 0 0\n", ":1: expected 1, the number of rows of atoms, found 2"),
        ("1\n\nTi 0 0 0\nO 0 0 1\n", ":1: expected 2, the number of rows of atoms, found 1"),
        ("2\n\nTi 0 0 0\nO 0 0\n", f":4: expected {ATOM}, found 'O 0 0'"),
        ("2\n\nTi 0 0 0\nO 0 0 1 2\n", f":4: expected {ATOM}, found 'O 0 0 1 2'"),
        ("2\n\nSi 0 0 0\nO 0 0 1\n", f":3: expected {ATOM}, found 'Si 0 0 0'"),
        ("2\n\nTi 0 0 0\n\nO 0 0 1\n", ":1: expected 3, the number of rows of atoms, found 2"),
        ("2\n\nTi 0 0 0\nO 0 nan 1\n", ":4: expected a coordinate, a number, found 'nan'"),
    ],
)
def test_clusters_that_are_wrong(tmp_path, text, message):
    root = raw.write(tmp_path / "data", lambda *_: (3,))
    path = ("rutile", "800K", "xyz", "rot_3.xyz")
    root.joinpath(*path).write_text(text)
    assert refused(root, *path) == message


def test_a_cluster_that_is_no_text(tmp_path):
    root = raw.write(tmp_path / "data", lambda *_: (3,))
    path = ("rutile", "800K", "xyz", "rot_3.xyz")
    root.joinpath(*path).write_bytes(b"1\n\nTi 0 0 \xff\n")
    assert refused(root, *path) == ":3: expected UTF-8 text, found byte 0xff"
