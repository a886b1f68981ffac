"""Dicts written without a pickler are what numpy.load and pickle give back."""

from __future__ import annotations

import io
import math
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twobody.archive import objects
from twobody.archive.objects import pickled_dicts

numbers = st.floats() | st.none()
values = st.one_of(
    numbers,
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.tuples(numbers, numbers, numbers),
    st.lists(numbers).map(tuple),
)
rows = st.lists(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values))


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


@given(rows)
@settings(deadline=None)
def test_what_comes_back_equals_what_went_in_types_and_order_included(dicts):
    array = unpickled(dicts, (len(dicts),))
    assert array.dtype == object
    assert array.shape == (len(dicts),)
    assert all_spelled(array.tolist()) == all_spelled(dicts)


@given(rows.filter(bool))
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
    whole = b"".join(pickled_dicts(dicts, (100,)))
    monkeypatch.setattr(objects, "_CHUNK", 1000)
    chunks = list(pickled_dicts(dicts, (100,)))
    assert len(chunks) > 5
    assert b"".join(chunks) == whole


def test_only_numpys_reconstruction_is_named():
    data = b"".join(pickled_dicts([{"a": 1.0, "b": "text", "c": (None, 2.0)}], (1,)))
    named = {arg for opcode, arg, _ in pickletools.genops(data) if opcode.name == "GLOBAL"}
    assert named == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 10**30])
def test_an_integer_beyond_32_bits_is_refused(value):
    with pytest.raises(OverflowError, match="too big"):
        list(pickled_dicts([{"n": value}], (1,)))


@pytest.mark.parametrize("row", [{"key": "\ud800"}, {"\udfff": 1.0}])
def test_half_a_surrogate_pair_is_refused(row):
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        list(pickled_dicts([row], (1,)))
