"""Archives open as pairs: ours, those of the original project, and no others."""

import io
import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from twobody import ParseError
from twobody.archive.container import Container
from twobody.archive.layout import ORIGINAL_MEMBERS, PAIR_NUMBERS, made_again, members
from twobody.archive.reader import read
from twobody.archive.writer import write, write_numbers
from twobody.encodings import ENCODINGS
from twobody.encodings.published import PUBLISHED, Rendered
from twobody.labels import NUMERIC_LABELS, TEXT_LABELS
from twobody.pairs import METADATA_NAMES

N = 3
MEMBERS = members(PUBLISHED)
FOLLOW = sorted(made_again(PUBLISHED))


@pytest.fixture
def original() -> dict[str, np.ndarray]:
    """What an archive of the original project holds, of three pairs made up here."""
    rng = np.random.default_rng(0)
    return {
        "images": rng.normal(size=(N, 10, 32, 32)).astype(np.float32),
        "geometries": rng.normal(size=(N, 2, 4)).astype(np.float32),
        "elements": np.array([["H", "He"], ["Li", "F"], ["Na", "N"]]),
        "pair_names": np.array(["H_He", "Li_F", "Na_N"]),
        "labels": np.array(
            [
                {"e_g_ev": 1.5, "metal_like": False, "n_levels": 3, "system_id_guess": "H_He"},
                {"e_g_ev": None, "metal_like": True, "n_levels": 8, "system_id_guess": None},
                {"e_g_ev": np.float64(0.25), "metal_like": np.bool_(True), "more": -1.0},
            ],
            dtype=object,
        ),
        "metadata": np.array(
            [
                {"pair_name": "H_He", "fermi_level": -0.5, "dipole_moment": (0.0, 0.5, 1.0)},
                {"dipole_moment": np.array([1.0, 2.0, 3.0]), "num_atoms": 2, "total_charge": None},
                None,
            ],
            dtype=object,
        ),
    }


def save(path, arrays):
    np.savez_compressed(path, **arrays)
    return path


def boxed(array: np.ndarray) -> np.ndarray:
    """Put every sub-array of the first axis into an object."""
    objects = np.empty(len(array), dtype=object)
    for i, item in enumerate(array):
        objects[i] = item
    return objects


def test_our_archive_reads_as_its_members(archive):
    pairs = read(archive)
    with np.load(archive) as plain:
        same = {name: name for name in ("elements", "geometries", "label_names", "label_units")}
        same |= {"label_values": "label_values", "text_label_values": "text_label_values"}
        for name, member in (same | {"names": "pair_names", "metadata": "metadata_values"}).items():
            np.testing.assert_array_equal(getattr(pairs, name), plain[member], strict=True)
        for name in ("orbital_populations", "atom_populations", "charges"):
            np.testing.assert_array_equal(pairs.rows[name], plain[name], strict=True)
        assert pairs.provenance == json.loads(str(plain["provenance"]))
    assert pairs.encoding == "published"
    assert pairs.label_names.tolist() == [label.name for label in NUMERIC_LABELS]
    assert pairs.text_label_names.tolist() == [label.name for label in TEXT_LABELS]


def test_images_made_from_our_archive_are_those_in_it_bit_for_bit(archive):
    images = read(archive).images
    assert isinstance(images, Rendered)
    with np.load(archive) as plain:
        stored = plain["images"]
    assert images.shape == stored.shape
    np.testing.assert_array_equal(images[np.arange(len(stored))], stored, strict=True)


def test_atomic_numbers_are_those_of_the_elements(archive):
    pairs = read(archive)
    numbers = dict(zip(pairs.names.tolist(), pairs.atomic_numbers.tolist(), strict=True))
    assert numbers["N_Na"] == [7, 11]
    assert numbers["Ag_Xe"] == [47, 54]


def test_a_part_of_the_columns_is_that_part_of_each(archive):
    pairs = read(archive)
    part = pairs.take(np.array([5, 2]))
    assert part.names.tolist() == pairs.names[[5, 2]].tolist()
    np.testing.assert_array_equal(part.images[:], pairs.images[np.array([5, 2])])
    np.testing.assert_array_equal(part.label_values, pairs.label_values[[5, 2]])


