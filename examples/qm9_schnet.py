"""Train the SchNet of torch_geometric, as it is there, on the molecules that `finetune` takes.

    python examples/qm9_schnet.py E_g_eV --device cuda

It says whether the networks of the learning curves are fair: six interactions, a cutoff of 10 Å,
one target, and nothing of this package but the molecules, their edges and the scale of targets.
"""

from __future__ import annotations

import copy
from pathlib import Path

import click
import numpy as np
import torch
from torch_geometric.nn.models import SchNet
from tqdm import trange

from twobody.transfer import QM9
from twobody.transfer.batches import Batch, Packed
from twobody.transfer.curves import Origin
from twobody.transfer.finetune import Targets
from twobody.transfer.qm9 import TARGETS

CUTOFF, BATCH, CHECKS = 10.0, 64, 40


class GivenEdges(torch.nn.Module):
    """Stands where SchNet looks for neighbours, which needs torch-cluster."""

    def forward(self, *_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the edges of the batch and their lengths."""
        return self.edges, self.lengths


@click.command(context_settings={"show_default": True})
@click.argument("target", type=click.Choice(TARGETS))
@click.option("--train", "n_train", default=10_000, help="Molecules to train on.")
@click.option("--steps", default=30_000, type=click.IntRange(CHECKS))
@click.option("--rate", default=5e-4, help="Highest learning rate of the cycle.")
@click.option("--seed", default=0)
@click.option("--device", default="cpu")
@click.option(
    "--output", default="results/transfer/qm9_schnet.csv", type=click.Path(path_type=Path)
)
def main(
    target: str, n_train: int, steps: int, rate: float, seed: int, device: str, output: Path
) -> None:
    """Train on one target, and append its errors to a table."""
    data = next(data for data, targets in QM9.items() if target in targets)
    source = Origin(data).source(n_train)
    column = QM9[data].index(target)
    scale = Targets(source)
    scaled = torch.from_numpy(scale.scaled[:, column].astype(np.float32)).to(device)
    numbers = torch.arange(100.0, device=device)[:, None]
    packed = Packed(source.structures, numbers, with_triplets=False, cutoff=CUTOFF)
    torch.manual_seed(seed)
    edges = GivenEdges()
    readout = "add" if target in source.extensive else "mean"
    net = SchNet(cutoff=CUTOFF, readout=readout, interaction_graph=edges).to(device)

    def outputs(batch: Batch) -> torch.Tensor:
        edges.edges, edges.lengths = batch.graph.edges, batch.graph.vectors.norm(dim=1)
        z = batch.graph.nodes[:, 0].long()
        return net(z, batch.graph.positions, batch.owner)[:, 0]

    def error(rows: np.ndarray) -> float:
        net.eval()
        with torch.no_grad():
            found = [
                (outputs(batch) - scaled[batch.rows]).abs()
                for batch in packed.batches(rows, 4 * BATCH)
            ]
        return float(torch.cat(found).mean()) * scale.spread[column]

    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.1)
    rng, batches, best, state = np.random.default_rng(seed), iter(()), np.inf, {}
    for step in trange(1, steps + 1, disable=None):
        if (batch := next(batches, None)) is None:
            order = rng.permutation(source.train)[: len(source.train) // BATCH * BATCH]
            batches = packed.batches(order, BATCH)
            batch = next(batches)
        net.train()
        optimizer.zero_grad()
        (outputs(batch) - scaled[batch.rows]).abs().mean().backward()
        optimizer.step()
        schedule.step()
        if step % (steps // CHECKS) == 0 and (found := error(source.validation)) < best:
            best, state = found, copy.deepcopy(net.state_dict())
    net.load_state_dict(state)
    output.parent.mkdir(parents=True, exist_ok=True)
    head = "" if output.exists() else "target,n_train,steps,rate,seed,validation_mae,test_mae\n"
    row = f"{target},{n_train},{steps},{rate:g},{seed},{best:.5f},{error(source.test):.5f}\n"
    with output.open("a", encoding="utf-8", newline="\n") as file:
        file.write(head + row)


if __name__ == "__main__":
    main()
