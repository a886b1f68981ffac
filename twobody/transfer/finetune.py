"""Take a network of pairs to structures of any size: what it starts with, and how it is trained.

Every arm has the same network, the same columns of atoms, the same steps and the same rates to
choose from. What differs is the numbers it starts with.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from twobody.benchmark.descriptors import descriptors
from twobody.benchmark.task import Samples
from twobody.elements import SYMBOLS
from twobody.models.graphs import DimeNetwork, SpatialNetwork
from twobody.models.runner import device_name
from twobody.models.tabular import Head
from twobody.models.train import NetworkModel
from twobody.transfer.batches import Batch, Packed
from twobody.transfer.pretrain import pretrained, trained, weights_sha256
from twobody.transfer.records import Outcome, Run
from twobody.transfer.structures import Source

Body = SpatialNetwork | DimeNetwork
"""What becomes of a pair network."""

RATES = {
    "schnet": (1e-3, 2e-3, 4e-3),
    "egnn": (5e-4, 1e-3, 2e-3),  # at 0.004 it stays at the median of the energy
    "visnet": (5e-4, 1e-3, 2e-3),
    "dimenet": (5e-4, 1e-3, 2e-3),
}
"""The highest learning rate of the cycle: each arm takes the one that is best on validation."""

BATCH, WEIGHT_DECAY = 64, 1e-2
N_CHECKS = 40
"""Times that a training looks at the validation part."""


def n_steps(n_train: int) -> int:
    """Return the steps of a training: 300 times the root of the number of structures, to 20,000."""
    return min(20_000, round(300 * math.sqrt(n_train)))


class StructureNetwork(nn.Module):
    """The body of a pair network, and the outputs of each atom, summed or averaged.

    Parameters
    ----------
    body : SpatialNetwork or DimeNetwork
    extensive : sequence of bool
        Whether a target is the sum over atoms, or else their mean.
    """

    extensive: Tensor

    def __init__(self, body: Body, extensive: list[bool]) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("extensive", torch.tensor(extensive))
        self.head = (
            nn.Identity() if isinstance(body, DimeNetwork) else Head(body.width, len(extensive))
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return float32 [n, n_targets]."""
        of_atoms = self.head(self.body.of_graph(batch.graph))
        sums = of_atoms.new_zeros(len(batch.sizes), of_atoms.shape[1])
        sums = sums.index_add(0, batch.owner, of_atoms)
        return torch.where(self.extensive, sums, sums / batch.sizes[:, None])


def start(body: Body, donor: nn.Module, *, elements_only: bool) -> None:
    """Copy what a network learned of pairs, or of the elements alone, into another of its kind."""
    state = body.state_dict()
    for name, tensor in donor.state_dict().items():
        wanted = not elements_only or name.startswith(body.of_elements)
        if wanted and not name.startswith(body.of_outputs):
            state[name] = tensor
    body.load_state_dict(state)


def element_table(model: NetworkModel) -> Tensor:
    """Return the columns of an atom that a pair network reads, by atomic number.

    Returns
    -------
    float32 [n_elements + 1, F]
        On the model's device; NaN where the dataset has no such element.
    """
    known = model.features.elements
    numbers = np.array([SYMBOLS.index(symbol) + 1 for symbol in known.tolist()])
    both = np.stack([numbers, numbers], axis=1)
    alike = Samples(known, np.stack([known, known], axis=1), both, descriptors(both))
    table = np.full((len(SYMBOLS) + 1, model.sizes.columns), np.nan, np.float32)
    table[numbers] = model.features.nodes(alike)[:, 0]
    return torch.from_numpy(table).to(model.device)