def test_an_archive_of_the_original_project_reads_as_columns(original, tmp_path):
    pairs = read(save(tmp_path / "old.npz", original))
    nan = np.nan
    assert pairs.label_names.tolist() == ["e_g_ev", "metal_like", "n_levels", "more"]
    assert pairs.label_units.tolist() == ["eV", "0/1", "1", ""]
    np.testing.assert_array_equal(
        pairs.label_values,
        [[1.5, 0.0, 3.0, nan], [nan, 1.0, 8.0, nan], [0.25, 1.0, nan, -1.0]],
    )
    assert pairs.text_label_names.tolist() == ["system_id_guess"]
    assert pairs.text_label_values.tolist() == [["H_He"], [""], [""]]
    assert len(METADATA_NAMES) == 8
    np.testing.assert_array_equal(
        pairs.metadata,
        [
            [nan, -0.5, nan, 0.0, 0.5, 1.0, nan, nan],
            [nan, nan, nan, 1.0, 2.0, 3.0, 2.0, nan],
            [nan] * 8,
        ],
    )
    assert pairs.atomic_numbers.tolist() == [[1, 2], [3, 9], [11, 7]]
    np.testing.assert_array_equal(pairs.images[:], original["images"], strict=True)
    assert pairs.provenance is None
    np.testing.assert_array_equal(pairs.take(np.array([2])).images[:], original["images"][[2]])


@pytest.mark.parametrize("name", ["images", "geometries", "elements", "pair_names"])
@pytest.mark.parametrize("box", [boxed, lambda array: array.astype(object)], ids=["rows", "items"])
def test_arrays_wrapped_in_objects_read_as_the_same(name, box, original, tmp_path):
    small = original | {"images": original["images"][:, :, :4, :4]}
    plain = read(save(tmp_path / "plain.npz", small))
    wrapped = read(save(tmp_path / "wrapped.npz", small | {name: box(small[name])}))
    name = {"pair_names": "names"}.get(name, name)
    before, after = getattr(plain, name)[:], getattr(wrapped, name)[:]
    np.testing.assert_array_equal(after, before)
    assert after.dtype.kind == before.dtype.kind


def test_float64_images_of_the_original_project_become_float32(original, tmp_path):
    wide = original | {"images": original["images"].astype(np.float64)}
    images = read(save(tmp_path / "old.npz", wide)).images[:]
    np.testing.assert_array_equal(images, original["images"], strict=True)


def test_labels_and_metadata_that_are_not_there_stay_missing(original, tmp_path):
    del original["labels"], original["metadata"]
    pairs = read(save(tmp_path / "old.npz", original))
    assert pairs.label_values.shape == (N, 0)
    assert pairs.text_label_values.shape == (N, 0)
    assert np.isnan(pairs.metadata).all()


def test_a_known_text_label_is_text_though_no_pair_has_it(original, tmp_path):
    original["labels"] = np.array([{"system_id_guess": None}, {"a": None}, {}], dtype=object)
    pairs = read(save(tmp_path / "old.npz", original))
    assert pairs.text_label_names.tolist() == ["system_id_guess"]
    assert pairs.text_label_values.tolist() == [[""], [""], [""]]
    assert pairs.label_names.tolist() == ["a"]


