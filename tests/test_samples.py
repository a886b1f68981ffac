"""Samples: which pairs become samples, and what is said of them."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest

from twobody import ParseError, samples
from twobody.archive import read
from twobody.encodings.published import Rendered
from twobody.samples import ImageCache, LazySequence, PairSamples


@pytest.fixture(scope="module")
def gap(archive):
    return PairSamples(archive, ["e_g_ev"], "drop", None)


@pytest.fixture
def images(archive):
    return read(archive).take(np.arange(20)).images


def test_pairs_without_the_label_are_left_out_and_named(gap, archive):
    pairs = read(archive)
    assert gap.dropped.tolist() == pairs.names[np.isnan(pairs.label("e_g_ev"))].tolist()
    assert gap.dropped.tolist() == ["He_He", "He_Ne", "Ne_Ne"]
    assert len(gap.pair_names) == 2850 - 3


def test_nan_keeps_every_pair(archive):
    kept = PairSamples(archive, ["e_g_ev"], "nan", None)
    assert len(kept.pair_names) == 2850
    assert kept.dropped.size == 0


def test_error_refuses_where_a_pair_lacks_the_label(archive):
    with pytest.raises(ParseError, match=r"e_g_ev for every pair, found 3 pairs .* first He_He"):
        PairSamples(archive, ["e_g_ev"], "error", None)
    assert len(PairSamples(archive, ["e_homo_ev"], "error", None).pair_names) == 2850


def test_of_several_labels_all_have_to_be_there(archive):
    both = PairSamples(archive, ["e_homo_ev", "softness_evinv"], "drop", None)
    assert len(both.pair_names) == 735
    assert both.label_units == {"e_homo_ev": "eV", "softness_evinv": "1/eV"}


@pytest.mark.parametrize(
    ("labels", "missing", "message"),
    [
        (["e_gap_ev"], "drop", "unknown label 'e_gap_ev'; did you mean 'e_g_ev'"),
        (["E_g_eV"], "drop", "did you mean 'e_g_ev'"),
        (["band_gap"], "drop", "unknown label 'band_gap'; did you mean 'e_g_ev'"),
        (["HOMO-LUMO gap"], "drop", "did you mean 'e_g_ev'"),
        (["gap"], "drop", "did you mean 'e_g_ev'"),
        (["homo"], "drop", "did you mean 'e_homo_ev'"),
        (["LUMO"], "drop", "did you mean 'e_lumo_ev'"),
        (["bond_length"], "drop", "did you mean 'distance_ang'"),
        (["total energy"], "drop", "did you mean 'total_energy_ev'"),
        (["ionization_potential"], "drop", "did you mean 'i_ev'"),
        (["dipole_moment"], "drop", "did you mean 'dipole_mag_d'"),
        (
            ["dipole"],
            "drop",
            "did you mean 'dipole_mag_d', 'dipole_x_d', 'dipole_y_d', 'dipole_z_d'",
        ),
        (["softness"], "drop", "did you mean 'softness_evinv'"),
        (["is_metal"], "drop", "did you mean 'metal_like'"),
        (["???"], "drop", r"unknown label '\?\?\?'; known: 'total_energy_ev', "),
        (["system_id_guess"], "drop", "'system_id_guess' is text"),
        ([], "drop", "at least one target label"),
        (["e_g_ev"], "ignore", "missing must be 'drop', 'nan' or 'error'"),
    ],
)
def test_wrong_arguments_are_refused(labels, missing, message, archive):
    with pytest.raises(ValueError, match=message):
        PairSamples(archive, labels, missing, None)


def test_a_label_that_no_pair_has_is_refused(archive, tmp_path):
    with np.load(archive) as plain:
        arrays = {
            name: plain[name][:2] for name in ("images", "geometries", "elements", "pair_names")
        }
    empty = np.array([{"a": None}, {"a": None}], dtype=object)
    np.savez(tmp_path / "old.npz", allow_pickle=True, labels=empty, **arrays)
    with pytest.raises(ParseError, match="pairs that have a, found none"):
        PairSamples(tmp_path / "old.npz", ["a"], "drop", None)


def test_a_split_can_hold_out_elements(gap):
    with_noble, without = gap.indices_with(["He", "Ne"]), gap.indices_without(["He", "Ne"])
    assert set(gap.elements[with_noble].ravel()) >= {"He", "Ne"}
    assert all({"He", "Ne"} & set(pair) for pair in gap.elements[with_noble].tolist())
    assert not {"He", "Ne"} & set(gap.elements[without].ravel())
    assert sorted([*with_noble, *without]) == list(range(len(gap.pair_names)))


def test_one_element_may_be_given_as_it_is(gap):
    assert gap.indices_with("He").tolist() == gap.indices_with(["He"]).tolist()
    assert len(gap.indices_with("He")) == 75 - 2


@pytest.mark.parametrize("elements", ["he", ["He", "Qq"], "HeNe"])
def test_what_is_no_element_is_refused(elements, gap):
    with pytest.raises(ValueError, match="is not the symbol of an element"):
        gap.indices_with(elements)


def test_cached_images_are_the_rendered_ones_in_any_order(images):
    cache = ImageCache(images)
    for order in ([3, 1, 3], [1, 2, 19], list(range(20))[::-1], []):
        rows = np.array(order, np.int64)
        np.testing.assert_array_equal(cache[rows], images[rows], strict=True)


def test_changing_what_a_cache_gave_does_not_change_what_it_gives(images):
    cache, rows = ImageCache(images), np.array([4])
    for _ in range(2):
        cache[rows][:] = -1
    np.testing.assert_array_equal(cache[rows], images[rows])


def test_a_cache_renders_every_image_once(images, monkeypatch):
    rendered = []
    render = Rendered.__getitem__
    monkeypatch.setattr(
        Rendered,
        "__getitem__",
        lambda self, rows: rendered.extend(rows) or render(self, rows),
    )
    cache = ImageCache(images)
    for rows in ([3, 1], [1, 2], [3, 2, 1]):
        cache[np.array(rows)]
    assert rendered == [3, 1, 2]


def test_workers_keep_no_images(images, monkeypatch):
    cache = ImageCache(images)
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {"daemon": True})
    np.testing.assert_array_equal(cache[np.array([2])], images[np.array([2])])
    assert not cache._made.any()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])  # noqa: S301
def test_a_copy_of_a_cache_starts_anew_and_is_small(copied, images):
    cache = ImageCache(images)
    cache[np.arange(20)]
    new = copied(cache)
    assert not new._made.any()
    np.testing.assert_array_equal(new[np.arange(20)], images[np.arange(20)])
    assert len(pickle.dumps(cache)) < 100_000


def test_images_beyond_the_limit_are_rendered_every_time(archive, monkeypatch):
    monkeypatch.setattr(samples, "MOST_KEPT", 1000)
    large = PairSamples(archive, ["e_g_ev"], "drop", None)
    assert isinstance(large._images, Rendered)


def test_an_empty_list_of_elements_holds_nothing_out(gap):
    assert gap.indices_with([]).size == 0
    assert gap.indices_without([]).size == len(gap.pair_names)


def test_images_of_another_encoding_are_drawn(archive, toy):
    drawn = PairSamples(archive, ["e_g_ev"], "drop", toy.name)
    assert drawn.channels == toy.channel_names
    rows = np.array([5, 3])
    np.testing.assert_array_equal(drawn._images[rows], toy.draw(read(archive).take(rows)))
    with pytest.raises(ValueError, match="unknown encoding 'oils'; known: published"):
        PairSamples(archive, ["e_g_ev"], "drop", "oils")


USES = {
    "length": len,
    "truth": bool,
    "first": lambda items: items[0],
    "last": lambda items: items[-1],
    "slice": lambda items: items[1:],
    "iteration": list,
    "backwards": lambda items: list(reversed(items)),
    "unpacked": lambda items: [*items],
    "columns": lambda items: list(zip(*[items, items], strict=True)),
    "sorted": sorted,
    "contains": lambda items: 2 in items,
    "index": lambda items: items.index(2),
    "count": lambda items: items.count(2),
    "sum": lambda items: items + [5],  # noqa: RUF005 - the operator is meant
    "sum from the left": lambda items: [5] + items,  # noqa: RUF005
    "sum of two": lambda items: items + items,
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "append": lambda items: items.append(4) or list(items),
    "extend": lambda items: items.extend([4]) or list(items),
    "insert": lambda items: items.insert(1, 4) or list(items),
    "replace": lambda items: items.__setitem__(0, 4) or list(items),
    "delete": lambda items: items.__delitem__(0) or list(items),
    "remove": lambda items: items.remove(1) or list(items),
    "pop": lambda items: (items.pop(), list(items)),
    "reverse": lambda items: items.reverse() or list(items),
    "clear": lambda items: items.clear() or list(items),
    "pickle": lambda items: pickle.loads(pickle.dumps(items)),  # noqa: S301 - written here
}


@pytest.mark.parametrize("use", USES)
def test_a_lazy_sequence_is_read_as_a_list_is(use):
    calls = []
    lazy = LazySequence(3, lambda: calls.append(1) or [3, 1, 2])
    assert (calls, lazy.seen) == ([], False)
    assert USES[use](lazy) == USES[use]([3, 1, 2])
    assert (calls, lazy.seen) == (([], False) if use in ("length", "truth") else ([1], True))


def test_items_that_cannot_be_made_are_not_taken_for_none():
    calls = []

    def fails_once() -> list[int]:
        calls.append(len(calls))
        if len(calls) == 1:
            raise MemoryError
        return [3, 1, 2]

    items = LazySequence(3, fails_once)
    with pytest.raises(MemoryError):
        items[0]
    assert list(items) == [3, 1, 2]
