"""The header of a .npy file: as NumPy writes it, and nothing else is taken for one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twobody.archive.npy import npy_header, read_npy_header


def file_of(header: str, version: bytes = b"\x01\x00") -> io.BytesIO:
    data = header.encode("latin-1")
    return io.BytesIO(b"\x93NUMPY" + version + len(data).to_bytes(2, "little") + data)


def header(descr: str = "'<f8'", order: str = "False", shape: str = "(2, 3)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}   \n"


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i8", "|u1", "|b1", "<U7", "|S3", "|O"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 10, 32, 32)])
def test_a_header_is_the_one_that_numpy_writes_and_reads_back(dtype, shape):
    data = npy_header(np.dtype(dtype), shape)
    file = io.BytesIO()
    np.save(file, np.zeros(shape, dtype))
    assert file.getvalue().startswith(data)
    assert read_npy_header(io.BytesIO(data)) == (np.dtype(dtype), shape, len(data))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(header(order="True"), id="Fortran order"),
        pytest.param(header(descr="'>f8'"), id="big endian"),
        pytest.param(header(descr="'<c16'"), id="complex numbers"),
        pytest.param(header(descr="'<M8[ns]'"), id="times"),
        pytest.param(header(descr="'|V8'"), id="raw bytes"),
        pytest.param(header(descr="[('a', '<f8')]"), id="records"),
        pytest.param(header(descr="('<f8', (2,))"), id="subarrays"),
        pytest.param(header(descr="'<f3'"), id="a float of three bytes"),
        pytest.param(header(descr="'<U0'"), id="items of no size"),
        pytest.param(header(descr="None"), id="no dtype"),
        pytest.param(header(shape="(-1, 3)"), id="negative shape"),
        pytest.param(header(shape="(True, 3)"), id="a flag as shape"),
        pytest.param(header(shape="(2L,)"), id="Python 2"),
        pytest.param(header(shape="3"), id="no tuple"),
        pytest.param(header(shape="(0, 1180591620717411303424)"), id="2**70"),
        pytest.param(header(shape="(99999999999999999, 999, 0)"), id="more than 2**63 bytes"),
        pytest.param(header(shape=f"({'1, ' * 33})"), id="33 dimensions"),
        pytest.param("[" * 1000, id="deep nesting"),
        pytest.param("{[]: 1}", id="an unhashable key"),
        pytest.param("'''", id="an open string"),
        pytest.param("__import__('os').system('true')", id="code"),
        pytest.param(header().rstrip("\n"), id="no line end"),
        pytest.param("", id="nothing"),
        pytest.param(" " * 5000, id="too long"),
    ],
)
def test_another_header_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        read_npy_header(file_of(text))


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x00\x01", b""])
def test_another_version_is_refused(version):
    with pytest.raises(ValueError, match="NUMPY"):
        read_npy_header(file_of(header(), version))


@pytest.mark.parametrize("length", range(0, 128, 9))
def test_a_header_that_is_cut_off_is_refused(length):
    data = npy_header(np.dtype("<f8"), (2, 3))
    with pytest.raises(ValueError, match=r"."):
        read_npy_header(io.BytesIO(data[:length]))


@given(st.binary(max_size=200))
def test_no_bytes_bring_about_another_error(data):
    with pytest.raises(ValueError, match=r"."):
        read_npy_header(io.BytesIO(b"\x93NUMPY\x01\x00" + data))
