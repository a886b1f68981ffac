"""Train many small networks on the same images side by side, without a data loader in the way.

A step of a small network is over before Python has asked for the next one. So images, targets,
batches and learning rates of all steps are put on the device first, one step of each network is
recorded as a CUDA graph, and the graphs are replayed on streams of their own: a data-centre GPU
trains two to three of these networks a second. Without CUDA the same steps run one by one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

EPOCHS = 50
BATCH_SIZE = 64
PEAK_RATE = 2e-3
WARM_UP = 0.2  # of all steps
WEIGHT_DECAY = 1e-2

Float = NDArray[np.float64]
Index = NDArray[np.int64]


def small_cnn(n_channels: int, n_targets: int) -> nn.Sequential:
    """Build the network that every encoding is judged by: 0.36 million parameters."""
    layers: list[nn.Module] = []
    width = n_channels
    for wider in (32, 64, 128):
        layers += [
            nn.Conv2d(width, wider, 3, padding=1, bias=False),
            nn.BatchNorm2d(wider),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        width = wider
    layers += [nn.Flatten(), nn.Linear(16 * width, 128), nn.ReLU(), nn.Linear(128, n_targets)]
    return nn.Sequential(*layers)


def most_steps(n_images: int) -> int:
    """Return the steps of a training on all images."""
    return n_images // BATCH_SIZE * EPOCHS


class Trainee:
    """A network with everything that its training needs on the device.

    Parameters
    ----------
    images : float32 [N, C, 32, 32]
        On the device; shared by all trainees, and may be changed between trainings.
    n_targets, max_steps : int
    """

    def __init__(self, images: Tensor, n_targets: int, max_steps: int) -> None:
        n, n_channels = images.shape[:2]
        device = images.device
        self.images = images
        self.targets = torch.zeros(n, n_targets, device=device)
        self.known = torch.ones(n, n_targets, device=device)
        self.centre = torch.zeros(1, n_channels, 1, 1, device=device)
        self.scale = torch.ones_like(self.centre)
        self.batches = torch.zeros(max_steps, BATCH_SIZE, dtype=torch.long, device=device)
        self.rates = torch.zeros(max_steps, device=device)
        self.n_done = torch.zeros(1, dtype=torch.long, device=device)
        self.rate = torch.zeros((), device=device)
        self.network = small_cnn(n_channels, n_targets).to(device)
        on_gpu = device.type == "cuda"
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.rate,
            weight_decay=WEIGHT_DECAY,
            capturable=on_gpu,
            fused=on_gpu or None,
        )
        self.graph: torch.cuda.CUDAGraph | None = None
        if on_gpu:
            self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            with torch.cuda.stream(self.stream):
                for _ in range(3):  # a graph is recorded of code that has run before
                    self.step()
            torch.cuda.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.step()

    def prepare(self, labels: Float, train: Index, seed: int) -> int:
        """Start anew: weights and batches of `seed`, scales of the training part; count the steps.

        Parameters
        ----------
        labels : float64 [N, n_targets]
            NaN where missing.
        train : int64 [n]
            Rows of the training part.
        seed : int
        """
        torch.manual_seed(seed)
        fresh = small_cnn(self.images.shape[1], labels.shape[1])
        self.network.load_state_dict(fresh.state_dict())
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()
        rows = torch.as_tensor(train)
        per_epoch = len(rows) // BATCH_SIZE
        order = torch.cat(
            [torch.randperm(len(rows))[: per_epoch * BATCH_SIZE] for _ in range(EPOCHS)]
        )
        n_steps = per_epoch * EPOCHS
        self.batches[:n_steps] = rows[order].reshape(n_steps, BATCH_SIZE).to(self.batches.device)
        progress = torch.arange(n_steps) / n_steps
        falling = (1 + torch.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2
        self.rates[:n_steps] = (PEAK_RATE * torch.minimum(progress / WARM_UP, falling)).to(
            self.rates.device
        )
        self.n_done.zero_()

        seen = self.images[rows.to(self.images.device)]
        spread = seen.std(dim=(0, 2, 3), keepdim=True)
        self.centre.copy_(seen.mean(dim=(0, 2, 3), keepdim=True))
        self.scale.copy_(torch.where(spread > 1e-6, 1 / spread.clamp_min(1e-6), 0))
        self.label_mean = np.nanmean(labels[train], axis=0)
        self.label_spread = np.nanstd(labels[train], axis=0)
        self.known.copy_(torch.as_tensor(np.isfinite(labels)))
        self.targets.copy_(
            torch.as_tensor(np.nan_to_num((labels - self.label_mean) / self.label_spread))
        )
        return n_steps

    def step(self) -> None:
        """Take the next step; nothing in it waits for the host."""
        rows = self.batches[self.n_done].squeeze(0)
        self.rate.copy_(self.rates[self.n_done].squeeze(0))
        self.optimizer.zero_grad()
        images = (self.images[rows] - self.centre) * self.scale
        error = (self.network(images) - self.targets[rows]).abs() * self.known[rows]
        error.mean().backward()
        self.optimizer.step()
        self.n_done += 1

    @torch.no_grad()
    def predict(self) -> Float:
        """Return the predictions for all N images, float64 [N, n_targets]."""
        self.network.eval()
        parts = [
            self.network((x - self.centre) * self.scale) for x in torch.split(self.images, 1024)
        ]
        self.network.train()
        predictions: Float = torch.cat(parts).cpu().numpy() * self.label_spread + self.label_mean
        return predictions


def train(trainees: Sequence[Trainee], labels: Float, jobs: Sequence[tuple[Index, int]]) -> Float:
    """Train a network per job (training rows, seed) and return predictions [jobs, N, n_targets]."""
    at_work = list(zip(trainees, jobs, strict=False))
    n_steps = [trainee.prepare(labels, rows, seed) for trainee, (rows, seed) in at_work]
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    for step in range(max(n_steps)):
        for (trainee, _), n in zip(at_work, n_steps, strict=True):
            if step >= n:
                continue
            if trainee.graph is None:
                trainee.step()
            else:
                with torch.cuda.stream(trainee.stream):
                    trainee.graph.replay()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.stack([trainee.predict() for trainee, _ in at_work])
