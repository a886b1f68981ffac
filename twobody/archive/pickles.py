"""Arrays of dicts: pickled for ``numpy.load(..., allow_pickle=True)``, read without being run.

A pickle is a program, and Python's unpickler runs it; a few bytes can make even NumPy's parts of it
crash or fill the memory. `unpickle_array` goes through the opcodes itself. It admits those that
NumPy and Python write for an array whose items are scalars, plain arrays, or dicts of these; three
functions stand for what rebuilds NumPy's arrays and scalars. Types are checked before anything is
compared or hashed, nothing that can grow is taken twice, and the number of opcodes is bounded.

Opcodes: PEP 307, PEP 3154 and the standard library's ``pickletools``.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import FunctionType, NoneType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from twobody.text import is_text

Plain = float | int | str | None | tuple[float | None, ...]

_ROWS = 1000  # dicts pickled at a time; the pickler takes no more for one opcode

_HEAD = (
    b"\x80\x03"  # protocol 3, the first for Python 3
    b"cnumpy.core.multiarray\n_reconstruct\n"  # the name that NumPy 1 and 2 both answer to
    b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R"  # an empty array of shape (0,) ...
    b"(K\x01"  # ... to be filled by its state, version 1:
)
_OBJECT_DTYPE = (
    b"cnumpy\ndtype\nX\x02\x00\x00\x00O8\x89\x88\x87R"  # dtype("O8", False, True)
    b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"  # and its state
)


def pickled_dicts(rows: Iterable[dict[str, Plain]], shape: tuple[int, ...]) -> Iterator[bytes]:
    """Yield, in chunks, the pickle of an object array of dicts, as many as `shape` holds.

    Their values are float, bool, int of 64 bits, str, None or tuples of these. The bytes are the
    same under every version of NumPy. A string that is one object in many rows is written once and
    referred to, so equal rows give equal bytes if they share their strings alike.
    """
    yield _HEAD + pickle.dumps(shape, 3)[2:-1] + _OBJECT_DTYPE + b"\x89]"
    left = iter(rows)
    while some := list(islice(left, _ROWS)):
        # Without the protocol, the empty list and its number (five bytes), and without the end,
        # this extends the list that is on the stack.
        yield pickle.dumps(some, 3)[5:-1]
    yield b"tb."


_MAX_OPCODES, _OPCODES_PER_BYTE = 1_000_000, 2  # so many, and more for each packed byte
_MAX_SEQUENCE = 16  # items of a tuple or list in a row; a dipole moment has three
_MAX_DIMENSIONS = 32
_MARK = pickletools.markobject
_SCALARS = (float, int, str, bool, NoneType)


def unpickle_array(data: bytes, packed_size: int) -> NDArray[Any]:
    """Decode the pickle of an array, of protocol 3 or 4; it takes `packed_size` bytes in the file.

    The array is plain, or of objects: float, int of 64 bits, str, bool, None, plain arrays, tuples
    and lists of up to 16 scalars, and dicts of all these with str as keys. NumPy's scalars come as
    Python's. A ValueError is raised where anything else is in the pickle, it has more opcodes than
    its size in the file allows, or is damaged; nothing has been run.
    """
    try:
        return _run(io.BytesIO(data), _MAX_OPCODES + _OPCODES_PER_BYTE * packed_size)
    # What operands of a wrong type, number or value bring about.
    except (ValueError, TypeError, LookupError) as error:
        fault = str(error)
    raise ValueError(fault)  # here, so that it does not keep all that was on the stack


def _run(file: IO[bytes], most: int) -> NDArray[Any]:
    """Go through up to `most` opcodes; return the array that is left on the stack."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    for _ in range(most):
        code = file.read(1)
        if code == pickle.STOP:
            return _result(stack, file.read(1))
        if code not in _OPCODES:
            raise ValueError(f"opcode {code!r}" if code else "no end")
        opcode, make = _OPCODES[code], _ACTIONS[_OPCODES[code].name]
        operands = [opcode.arg.reader(file)] if opcode.arg else []
        if make:
            start = marks.pop() if _MARK in opcode.stack_before else len(stack)
            start -= [*opcode.stack_before, _MARK].index(_MARK)
            if start < 0:
                raise ValueError("more operands than there are")
            stack[start:] = [make(*operands, *stack[start:])]
        elif opcode.name in _GET:
            stack.append(_again(memo[operands[0]]))
        elif opcode.name in _PUT:
            memo[operands[0] if operands else len(memo)] = stack[-1]
        elif opcode.name == "MARK":
            marks.append(len(stack))
    raise ValueError(f"more than {most} opcodes")


def _result(stack: list[Any], rest: bytes) -> NDArray[Any]:
    if len(stack) != 1 or not isinstance(stack[0], np.ndarray):
        raise ValueError("something other than an array")
    if rest:
        raise ValueError("data after the end of the pickle")
    return stack[0]


