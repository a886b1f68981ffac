"""Arrays of dicts: pickled for ``numpy.load(..., allow_pickle=True)``, read without being run.

A pickle is a program, and Python's unpickler runs it; a few bytes can make even NumPy's parts of it
crash or fill the memory. `unpickle_array` instead goes through the opcodes itself. It admits those
that NumPy's and Python's picklers write for an array whose items are scalars, plain arrays, or
dicts of these; three functions of this module stand for what rebuilds NumPy's arrays and scalars.
Types are checked before anything is compared or hashed, nothing that can grow is taken twice, and
the number of opcodes is bounded.

Opcodes: PEP 307, PEP 3154 and the standard library's ``pickletools``.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import FunctionType, NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.text import is_text

Plain = float | int | str | None | tuple[float | None, ...]

_ROWS = 1000  # dicts pickled at a time; the pickler takes no more for one opcode

_HEAD = (
    b"\x80\x03"  # protocol 3, the first for Python 3
    b"cnumpy.core.multiarray\n_reconstruct\n"  # the name that NumPy 1 and 2 both answer to
    b"cnumpy\nndarray\n"
    b"K\x00\x85"  # shape (0,)
    b"C\x01b"
    b"\x87R"  # an empty array, to be filled by its state:
    b"(K\x01"  # version
)
_OBJECT_DTYPE = (
    b"cnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87R"  # dtype("O8", False, True)
    b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"  # and its state
)


def pickled_dicts(rows: Iterable[dict[str, Plain]], shape: tuple[int, ...]) -> Iterator[bytes]:
    """Yield, in chunks, the pickle of an object array of dicts.

    The bytes are the same under every version of NumPy. A string that is one object in many rows is
    written once and referred to, so equal rows give equal bytes if they share their strings alike.

    Parameters
    ----------
    rows : iterable of dicts
        str to float, bool, int of 64 bits, str, None or a tuple of these; as many as `shape` holds.
    shape : tuple of int
    """
    yield _HEAD + pickle.dumps(shape, 3)[2:-1] + _OBJECT_DTYPE + b"\x89]"
    left = iter(rows)
    while some := list(islice(left, _ROWS)):
        # Without the protocol, the empty list and its number (five bytes), and without the end,
        # this extends the list that is on the stack.
        yield pickle.dumps(some, 3)[5:-1]
    yield b"tb."


_OPCODES, _OPCODES_PER_BYTE = 1_000_000, 2  # what a pickle may have, and more for each packed byte
_MAX_SEQUENCE = 16  # items of a tuple or list in a row; a dipole moment has three
_MAX_DIMENSIONS = 32
_SCALARS = (float, int, str, bool, NoneType)


def unpickle_array(data: bytes, packed_size: int) -> NDArray[Any]:
    """Decode the pickle of an array, of protocol 2 to 4.

    Parameters
    ----------
    data : bytes
    packed_size : int
        Bytes that `data` take in the file; what is done for them is bounded by it.

    Returns
    -------
    array
        Plain, or of objects: float, int of 64 bits, str, bool, None, plain arrays, tuples and lists
        of up to 16 scalars, and dicts of all these with str as keys. NumPy's scalars come as
        Python's.

    Raises
    ------
    ValueError
        Anything else is in the pickle, or it is damaged. Nothing has been run.
    """
    try:
        return _Machine(data).run(_OPCODES + _OPCODES_PER_BYTE * packed_size)
    # What operands of a wrong type, number or value bring about.
    except (ValueError, TypeError, LookupError, struct.error) as error:
        fault = str(error)
    raise ValueError(fault)  # here, so that it does not keep all that the machine holds


def _is_plain(value: object) -> bool:
    """Tell whether something is a scalar, a plain array or a short flat sequence of scalars."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    return (
        isinstance(value, tuple | list)
        and len(value) <= _MAX_SEQUENCE
        and all(type(item) in _SCALARS for item in value)
    )


_NEW_ARRAY = object()
"""An array before its state has come."""


def _reconstruct(kind: object, shape: object, code: object) -> object:
    """Begin an array."""
    if kind is not np.ndarray or type(shape) is not tuple or type(code) is not bytes:
        raise ValueError("another array than a plain one")
    return _NEW_ARRAY


def _dtype(code: object, align: object, copy: object) -> np.dtype[Any]:
    """Make a plain little-endian dtype."""
    plain = r"b1|[iu][1248]|f[248]|U[1-9][0-9]{0,5}|O8"
    if type(code) is not str or re.fullmatch(plain, code) is None:
        raise ValueError(f"dtype {code:.20}" if isinstance(code, str) else "a dtype without a code")
    if any(type(flag) not in (bool, int) for flag in (align, copy)) or align or not copy:
        raise ValueError("another dtype than a plain one")
    return np.dtype(code).newbyteorder("<")


