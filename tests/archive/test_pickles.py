"""Dicts are pickled as NumPy reads them; pickles are read without running them, or refused."""

from __future__ import annotations

import contextlib
import io
import math
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twobody.archive import pickles
from twobody.archive.pickles import pickled_dicts, unpickle_array

numbers = st.floats() | st.none()
values = st.one_of(
    numbers,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.tuples(numbers, numbers, numbers),
    st.lists(numbers).map(tuple),
)
dict_rows = st.lists(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values))


def unpickled(dicts: list[dict], shape: tuple[int, ...]) -> np.ndarray:
    return pickle.loads(b"".join(pickled_dicts(dicts, shape)))  # noqa: S301 - of our own making


def spelled(value: object) -> object:
    """Make equal what is the same value of the same type: NaN too, and -0 apart from 0."""
    if isinstance(value, tuple):
        return tuple(map(spelled, value))
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("float", value, math.copysign(1, value))
    return type(value), value


def all_spelled(dicts: list[dict]) -> list[list[tuple[str, object]]]:
    return [[(key, spelled(value)) for key, value in row.items()] for row in dicts]


@given(dict_rows)
@settings(deadline=None)
def test_what_comes_back_equals_what_went_in_types_and_order_included(dicts):
    array = unpickled(dicts, (len(dicts),))
    assert array.dtype == object
    assert array.shape == (len(dicts),)
    assert all_spelled(array.tolist()) == all_spelled(dicts)


@given(dict_rows.filter(bool))
@settings(deadline=None)
def test_numpy_load_reads_the_same(dicts):
    header = io.BytesIO()
    description = {"descr": "|O", "fortran_order": False, "shape": (len(dicts),)}
    np.lib.format.write_array_header_1_0(header, description)
    file = io.BytesIO(header.getvalue() + b"".join(pickled_dicts(dicts, (len(dicts),))))
    assert all_spelled(np.load(file, allow_pickle=True).tolist()) == all_spelled(dicts)


def test_an_array_without_dimensions_holds_one_dict():
    array = unpickled([{"a": 1.5, "b": None}], ())
    assert array.shape == ()
    assert array.item() == {"a": 1.5, "b": None}


def test_several_chunks_are_one_pickle(monkeypatch):
    dicts = [{"number": float(i), "text": str(i), "more": None} for i in range(100)]
    monkeypatch.setattr(pickles, "_ROWS", 7)
    assert len(list(pickled_dicts(dicts, (100,)))) == 2 + 15  # head, end, and 100 / 7
    assert unpickled(dicts, (100,)).tolist() == dicts


def test_a_name_is_written_once_in_a_thousand_rows():
    dicts = [{"a name of some length": float(i)} for i in range(1000)]
    assert b"".join(pickled_dicts(dicts, (1000,))).count(b"a name of some length") == 1


def test_only_numpys_reconstruction_is_named():
    data = b"".join(pickled_dicts([{"a": 1.0, "b": "text", "c": (None, 2.0)}], (1,)))
    named = {arg for opcode, arg, _ in pickletools.genops(data) if opcode.name == "GLOBAL"}
    assert named == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


plain = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)),
    st.text(),
)


def read(data: bytes) -> np.ndarray:
    return unpickle_array(data, len(data))


