"""Means of channels: those of the shipped pairs are known, and used for no others."""

from dataclasses import replace

import numpy as np
import pytest

from twobody.archive.layout import SHIPPED
from twobody.archive.reader import read
from twobody.encodings.field import FIELD
from twobody.encodings.means import channel_means, means_of, write_known


@pytest.fixture(scope="module")
def pairs():
    return replace(read(SHIPPED), encoding="field")


def never_drawn(monkeypatch):
    monkeypatch.setattr(type(FIELD), "draw", None)


def test_the_known_means_are_those_of_the_images(pairs, monkeypatch):
    """Where this fails: python -m docs.refresh."""
    rows = np.arange(1, len(pairs), 7)  # a pair's pixels do not depend on other pairs
    drawn = channel_means(FIELD.encode(pairs), rows)
    never_drawn(monkeypatch)
    known = means_of(pairs, FIELD.encode(pairs), rows)
    # On another machine a pixel in many may be rounded to the next float16.
    np.testing.assert_allclose(known, drawn, rtol=1e-5, atol=1e-7)
    assert known.dtype == np.float64


def test_an_archive_of_these_pairs_has_them_too(archive, monkeypatch):
    pairs = replace(read(archive), encoding="field")
    never_drawn(monkeypatch)
    assert means_of(pairs, FIELD.encode(pairs), np.arange(9)).shape == (9, 10)


def test_pairs_with_another_number_are_drawn(pairs):
    rows = pairs.rows.copy()
    rows["charges"][5] *= 1.01
    changed, at = replace(pairs, rows=rows), np.array([5])
    found = means_of(changed, FIELD.encode(changed), at)
    np.testing.assert_array_equal(found, FIELD.encode(changed)[at].mean((2, 3), np.float64))
    assert (found != means_of(pairs, FIELD.encode(pairs), at)).any()


def test_images_that_a_file_holds_are_averaged_as_they_are(pairs):
    at = np.array([0, 2])
    images = np.ones((len(pairs), 10, 2, 2), np.float32)
    np.testing.assert_array_equal(means_of(pairs, images, at), np.ones((2, 10)))


def test_the_file_holds_float32_under_a_digest_of_its_pairs(pairs, tmp_path):
    some = pairs.take(slice(3))
    with (tmp_path / "new.npz").open("wb") as file:
        write_known(file, some)
    with np.load(tmp_path / "new.npz") as new:
        expected = channel_means(FIELD.encode(some), np.arange(3)).astype(np.float32)
        np.testing.assert_array_equal(new["means"], expected, strict=True)
        assert len(str(new["digest"])) == 64
