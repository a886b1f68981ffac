"""Is an encoding worth its pixels? Train the same small CNN on each, and see.

    python examples/encoding_proof.py run dataset_combined.npz --device cuda
    python examples/encoding_proof.py table

`run` trains on random pairs, on pairs of unseen elements and on unseen periods (the splits of the
benchmark; validation parts are trained on too, as nothing is chosen by them), with channels left
out, with shuffled pixels, and with the channels that were tried and not taken
(`encoding_alternatives.py`). It writes a row per training, test part and target. `table` makes the
tables of docs/encodings.md of them. Seven minutes on one data-centre GPU.
"""

from __future__ import annotations

import csv
import multiprocessing
from pathlib import Path

import click
import encoding_alternatives
import numpy as np
import pandas as pd
import side_by_side
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from twobody.archive import read
from twobody.benchmark.splits import FOLDS, read_splits
from twobody.encodings import field, get_encoding
from twobody.pairs import Pairs

TARGETS = {
    "gap": "e_g_ev",
    "HOMO": "e_homo_ev",
    "LUMO": "e_lumo_ev",
    "total": "total_energy_ev",
    "repulsive": "repulsive_energy_ev",
    "distance": "distance_ang",
}
"""Columns of the tables and the labels behind them: eV, and angstrom for the distance."""

RESULTS = Path(__file__).resolve().parents[1] / "results" / "encoding_proof.csv"
COLUMNS = ("images", "split", "fold", "part", "seed", "target", "mae")
SHUFFLED = np.random.default_rng(0).permutation(field.SIZE**2)
"""Where the pixels of every image go in the control."""

Float = NDArray[np.float64]
Channels = dict[str, NDArray[np.float16]]
Recipe = tuple[str | None, ...]
"""Ten channels by name; None leaves a channel blank."""

FIELD: Recipe = tuple(f"field {channel}" for channel in range(10))


def keep(*channels: int) -> Recipe:
    """Blank all channels of `field` but these."""
    return tuple(name if i in channels else None for i, name in enumerate(FIELD))


def leave_out(*channels: int) -> Recipe:
    """Blank these channels of `field`."""
    return keep(*set(range(10)).difference(channels))


def rip(*names: str | None) -> Recipe:
    """Put other channels in the place of 2, 3 and 4."""
    return (*FIELD[:2], *names, *FIELD[5:])


def redrawn(name: str) -> Recipe:
    """Draw the pictures of space with another frame or scale."""
    return tuple(f"{name} {i}" if i in (0, 1, 5, 8, 9) else FIELD[i] for i in range(10))


PUBLISHED: Recipe = tuple(f"published {channel}" for channel in range(10))
MAIN: dict[str, Recipe] = {
    "published": PUBLISHED,
    "published, pixels shuffled": PUBLISHED,
    "field": FIELD,
    "field, pixels shuffled": FIELD,
    "field, first formulas": (
        *("first 0", "first 1", "gramian sp", "gramian df", "markov"),
        *("first 5", FIELD[6], FIELD[7], "first 8", "first 9"),
    ),
}
GROUPS: dict[str, Recipe] = {
    "without 0, 1: o_map": leave_out(0, 1),
    "without 2, 3, 4: rip_overlap": leave_out(2, 3, 4),
    "without 5: rip_potential": leave_out(5),
    "without 6, 7: com": leave_out(6, 7),
    "without 8, 9: q_image": leave_out(8, 9),
    "pictures only: 0, 1, 5, 8, 9": keep(0, 1, 5, 8, 9),
    "matrices only: 2, 3, 4, 6, 7": keep(2, 3, 4, 6, 7),
    "overlaps only: 2, 3, 4": keep(2, 3, 4),
}
INSTEAD: dict[str, Recipe] = {
    "Gramian and Markov fields of the bond profile": rip("gramian sp", "gramian df", "markov"),
    "polar maps of the pair (sp, df, potential)": rip("polar sp", "polar df", "polar potential"),
    "overlap, filled and transfer": rip(FIELD[2], FIELD[3], None),
    "overlap, filled and transfer; polar map": rip(FIELD[2], FIELD[3], "polar total"),
    "overlap, filled and transfer; extended Hueckel": rip(FIELD[2], FIELD[3], "hueckel"),
    "overlap, filled and transfer; Gramian of populations": rip(
        FIELD[2], FIELD[3], "gramian populations"
    ),
}
SCALES: dict[str, Recipe] = {
    "frame of 10 A": redrawn("10 A"),
    "frame of R + 6 A": redrawn("R + 6 A"),
    "scales of 1e-4 and 1e-3": redrawn("fainter"),
}
RUNS: dict[str, dict[str, Recipe]] = {
    "element": {**MAIN, **GROUPS, **INSTEAD, **SCALES},
    "pair": MAIN,
    "period": MAIN,
}


