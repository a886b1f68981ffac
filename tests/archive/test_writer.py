"""The archive as written: NumPy reads it plainly, and the same dataset gives the same bytes."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shipped import SMALL

from twobody.archive import writer
from twobody.archive.container import Container
from twobody.archive.layout import members
from twobody.archive.writer import write
from twobody.encodings.published import PUBLISHED
from twobody.labels import LABELS, NUMERIC_LABELS
from twobody.pairs import METADATA_NAMES, Pairs

MEMBERS = members(PUBLISHED)
PICKLED = ("labels", "metadata")


def written(pairs: Pairs, *, store: bool = False, jobs: int = 1) -> bytes:
    file = io.BytesIO()
    write(file, pairs, store=store, jobs=jobs)
    return file.getvalue()


@pytest.fixture(scope="module", params=[False, True], ids=["compressed", "stored"])
def path(request, small, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "dataset_combined.npz"
    path.write_bytes(written(small, store=request.param))
    return path


def test_numpy_reads_every_member_and_all_but_two_without_pickle(path):
    with np.load(path, allow_pickle=False) as data:
        assert data.files == list(MEMBERS)
        plain = {name: data[name] for name in MEMBERS if name not in PICKLED}
        for name in PICKLED:
            with pytest.raises(ValueError, match="allow_pickle=False"):
                data[name]
    shapes = {name: (array.dtype.str, array.shape) for name, array in plain.items()}
    assert shapes == {
        "images": ("<f4", (6, 10, 32, 32)),
        "geometries": ("<f4", (6, 2, 4)),
        "elements": ("<U2", (6, 2)),
        "pair_names": ("<U5", (6,)),
        "label_names": ("<U22", (36,)),
        "label_units": ("<U4", (36,)),
        "label_values": ("<f8", (6, 36)),
        "text_label_names": ("<U15", (1,)),
        "text_label_values": ("<U5", (6, 1)),
        "metadata_values": ("<f8", (6, 8)),
        "metadata_names": ("<U12", (8,)),
        "channels": ("<U18", (10,)),
        "image_amplitudes": ("<f8", (6, 10, 2)),
        "image_basis": ("<f4", (10, 2, 32, 32)),
        "orbital_populations": ("<f8", (6, 2, 16)),
        "atom_populations": ("<f8", (6, 2)),
        "charges": ("<f8", (6, 2)),
        "provenance": (plain["provenance"].dtype.str, ()),
    }


def test_values_are_those_of_the_pairs(path):
    with np.load(path) as data:
        assert data["pair_names"].tolist() == list(SMALL)
        assert data["elements"][3].tolist() == ["H", "Li"]
        geometry = [[0, 0, -0.09238595, 1.40784956], [0, 0, 1.68238595, 0.59215044]]
        np.testing.assert_array_equal(data["geometries"][3], np.float32(geometry))
        labels = dict(zip(data["label_names"], data["label_values"][3], strict=True))
        assert labels["e_g_ev"] == 3.157
        assert labels["distance_ang"] == 1.7747719
        assert data["text_label_values"][3].tolist() == ["H_Li"]
        metadata = dict(zip(data["metadata_names"], data["metadata_values"][3], strict=True))
        assert metadata["dipole_z"] == 1.36785914
        assert json.loads(str(data["provenance"]))["encoding"] == "published"
        # 1s of hydrogen; 2s and 2p of lithium, in the order of l and m; no other orbital
        orbitals = data["orbital_populations"][3]
        assert np.flatnonzero(~np.isnan(orbitals[0])).tolist() == [0]
        assert np.flatnonzero(~np.isnan(orbitals[1])).tolist() == [0, 1, 2, 3]
        assert orbitals[0, 0] == data["atom_populations"][3, 0] == 1.40784956
        assert data["charges"][3].tolist() == [-0.40784956, 0.40784956]


def test_names_and_units_of_the_labels_go_with_their_columns(path):
    with np.load(path) as data:
        assert data["label_names"].tolist() == [label.name for label in NUMERIC_LABELS]
        assert data["label_units"].tolist() == [label.unit for label in NUMERIC_LABELS]
        assert data["text_label_names"].tolist() == ["system_id_guess"]
        assert data["metadata_names"].tolist() == list(METADATA_NAMES)
        assert data["channels"].tolist() == list(PUBLISHED.channel_names)


def test_images_are_the_amplitudes_times_the_basis_bit_for_bit(path):
    with np.load(path) as data:
        a = data["image_amplitudes"][..., None, None]
        b = data["image_basis"].astype(np.float64)
        expected = (a[:, :, 0] * b[:, 0] + a[:, :, 1] * b[:, 1]).astype(np.float32)
        assert data["images"].tobytes() == expected.tobytes()


def test_the_dicts_of_labels_equal_the_columns_with_none_where_missing(path):
    with np.load(path, allow_pickle=True) as data:
        dicts, values, texts = (data[n] for n in ("labels", "label_values", "text_label_values"))
    assert dicts.shape == (6,)
    for labels, row, text in zip(dicts, values.tolist(), texts.tolist(), strict=True):
        assert type(labels) is dict
        assert set(labels) == {label.name for label in LABELS}
        *numbers, name = labels.values()
        assert [type(number) for number in numbers] == [
            type(None) if np.isnan(value) else float for value in row
        ]
        assert [np.nan if number is None else number for number in numbers] == pytest.approx(
            row, abs=0, rel=0, nan_ok=True
        )
        assert (type(name), name) == (str, *text)
    assert dicts[SMALL.index("H_Li")]["e_g_ev"] == 3.157
    assert dicts[SMALL.index("He_He")]["e_g_ev"] is None


def test_the_dicts_of_metadata_have_pythons_own_types(path):
    with np.load(path, allow_pickle=True) as data:
        metadata = data["metadata"][SMALL.index("H_Li")]
    assert metadata == {
        "pair_name": "H_Li",
        "total_charge": 0.0,
        "fermi_level": -0.1333323056,
        "total_energy": -0.4885066171,
        "dipole_moment": (0.0, 0.0, 1.36785914),
        "num_atoms": 2,
        "bond_length": 1.68238595 + 0.09238595,
    }
    types = {name: type(value) for name, value in metadata.items()}
    assert types["pair_name"] is str
    assert types["num_atoms"] is int
    assert types["dipole_moment"] is tuple
    assert {type(c) for c in metadata["dipole_moment"]} == {float}
    assert {types[n] for n in ("total_charge", "fermi_level", "bond_length")} == {float}


def test_a_missing_value_is_none_in_the_metadata(small):
    rows = small.rows.copy()
    rows["fermi_level"] = np.nan
    dicts = writer.metadata_dicts(replace(small, rows=rows))
    assert [row["fermi_level"] for row in dicts] == [None] * 6


def test_zip_readers_find_no_fault(path):
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None


def test_our_own_reader_agrees_with_numpy(path):
    with Container(path) as archive, np.load(path) as data:
        for name in MEMBERS:
            if name not in PICKLED:
                np.testing.assert_array_equal(archive.read(name), data[name])


@pytest.mark.parametrize("store", [False, True], ids=["compressed", "stored"])
def test_the_bytes_do_not_depend_on_the_number_of_threads_or_of_images_at_a_time(
    small, store, monkeypatch
):
    expected = written(small, store=store)
    assert written(small, store=store, jobs=2) == expected
    assert written(small, store=store, jobs=3) == expected
    digest = write(io.BytesIO(), small)
    monkeypatch.setattr(writer, "_BLOCK", 2)
    assert write(io.BytesIO(), small) == digest


def test_the_content_digest_is_the_same_stored_and_at_any_compression(small, tmp_path, monkeypatch):
    digests = set()
    for store, level in ((False, 1), (False, 2), (False, 3), (True, 1)):
        monkeypatch.setattr("twobody.archive.zipstream._LEVEL", level)
        path = tmp_path / f"{store}_{level}.npz"
        with path.open("wb") as file:
            digests.add(write(file, small, store=store))
        with Container(path) as archive:
            digests.add(archive.content_digest())
    assert len(digests) == 1
    assert len({file.stat().st_size for file in tmp_path.iterdir()}) == 4


def test_progress_counts_every_pair_once(small):
    counts: list[int] = []
    write(io.BytesIO(), small, progress=counts.append)
    assert sum(counts) == len(SMALL)


def test_stored_arrays_can_be_memory_mapped_where_they_lie(small, tmp_path):
    path = tmp_path / "stored.npz"
    path.write_bytes(written(small, store=True))
    data = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.compress_size == info.file_size
            header = info.header_offset
            lengths = np.frombuffer(data, "<u2", 2, header + 26)
            assert (header + 30 + int(lengths.sum())) % 64 == 0
    start = data.index(b"\x93NUMPY")  # `images` is the first member
    header_size = 10 + int.from_bytes(data[start + 8 : start + 10], "little")
    assert (start + header_size) % 64 == 0
    mapped = np.memmap(path, np.float32, "r", start + header_size, (6, 10, 32, 32))
    with np.load(path) as loaded:
        np.testing.assert_array_equal(mapped, loaded["images"])