def pickled(array) -> bytes:
    """What numpy.save puts behind the header."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    file.seek(0)
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    return file.read()


def boxed(*items):
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def refuse(data: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        read(data)


@given(
    st.lists(
        st.dictionaries(st.text(), plain | st.lists(plain, max_size=16) | st.tuples(plain, plain))
    )
)
def test_what_numpy_writes_of_plain_objects_comes_back(rows):
    assert read(pickled(boxed(*rows))).tolist() == rows


@pytest.mark.parametrize("protocol", [3, 4])
def test_both_protocols_that_numpy_writes_are_read(protocol):
    data = pickle.dumps(boxed({"a": 1.5, "b": None}), protocol=protocol)
    assert read(data).tolist() == [{"a": 1.5, "b": None}]


def test_what_this_project_writes_comes_back():
    rows = [{"a": 1.0, "b": None, "c": "Å"}, {"a": -0.0, "b": 7, "c": (1.0, None, 3.0)}]
    data = b"".join(pickled_dicts(rows, (2,)))
    assert read(data).tolist() == rows


@pytest.mark.parametrize(
    ("scalar", "kind"),
    [
        (np.float64(0.1), float),
        (np.float32(0.5), float),
        (np.int64(-3), int),
        (np.uint8(200), int),
        (np.bool_(True), bool),
        (np.str_("Na"), str),
    ],
)
def test_a_numpy_scalar_comes_as_the_python_object_of_its_value(scalar, kind):
    (value,) = read(pickled(boxed(scalar)))
    assert (value, type(value)) == (scalar.item(), kind)


@pytest.mark.parametrize("inner", [np.arange(6.0).reshape(2, 3), np.array(["Na", "Cl"])])
def test_an_array_inside_an_array_comes_back(inner):
    outer = boxed({"dipole": inner}, inner.copy())
    first, second = read(pickled(outer))
    np.testing.assert_array_equal(first["dipole"], inner, strict=True)
    np.testing.assert_array_equal(second, inner, strict=True)


def test_an_array_of_objects_keeps_its_shape():
    array = np.array([["Na", "Cl"], ["H", "H"]], dtype=object)
    found = read(pickled(array))
    assert found.shape == (2, 2)
    assert (found == array).all()


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path):
    data = pickled(boxed(Runs(tmp_path / "ran")))
    refuse(data, r"io\.open")
    assert not (tmp_path / "ran").exists()
    pickle.loads(data)[0].close()  # noqa: S301 - shows what the test above rules out
    assert (tmp_path / "ran").exists()  # as Python's own unpickler would have


class Child:
    """An object of some class."""


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (Child(), "test_pickles.Child"),
        ({1, 2}, r"opcode b'\\x8f'"),
        (frozenset((1,)), r"opcode b'\\x91'"),
        (1j, "complex"),
        (bytearray(b"a"), "bytearray"),
        (np.datetime64("2020"), "dtype M8"),
        (np.zeros(2, ">f8"), "little-endian"),
        (np.zeros(2, [("a", "f8")]), "dtype V8"),
        (np.asfortranarray(np.zeros((2, 2))), "C order"),
        (np.zeros(2, "f8").view(np.recarray), "numpy.recarray|numpy.rec"),
        ({1: "a"}, "keys that are not text"),
        ({"a": {}}, "a value in a dict that is not plain"),
        ({"a": [(1.0,)]}, "a value in a dict that is not plain"),
        ({"a": (1.0,) * 17}, "a value in a dict that is not plain"),
        ({"a": np.array([None])}, "a value in a dict that is not plain"),
        ({"a": b"bytes"}, "a value in a dict that is not plain"),
        (np.array([None]), "objects that are not plain"),
        (2**63, "an integer beyond 64 bits"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_but_plain_objects_is_refused(item, found):
    refuse(pickled(boxed(item)), found)


def head(opcodes: bytes) -> bytes:
    return b"\x80\x04" + opcodes


NDARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"


def dtype(code: bytes, state: bytes) -> bytes:
    return b"cnumpy\ndtype\n(\x8c\x02" + code + b"\x89\x88tR(K\x03\x8c\x01" + state + b"tb"


OBJECT = dtype(b"O8", b"|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?")
FLOAT = dtype(b"f8", b"<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00")
TEXT = dtype(b"U1", b"<NNNK\x04K\x04K\x08")


def array_of(shape: bytes, kind: bytes, data: bytes) -> bytes:
    return NDARRAY + b"(K\x01" + shape + kind + b"\x89" + data + b"tb"


def test_the_pickles_below_are_legal_but_for_what_is_wrong_with_them():
    data = head(array_of(b"K\x01\x85", OBJECT, b"](K\x05e")) + b"."
    assert read(data).tolist() == [5]
    assert pickle.loads(data).tolist() == [5]  # noqa: S301 - written here


DEEP = b"K\x00" + b"\x85" * 300_000
ENDLESS = b"\x8a\xff" + b"\x7f" * 255  # an integer of 2,040 bits


def rows(n: int, opcodes: bytes) -> bytes:
    """Return the pickle of an array of `n` objects, all made by `opcodes`."""
    shape = b"J" + struct.pack("<i", n) + b"\x85"
    return head(array_of(shape, OBJECT, b"](" + opcodes + b"e")) + b"."


HOSTILE = {
    "nothing": (b"", "no end"),
    "no end": (head(b"N"), "no end"),
    "no array": (head(b"N."), "other than an array"),
    "an array without state": (head(NDARRAY + b"."), "other than an array"),
    "no stack": (head(b"."), "other than an array"),
    "two results": (head(b"NN."), "other than an array"),
    "more behind the end": (
        head(array_of(b"K\x01\x85", OBJECT, b"](K\x05e")) + b".N",
        "after the end",
    ),
    "a memo that is not there": (head(b"h\x05."), "5"),
    "a memo bomb": (head(b"Nr" + struct.pack("<I", 2**31) + b"."), "other than an array"),
    "a text beyond the data": (
        head(b"X" + struct.pack("<I", 2**31) + b"a."),
        "expected 2147483648 bytes in a unicodestring4, but only 2 remain",
    ),
    "a text of absurd length": (
        head(b"\x8d" + struct.pack("<Q", 2**62) + b"a."),
        "expected 4611686018427387904 bytes in a unicodestring8, but only 2 remain",
    ),
    "a shape that is not that of the data": (
        head(array_of(b"K\x09\x85", OBJECT, b"](K\x05e")) + b".",
        "1 items in an array of shape",
    ),
    "a shape below zero": (
        head(array_of(b"J\xff\xff\xff\xff\x85", OBJECT, b"](K\x05e")) + b".",
        "an impossible shape",
    ),
    "bytes that are no whole numbers": (
        head(array_of(b"K\x01\x85", FLOAT, b"C\x03abc")) + b".",
        "buffer size must be a multiple",
    ),
    "objects made of bytes": (
        head(array_of(b"K\x01\x85", OBJECT, b"C\x08abcdefgh")) + b".",
        "an array of objects that are not plain",
    ),
    "a character that is none": (
        head(array_of(b"K\x01\x85", TEXT, b"C\x04\xff\xff\xff\xff")) + b".",
        "invalid characters",
    ),
    "an array inside itself": (
        head(NDARRAY + b"\x94(K\x01K\x01\x85" + OBJECT + b"\x89](h\x00etb."),
        "one object in two places",
    ),
    "an array of no shape before its state": (
        head(NDARRAY.replace(b"K\x00\x85", b"K\x01") + b"."),
        "another array than a plain one",
    ),
    "an aligned dtype": (
        head(OBJECT.replace(b"\x89\x88t", b"\x88\x88t") + b"."),
        "another dtype than a plain one",
    ),
    "a scalar of too many bytes": (
        head(b"cnumpy.core.multiarray\nscalar\n(" + FLOAT + b"C\x10" + bytes(16) + b"tR."),
        r"2 items in an array of shape \[\]",
    ),
    "a state for a dict": (head(b"})b."), "takes none"),
    "a state for a function": (head(b"cnumpy\ndtype\n)b."), "takes none"),
    "a call of a string": (head(b"\x8c\x01a)R."), "other than a function"),
    "a call of the array type": (head(b"cnumpy\nndarray\n(K\x05\x85tR."), "other than a function"),
    "items for a dict": (head(b"}Na."), "other than a list"),
    "an odd number of keys and values": (head(b"}(\x8c\x01aNNu."), "zip|keys"),
    "keys for a list": (head(b"]\x8c\x01aNs."), "not of a dict"),
    "a deep tuple as a key": (head(b"}" + DEEP + b"Ns."), "keys that are not text"),
    "a deep tuple as a shape": (
        head(array_of(DEEP, OBJECT, b"](K\x05e")) + b".",
        "an impossible shape",
    ),
    "a deep tuple as the module of a name": (head(DEEP + b"\x8c\x01a\x93."), "not text"),
    "a deep tuple as a name": (head(b"\x8c\x01a" + DEEP + b"\x93."), "not text"),
    "a deep tuple as the arguments of a call": (
        head(b"cnumpy\ndtype\n" + DEEP + b"R."),
        "a dtype without a code|missing 2",
    ),
    "a deep tuple as a state": (head(NDARRAY + DEEP + b"b."), "missing 4"),
    "a scalar of a number": (
        head(b"cnumpy.core.multiarray\nscalar\n(K\x01C\x01\x00tR."),
        "an array that is not plain",
    ),
    "a scalar made of a number": (
        head(b"cnumpy.core.multiarray\nscalar\n(" + FLOAT + b"K\x01tR."),
        "data that are not bytes",
    ),
    "a shape of an integer without end": (
        head(array_of(ENDLESS + b"\x85", OBJECT, b"]")) + b".",
        "an integer beyond 64 bits",
    ),
    "a shape of 50,000 numbers": (
        head(array_of(b"(" + b"J\xff\xff\xff\x7f" * 50_000 + b"t", OBJECT, b"]")) + b".",
        "an impossible shape",
    ),
    "a dict in many rows": (rows(3, b"}\x94h\x00h\x00"), "one dict in two places"),
    "a list in many rows": (rows(3, b"]\x94h\x00h\x00"), "one list in two places"),
    "an array in many rows": (
        rows(3, array_of(b"K\x01\x85", FLOAT, b"C\x08" + bytes(8)) + b"\x94h\x00h\x00"),
        "one ndarray in two places",
    ),
    "data of many arrays": (
        rows(2, b"C\x08" + bytes(8) + b"\x94" + array_of(b"K\x01\x85", FLOAT, b"h\x00")),
        "one bytes in two places",
    ),
    "a state of many arrays": (
        rows(2, b"(C\x08" + bytes(8) + b"t\x94h\x00"),
        "one tuple in two places",
    ),
    "a dict in itself": (rows(1, b"}\x94\x8c\x01ah\x00s"), "one dict in two places"),
    "a list in itself": (rows(1, b"]\x94h\x00a"), "one list in two places"),
    "an opcode that makes instances": (head(b"(ios\nsystem\n."), "opcode b'i'"),
    "an opcode of an extension": (head(b"\x82\x01."), r"opcode b'\\x82'"),
    "an opcode that is none": (head(b"\xff."), r"opcode b'\\xff'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_or_damaged_pickle_is_refused(case):
    refuse(*HOSTILE[case])


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_pickle_that_ends_early_is_refused(cut):
    data = pickled(boxed({"a": 1.0, "b": "text", "c": (1.0, 2.0, 3.0)}, {"a": np.float64(2)}))
    with pytest.raises(ValueError, match=r"."):
        read(data[: min(cut, len(data) - 1)])


@given(st.binary(max_size=60), st.integers(0, 400), st.data())
def test_no_damage_ends_in_anything_but_an_array_or_the_one_error(noise, at, draw):
    data = bytearray(pickled(boxed({"a": 1.0, "b": "x"}, {"c": np.arange(3.0)})))
    data[at : at + draw.draw(st.integers(0, len(noise)))] = noise
    result = None
    with contextlib.suppress(ValueError):
        result = read(bytes(data))
    assert result is None or isinstance(result, np.ndarray)


def test_a_short_tuple_may_be_in_many_rows():
    dipole = (0.0, 0.0, 1.5)
    rows = [{"dipole_moment": dipole}, {"dipole_moment": dipole}]
    assert read(pickled(boxed(*rows))).tolist() == rows


def test_opcodes_are_bounded_by_the_packed_size(monkeypatch):
    monkeypatch.setattr(pickles, "_MAX_OPCODES", 1000)
    data = rows(1300, b"}" * 1300)
    with pytest.raises(ValueError, match="more than 1200 opcodes"):
        unpickle_array(data, 100)
    assert len(unpickle_array(data, 200)) == 1300


def test_only_opcodes_that_exist_are_admitted():
    assert len(pickles._OPCODES) == len(pickles._ACTIONS)
    assert pickle.STOP not in pickles._OPCODES  # the machine itself looks for the end