def draw_block(
    inputs: tuple[NDArray[np.int64], Float, Float, Float],
) -> Channels:
    """Draw the channels of `field` and all alternatives of some pairs."""
    images = field.draw(*inputs).astype(np.float16)
    channels = {f"field {i}": images[:, i] for i in range(images.shape[1])}
    return {**channels, **encoding_alternatives.draw(*inputs)}


def draw(pairs: Pairs) -> Channels:
    """Draw every channel of every recipe, on all cores."""
    blocks = []
    for start in range(0, len(pairs), 64):
        some = pairs.take(slice(start, start + 64))
        populations, charges = some.rows["orbital_populations"], some.rows["charges"]
        blocks.append((some.atomic_numbers, some.rows["bond_length"], populations, charges))
    with multiprocessing.Pool() as pool:
        drawn = pool.map(draw_block, blocks)
    channels = {name: np.concatenate([block[name] for block in drawn]) for name in drawn[0]}
    published = get_encoding("published").draw(pairs).astype(np.float16)
    return {**channels, **{f"published {i}": published[:, i] for i in range(10)}}


@click.group()
def main() -> None:
    """Compare the image encodings by what a small CNN learns from them."""


@main.command()
@click.argument("archive", type=click.Path(exists=True, path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Of two seeds each.")
@click.option("--quick", is_flag=True, help="One fold, one seed, one epoch: does it run?")
def run(archive: Path, output: Path, device: str, rounds: int, quick: bool) -> None:
    """Train on the pairs of ARCHIVE and write the errors as CSV."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    side_by_side.EPOCHS = 1 if quick else side_by_side.EPOCHS
    pairs = read(archive)
    names, cells = read_splits()
    if not np.array_equal(names, pairs.names):
        raise click.UsageError(f"{archive} does not hold the pairs of the benchmark's splits")
    labels = np.stack([pairs.label(name) for name in TARGETS.values()], axis=1)
    channels = draw(pairs)
    images = torch.zeros(len(pairs), 10, field.SIZE, field.SIZE, device=device)
    trainees = [
        side_by_side.Trainee(images, len(TARGETS), side_by_side.most_steps(len(pairs)))
        for _ in range(1 if quick else 10)
    ]
    rows = [
        (round_, split, name) for round_ in range(rounds) for split in RUNS for name in RUNS[split]
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for round_, split, name in tqdm(rows[:1] if quick else rows, unit="row"):
            put_images(images, channels, RUNS[split][name], shuffled="shuffled" in name)
            jobs = [(fold, 2 * round_ + k) for fold in FOLDS[split] for k in range(2)]
            parts = {fold: cells[f"{split}-{fold}"] for fold in FOLDS[split]}
            seen = {fold: np.flatnonzero(~np.char.startswith(parts[fold], "C")) for fold in parts}
            predictions = side_by_side.train(
                trainees, labels, [(seen[fold], seed) for fold, seed in jobs[: len(trainees)]]
            )
            for (fold, seed), predicted in zip(jobs, predictions, strict=False):
                errors = np.abs(predicted - labels)
                for part in sorted(set(parts[fold]) & {"C1", "C2", "C3"}):
                    mae = np.nanmean(errors[parts[fold] == part], axis=0)
                    for target, value in zip(TARGETS, mae, strict=True):
                        table.writerow((name, split, fold, part, seed, target, f"{value:.5g}"))
            file.flush()


def put_images(shared: torch.Tensor, channels: Channels, recipe: Recipe, *, shuffled: bool) -> None:
    """Put the images of a recipe where the trainees look for them."""
    for i, name in enumerate(recipe):
        if name is None:
            shared[:, i] = 0
            continue
        pixels = channels[name].reshape(len(shared), -1)
        if shuffled:
            pixels = pixels[:, SHUFFLED]
        shared[:, i] = torch.as_tensor(pixels.reshape(shared[:, i].shape)).to(shared.device)


@main.command()
@click.argument("results", type=click.Path(exists=True, path_type=Path), default=RESULTS)
def table(results: Path) -> None:
    """Print the tables of RESULTS in Markdown: errors as mean ± standard deviation over seeds.

    A seed's error is the mean over the folds, each of which is the mean over its pairs.
    """
    frame = pd.read_csv(results)
    per_seed = frame.groupby(["split", "part", "images", "target", "seed"]).mae.mean()
    cells = per_seed.groupby(level=[0, 1, 2, 3]).agg(["mean", "std"]).to_dict("index")
    for split, recipes in RUNS.items():
        for part in sorted(set(frame.part[frame.split == split])):
            click.echo(f"\n`{split}`, {part}\n")
            click.echo(f"| images | {' | '.join(TARGETS)} |\n|---|{'---|' * len(TARGETS)}")
            for name in recipes:
                values = (cells[split, part, name, target] for target in TARGETS)
                row = " | ".join(f"{value['mean']:#.3g} ± {value['std']:.1g}" for value in values)
                click.echo(f"| {name} | {row} |")


if __name__ == "__main__":
    main()
