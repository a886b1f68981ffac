"""A damaged archive is refused, or what is read from it is what was written.

Some bytes of a zip file say nothing of the content (times, versions, rights): a flip there is not
seen, and need not be.
"""

from __future__ import annotations

import random
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from mode import LONG
from small import small_archive

from twobody import ParseError
from twobody.archive.container import Container

pytestmark = pytest.mark.trust

FLIPS_OF_FULL = 10_000 if LONG else 200
PROCESSES = 2


def read_all(path: Path) -> dict[str, object]:
    """Return every member as dtype, shape and data, or as the objects in it."""
    with Container(path) as archive:
        return {name: read_member(archive, name) for name in archive.members}


def read_member(archive: Container, name: str) -> object:
    if archive.members[name].dtype.hasobject:
        return archive.read_objects(name).tolist()
    array = archive.read(name)
    return (array.dtype.str, array.shape, array.tobytes())


@pytest.fixture(params=[False, True], ids=["deflated", "stored"])
def small(request, small_raw_data, tmp_path) -> Path:
    path = tmp_path / "small.npz"
    small_archive(path, small_raw_data, store=request.param)
    return path


def flip(path: Path, at: int, mask: int) -> None:
    """Flip the bits `mask` of one byte; a second time undoes it."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ mask]))


def detected(path: Path, expected: dict[str, object]) -> bool:
    """Tell whether a damaged archive is refused; if not, what is read has to be `expected`."""
    try:
        found = read_all(path)
    except ParseError:
        return True
    assert found == expected
    return False


def test_every_byte_of_a_small_archive_flipped(small, report):
    expected = read_all(small)
    chance = random.Random(0)  # noqa: S311 - which bits, not secrets
    size = small.stat().st_size
    seen = 0
    for at in range(size):
        masks = [1 << bit for bit in range(8)] if LONG else [chance.randrange(1, 256)]
        for mask in masks:
            flip(small, at, mask)
            seen += detected(small, expected)
            flip(small, at, mask)
    report(f"{seen} of {size * len(masks)} flips refused, the others without effect")
    assert read_all(small) == expected
    assert seen > 0.8 * size * len(masks)  # the others are in times, versions, rights


def test_every_truncation_of_a_small_archive_is_refused(small, report):
    data = small.read_bytes()
    for length in range(len(data)):
        small.write_bytes(data[:length])
        with pytest.raises(ParseError):
            read_all(small)
    report(f"{len(data)} truncations refused")


def flips_detected(path: Path, flips: list[tuple[int, int]]) -> int:
    """Flip bytes of an archive one at a time, each time reading what the byte belongs to."""
    with Container(path) as archive:
        starts = {name: member.entry.header_offset for name, member in archive.members.items()}
        directory = max(m.entry.header_offset + m.packed_size for m in archive.members.values())
        expected = {name: read_member(archive, name) for name in archive.members}
    seen = 0
    for at, mask in flips:
        name = max((n for n in starts if starts[n] <= at), key=starts.__getitem__)
        names = [name] if at < directory else [n for n in starts if n != "images"]
        flip(path, at, mask)
        try:
            with Container(path) as archive:
                for name in names:
                    assert read_member(archive, name) == expected[name], (name, at, mask)
                assert list(archive.members) == list(expected)
        except ParseError:
            seen += 1
        flip(path, at, mask)
    return seen


def test_random_bytes_of_the_full_archive_flipped(archive, tmp_path, report):
    copies = [shutil.copy(archive, tmp_path / f"{k}.npz") for k in range(PROCESSES)]
    chance = random.Random(1)  # noqa: S311
    size = archive.stat().st_size
    flips = [(chance.randrange(size), chance.randrange(1, 256)) for _ in range(FLIPS_OF_FULL)]
    shares = [flips[k::PROCESSES] for k in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        seen = sum(pool.map(flips_detected, copies, shares))
    report(f"{seen} of {FLIPS_OF_FULL} flips refused, the others without effect")
    assert seen > 0.99 * FLIPS_OF_FULL  # nearly every byte is data
