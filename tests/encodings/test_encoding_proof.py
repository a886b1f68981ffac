"""The proof of the encoding: results and page agree, recipes can be drawn, networks learn."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from twobody.encodings import field

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))

torch = pytest.importorskip("torch")
import encoding_proof  # noqa: E402 - lies in examples/
import side_by_side  # noqa: E402


def test_the_page_has_the_tables_of_the_stored_results():
    result = CliRunner().invoke(encoding_proof.main, ["table"])
    assert result.exit_code == 0, result.output
    page = (ROOT / "docs" / "encodings.md").read_text(encoding="utf-8")
    _, _, region = page.partition("<!-- encoding_proof.py table -->\n")
    assert region.partition("\n<!-- end -->")[0] == result.output


def test_every_recipe_can_be_drawn():
    rng = np.random.default_rng(3)
    populations = rng.uniform(0, 2, (2, 2, 16))
    populations[0, 1, 4:] = np.nan
    numbers = np.array([[47, 13], [55, 90]])
    drawn = encoding_proof.draw_block((numbers, np.array([2.6, 4]), populations, np.zeros((2, 2))))
    known = {*drawn, *encoding_proof.PUBLISHED, None}
    for recipes in encoding_proof.RUNS.values():
        for name, recipe in recipes.items():
            assert len(recipe) == len(field.CHANNELS), name
            assert set(recipe) <= known, name
    assert all(np.isfinite(pixels).all() for pixels in drawn.values())


def test_the_alternatives_at_the_constants_of_the_product_are_the_product():
    """The frame and scales that were tried differ from the channels in their constants alone."""
    import encoding_alternatives

    numbers, bond = np.array([[47, 13]]), np.array([2.6])
    populations, charges = np.full((1, 2, 16), np.nan), np.array([[0.2, -0.2]])
    populations[..., :9] = 0.7
    described = encoding_alternatives.describe(numbers, populations, charges)
    pictures = encoding_alternatives.pictures(
        described,
        bond / field.BOHR,
        "same",
        np.array([field.FRAME]),
        field.DENSITY_SCALE,
        field.DEFORMATION_SCALE,
    )
    images = field.draw(numbers, bond, populations, charges)
    for channel in (0, 1, 5, 8, 9):
        assert pictures[f"same {channel}"] == pytest.approx(images[:, channel], rel=1e-3, abs=1e-6)


def test_networks_learn_side_by_side_and_depend_on_their_seeds_alone(monkeypatch):
    monkeypatch.setattr(side_by_side, "EPOCHS", 8)
    monkeypatch.setattr(side_by_side, "BATCH_SIZE", 16)
    brightness = torch.rand(64, generator=torch.Generator().manual_seed(0))
    images = torch.zeros(64, 2, 32, 32)  # the second channel is blank, as where one is left out
    images[:, 0] = brightness[:, None, None]
    labels = np.stack([brightness.numpy() * 10 - 3, np.arange(64) % 2], axis=1).astype(np.float64)
    labels[5] = np.nan  # a missing label
    train, seeds = np.arange(48), (0, 1, 0)
    trainees = [side_by_side.Trainee(images, 2, side_by_side.most_steps(64)) for _ in seeds]
    predictions = side_by_side.train(trainees, labels, [(train, seed) for seed in seeds])
    assert predictions.shape == (3, 64, 2)
    assert np.array_equal(predictions[0], predictions[2])
    assert not np.array_equal(predictions[0], predictions[1])
    tested = labels[48:, 0]
    errors = np.abs(predictions[:, 48:, 0] - tested).mean(axis=1)
    assert (errors < np.abs(tested - np.nanmedian(labels[:48, 0])).mean() / 2).all()
