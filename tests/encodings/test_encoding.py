"""Adding an encoding touches `encodings/` alone: a toy is built, loaded, checked and drawn."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from shipped import SMALL, pairs_of

import build_dataset
import check_npz
from twobody.archive import read
from twobody.encodings import DEFAULT, ENCODINGS, get_encoding
from twobody.encodings.encoding import Drawn


@pytest.fixture
def built(toy, small_raw_data, tmp_path):
    """An archive in the toy encoding."""
    path = tmp_path / "toy.npz"
    arguments = [str(small_raw_data), str(path), "--encoding", toy.name]
    result = CliRunner().invoke(build_dataset.main, arguments)
    assert result.exit_code == 0, result.output
    assert "images    6 x 3 x 8 x 8 float32, encoding toy" in result.output
    return path


def test_the_archive_of_a_new_encoding_holds_its_images_and_its_name(toy, built):
    drawn = toy.draw(pairs_of(SMALL))
    with np.load(built) as plain:
        np.testing.assert_array_equal(plain["images"], drawn, strict=True)
        assert plain["channels"].tolist() == ["charge", "length", "weight"]
        assert json.loads(str(plain["provenance"]))["encoding"] == "toy"
        assert "image_amplitudes" not in plain.files
    pairs = read(built)
    assert pairs.encoding == "toy"
    np.testing.assert_array_equal(pairs.images[:], drawn)


def test_loaders_give_its_images(built):
    pytest.importorskip("torch_geometric")
    from pytorch_dataset import TwoBodyDataset
    from pytorch_geometric_dataset import TwoBodyGraphDataset

    image, target = TwoBodyDataset(built, "e_homo_ev")[4]
    assert image.shape == (3, 8, 8)
    assert target.item() == pytest.approx(read(built).label("e_homo_ev")[4])
    graph = TwoBodyGraphDataset(built, ["e_homo_ev"], with_images=True)[3]  # H-Li
    assert graph.image.shape == (1, 3, 8, 8)
    assert graph.edge_attr.shape == (1, 3 + 4)
    # Charges of both atoms cancel; bond length; 1 + 3; bond length and vector along z.
    expected = [0, 1.7747719, 4, 1.7747719, 0, 0, 1.7747719]
    np.testing.assert_allclose(graph.edge_attr[0], expected, atol=1e-6)


def test_it_is_checked_shown_and_drawn(built, tmp_path):
    run = CliRunner().invoke
    verified = run(check_npz.main, [str(built), "--verify"])
    assert verified.exit_code == 0, verified.output
    assert "drawn again" in verified.output
    shown = run(check_npz.main, [str(built), "--pair", "H_Li", "--json"])
    channels = json.loads(shown.output)["channels"]
    assert [channel["name"] for channel in channels] == ["charge", "length", "weight"]
    assert channels[1]["max"] == pytest.approx(1.7747719)
    drawn = run(check_npz.main, [str(built), "--pair", "H_Li", "--draw", str(tmp_path / "p.png")])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_pixels_that_it_would_not_draw_are_found(built, tmp_path):
    with np.load(built, allow_pickle=True) as plain:
        members = {name: plain[name] for name in plain.files}
    members["images"][2, 1, 3, 3] += 0.5
    np.savez(tmp_path / "odd.npz", allow_pickle=True, **members)
    result = CliRunner().invoke(check_npz.main, [str(tmp_path / "odd.npz"), "--verify"])
    assert result.exit_code == 1
    assert f"{SMALL[2]}: length is not drawn from these numbers" in result.output


def test_an_archive_of_one_encoding_gives_the_images_of_another(archive, built):
    pytest.importorskip("torch")
    from pytorch_dataset import TwoBodyDataset

    of_toy = TwoBodyDataset(built, "e_homo_ev", encoding="published")
    of_archive = TwoBodyDataset(archive, "e_homo_ev")
    names = of_archive.pair_names.tolist()
    for i, name in enumerate(SMALL):
        assert of_toy[i][0].numpy().tobytes() == of_archive[names.index(name)][0].numpy().tobytes()


def test_an_unknown_encoding_is_refused_by_name(small_raw_data, tmp_path):
    arguments = [str(small_raw_data), str(tmp_path / "out.npz"), "--encoding", "oils"]
    result = CliRunner().invoke(build_dataset.main, arguments)
    assert result.exit_code == 2
    assert "unknown encoding 'oils'; known: published" in result.output
    assert not (tmp_path / "out.npz").exists()


def test_the_published_encoding_is_the_default():
    assert DEFAULT == "published"
    assert next(iter(ENCODINGS)) == "published"
    assert all(get_encoding(name).name == name for name in ENCODINGS)


def test_images_are_drawn_when_they_are_asked_for_and_not_before(toy, monkeypatch):
    drawn: list[int] = []
    draw = toy.draw
    monkeypatch.setattr(toy, "draw", lambda pairs: drawn.append(len(pairs)) or draw(pairs))
    images = Drawn(toy, pairs_of(SMALL))
    assert images.shape == (6, 3, 8, 8)
    part = images.take(np.array([4, 1]))
    assert drawn == []
    np.testing.assert_array_equal(part[:1], draw(pairs_of(SMALL).take(np.array([4]))))
    assert drawn == [1]


def test_pixels_and_pairs_are_taken_together(small):
    pairs = replace(small, images=small.images[:])
    part = pairs.take(np.array([5, 2]))
    assert part.names.tolist() == [SMALL[5], SMALL[2]]
    np.testing.assert_array_equal(part.images[:], small.images[:][[5, 2]])
