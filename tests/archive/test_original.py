"""What is made of pickled objects takes no more memory than the archive may take unpacked."""

from __future__ import annotations

import numpy as np
import pytest

from twobody import ParseError
from twobody.archive.container import Container
from twobody.archive.original import read_original
from twobody.pairs import Pairs

N = 100
ALLOWED = 100_000  # bytes


def boxed(*items) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def filled(first, other) -> np.ndarray:
    """Return an array of objects, the first one thing and the others another."""
    return boxed(first, *(type(other)(other) for _ in range(N - 1)))


PLAIN = {
    "images": np.zeros((N, 10, 1, 1), np.float32),
    "geometries": np.zeros((N, 2, 4), np.float32),
    "elements": np.full((N, 2), "H"),
    "pair_names": np.arange(N).astype(np.str_),
}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that reads an archive with some members in place of the plain ones."""
    monkeypatch.setattr("twobody.archive.container._ALWAYS_ALLOWED", ALLOWED)
    monkeypatch.setattr("twobody.archive.container._MAX_EXPANSION", 1)

    def read(**members) -> Pairs:
        np.savez_compressed(tmp_path / "old.npz", **(PLAIN | members))
        with Container(tmp_path / "old.npz") as archive:
            assert archive.allowed_size == ALLOWED
            return read_original(archive)

    return read


def test_objects_that_take_little_are_read(read):
    pairs = read(labels=filled({"note": "x" * 200, "a": 1.0}, {"note": "y"}))
    assert pairs.text_label_values.dtype == "<U200"
    assert pairs.text_label_values[1:].tolist() == [["y"]] * (N - 1)
    np.testing.assert_array_equal(pairs.label_values, [[1.0], *[[np.nan]] * (N - 1)])


@pytest.mark.parametrize(
    ("name", "objects", "size"),
    [
        pytest.param(
            "labels", filled({"note": "x" * 300}, {"note": "y"}), N * 300 * 4, id="a wide text"
        ),
        pytest.param(
            "labels",
            filled({f"note {k}": "x" * 30 for k in range(10)}, {}),
            10 * N * 30 * 4,
            id="ten texts",
        ),
        pytest.param(
            "labels", filled({f"label {k}": 1.0 for k in range(200)}, {}), 200 * N * 8, id="labels"
        ),
        pytest.param(
            "labels",
            filled({"x" * 2_000: 1.0, **{f"label {k}": 1.0 for k in range(99)}}, {}),
            100 * 2_000 * 4,
            id="a wide name of a label",
        ),
        pytest.param("pair_names", filled("x" * 300, "y"), N * 300 * 4, id="a wide name"),
        pytest.param(
            "elements",
            boxed(np.array(["H", "x" * 300]), *(np.array(["H", "H"]) for _ in range(N - 1))),
            N * 2 * 300 * 4,
            id="arrays of another width",
        ),
    ],
)
def test_objects_that_would_take_more_are_refused(name, objects, size, read):
    expected = f"objects of at most {ALLOWED} bytes in member '{name}', found {size}$"
    with pytest.raises(ParseError, match=expected):
        read(**{name: objects})


def test_arrays_without_items_are_refused(read):
    images = boxed(*(np.zeros((10, 1, 0)) for _ in range(N)))
    with pytest.raises(ParseError, match=r"an array of <f4 in member 'images', found \|O"):
        read(images=images)
