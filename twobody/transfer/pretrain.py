"""Networks trained on all pairs and all their targets, as files that ship with the package."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from twobody.benchmark.targets import METAL_LIKE, targets
from twobody.benchmark.task import Samples
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.models import MODELS
from twobody.models.features import labels_of
from twobody.models.train import NetworkModel
from twobody.text import PathLike
from twobody.transfer import SPATIAL

WEIGHTS = Path(__file__).parent / "weights"
SHA256 = "SHA256SUMS"


def pretrained(model: str, device: str = "cpu", folder: PathLike = WEIGHTS) -> NetworkModel:
    """Load a network that was trained on all pairs.

    Parameters
    ----------
    model : str
        One of `twobody.transfer.SPATIAL`.
    device : str
        As PyTorch names it.
    folder : path
        Where the weights lie, beside their SHA-256.

    Raises
    ------
    ParseError
        The file is missing, or its SHA-256 is another.

    Examples
    --------
    ::

        network = pretrained("schnet")
        network.predict(task.fold(1).test)  # pairs that it was trained on
    """
    weights_sha256(model, folder)
    return row_of(model).load(Path(folder) / f"{model}.safetensors", device)


def weights_sha256(model: str, folder: PathLike = WEIGHTS) -> str:
    """Return the SHA-256 of a network's weights.

    Raises
    ------
    ParseError
        The file is missing, or its SHA-256 is not the one that stands beside it.
    """
    path = Path(folder) / f"{model}.safetensors"
    try:
        lines = (Path(folder) / SHA256).read_text(encoding="ascii", errors="replace").splitlines()
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ParseError(path, None, f"weights of one of {', '.join(SPATIAL)}", "none") from error
    if f"{found}  {path.name}" not in lines:
        raise ParseError(path, None, f"the SHA-256 that {SHA256} says", found)
    return found


def trained(
    model: str, samples: Samples, seed: int, device: str, *, permuted: bool = False
) -> NetworkModel:
    """Train a network on all pairs.

    Parameters
    ----------
    model : str
    samples : Samples
        All pairs on the track ``geometry``, with targets.
    seed : int
    device : str
    permuted : bool
        Give each pair the labels of another, all of one and the same: a network that is trained
        as long, on numbers of the same distribution, of which none says anything of its pair.
    """
    labels = labels_of(samples)
    if permuted:
        order = np.random.default_rng(seed).permutation(len(samples))
        samples = replace(samples, targets={name: v[order] for name, v in labels.items()})
    names = (*targets("geometry"), METAL_LIKE)
    network = row_of(model)(seed, names, device, quick=False, split="pair")
    network.fit_all(samples)
    return network


def write_weights(networks: dict[str, NetworkModel], folder: Path) -> None:
    """Write networks under their models' names, and the SHA-256 of each file there."""
    folder.mkdir(parents=True, exist_ok=True)
    with staging(folder) as staged:
        files = {f"{model}.safetensors": network for model, network in networks.items()}
        for name, network in files.items():
            network.save(staged / name)
        weights = {path.name: path for path in folder.glob("*.safetensors")}
        weights |= {name: staged / name for name in files}
        sums = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"
            for name, path in sorted(weights.items())
        ]
        (staged / SHA256).write_text("".join(sums), encoding="ascii", newline="\n")
        publish([(staged / name, folder / name) for name in (*files, SHA256)], folder)


def row_of(model: str) -> type[NetworkModel]:
    """Return the class of a network's row."""
    module, name = MODELS[model].place.split(":")
    row: type[NetworkModel] = getattr(import_module(f"twobody.models.{module}"), name)
    return row