def test_a_text_label_with_nan_for_missing_is_text(original, tmp_path):
    original["labels"] = np.array([{"a": "x"}, {"a": float("nan")}, {}], dtype=object)
    pairs = read(save(tmp_path / "old.npz", original))
    assert pairs.text_label_values.tolist() == [["x"], [""], [""]]


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("images", np.zeros((N, 9, 32, 32), np.float32), r"\[3, 9, 32, 32\]"),
        ("images", np.zeros((N, 10, 32, 31), np.float32), r"\[3, 10, 32, 31\]"),
        ("images", np.zeros((N, 10, 32, 32), np.complex64), "<c8"),
        ("images", np.array([1, "a", None], dtype=object), r"\|O"),
        ("images", boxed(np.zeros((N, 10, 8, 7))), r"\[3, 10, 8, 7\]"),
        ("geometries", np.zeros((2, 2, 4)), r"\[2, 2, 4\]"),
        ("geometries", np.array(["1.5"] * N, dtype=object), "<U3"),
        ("geometries", np.array([10**400, 1.0, 1.0], dtype=object), "an integer beyond 64 bits"),
        ("elements", np.zeros((N, 2)), "<f8"),
        ("elements", np.array([["H", "He"], ["Li", "Q"], ["H", "H"]]), "'Q'"),
        ("pair_names", np.array(["A_B", "A_B", "C_D"]), "'A_B' 2 times"),
        ("labels", np.array([[1.0], {}, {}], dtype=object), "another object"),
        ("labels", np.array([{"a": "x"}, {"a": 1.0}, {}], dtype=object), "among text"),
        ("labels", np.array([{"e_g_ev": "x"}, {}, {}], dtype=object), "'e_g_ev'.* a str"),
        ("labels", np.array([{"a": (1.0,)}, {}, {}], dtype=object), "a tuple"),
        ("labels", np.array([{"a": 10**400}, {}, {}], dtype=object), "an integer beyond 64 bits"),
        ("labels", np.array([{"\ud800": 1.0}, {}, {}], dtype=object), "utf-8"),
        ("metadata", np.array([{"dipole_moment": 1.0}, {}, {}], dtype=object), "others"),
        ("metadata", np.array([{"total_charge": "x"}, {}, {}], dtype=object), "a str"),
    ],
)
def test_an_original_archive_with_other_content_is_refused(name, value, found, original, tmp_path):
    path = save(tmp_path / "old.npz", original | {name: value})
    with pytest.raises(ParseError, match=found) as error:
        read(path)
    assert name in str(error.value)
    assert error.value.path == str(path)


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ORIGINAL_MEMBERS)
def test_a_pickle_that_runs_a_command_is_refused_in_every_member(name, original, tmp_path):
    items = np.array([Runs(tmp_path / "ran"), None, None], dtype=object)
    with pytest.raises(ParseError, match=f"plain data in member '{name}', found 'posix.mkdir'|nt"):
        read(save(tmp_path / "old.npz", original | {name: items}))
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def ours(archive, tmp_path_factory):
    """The first three pairs of our archive."""
    path = tmp_path_factory.mktemp("ours") / "ours.npz"
    # Not by the reader that is tested; the pickles are those that the build has just written.
    with np.load(archive, allow_pickle=True) as plain:
        arrays = {
            name: plain[name][:N] if "N" in shape[:1] else plain[name]
            for name, (_, shape, _) in MEMBERS.items()
        }
    return save(path, arrays)


@pytest.mark.parametrize("name", [name for name, (dtype, _, _) in MEMBERS.items() if dtype != "O"])
def test_objects_in_a_plain_member_of_ours_are_refused_unread(name, ours, tmp_path):
    objects = npy(np.array(Runs(tmp_path / "ran"), dtype=object))
    rewrite(ours, tmp_path / "objects.npz", **{name: objects})
    with pytest.raises(ParseError, match=rf"in member '{name}', found \|O|no text '{name}'"):
        read(tmp_path / "objects.npz")
    assert not (tmp_path / "ran").exists()


