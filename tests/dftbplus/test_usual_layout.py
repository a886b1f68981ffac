"""The fast path through raw data gives what the readers give, bit for bit, or gives way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped import RAW_DATA, SMALL

from twobody.dftbplus import usual_layout
from twobody.dftbplus.detailed_out import SCALARS
from twobody.dftbplus.usual_layout import read_usual
from twobody.files import InputDigest
from twobody.pairs import distances, empty_rows
from twobody.raw_data import folders
from twobody.raw_data.folders import BAND_OUT, DETAILED_OUT, GEO_END_XYZ, find_pairs

ALL_PAIRS = find_pairs(RAW_DATA)[0]


def files_of(name: str) -> folders._Folder:
    return folders._read_files(str(RAW_DATA / name))


def changed(name: str, file: str, data: bytes) -> folders._Folder:
    files = files_of(name)
    return files._replace(contents=files.contents | {file: data})


def read_fast(*files: folders._Folder) -> tuple[list[bool], bytes]:
    """Return which pairs the fast path takes, and the bytes of what it fills."""
    rows, scalars = empty_rows(len(files)), empty_rows(len(files), SCALARS)
    read = read_usual([f.texts for f in files], rows, scalars)
    return read.tolist(), rows.tobytes() + scalars.tobytes()


def read_slowly(
    *files: folders._Folder, allow_unconverged: bool = False
) -> tuple[list[bool], bytes]:
    """Return which pairs the readers take, and the bytes of what is filled with them."""
    rows, scalars = empty_rows(len(files)), empty_rows(len(files), SCALARS)
    read = []
    for i, each in enumerate(files):
        pair, errors = folders._parse(each, allow_unconverged=allow_unconverged)
        assert (pair is None) == bool(errors)
        read.append(pair is not None)
        if pair is not None:
            folders.fill(rows[i], scalars[i], pair.detailed, pair.geometry, pair.levels)
    return read, rows.tobytes() + scalars.tobytes()


def test_every_shipped_pair_is_read_fast_with_the_bits_of_the_readers():
    files = [files_of(name) for name in ALL_PAIRS]
    read, values = read_fast(*files)
    assert all(read)
    assert read_slowly(*files) == (read, values)


def test_pairs_that_do_not_fit_keep_their_place_among_those_that_do(tmp_path):
    names = ["H_H", "H_He", "H_Li"]
    for name in names:
        (tmp_path / name).mkdir()
        for file, data in files_of(name).contents.items():
            (tmp_path / name / file).write_bytes(data)
    detailed = tmp_path / "H_He" / DETAILED_OUT
    detailed.write_bytes(detailed.read_bytes().replace(b"\n", b"\r\n"))
    rows, scalars, problems = folders.read_pairs(tmp_path, names, InputDigest())
    assert problems == []
    expected, expected_scalars, _ = folders.read_pairs(RAW_DATA, names, InputDigest())
    assert rows.tobytes() == expected.tobytes()
    assert scalars.tobytes() == expected_scalars.tobytes()
    np.testing.assert_array_equal(rows["bond_length"], distances(rows["positions"]))


def test_what_is_read_is_hashed_in_the_order_of_the_names_whatever_reads_it():
    expected, found = InputDigest(), InputDigest()
    for name in SMALL:
        for file in (DETAILED_OUT, GEO_END_XYZ):  # of the levels nothing gets into an archive
            expected.add(f"{name}/{file}", files_of(name).contents[file])
    folders.read_pairs(RAW_DATA, SMALL, found)
    assert found.hexdigest() == expected.hexdigest()


BYTES = b" \n\r\t-+.,0123456789eEdDnN*/:\x00\xff"


@st.composite
def mutated(draw: st.DrawFn) -> folders._Folder:
    """A shipped pair in which a few bytes of one file are another, missing or doubled."""
    name = draw(st.sampled_from(SMALL))
    file = draw(st.sampled_from([DETAILED_OUT, GEO_END_XYZ, BAND_OUT]))
    data = bytearray(files_of(name).contents[file])
    for _ in range(draw(st.integers(1, 3))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["replace", "digit", "delete", "insert", "cut", "double"]))
        if kind == "replace":
            data[at] = draw(st.sampled_from(BYTES))
        elif kind == "digit":  # the nearest digit from there on
            at = next((i for i in range(at, len(data)) if 48 <= data[i] < 58), at)
            data[at] = draw(st.sampled_from(b"0123456789"))
        elif kind == "delete":
            del data[at]
        elif kind == "insert":
            data.insert(at, draw(st.sampled_from(BYTES)))
        elif kind == "cut":
            del data[at + 1 :]
        else:
            line = data[:at].rfind(b"\n") + 1
            data[line:line] = data[line : data.find(b"\n", at) + 1]
    return changed(name, file, bytes(data))


@given(mutated(), st.booleans())
def test_what_the_fast_path_takes_of_mutated_files_the_readers_read_alike(files, allow_unconverged):
    read, values = read_fast(files)
    if read == [True]:
        assert read_slowly(files, allow_unconverged=allow_unconverged) == (read, values)


@pytest.mark.parametrize(
    ("file", "old", "new", "legal"),
    [
        (DETAILED_OUT, b"SCC converged", b"Non-SCC calculation", True),
        (DETAILED_OUT, b"Geometry converged", b"!!! Geometry did NOT converge!", True),
        (DETAILED_OUT, b"\n", b"\r\n", True),
        (DETAILED_OUT, b"Fermi level", b"Fermi energy", True),
        (DETAILED_OUT, b" eV\n", b" EV\n", False),
        (DETAILED_OUT, b"    1   1   0   0", b"    1   1   0   1", False),
        (DETAILED_OUT, b"    2   1   0  ", b"    2   2   0  ", False),
        (
            DETAILED_OUT,
            b"Nr. of electrons (up):      2.0",
            b"Nr. of electrons (up):      2.1",
            False,
        ),
        (DETAILED_OUT, b"Total energy:  ", b"Total energy: 1", False),
        (DETAILED_OUT, b"    1   -0.67907629E+00", b"    0   -0.67907629E+00", False),
        (DETAILED_OUT, b"    1   -0.67907629E+00", b"   -1   -0.67907629E+00", False),
        (DETAILED_OUT, b"-0.67907629E+00", b"-0.67917629E+00", False),
        (DETAILED_OUT, b"-0.67907629E+00", b"-0.67907629E-01", False),
        (DETAILED_OUT, b" 0.22204460E-15", b"-0.22204460E-15", False),
        (GEO_END_XYZ, b"    H", b"    D", False),
        (GEO_END_XYZ, b"    2\n", b"    3\n", False),
        (GEO_END_XYZ, b"Geometry Step:", b"another comment", True),
        (GEO_END_XYZ, b"Geometry Step: ", b"Geometry Step: 1", False),
        (GEO_END_XYZ, b"Geometry Step: ", b"Geometry Step:  ", True),
        (DETAILED_OUT, b"optimization step: ", b"optimization step: 1", False),
        (GEO_END_XYZ, b"    1.0", b"    1.1", False),
        (GEO_END_XYZ, b"    H   ", b"H   ", True),
        (BAND_OUT, b"\n", b"\r\n", True),
        (BAND_OUT, b"KWEIGHT    1.0000000000000000", b"KWEIGHT    1.0", True),
        (BAND_OUT, b"KWEIGHT    1.0000000000000000", b"KWEIGHT    0.5000000000000000", False),
        (BAND_OUT, b"     2     1.508", b"     3     1.508", False),
        (BAND_OUT, b"     2     1.508  0.00000\n", b"", False),
        (BAND_OUT, b"  0.00000\n", b"  0.00100\n", False),
        (BAND_OUT, b"-9.239", b"-9.243", False),
        (BAND_OUT, b"2.00000\n", b"2.0000*\n", False),
        (BAND_OUT, b"0.00000\n\n", b"0.00000\n", False),
    ],
)
def test_another_layout_is_left_to_the_readers(file, old, new, legal):
    data = files_of("H_H").contents[file]
    assert old in data
    files = changed("H_H", file, data.replace(old, new))
    assert read_fast(files)[0] == [False]
    assert read_slowly(files)[0] == [legal]


def test_what_one_file_lacks_is_not_taken_from_the_next():
    contents = files_of("H_H").contents
    geometry, detailed = contents[GEO_END_XYZ], contents[DETAILED_OUT]
    shifted = {GEO_END_XYZ: geometry[:-3], DETAILED_OUT: geometry[-3:] + detailed}
    files = files_of("H_H")._replace(contents=contents | shifted)
    assert read_fast(files)[0] == read_slowly(files)[0] == [False]


@given(st.integers(-(10**6) + 1, 10**7 - 1), st.integers(0, 10**8 - 1), st.booleans())
def test_numbers_have_the_bits_of_float(whole, fraction, negative_zero):
    number = f"{'-' if negative_zero and whole == 0 else ''}{whole}.{fraction:08}"
    charges = files_of("H_Li").contents[DETAILED_OUT]
    first, second = b"    1      -0.40784956\n", b"    2       0.40784956\n"
    assert charges.count(first + second) == 1
    texts = changed("H_Li", DETAILED_OUT, charges.replace(first, f"    1{number:>17}\n".encode()))
    body = usual_layout._head_and_body(texts.texts)[1]
    fits, columns = usual_layout._layout_of(body).numbers([body])
    assert fits.all()
    assert columns["charges"][0, 0].tobytes() == np.float64(float(number)).tobytes()