class Targets:
    """The targets of structures on one scale: less what the composition says, by their deviation.

    What is extensive is fitted with a number per element on the training part, what is not with its
    median; the scale is the mean absolute deviation of the rest, or 1 where there is no rest. What
    is missing is NaN throughout.
    """

    def __init__(self, source: Source) -> None:
        structures, train = source.structures, source.train
        elements, column = np.unique(structures.atomic_numbers, return_inverse=True)
        owner = np.repeat(np.arange(len(structures)), np.diff(structures.offsets))
        counts = np.zeros((len(structures), len(elements)))
        np.add.at(counts, (owner, column), 1.0)
        values = np.stack(list(structures.targets.values()), axis=1)
        self.base = np.empty_like(values)
        for k, name in enumerate(structures.targets):
            known = train[np.isfinite(values[train, k])]
            if name in source.extensive:
                # Of least squares the shortest: compositions may all be alike.
                fit = np.linalg.lstsq(counts[known], values[known, k], rcond=1e-10)[0]
                self.base[:, k] = counts @ fit
            else:
                self.base[:, k] = np.median(values[known, k])
        rest = values - self.base
        spread = np.nanmean(np.abs(rest[train]), axis=0)
        # Where the base says all of them, what is left is rounding, which is no scale.
        self.spread = np.where(spread > 1e-9, spread, 1.0)
        self.scaled = rest / self.spread

    def labels(self, scaled: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return values in their units for rows of the structures."""
        return scaled * self.spread + self.base[rows]


class Learner:
    """A network on its way from an arm's start.

    Parameters
    ----------
    run : Run
    source : Source
    pairs : Samples
        All pairs on the track ``geometry``, of which the arm ``permuted`` learns first.
    device : str
    """

    def __init__(self, run: Run, source: Source, pairs: Samples, device: str) -> None:
        self._run, self._source, self._targets = run, source, Targets(source)
        structures = source.structures
        base = pretrained(run.model, device)
        torch.manual_seed(run.seed)
        extensive = [name in source.extensive for name in structures.targets]
        body = cast("Body", base.network(replace(base.sizes, outputs=len(extensive))))
        self.net = StructureNetwork(body, extensive).to(device)
        if run.arm == "permuted":
            base = trained(run.model, pairs, run.seed, device, permuted=True)
        if run.arm != "scratch":
            start(body, base.net, elements_only=run.arm == "embedding")
        with_triplets = isinstance(body, DimeNetwork)
        self._packed = Packed(structures, element_table(base), with_triplets=with_triplets)
        self._scaled = torch.from_numpy(self._targets.scaled.astype(np.float32)).to(device)
        self._forces, self._force_scale = None, 1.0
        if structures.forces is not None:  # of the first target, and in units of its spread
            forces = structures.forces / self._targets.spread[0]
            self._forces = torch.from_numpy(forces.astype(np.float32)).to(device)
            of_train = replace(structures, forces=forces).take(source.train).forces
            self._force_scale = float(np.abs(np.asarray(of_train)).mean())

    def train(self, steps: int) -> Outcome:
        """Train for some steps, and keep the weights that are best on validation."""
        began = time.perf_counter()
        source, net = self._source, self.net
        optimizer = torch.optim.AdamW(
            net.parameters(), self._run.rate, weight_decay=WEIGHT_DECAY, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self._run.rate, total_steps=steps, pct_start=0.1
        )
        checks = {round(steps * k / N_CHECKS) for k in range(1, N_CHECKS + 1)}
        curve: list[list[float]] = []
        state, step, random = net.state_dict(), 0, np.random.default_rng(self._run.seed)
        while step < steps:
            whole = len(source.train) // BATCH * BATCH or len(source.train)
            for batch in self._packed.batches(random.permutation(source.train)[:whole], BATCH):
                net.train()
                optimizer.zero_grad()
                self._loss(batch).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                step += 1
                if step in checks:
                    curve.append([step, self._validation_error()])
                    if curve[-1][1] == min(error for _, error in curve):
                        state = copy.deepcopy(net.state_dict())
                if step == steps:
                    break
        net.load_state_dict(state)
        scaled, force_error = self._predict(source.test)
        labels = self._targets.labels(scaled, source.test).T
        labels[~np.isfinite(labels)] = np.nan  # of a training that diverged
        return Outcome(
            dict(zip(source.structures.targets, labels, strict=True)),
            curve,
            None if self._forces is None else force_error * float(self._targets.spread[0]),
            weights_sha256(self._run.model),
            sum(parameter.numel() for parameter in net.parameters()),
            round(time.perf_counter() - began, 2),
            device_name(str(self._packed.device)),
        )

    def _loss(self, batch: Batch) -> Tensor:
        outputs, forces = self._outputs(batch)
        loss = (outputs - self._scaled[batch.rows]).abs().nanmean()
        if forces is None or self._forces is None:
            return loss
        return loss + (forces - self._forces[batch.atoms]).abs().mean() / self._force_scale

    def _validation_error(self) -> float:
        rows = self._source.validation
        scaled, force_error = self._predict(rows)
        error = np.nanmean(np.abs(scaled - self._targets.scaled[rows]))
        return round(float(error) + force_error / self._force_scale, 5)

    def _outputs(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the scaled targets, and the forces where there are any, for the loss to use."""
        if self._forces is None:
            return self.net(batch), None
        positions = batch.graph.positions.detach().requires_grad_()
        outputs: Tensor = self.net(replace(batch, graph=replace(batch.graph, positions=positions)))
        (slope,) = torch.autograd.grad(
            outputs[:, 0].sum(), positions, create_graph=self.net.training
        )
        return outputs, -slope

    def _predict(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], float]:
        """Return the scaled targets of structures, and the mean absolute error of their forces."""
        self.net.eval()
        found, error, n = [], 0.0, 0
        with torch.set_grad_enabled(self._forces is not None):
            for batch in self._packed.batches(rows, 4 * BATCH):
                outputs, forces = self._outputs(batch)
                found.append(outputs.detach())
                if forces is not None and self._forces is not None:
                    error += float((forces - self._forces[batch.atoms]).abs().sum())
                    n += forces.numel()
        return torch.cat(found).double().cpu().numpy(), error / max(n, 1)
