"""Arrays of plain objects, read from the pickles that ``numpy.save`` writes without running them.

A pickle is a program, and Python's unpickler runs it. `unpickle_array` instead goes through the
opcodes that ``pickletools`` lists and does itself what the few admitted ones mean. Four names are
known, those with which NumPy rebuilds arrays and scalars, and they stand for functions of this
module, so that neither NumPy's ``__setstate__`` nor anything importable ever sees the data. Keys of
dicts have to be strings: even hashing a hostile tuple can crash Python.

Opcodes: PEP 307, PEP 3154 and the standard library's ``pickletools``.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twobody.errors import ParseError
from twobody.text import PathLike, is_text, quote


def unpickle_array(data: bytes, path: PathLike, name: str) -> NDArray[Any]:
    """Decode the pickle of an array, written with protocol 3 or 4.

    Parameters
    ----------
    data : bytes
    path, name
        The file and the member, for messages.

    Returns
    -------
    array
        Plain, or of objects: dict (with str as keys), list, tuple, str, bytes, float, int, bool,
        None and plain arrays. NumPy's scalars come as Python's.

    Raises
    ------
    ParseError
        Anything else is in the pickle, or it is damaged. Nothing has been run.
    """
    machine = _Machine()
    try:
        return machine.run(data)
    # What operands of a wrong type, number or value bring about.
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        found = quote(str(error)) if str(error) else type(error).__name__
        raise ParseError(path, None, f"plain data in member {name!r}", found) from error


class _Name:
    """A name that a pickle imports, standing for a function of this module."""

    def __init__(self, call: Callable[..., Any] | None) -> None:
        self.call = call


class _DType:
    """A plain dtype under reconstruction."""

    def __init__(self, code: str, align: object, copy: object) -> None:
        if re.fullmatch(r"b1|[iu][1248]|f[248]|U[1-9][0-9]{0,5}|O8", code) is None:
            raise ValueError(f"dtype {code}")
        if (align, copy) not in ((False, True), (0, 1)):
            raise ValueError("another dtype than a plain one")
        self.dtype = np.dtype(code).newbyteorder("<")

    def build(self, state: tuple[Any, ...]) -> None:
        """Take in the byte order, and refuse fields, subarrays and metadata."""
        _, byte_order, subarray, names, fields, *_ = state
        if byte_order not in ("<", "|") or (subarray, names, fields) != (None, None, None):
            raise ValueError("a dtype that is not plain and little-endian")


class _Array:
    """An array under reconstruction: empty until its state comes."""

    def __init__(self, kind: object, shape: object, code: object) -> None:
        if kind is not _NDARRAY or shape != (0,) or code != b"b":
            raise ValueError("another array than a plain one")
        self.array: NDArray[Any] | None = None

    def build(self, state: tuple[Any, ...]) -> None:
        """Take in shape, dtype and data."""
        _, shape, kind, fortran_order, data = state
        if not isinstance(kind, _DType) or fortran_order is not False:
            raise ValueError("an array that is not plain and in C order")
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("a shape that is none")
        if kind.dtype.hasobject:
            if not isinstance(data, list):
                raise ValueError("an array of objects without a list of them")
            flat = np.fromiter(data, dtype=object, count=len(data))
        else:
            flat = _decoded(data, kind.dtype)
        if math.prod(shape) != len(flat):
            raise ValueError(f"{len(flat)} items in an array of shape {list(shape)}")
        self.array = flat.reshape(shape)


def _scalar(kind: _DType, data: bytes) -> Any:
    """Rebuild a NumPy scalar, as the Python object of the same value."""
    if kind.dtype.hasobject or len(data) != kind.dtype.itemsize:
        raise ValueError("a scalar whose data are not those of its dtype")
    return _decoded(data, kind.dtype)[0].item()


def _decoded(data: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    array = np.frombuffer(data, dtype)
    if dtype.kind == "U" and not is_text(array):
        raise ValueError("characters that are none")
    return array


_NDARRAY = _Name(None)
_NAMES = {("numpy", "ndarray"): _NDARRAY, ("numpy", "dtype"): _Name(_DType)}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # NumPy 1 and 2
    _NAMES |= {(_module, "_reconstruct"): _Name(_Array), (_module, "scalar"): _Name(_scalar)}

_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """The stack machine of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> NDArray[Any]:
        """Go through all opcodes; return the array that is left."""
        position = 0
        for opcode, argument, at in pickletools.genops(data):
            position = at or 0
            if opcode.name in _LITERALS:
                self.stack.append(argument)
            elif opcode.name in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode.name]())
            elif opcode.name in _TUPLES:
                self.stack.append(tuple(self.top(_TUPLES[opcode.name])))
            elif opcode.name in _ACTIONS:
                _ACTIONS[opcode.name](self, argument)
            else:
                raise ValueError(f"opcode {opcode.name}")
        if position != len(data) - 1:
            raise ValueError("data after the end of the pickle")
        (result,) = self.stack
        if not isinstance(result, _Array):
            raise TypeError("another object than an array")
        array: NDArray[Any] = _finished(result)
        return array

    def top(self, n: int) -> list[Any]:
        """Take `n` finished items off the stack."""
        items = [_finished(self.stack.pop()) for _ in range(n)]
        return items[::-1]

    def marked(self) -> list[Any]:
        """Take the finished items above the last mark off the stack."""
        return self.top(len(self.stack) - self.marks.pop())

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("items for what is no list")
        self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        keys, values = items[::2], items[1::2]
        if type(self.stack[-1]) is not dict or not all(type(key) is str for key in keys):
            raise TypeError("keys that are no strings, or of what is no dict")
        self.stack[-1].update(zip(keys, values, strict=True))

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def get(self, number: int) -> None:
        self.stack.append(self.memo[number])

    def find(self, module: str, name: str) -> None:
        if (module, name) not in _NAMES:
            raise ValueError(f"{module}.{name}")
        self.stack.append(_NAMES[module, name])

    def reduce(self) -> None:
        function, arguments = self.top(2)
        if not isinstance(function, _Name) or function.call is None:
            raise TypeError("a call of what is no function")
        self.stack.append(function.call(*arguments))

    def build(self) -> None:
        (state,) = self.top(1)
        if not isinstance(self.stack[-1], _DType | _Array):
            raise TypeError("a state for what takes none")
        self.stack[-1].build(state)


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda _, __: None,
    "FRAME": lambda _, __: None,
    "STOP": lambda _, __: None,
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.marked())),
    "APPEND": lambda machine, _: machine.extend(machine.top(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "SETITEM": lambda machine, _: machine.update(machine.top(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINPUT": lambda machine, number: machine.put(number),
    "LONG_BINPUT": lambda machine, number: machine.put(number),
    "BINGET": lambda machine, number: machine.get(number),
    "LONG_BINGET": lambda machine, number: machine.get(number),
    "GLOBAL": lambda machine, names: machine.find(*names.split(" ")),
    "STACK_GLOBAL": lambda machine, _: machine.find(*machine.top(2)),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}


def _finished(item: Any) -> Any:
    """Return the array in place of its reconstruction; anything else as it is."""
    if not isinstance(item, _Array):
        return item
    if item.array is None:
        raise ValueError("an array inside itself")
    return item.array
