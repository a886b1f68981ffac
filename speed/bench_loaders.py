"""Time the datasets beside the plain way to load the same archive, in one run.

    python -m speed.bench_loaders [ARCHIVE] [--json FILE]

The plain way is what a training script does without this package: ``numpy.load(...,
allow_pickle=True)``, the label looked up in the pair's dict, one ``torch.tensor(...)`` for each
item (for graphs: each field of each item), default collate functions. For graphs it works out node
and edge features once, when it is constructed, like the dataset does.

Every ratio is a median of five, each of two timings taken one right after the other. Epochs are
those after the first, in which ours renders every image; that one is a line of its own. Memory is
what a new process holds more of after constructing the image set.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
import torch
from torch.utils.data import DataLoader, Dataset
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader as GraphLoader

from pytorch_dataset import TwoBodyDataset
from pytorch_geometric_dataset import TwoBodyGraphDataset
from twobody.elements import ATOMIC_NUMBERS

REPEATS = 5
LABEL = "e_g_ev"


class PlainImages(Dataset[Any]):
    """Images and one label, made tensors one by one, and the arrays that `TwoBodyDataset` has."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=True) as archive:
            labels = archive["labels"]
            keep = [i for i, label in enumerate(labels) if label[LABEL] is not None]
            self.labels = labels[keep]
            self.images = archive["images"][keep]
            self.geometries = archive["geometries"][keep]
            self.elements = archive["elements"][keep]
            self.pair_names = archive["pair_names"][keep]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return image and label."""
        label = torch.tensor(self.labels[i][LABEL], dtype=torch.float32)
        return torch.tensor(self.images[i]), label


class PlainGraphs(Dataset[Any]):
    """Graphs with the fields of `TwoBodyGraphDataset`, made one by one."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=True) as archive:
            labels = archive["labels"]
            keep = [i for i, label in enumerate(labels) if label[LABEL] is not None]
            self.labels = labels[keep]
            self.names = archive["pair_names"][keep]
            self.geometries = archive["geometries"][keep]
            means = archive["images"][keep].mean(axis=(2, 3))
            elements = archive["elements"][keep]
        self.z = np.array([[ATOMIC_NUMBERS[symbol] for symbol in pair] for pair in elements])
        one_hot = np.eye(118, dtype=np.float32)[self.z - 1]
        self.x = np.concatenate([one_hot, self.geometries[:, :, 3:]], axis=2)
        vectors = self.geometries[:, 1, :3] - self.geometries[:, 0, :3]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.edge_attr = np.concatenate([means, lengths, vectors], axis=1)[:, None]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Data:
        """Return a graph."""
        return Data(
            x=torch.tensor(self.x[i]),
            edge_index=torch.tensor([[0], [1]]),
            edge_attr=torch.tensor(self.edge_attr[i]),
            y=torch.tensor([[self.labels[i][LABEL]]], dtype=torch.float32),
            pos=torch.tensor(self.geometries[i, :, :3]),
            z=torch.tensor(self.z[i]),
            pair_name=str(self.names[i]),
        )


def seconds(action: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def run_through(loader: Iterable[Any]) -> None:
    """Take every batch of an epoch."""
    for _ in loader:
        pass


def compare(plain: Callable[[], object], ours: Callable[[], object]) -> dict[str, float]:
    """Time both, one after the other, `REPEATS` times; return medians of times [s] and ratios."""
    pairs = [(seconds(plain), seconds(ours)) for _ in range(REPEATS)]
    return {
        "plain_s": statistics.median(a for a, _ in pairs),
        "ours_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(a / b for a, b in pairs),
    }


def first_epochs(path: Path) -> dict[str, float]:
    """Compare epochs of image sets just constructed, in which ours has every image to render."""
    return compare(
        lambda: run_through(DataLoader(PlainImages(path), batch_size=32, shuffle=True)),
        lambda: run_through(DataLoader(TwoBodyDataset(path), batch_size=32, shuffle=True)),
    )


def memory_held(path: Path, is_plain: bool) -> int:
    """Return how much more memory this process holds once it has an image set [bytes]."""
    process = psutil.Process()
    before = process.memory_info().rss
    dataset: Dataset[Any] = PlainImages(path) if is_plain else TwoBodyDataset(path)
    after = process.memory_info().rss
    del dataset
    return int(after - before)


def measure(path: Path) -> dict[str, dict[str, float]]:
    """Run all comparisons."""
    images = PlainImages(path), TwoBodyDataset(path)
    graphs = PlainGraphs(path), TwoBodyGraphDataset(path)
    image_loaders = [DataLoader(d, batch_size=32, shuffle=True) for d in images]
    graph_loaders = [GraphLoader(d, batch_size=32, shuffle=True) for d in graphs]
    for loader in (*image_loaders, *graph_loaders):
        run_through(loader)
    # A new process for each.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        plain_bytes, our_bytes = (pool.apply(memory_held, (path, flag)) for flag in (True, False))
    return {
        "construct images": compare(lambda: PlainImages(path), lambda: TwoBodyDataset(path)),
        "memory of images": {"plain_bytes": plain_bytes, "ours_bytes": our_bytes},
        "images, construct and first epoch": first_epochs(path),
        "images, one epoch": compare(*(partial(run_through, of) for of in image_loaders)),
        "construct graphs": compare(lambda: PlainGraphs(path), lambda: TwoBodyGraphDataset(path)),
        "graphs, one epoch": compare(*(partial(run_through, of) for of in graph_loaders)),
    }


@click.command()
@click.argument("archive", default="dataset_combined.npz", type=click.Path(path_type=Path))
@click.option("--json", "output", type=click.Path(path_type=Path), help="Also write this file.")
def main(archive: Path, output: Path | None) -> None:
    """Compare the loaders with the plain way on ARCHIVE; batches of 32, no workers."""
    results = measure(archive)
    click.echo(f"{'':36}{'plain':>12}{'ours':>12}{'ratio':>9}")
    for name, result in results.items():
        if "ratio" in result:
            plain, ours = (f"{1000 * result[key]:.1f} ms" for key in ("plain_s", "ours_s"))
            click.echo(f"{name:36}{plain:>12}{ours:>12}{result['ratio']:>8.1f}x")
        else:
            plain, ours = (f"{result[key] / 1e6:.1f} MB" for key in ("plain_bytes", "ours_bytes"))
            click.echo(f"{name:36}{plain:>12}{ours:>12}")
    if output is not None:
        output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