def rewrite(source, target, **members: bytes | None) -> None:
    """Copy an archive with members replaced, or left out where None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = members.get(entry.filename.removesuffix(".npy"), old.read(entry))
            if data is not None:
                new.writestr(entry.filename, data)
        for name in members.keys() - {e.filename.removesuffix(".npy") for e in old.infolist()}:
            new.writestr(f"{name}.npy", members[name])


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"label_values": None}, "a member 'label_values', found none"),
        ({"image_basis": None}, "a member 'image_basis', found none"),
        ({"extra": npy(np.zeros(3))}, "members of a dataset archive only, found 'extra'"),
        ({"geometries": npy(np.zeros((3, 2, 4)))}, "dtype <f4 in member 'geometries', found <f8"),
        ({"label_names": npy(np.array(["a"]))}, r"shape \[1\] in member 'label_units'"),
        ({"image_amplitudes": npy(np.zeros((2, 10, 2)))}, r"shape \[3, 10, 2\]"),
        ({"channels": npy(np.array(["a"]))}, r"shape \[10\]"),
        ({"label_names": npy(np.array(["a"] * 36))}, "'a' 36 times"),
        ({"elements": npy(np.array([["H", "Zz"]] * N))}, "symbols of elements"),
        ({"pair_names": npy(np.arange(N))}, "dtype U"),
        ({"images": None}, "a member 'images', found none"),
        (dict.fromkeys(n for n in FOLLOW if n != "labels"), "a member 'images', found none"),
        (dict.fromkeys([*FOLLOW, "charges"]), "a member 'charges', found none"),
        (
            dict.fromkeys(FOLLOW) | {"geometries": npy(np.zeros((0, 2, 4), "<f4"))},
            r"at least one pair and one pixel in member 'geometries', found shape \[0, 2, 4\]",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_an_archive_of_ours_with_another_layout_is_refused(members, message, ours, tmp_path):
    rewrite(ours, tmp_path / "other.npz", **members)
    with pytest.raises(ParseError, match=message):
        read(tmp_path / "other.npz")


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        ('{"format_version": 3}', "a format_version from 1 to 2 in member .*, found '3'$"),
        ('{"format_version": 0}', "a format_version from 1 to 2 in member .*, found '0'$"),
        ('{"format_version": "2"}', "a format_version from 1 to 2 in member .*, found '\"2\"'$"),
        ('{"format_version": 2.0}', "a format_version from 1 to 2 in member .*, found '2.0'$"),
        ('{"format_version": true}', "a format_version from 1 to 2 in member .*, found 'true'$"),
        ("{}", "a format_version from 1 to 2 in member .*, found 'null'$"),
        ('{"format_version": 2, "encoding": "b"}', "one of the encodings .*, found '\"b\"'$"),
        ('{"format_version": 2}', "one of the encodings .*, found 'null'$"),
        ('{"format_version": 1, "encoding": "toy"}', "one of the encodings published in member"),
        ("{", "JSON in member 'provenance'"),
        ("[1]", r"a JSON object in member 'provenance', found '\[1\]'$"),
    ],
)
def test_an_archive_of_another_format_or_encoding_is_refused(provenance, message, ours, tmp_path):
    rewrite(ours, tmp_path / "later.npz", provenance=npy(np.array(provenance)))
    with pytest.raises(ParseError, match=r"later\.npz: expected " + message):
        read(tmp_path / "later.npz")


def test_an_archive_that_says_nothing_of_its_origin_is_not_a_dataset(ours, tmp_path):
    rewrite(ours, tmp_path / "other.npz", provenance=None)
    with pytest.raises(ParseError, match="expected a dataset archive, found no text 'provenance'"):
        read(tmp_path / "other.npz")


def test_an_archive_of_format_1_is_read_with_what_its_amplitudes_say(ours, archive, tmp_path):
    with np.load(ours) as plain:
        origin = json.loads(str(plain["provenance"])) | {"format_version": 1}
    numbers = dict.fromkeys(("orbital_populations", "atom_populations", "charges"))
    provenance = npy(np.array(json.dumps(origin)))
    rewrite(ours, tmp_path / "old.npz", provenance=provenance, **numbers)
    old, new = read(tmp_path / "old.npz"), read(archive).take(slice(0, N))
    np.testing.assert_array_equal(old.images[:], new.images[:])
    np.testing.assert_array_equal(old.label_values, new.label_values)
    np.testing.assert_array_equal(old.metadata, new.metadata)
    np.testing.assert_array_equal(old.rows["atom_populations"], new.rows["atom_populations"])
    np.testing.assert_allclose(old.rows["charges"], new.rows["charges"], rtol=0, atol=1e-15)
    assert np.isnan(old.rows["orbital_populations"]).all()


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=lambda encoding: encoding.name)
def test_without_what_follows_from_the_rest_an_archive_gives_the_same_pairs(
    encoding, small, tmp_path
):
    provenance = {**small.provenance, "encoding": encoding.name}
    images = encoding.encode(small)
    drawn = replace(small, encoding=encoding.name, images=images, provenance=provenance)
    for name, write_one in {"whole": write, "numbers": write_numbers}.items():
        with (tmp_path / f"{name}.npz").open("wb") as file:
            write_one(file, drawn)
    whole, numbers = read(tmp_path / "whole.npz"), read(tmp_path / "numbers.npz")
    with np.load(tmp_path / "numbers.npz") as file:
        assert set(file.files) == members(encoding).keys() - made_again(encoding)
    assert numbers.images[:].tobytes() == whole.images[:].tobytes()
    assert numbers.rows.tobytes() == whole.rows.tobytes()
    assert numbers.label_values.tobytes() == whole.label_values.tobytes()
    for name in ("names", "elements", "label_names", "label_units", "text_label_values"):
        np.testing.assert_array_equal(getattr(numbers, name), getattr(whole, name), strict=True)
    assert (numbers.encoding, numbers.provenance) == (whole.encoding, whole.provenance)


def test_numbers_of_more_pairs_than_the_file_can_hold_are_refused_before_anything_is_drawn(
    ours, tmp_path
):
    with np.load(ours) as file:
        arrays = {name: file[name] for name in MEMBERS.keys() - {*FOLLOW}}
    n = 20_000
    for name in arrays:
        if "N" in MEMBERS[name].shape[:1]:
            arrays[name] = np.resize(arrays[name][0], (n, *arrays[name].shape[1:]))
    arrays["pair_names"] = np.arange(n).astype(str)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, **arrays)
    assert path.stat().st_size < 500_000
    with pytest.raises(ParseError, match=r"images of at most .* found 819200000 bytes, of 20000"):
        read(path)


def test_an_archive_of_format_1_cannot_do_without_images(ours, tmp_path):
    provenance = npy(np.array('{"format_version": 1, "encoding": "published"}'))
    rewrite(ours, tmp_path / "old.npz", provenance=provenance, **dict.fromkeys(FOLLOW))
    with pytest.raises(ParseError, match="archive only, found 'orbital_populations'"):
        read(tmp_path / "old.npz")
    numbers = dict.fromkeys([*FOLLOW, *PAIR_NUMBERS])
    rewrite(ours, tmp_path / "old.npz", provenance=provenance, **numbers)
    with pytest.raises(ParseError, match="a member 'images', found none"):
        read(tmp_path / "old.npz")


def test_an_archive_with_other_channels_is_refused(ours, tmp_path):
    names = PUBLISHED.channel_names
    channels = [*names[:7], "c7", *names[8:]]
    rewrite(ours, tmp_path / "other.npz", channels=npy(np.array(channels)))
    message = "expected the channel com_orbital in member 'channels', found 'c7'"
    with pytest.raises(ParseError, match=message):
        read(tmp_path / "other.npz")


def header(description: str) -> bytes:
    text = f"{description:<117}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "description",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 2, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2, 4)}",
        "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2, 4)}",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2, 4)}",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (3, 2, 4)}",
        "{'descr': 'no dtype', 'fortran_order': False, 'shape': (3, 2, 4)}",
    ],
    ids=["absurd shape", "negative shape", "Fortran order", "big-endian", "no bytes", "no dtype"],
)
def test_a_hostile_header_is_refused(description, original, tmp_path):
    save(tmp_path / "old.npz", original)
    data = header(description) + bytes(N * 2 * 4 * 4)
    rewrite(tmp_path / "old.npz", tmp_path / "hostile.npz", geometries=data)
    with pytest.raises(ParseError, match="geometries"):
        read(tmp_path / "hostile.npz")


def test_text_with_characters_that_are_none_is_refused(original, tmp_path):
    save(tmp_path / "old.npz", original)
    names = npy(np.array(["H_He", "Li_F", "Na_N"]))[:-4] + b"\xff\xff\xff\xff"
    rewrite(tmp_path / "old.npz", tmp_path / "hostile.npz", pair_names=names)
    with pytest.raises(ParseError, match="text in member 'pair_names'"):
        read(tmp_path / "hostile.npz")


def test_the_pickled_members_of_our_archive_decode_as_numpy_decodes_them(archive):
    with Container(archive) as opened, np.load(archive, allow_pickle=True) as plain:
        for name in ("labels", "metadata"):
            assert opened.read_objects(name).tolist() == plain[name].tolist()


def test_a_pickled_array_of_another_shape_than_its_header_says_is_refused(original, tmp_path):
    save(tmp_path / "old.npz", original)
    data = npy(np.array([{}, {}, {}], dtype=object)).replace(b"(3,)", b"(2,)")
    rewrite(tmp_path / "old.npz", tmp_path / "odd.npz", labels=data)
    message = r"\|O \[2\], as the header says"
    with Container(tmp_path / "odd.npz") as opened, pytest.raises(ParseError, match=message):
        opened.read_objects("labels")


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read(tmp_path / "none.npz")
