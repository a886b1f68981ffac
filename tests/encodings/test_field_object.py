"""The encoding `field` in use: the same pixels by every route, and the mirror as augmentation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from shipped import SMALL, pairs_of

import build_dataset
from twobody import ParseError
from twobody.archive import read
from twobody.encodings.field import FIELD
from twobody.encodings.published import PUBLISHED

CHANNELS = (
    *("o_map_radial", "o_map_angular", "rip_overlap_filled", "rip_overlap_transfer"),
    *("rip_overlap_empty", "rip_potential", "com_occupation", "com_transfer"),
    *("q_image_gain", "q_image_loss"),
)


@pytest.fixture(scope="module")
def drawn():
    """The images of the pairs `SMALL`, from the raw data."""
    return FIELD.draw(pairs_of(SMALL))


@pytest.fixture
def built(small_raw_data, tmp_path):
    path = tmp_path / "field.npz"
    arguments = [str(small_raw_data), str(path), "--encoding", "field"]
    assert CliRunner().invoke(build_dataset.main, arguments).exit_code == 0
    return path


def test_the_channels_are_ten():
    assert FIELD.channel_names == CHANNELS


def test_pixels_are_numbers_of_float16(drawn):
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, drawn.astype(np.float16))


def test_an_archive_holds_the_pixels_drawn_from_the_raw_data(built, drawn):
    with np.load(built) as plain:
        assert plain["images"].tobytes() == drawn.tobytes()
        assert plain["channels"].tolist() == list(CHANNELS)
        assert "image_amplitudes" not in plain.files
    assert read(built).images[:].tobytes() == drawn.tobytes()


def test_an_archive_of_the_other_encoding_gives_the_same_pixels(archive, drawn):
    pairs = read(archive)
    assert FIELD.encode(pairs)[np.flatnonzero(np.isin(pairs.names, SMALL))].tobytes() == (
        drawn.tobytes()
    )


def test_the_other_encoding_is_drawn_from_its_archive(built, small):
    assert PUBLISHED.encode(read(built))[:].tobytes() == small.images[:].tobytes()


def test_an_archive_without_orbital_populations_is_told_what_to_do(small):
    rows = small.rows.copy()
    rows["orbital_populations"] = np.nan
    message = (
        r"expected orbital populations of both atoms, found in pair 0 \(.*\) none: .* build it"
    )
    with pytest.raises(ParseError, match=message):
        FIELD.draw(replace(small, rows=rows))


def test_atoms_are_marked_where_they_are(small):
    space, matrix = FIELD.channels[0], FIELD.channels[2]
    assert FIELD.atom_pixels(matrix, small.take(slice(3, 4))).shape == (0, 2)
    # H-Li, 1.7747719 angstrom: 3.549544 pixels to each side of the middle; lithium on the left.
    expected = [[15.5 + 3.5495438, 15.5], [15.5 - 3.5495438, 15.5]]
    np.testing.assert_allclose(FIELD.atom_pixels(space, small.take(slice(3, 4))), expected)
    # The density is highest there: at the pixel that holds the heavier nucleus.
    density = FIELD.draw(small.take(slice(0, 1)))[0, 0]  # Al-N
    (x, _), _ = FIELD.atom_pixels(space, small.take(slice(0, 1)))
    assert abs(density[15].argmax() - x) < 5


def test_flip_atoms_is_a_transform_and_an_involution(drawn):
    torch = pytest.importorskip("torch")
    from pytorch_dataset import FlipAtoms

    image = torch.from_numpy(drawn[0])
    flipped = FlipAtoms("field", p=1)(image)
    assert not torch.equal(flipped, image)
    assert torch.equal(FlipAtoms("field", p=1)(flipped), image)
    assert torch.equal(FlipAtoms("field", p=0)(image), image)
    assert torch.equal(flipped[0], image[0].flip(-1))  # a picture
    assert torch.equal(flipped[2], image[2].flip(-1, -2))  # a matrix


def test_flip_atoms_flips_as_often_as_asked(drawn):
    torch = pytest.importorskip("torch")
    from pytorch_dataset import FlipAtoms

    torch.manual_seed(0)
    image, flip = torch.from_numpy(drawn[0]), FlipAtoms("field", p=0.3)
    share = np.mean([not torch.equal(flip(image), image) for _ in range(2000)])
    assert abs(share - 0.3) < 0.05


def test_the_published_encoding_has_no_such_mirror():
    pytest.importorskip("torch")
    from pytorch_dataset import FlipAtoms

    with pytest.raises(ValueError, match="mirrors no image of the encoding published"):
        FlipAtoms("published")
