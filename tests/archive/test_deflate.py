"""Compression: one format and one content, whichever library does it."""

from __future__ import annotations

import io
import zlib
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import build_dataset
from twobody.archive import deflate
from twobody.archive.writer import write_archive
from twobody.raw_data.read import read_sources

isal_zlib = pytest.importorskip("isal.isal_zlib", reason="ISA-L is not installed (extra 'fast')")
LIBRARIES = st.sampled_from([zlib, isal_zlib])


def packed(chunks: list[bytes], library: ModuleType) -> bytes:
    """Pack with one library, as a whole raw stream."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deflate, "library", library)
        return b"".join(map(deflate.deflate, chunks)) + b"\x03\x00"


def unpacked(stream: bytes, library: ModuleType) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deflate, "library", library)
        return b"".join(deflate.inflate(io.BytesIO(stream)))


@given(st.lists(st.binary(max_size=2000)), LIBRARIES, LIBRARIES)
def test_what_one_library_packs_the_other_unpacks(chunks, packs, unpacks):
    assert unpacked(packed(chunks, packs), unpacks) == b"".join(chunks)


@given(st.binary(min_size=1, max_size=2000), LIBRARIES, LIBRARIES, st.data())
def test_a_stream_that_is_cut_off_is_not_taken_for_whole(content, packs, unpacks, data):
    stream = packed([content], packs)
    cut = data.draw(st.integers(0, len(stream) - 2))  # the last byte of the last block is padding
    with pytest.raises(EOFError, match="its data end early"):
        unpacked(stream[:cut], unpacks)


class _Compressor:
    """One that is wrong in some way."""

    def __init__(self, *options: int) -> None:
        self._packer = zlib.compressobj(*options)

    def compress(self, chunk: bytes) -> bytes:
        return self._packer.compress(chunk)

    def flush(self, mode: int) -> bytes:
        return self._packer.flush(mode)


class _Less(_Compressor):
    def compress(self, chunk: bytes) -> bytes:
        return super().compress(chunk[:-1])


class _More(_Compressor):
    def compress(self, chunk: bytes) -> bytes:
        return super().compress(chunk + b".")


class _Other(_Compressor):
    def compress(self, chunk: bytes) -> bytes:
        return super().compress(chunk.upper())


class _NoStream(_Compressor):
    def flush(self, _: int) -> bytes:
        return b"\xff\xff"


class _Ends(_Compressor):
    """Ends the stream, so that what follows would be lost."""

    def flush(self, _: int) -> bytes:
        return super().flush(zlib.Z_FINISH)


class _Open(_Compressor):
    """Ends within a byte."""

    def flush(self, _: int) -> bytes:
        return super().flush(zlib.Z_PARTIAL_FLUSH)


@pytest.mark.parametrize("compressor", [_Less, _More, _Other, _NoStream, _Ends, _Open])
def test_a_compressor_that_does_not_keep_the_data_is_found_out(compressor, monkeypatch):
    library = SimpleNamespace(**{**vars(zlib), "compressobj": compressor})
    monkeypatch.setattr(deflate, "library", library)
    with pytest.raises(OSError, match="expected data that inflate to what they were made of"):
        deflate.deflate(b"content")


@pytest.mark.parametrize("library", [zlib, isal_zlib])
def test_a_chunk_larger_than_what_is_unpacked_at_a_time_comes_whole(library):
    content = np.random.default_rng(0).integers(0, 4, 3 * deflate._UNPACKED + 1, np.uint8).tobytes()
    content += bytes(5 * deflate._UNPACKED)
    assert unpacked(packed([content], library), library) == content


def test_the_content_digest_depends_neither_on_the_library_nor_on_the_number_of_threads(
    small_raw_data, monkeypatch
):
    sources = read_sources(small_raw_data, allow_unconverged=False)
    dataset = build_dataset.merge(sources)
    digests, archives = set(), []
    for library in (zlib, isal_zlib):
        monkeypatch.setattr(deflate, "library", library)
        for jobs in (1, 3):
            file = io.BytesIO()
            digests.add(write_archive(file, dataset, jobs=jobs))
            archives.append(file.getvalue())
    assert len(digests) == 1
    assert archives[0] == archives[1] != archives[2] == archives[3]