def _operand(value: Any) -> Any:
    """Check what stands behind an opcode."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("an integer beyond 64 bits")
    if isinstance(value, str):
        value.encode()  # refuses half characters, which pickles may hold
    return value


def _again(item: Any) -> Any:
    """Take an item a second time, unless it can grow or be unpacked to more than it is."""
    if (
        (_is_plain(item) and not isinstance(item, list | np.ndarray))
        or item is np.ndarray
        or isinstance(item, np.dtype | FunctionType)
        or (isinstance(item, bytes) and len(item) <= 1)  # which Python keeps once
    ):
        return item
    raise ValueError(f"one {type(item).__name__} in two places")


def _is_plain(value: object) -> bool:
    """Tell whether something is a scalar, a plain array or a short flat sequence of scalars."""
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    if isinstance(value, tuple | list):
        return len(value) <= _MAX_SEQUENCE and all(type(item) in _SCALARS for item in value)
    return type(value) in _SCALARS


def _extended(target: object, *items: object) -> object:
    if type(target) is not list:
        raise TypeError("items for something other than a list")
    target.extend(items)
    return target


def _updated(target: object, *items: object) -> object:
    keys, values = items[::2], items[1::2]
    if type(target) is not dict or not all(type(key) is str for key in keys):
        raise TypeError("keys that are not text, or not of a dict")
    if not all(map(_is_plain, values)):
        raise TypeError("a value in a dict that is not plain")
    target.update(zip(keys, values, strict=True))
    return target


def _named(module: object, name: object) -> object:
    if type(module) is not str or type(name) is not str:
        raise TypeError("a name that is not text")
    if (full_name := f"{module}.{name}") not in _NAMES:
        raise ValueError(full_name)
    return _NAMES[full_name]


def _called(function: object, arguments: object) -> object:
    if type(function) is not FunctionType or type(arguments) is not tuple:
        raise TypeError("a call of something other than a function")
    return function(*arguments)


def _built(item: object, state: object) -> object:
    """Give a new array its content; a dtype may have no fields and no other byte order."""
    if type(state) is not tuple:
        raise TypeError("a state that is not a tuple")
    if item is _NEW_ARRAY:
        return _array(*state)
    if not isinstance(item, np.dtype):
        raise TypeError("a state for what takes none")
    _, byte_order, subarray, names, fields, *_ = state
    is_plain = subarray is names is fields is None
    if type(byte_order) is not str or byte_order not in ("<", "|") or not is_plain:
        raise ValueError("a dtype that is not plain and little-endian")
    return item


_NEW_ARRAY = object()  # an array before its state has come


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
    if not {type(align), type(copy)} <= {bool, int} or align or not copy:
        raise ValueError("another dtype than a plain one")
    return np.dtype(code).newbyteorder("<")


def _array(_: object, shape: object, dtype: object, fortran_order: object, data: object) -> Any:
    """Make the array that the state describes."""
    if not isinstance(dtype, np.dtype) or fortran_order is not False:
        raise ValueError("an array that is not plain and in C order")
    if (
        type(shape) is not tuple
        or len(shape) > _MAX_DIMENSIONS
        or not all(type(n) is int and 0 <= n < 2**31 for n in shape)
    ):
        raise ValueError("an impossible shape")
    if dtype.hasobject:
        if type(data) is not list or not all(type(x) is dict or _is_plain(x) for x in data):
            raise ValueError("an array of objects that are not plain")
        flat = np.fromiter(data, dtype=object, count=len(data))
    elif type(data) is bytes:
        flat = np.frombuffer(data, dtype)
    else:
        raise TypeError("data that are not bytes")
    if dtype.kind == "U" and not is_text(flat):
        raise ValueError("invalid characters")
    if math.prod(shape) != len(flat):
        raise ValueError(f"{len(flat)} items in an array of shape {list(shape)}")
    return flat.reshape(shape)


def _scalar(dtype: object, data: object) -> Any:
    """Make a NumPy scalar, as the Python object of the same value."""
    return _array(None, (), dtype, False, data).item()


_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")  # of NumPy 1 and 2
_NAMES: dict[str, object] = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": _dtype,
    **{f"{core}._reconstruct": _reconstruct for core in _CORES},
    **{f"{core}.scalar": _scalar for core in _CORES},
}

_PUT, _GET = ("MEMOIZE", "BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")
_ACTIONS: dict[str, Callable[..., object] | None] = {
    **dict.fromkeys(("PROTO", "FRAME", "MARK", *_PUT, *_GET)),  # these make nothing
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"), _operand),
    **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _operand),
    **dict.fromkeys(("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"), _operand),
    **dict.fromkeys(("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), lambda *items: items),
    **dict.fromkeys(("APPEND", "APPENDS"), _extended),
    **dict.fromkeys(("SETITEM", "SETITEMS"), _updated),
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "GLOBAL": lambda names: _named(*names.split(" ")),
    "STACK_GLOBAL": _named,
    "REDUCE": _called,
    "BUILD": _built,
}
"""The opcodes that are admitted, and what makes an object of what they read and take."""

_OPCODES = {op.code.encode("latin-1"): op for op in pickletools.opcodes if op.name in _ACTIONS}
