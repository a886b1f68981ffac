"""Pickled arrays come back as NumPy reads them; every other pickle is refused and runs nothing."""

import contextlib
import io
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twobody import ParseError
from twobody.archive.objects import pickled_dicts
from twobody.archive.pickles import unpickle_array

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


def pickled(array) -> bytes:
    """What numpy.save puts behind the header."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
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
    with pytest.raises(ParseError, match=match) as error:
        unpickle_array(data, "some.npz", "labels")
    assert "plain data in member 'labels'" in error.value.expected


@given(st.lists(st.dictionaries(st.text(), plain | st.lists(plain) | st.tuples(plain, plain))))
def test_what_numpy_writes_of_plain_objects_comes_back(rows):
    assert unpickle_array(pickled(boxed(*rows)), "some.npz", "labels").tolist() == rows


@pytest.mark.parametrize("protocol", [3, 4])
def test_both_protocols_that_numpy_writes_are_read(protocol):
    data = pickle.dumps(boxed({"a": 1.5, "b": None}), protocol=protocol)
    assert unpickle_array(data, "some.npz", "labels").tolist() == [{"a": 1.5, "b": None}]


def test_what_this_project_writes_comes_back():
    rows = [{"a": 1.0, "b": None, "c": "Å"}, {"a": -0.0, "b": 7, "c": (1.0, None, 3.0)}]
    data = b"".join(pickled_dicts(rows, (2,)))
    assert unpickle_array(data, "some.npz", "labels").tolist() == rows


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
    (value,) = unpickle_array(pickled(boxed(scalar)), "some.npz", "labels")
    assert (value, type(value)) == (scalar.item(), kind)


@pytest.mark.parametrize("inner", [np.arange(6.0).reshape(2, 3), np.array(["Na", "Cl"])])
def test_an_array_inside_an_array_comes_back(inner):
    outer = boxed({"dipole": inner}, inner)
    first, second = unpickle_array(pickled(outer), "some.npz", "labels")
    np.testing.assert_array_equal(first["dipole"], inner, strict=True)
    np.testing.assert_array_equal(second, inner, strict=True)


def test_an_array_of_objects_keeps_its_shape():
    array = np.array([["Na", "Cl"], ["H", "H"]], dtype=object)
    read = unpickle_array(pickled(array), "some.npz", "elements")
    assert read.shape == (2, 2)
    assert (read == array).all()


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_runs_a_command_is_refused_and_runs_nothing(tmp_path):
    data = pickled(boxed(Runs(tmp_path / "ran")))
    refuse(data, r"found 'io\.open'")
    assert not (tmp_path / "ran").exists()
    pickle.loads(data)[0].close()  # noqa: S301 - shows what the test above rules out
    assert (tmp_path / "ran").exists()  # as Python's own unpickler would have


class Child:
    """An object of some class."""


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (Child(), "test_unpickle.Child"),
        ({1, 2}, "opcode EMPTY_SET"),
        (frozenset((1,)), "opcode FROZENSET"),
        (1j, "complex"),
        (bytearray(b"a"), "bytearray"),
        (np.datetime64("2020"), "dtype M8"),
        (np.zeros(2, ">f8"), "little-endian"),
        (np.zeros(2, [("a", "f8")]), "dtype V8"),
        (np.asfortranarray(np.zeros((2, 2))), "C order"),
        (np.zeros(2, "f8").view(np.recarray), "numpy.recarray|numpy.rec"),
        ({1: "a"}, "keys that are no strings"),
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
    assert unpickle_array(data, "some.npz", "labels").tolist() == [5]
    assert pickle.loads(data).tolist() == [5]  # noqa: S301 - written here


DEEP = b"K\x00" + b"\x85" * 200_000


HOSTILE = {
    "nothing": (b"", "pickle exhausted"),
    "no end": (head(b"N"), "pickle exhausted"),
    "no array": (head(b"N."), "another object than an array"),
    "an array without state": (head(NDARRAY + b"."), "an array inside itself"),
    "no stack": (head(b"."), "not enough values"),
    "two results": (head(b"NN."), "too many values"),
    "more behind the end": (
        head(array_of(b"K\x01\x85", OBJECT, b"](K\x05e")) + b".N",
        "after the end",
    ),
    "a memo that is not there": (head(b"h\x05."), "5"),
    "a memo bomb": (head(b"Nr" + struct.pack("<I", 2**31) + b"."), "another object"),
    "a text beyond the data": (head(b"X" + struct.pack("<I", 2**31) + b"a."), "only 2 remain"),
    "a text of absurd length": (head(b"\x8d" + struct.pack("<Q", 2**62) + b"a."), "remain"),
    "a shape that is not that of the data": (
        head(array_of(b"K\x09\x85", OBJECT, b"](K\x05e")) + b".",
        "1 items in an array of shape",
    ),
    "a shape below zero": (
        head(array_of(b"J\xff\xff\xff\xff\x85", OBJECT, b"](K\x05e")) + b".",
        "a shape that is none",
    ),
    "bytes that are no whole numbers": (
        head(array_of(b"K\x01\x85", FLOAT, b"C\x03abc")) + b".",
        "buffer size must be a multiple",
    ),
    "objects made of bytes": (
        head(array_of(b"K\x01\x85", OBJECT, b"C\x08abcdefgh")) + b".",
        "without a list",
    ),
    "a character that is none": (
        head(array_of(b"K\x01\x85", TEXT, b"C\x04\xff\xff\xff\xff")) + b".",
        "characters that are none",
    ),
    "an array inside itself": (
        head(NDARRAY + b"\x94(K\x01K\x01\x85" + OBJECT + b"\x89](h\x00etb."),
        "an array inside itself",
    ),
    "an array of a shape before its state": (
        head(NDARRAY.replace(b"K\x00\x85", b"K\x01\x85") + b"."),
        "another array than a plain one",
    ),
    "an aligned dtype": (
        head(OBJECT.replace(b"\x89\x88t", b"\x88\x88t") + b"."),
        "another dtype than a plain one",
    ),
    "a scalar of too many bytes": (
        head(b"cnumpy.core.multiarray\nscalar\n(" + FLOAT + b"C\x10" + bytes(16) + b"tR."),
        "not those of its dtype",
    ),
    "a state for a dict": (head(b"}}b."), "takes none"),
    "a state for a function": (head(b"cnumpy\ndtype\n}b."), "takes none"),
    "a call of a string": (head(b"\x8c\x01a)R."), "no function"),
    "a call of the array type": (head(b"cnumpy\nndarray\n(K\x05\x85tR."), "no function"),
    "items for a dict": (head(b"}Na."), "no list"),
    "an odd number of keys and values": (head(b"}(\x8c\x01aNNu."), "zip|keys"),
    "keys for a list": (head(b"]\x8c\x01aNs."), "no dict"),
    "a deep tuple as a key": (head(b"}" + DEEP + b"Ns."), "keys that are no strings"),
    "a deep tuple as a shape": (
        head(array_of(DEEP, OBJECT, b"](K\x05e")) + b".",
        "a shape that is none",
    ),
    "an opcode that makes instances": (head(b"(ios\nsystem\n."), "opcode INST"),
    "an opcode of an extension": (head(b"\x82\x01."), "opcode EXT1"),
    "an opcode that is none": (head(b"\xff."), "unknown"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_or_damaged_pickle_is_refused(case):
    refuse(*HOSTILE[case])


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_pickle_that_ends_early_is_refused(cut):
    data = pickled(boxed({"a": 1.0, "b": "text", "c": (1.0, 2.0, 3.0)}, {"a": np.float64(2)}))
    with pytest.raises(ParseError):
        unpickle_array(data[: min(cut, len(data) - 1)], "some.npz", "labels")


@given(st.binary(max_size=60), st.integers(0, 400), st.data())
def test_no_damage_ends_in_anything_but_an_array_or_the_one_error(noise, at, draw):
    data = bytearray(pickled(boxed({"a": 1.0, "b": "x"}, {"c": np.arange(3.0)})))
    data[at : at + draw.draw(st.integers(0, len(noise)))] = noise
    result = None
    with contextlib.suppress(ParseError):
        result = unpickle_array(bytes(data), "some.npz", "labels")
    assert result is None or isinstance(result, np.ndarray)


def test_only_opcodes_that_exist_are_admitted():
    from twobody.archive import pickles as unpickle

    admitted = {*unpickle._LITERALS, *unpickle._CONSTANTS, *unpickle._TUPLES, *unpickle._ACTIONS}
    assert admitted <= {opcode.name for opcode in pickletools.opcodes}