def _check_dtype(*state: object) -> None:
    """Refuse a state with fields, subarrays, metadata or another byte order."""
    _, byte_order, subarray, names, fields, *_ = state
    if type(byte_order) is not str or byte_order not in ("<", "|"):
        raise ValueError("a dtype that is not little-endian")
    if not (subarray is names is fields is None):
        raise ValueError("a dtype that is not plain")


def _array(_: object, shape: object, dtype: object, fortran_order: object, data: object) -> Any:
    """Make the array that the state describes."""
    if not isinstance(dtype, np.dtype) or fortran_order is not False:
        raise ValueError("an array that is not plain and in C order")
    if type(shape) is not tuple or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("a shape that is none")
    if not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise ValueError("a shape that is none")
    if not dtype.hasobject:
        flat = _decoded(data, dtype)
    elif type(data) is list and all(type(item) is dict or _is_plain(item) for item in data):
        flat = np.fromiter(data, dtype=object, count=len(data))
    else:
        raise ValueError("an array of objects that are not plain")
    if math.prod(shape) != len(flat):
        raise ValueError(f"{len(flat)} items in an array of shape {list(shape)}")
    return flat.reshape(shape)


def _scalar(dtype: object, data: object) -> Any:
    """Make a NumPy scalar, as the Python object of the same value."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise ValueError("a scalar that is not plain")
    values = _decoded(data, dtype).tolist()
    if len(values) != 1:
        raise ValueError(f"a scalar of {len(values)} values")
    return values[0]


def _decoded(data: object, dtype: np.dtype[Any]) -> NDArray[Any]:
    if type(data) is not bytes:
        raise TypeError("data that are not bytes")
    array = np.frombuffer(data, dtype)
    if dtype.kind == "U" and not is_text(array):
        raise ValueError("characters that are none")
    return array


_NAMES: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    # NumPy 1 and 2
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
}


class _Machine:
    """The stack machine of a pickle, with the opcodes of `_ACTIONS`."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.push = self.stack.append

    def run(self, most: int) -> NDArray[Any]:
        """Go through up to `most` opcodes; return the array that is left."""
        for _ in range(most):
            opcode = self.data[self.at : self.at + 1]
            self.at += 1
            if opcode == pickle.STOP:
                break
            if opcode not in _ACTIONS:
                raise ValueError(f"opcode {opcode!r}" if opcode else "no end")
            _ACTIONS[opcode](self)
        else:
            raise ValueError(f"more than {most} opcodes")
        (result,) = self.stack
        if not isinstance(result, np.ndarray):
            raise TypeError("another object than an array")
        if self.at != len(self.data):
            raise ValueError("data after the end of the pickle")
        return result

    def number(self, layout: struct.Struct) -> Any:
        """Read a number behind the opcode."""
        (value,) = layout.unpack_from(self.data, self.at)
        self.at += layout.size
        return value

    def counted(self, layout: struct.Struct) -> bytes:
        """Read bytes behind the opcode, as many as a number before them says."""
        size = self.number(layout)
        self.at += size
        if self.at > len(self.data):
            raise ValueError(f"{size} bytes where there are fewer")
        return self.data[self.at - size : self.at]

    def line(self) -> str:
        """Read a line behind the opcode."""
        start = self.at
        self.at = self.data.index(b"\n", start) + 1
        return self.data[start : self.at - 1].decode()

    def integer(self) -> None:
        data = self.counted(_BYTE)
        if len(data) > 8:
            raise ValueError(f"an integer of {len(data)} bytes")
        self.push(int.from_bytes(data, "little", signed=True))

    def top(self, n: int) -> list[Any]:
        """Take `n` items off the stack."""
        if len(self.stack) < n:
            raise IndexError("more operands than there are")
        items = self.stack[-n:]
        del self.stack[-n:]
        return items

    def marked(self) -> list[Any]:
        """Take the items above the last mark off the stack."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("items for something other than a list")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if type(self.stack[-1]) is not dict or not all(type(key) is str for key in keys):
            raise TypeError("keys that are not text, or not of a dict")
        if not all(map(_is_plain, values)):
            raise TypeError("a value in a dict that is not plain")
        self.stack[-1].update(zip(keys, values, strict=True))

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def get(self, number: int) -> None:
        """Take an item a second time, unless it can grow or be unpacked to more than it is."""
        item = self.memo[number]
        if type(item) is not str and not (
            (_is_plain(item) and not isinstance(item, list | np.ndarray))
            or item is np.ndarray
            or isinstance(item, np.dtype | FunctionType)
            or (isinstance(item, bytes) and len(item) <= 1)  # which Python keeps once
        ):
            raise ValueError(f"one {type(item).__name__} in two places")
        self.push(item)

    def find(self, module: object, name: object) -> None:
        if type(module) is not str or type(name) is not str:
            raise TypeError("a name that is not text")
        if (module, name) not in _NAMES:
            raise ValueError(f"{module}.{name}")
        self.push(_NAMES[module, name])

    def reduce(self) -> None:
        function, arguments = self.top(2)
        if type(function) is not FunctionType or type(arguments) is not tuple:
            raise TypeError("a call of something other than a function")
        self.push(function(*arguments))

    def build(self) -> None:
        item, state = self.top(2)
        if type(state) is not tuple:
            raise TypeError("a state that is not a tuple")
        if item is _NEW_ARRAY:
            self.push(_array(*state))
        elif isinstance(item, np.dtype):
            _check_dtype(*state)
            self.push(item)
        else:
            raise TypeError("a state for what takes none")


_BYTE, _SHORT, _INT, _LONG, _SIGNED, _DOUBLE = map(
    struct.Struct, ("<B", "<H", "<I", "<Q", "<i", ">d")
)
_ACTIONS: dict[bytes, Callable[[_Machine], object]] = {
    pickle.PROTO: lambda machine: machine.number(_BYTE),
    pickle.FRAME: lambda machine: machine.number(_LONG),
    pickle.NONE: lambda machine: machine.push(None),
    pickle.NEWTRUE: lambda machine: machine.push(True),
    pickle.NEWFALSE: lambda machine: machine.push(False),
    pickle.BININT: lambda machine: machine.push(machine.number(_SIGNED)),
    pickle.BININT1: lambda machine: machine.push(machine.number(_BYTE)),
    pickle.BININT2: lambda machine: machine.push(machine.number(_SHORT)),
    pickle.LONG1: _Machine.integer,
    pickle.BINFLOAT: lambda machine: machine.push(machine.number(_DOUBLE)),
    pickle.SHORT_BINUNICODE: lambda machine: machine.push(machine.counted(_BYTE).decode()),
    pickle.BINUNICODE: lambda machine: machine.push(machine.counted(_INT).decode()),
    pickle.BINUNICODE8: lambda machine: machine.push(machine.counted(_LONG).decode()),
    pickle.SHORT_BINBYTES: lambda machine: machine.push(machine.counted(_BYTE)),
    pickle.BINBYTES: lambda machine: machine.push(machine.counted(_INT)),
    pickle.BINBYTES8: lambda machine: machine.push(machine.counted(_LONG)),
    pickle.EMPTY_TUPLE: lambda machine: machine.push(()),
    pickle.EMPTY_LIST: lambda machine: machine.push([]),
    pickle.EMPTY_DICT: lambda machine: machine.push({}),
    pickle.MARK: lambda machine: machine.marks.append(len(machine.stack)),
    pickle.TUPLE: lambda machine: machine.push(tuple(machine.marked())),
    pickle.TUPLE1: lambda machine: machine.push(tuple(machine.top(1))),
    pickle.TUPLE2: lambda machine: machine.push(tuple(machine.top(2))),
    pickle.TUPLE3: lambda machine: machine.push(tuple(machine.top(3))),
    pickle.APPEND: lambda machine: machine.extend(machine.top(1)),
    pickle.APPENDS: lambda machine: machine.extend(machine.marked()),
    pickle.SETITEM: lambda machine: machine.update(machine.top(2)),
    pickle.SETITEMS: lambda machine: machine.update(machine.marked()),
    pickle.MEMOIZE: lambda machine: machine.put(len(machine.memo)),
    pickle.BINPUT: lambda machine: machine.put(machine.number(_BYTE)),
    pickle.LONG_BINPUT: lambda machine: machine.put(machine.number(_INT)),
    pickle.BINGET: lambda machine: machine.get(machine.number(_BYTE)),
    pickle.LONG_BINGET: lambda machine: machine.get(machine.number(_INT)),
    pickle.GLOBAL: lambda machine: machine.find(machine.line(), machine.line()),
    pickle.STACK_GLOBAL: lambda machine: machine.find(*machine.top(2)),
    pickle.REDUCE: _Machine.reduce,
    pickle.BUILD: _Machine.build,
}
