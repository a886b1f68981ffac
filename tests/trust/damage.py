"""Ways in which files get damaged, as functions of bytes and places in them."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import strategies as st

NUMBER = re.compile(rb"[+-]?[0-9]+(?:\.[0-9]+)?(?:E[+-][0-9]+)?")

Damage = Callable[[bytes, int, int], bytes]  # the data, and two numbers that choose a place


def flip(data: bytes, at: int, mask: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ (mask % 255 + 1)]) + data[at + 1 :]


def print_another_byte(data: bytes, at: int, code: int) -> bytes:
    """Put a printable byte, likely one of a number, in the place of another."""
    at %= len(data)
    return data[:at] + b"0123456789+-.eEDN* \n\t"[code % 21 :][:1] + data[at + 1 :]


def insert(data: bytes, at: int, code: int) -> bytes:
    at %= len(data) + 1
    return data[:at] + bytes([code % 256]) + data[at:]


def delete(data: bytes, at: int, length: int) -> bytes:
    at %= len(data)
    return data[:at] + data[at + 1 + length % 20 :]


def widen_to_asterisks(data: bytes, which: int, width: int) -> bytes:
    """Put asterisks in the place of a number, and of blanks before it."""
    numbers = list(NUMBER.finditer(data))
    if not numbers:
        return data
    start, stop = numbers[which % len(numbers)].span()
    start = max(start - width % 8, data.rfind(b"\n", 0, start) + 1)
    return data[:start] + b"*" * (stop - start) + data[stop:]


def copy_number(data: bytes, source: int, target: int) -> bytes:
    """Put one number of the file in the place of another."""
    numbers = list(NUMBER.finditer(data))
    if not numbers:
        return data
    start, stop = numbers[target % len(numbers)].span()
    return data[:start] + numbers[source % len(numbers)][0] + data[stop:]


def drop_line(data: bytes, i: int, count: int) -> bytes:
    lines = data.split(b"\n")
    i %= len(lines)
    del lines[i : i + 1 + count % 3]
    return b"\n".join(lines)


def double_line(data: bytes, i: int, count: int) -> bytes:
    lines = data.split(b"\n")
    i %= len(lines)
    block = lines[i : i + 1 + count % 3]
    return b"\n".join([*lines[:i], *block, *lines[i:]])


def swap_lines(data: bytes, i: int, k: int) -> bytes:
    lines = data.split(b"\n")
    i, k = i % len(lines), k % len(lines)
    lines[i], lines[k] = lines[k], lines[i]
    return b"\n".join(lines)


def move_line(data: bytes, i: int, k: int) -> bytes:
    lines = data.split(b"\n")
    lines.insert(k % len(lines), lines.pop(i % len(lines)))
    return b"\n".join(lines)


def cut(data: bytes, at: int, _: int) -> bytes:
    return data[: at % len(data)]


IN_LINES: list[Damage] = [
    *(flip, print_another_byte, insert, delete, widen_to_asterisks, copy_number),
]
OF_LINES: list[Damage] = [drop_line, double_line, swap_lines, move_line, cut]

_PLACE = st.integers(0, 10_000)


def damages(kinds: list[Damage], most: int) -> st.SearchStrategy[list[tuple[Damage, int, int]]]:
    """Draw from one to `most` damages, to be done one after the other."""
    damage = st.tuples(st.sampled_from(kinds), _PLACE, _PLACE)
    return st.lists(damage, min_size=1, max_size=most)


def damaged(data: bytes, damages: list[tuple[Damage, int, int]]) -> bytes:
    for damage, first, second in damages:
        if not data:
            break
        data = damage(data, first, second)
    return data
