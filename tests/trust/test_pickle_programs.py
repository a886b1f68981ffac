"""Random pickle programs end as an array or as the one error, in little time and memory.

Half of them are made of opcodes as they come, half are the pickle of an array with opcodes changed.
"""

from __future__ import annotations

import pickle
import pickletools
import random
import resource
import struct
import time

import numpy as np
import pytest
from mode import LONG

from twobody.archive.pickles import unpickle_array

pytestmark = pytest.mark.trust

PROGRAMS = 1_000_000 if LONG else 50_000
MOST_SECONDS = 1  # for one program of a few hundred bytes
MOST_MEMORY = 100 << 20  # bytes, for all of them

ROWS = [
    {"a": 1.5, "b": None, "c": "text", "d": (0.0, 1.0, 2.0)},
    {"a": np.float64(2), "b": True, "c": "text", "d": np.arange(3.0)},
]


def whole_programs() -> list[list[bytes]]:
    """Return pickles of arrays, each as the list of its opcodes with their operands."""
    objects = np.empty(len(ROWS), dtype=object)
    objects[:] = ROWS
    arrays = [objects, np.arange(4.0), np.array(["H", "He"]), np.array([["H", 1, None]], object)]
    return [split(pickle.dumps(a, protocol)) for a in arrays for protocol in (2, 3, 4)]


def split(data: bytes) -> list[bytes]:
    starts = [at for _, _, at in pickletools.genops(data) if at is not None]
    return [data[i:j] for i, j in zip(starts, [*starts[1:], len(data)], strict=True)]


def opcodes(chance: random.Random) -> list[bytes]:
    """Return every opcode that there is, with operands: some right, some beyond all bounds."""
    number = chance.choice([0, 1, 2, 3, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**62])
    sizes = {1: "B", 2: "H", 4: "I", 8: "Q"}
    operands = {0: b"", -1: b"numpy\ndtype\n"}
    operands |= {n: struct.pack(f"<{c}", number % 2 ** (8 * n)) for n, c in sizes.items()}
    some = []
    for opcode in pickletools.opcodes:
        code, arg = opcode.code.encode("latin-1"), opcode.arg
        if arg is None:
            some.append(code)
        elif arg.n >= 0:
            some.append(code + operands[arg.n])
        elif arg.n == pickletools.UP_TO_NEWLINE:
            some.append(code + b"numpy\ndtype\n")
        else:  # counted bytes, in as many as are there or in any number
            n = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}
            size = n.get(arg.n, 4)
            right = (3).to_bytes(size, "little")
            some.append(code + chance.choice([right, operands[size]]) + b"<O8")
    return some


def random_program(chance: random.Random, opcodes: list[bytes]) -> list[bytes]:
    return [b"\x80\x03", *chance.choices(opcodes, k=chance.randrange(1, 40)), b"."]


def changed_program(
    chance: random.Random, wholes: list[list[bytes]], opcodes: list[bytes]
) -> list[bytes]:
    """Replace, drop, double, move or insert opcodes, of the same pickle or another."""
    program = list(chance.choice(wholes))
    for _ in range(chance.randrange(1, 4)):
        at, other = chance.randrange(len(program)), chance.randrange(len(program))
        match chance.randrange(5):
            case 0:
                program[at] = chance.choice(opcodes)
            case 1 if len(program) > 1:
                del program[at]
            case 2:
                program[at:at] = program[other : other + chance.randrange(8)]
            case 3:
                program[at], program[other] = program[other], program[at]
            case _:
                program.insert(at, chance.choice(chance.choice(wholes)))
    return program


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_random_programs_end_as_an_array_or_as_the_one_error(report):
    chance = random.Random(0)  # noqa: S311 - which opcodes, not secrets
    wholes = whole_programs()
    before, longest, read = peak_memory(), 0.0, 0
    for k in range(PROGRAMS):
        if k % 1000 == 0:
            some = opcodes(chance)
        changed = changed_program(chance, wholes, some)
        data = b"".join(changed if k % 2 else random_program(chance, some))
        start = time.perf_counter()
        try:
            array = unpickle_array(data, len(data))
        except ValueError:
            array = None
        longest = max(longest, time.perf_counter() - start)
        assert array is None or type(array) is np.ndarray
        read += array is not None
    assert longest < MOST_SECONDS
    assert peak_memory() - before < MOST_MEMORY
    assert read > PROGRAMS / 100  # not all of them are nonsense
    report(f"{PROGRAMS} programs, {read} of them arrays, the longest {longest * 1e3:.1f} ms")


# What NumPy says to half an array is not always raised.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_read_of_a_changed_program_is_what_pythons_unpickler_makes():
    """Where both end with an array, they are equal; what is only ours to refuse is refused."""
    chance = random.Random(1)  # noqa: S311
    wholes = whole_programs()
    some = [code for program in wholes for code in program]  # none that runs or makes anything else
    equal = 0
    for _ in range(PROGRAMS // 10):
        data = b"".join(changed_program(chance, wholes, some))
        try:
            array = unpickle_array(data, len(data))
        except ValueError:
            continue
        try:
            expected = pickle.loads(data)  # noqa: S301 - of our own making
        except Exception:  # noqa: BLE001, S112 - half an array, in many ways
            continue
        assert repr(plain(array)) == repr(plain(expected))
        equal += 1
    assert equal > PROGRAMS / 1000


def plain(value: object) -> object:
    """Return arrays as lists and scalars as Python's, with the shape beside them."""
    if isinstance(value, np.ndarray):
        return value.shape, [plain(item) for item in value.reshape(-1).tolist()]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value), [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
