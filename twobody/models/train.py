"""The one training of all networks: masked L1 on scaled targets, AdamW, one cycle, best epoch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from twobody.benchmark.targets import METAL_LIKE
from twobody.benchmark.task import Samples
from twobody.errors import ParseError
from twobody.models.features import Features, Reading, bond_columns, joined, labels_of
from twobody.models.scaling import Scaler, consistent
from twobody.text import PathLike

_Float = NDArray[np.float64]
Batch = dict[str, Tensor]
"""Tensors of b pairs: ``nodes`` float32 [b, 2, F] and, where the track shows them, ``bonds``
[b, 2] (`bond_columns`), ``positions`` [b, 2, 3] [Å] and ``images`` [b, 10, 32, 32]. In training and
validation beside them, unseen by networks, ``scaled`` targets [b, n_targets], 0 where missing,
``known`` [b, n_targets], 0 there and else 1, and ``metal`` [b, 1]."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    epochs, batch : int
    learning_rate, weight_decay : float
        Of AdamW; the rate is the highest of the cycle.
    metal_weight : float
        Of the cross entropy of ``metal_like`` beside the mean absolute error.
    """

    epochs: int = 200
    batch: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    metal_weight: float = 0.3


@dataclass(frozen=True)
class Sizes:
    """What a network needs to know of its input.

    Attributes
    ----------
    columns : int
        F, of each atom.
    bonds : int
        Columns of the bond; 0 where the track shows none.
    outputs : int
        Targets, and the logit of ``metal_like``.
    encoding : str or None
        Of the images.
    """

    columns: int
    bonds: int
    outputs: int
    encoding: str | None


class NetworkModel:
    """A network as a model of the benchmark; rows derive from it and say what network they are.

    Parameters
    ----------
    seed : int
    targets : tuple of str
    device : str
    quick : bool
    split : str
        On "pair", elements have a column of their own, which is their embedding. Elsewhere a number
        learned per element says nothing of an unseen one: networks read descriptors only and, when
        they have found their epoch, start again on both parts, which hold more elements.
    """

    recipe: ClassVar[Recipe] = Recipe()
    named_always: ClassVar[bool] = False
    """Whether the row names elements on every split, to show what that costs."""
    reads: ClassVar[Reading] = "atoms"

    net: nn.Module
    features: Features
    sizes: Sizes

    def __init__(
        self, seed: int, targets: tuple[str, ...], device: str, *, quick: bool, split: str
    ) -> None:
        self._seed, self.device = seed, torch.device(device)
        self._quick, self._split = quick, split
        self._targets = tuple(name for name in targets if name != METAL_LIKE)
        self._named = self.named_always or split == "pair"

    def network(self, sizes: Sizes) -> nn.Module:
        """Return the network, untrained."""
        raise NotImplementedError

    def fit(self, train: Samples, validation: Samples) -> None:
        """Train, and keep the weights of the epoch that is best on the validation part."""
        epochs = 2 if self._quick else self.recipe.epochs
        self._learn_scales(train)
        best = self._train(self._data(train), self._data(validation), epochs, epochs)
        if self._split != "pair":
            both = joined(train, validation)
            self._learn_scales(both)
            self._train(self._data(both), None, epochs, best)
        self.n_parameters = sum(parameter.numel() for parameter in self.net.parameters())

    def fit_all(self, samples: Samples) -> None:
        """Train on all the samples to the end of the cycle, with nothing held back."""
        epochs = 2 if self._quick else self.recipe.epochs
        self._learn_scales(samples)
        self._train(self._data(samples), None, epochs, epochs)

    def predict(self, test: Samples) -> dict[str, _Float]:
        """Predict; see `consistent`."""
        self.net.eval()
        with torch.no_grad():
            outputs = self.net(self._batch(test)).double().cpu().numpy()
        predictions = self._scaler.labels(outputs[:, :-1], self.features.sums(test))
        return consistent(predictions, 1 / (1 + np.exp(-outputs[:, -1])))

    def save(self, path: PathLike) -> None:
        """Write weights and scales as safetensors, with what else makes the model as metadata."""
        arrays = {**self.features.arrays(), **self._scaler.arrays()}
        tensors = {  # safetensors takes no array with gaps
            f"scales.{name}": torch.from_numpy(np.ascontiguousarray(array))
            for name, array in arrays.items()
        }
        state = self.net.state_dict()
        tensors.update({f"network.{name}": t.detach().cpu().clone() for name, t in state.items()})
        made_of = {
            "row": f"{type(self).__module__}:{type(self).__name__}",
            "targets": self._targets,
            "elements": self.features.elements.tolist(),
            "split": self._split,
            "seed": self._seed,
            "sizes": asdict(self.sizes),
        }
        texts = {name: json.dumps(value) for name, value in made_of.items()}
        Path(path).write_bytes(save(tensors, texts))

    @classmethod
    def load(cls, path: PathLike, device: str = "cpu") -> Self:
        """Read a model that was saved; `cls` is its row."""
        with safe_open(path, "pt") as file:
            made_of = {name: json.loads(value) for name, value in file.metadata().items()}
        row = f"{cls.__module__}:{cls.__name__}"
        if made_of["row"] != row:
            raise ParseError(path, None, f"weights of {row}", f"those of {made_of['row']}")
        targets = tuple(made_of["targets"])
        model = cls(made_of["seed"], targets, device, quick=False, split=made_of["split"])
        tensors = load_file(path, device=device)
        arrays = {n[7:]: t.cpu().numpy() for n, t in tensors.items() if n.startswith("scales.")}
        model.features = Features.of(cls.reads, made_of["elements"], arrays)
        model._scaler = Scaler.of(targets, arrays)
        model.sizes = Sizes(**made_of["sizes"])
        model.net = model.network(model.sizes).to(device)
        state = {n[8:]: t for n, t in tensors.items() if n.startswith("network.")}
        model.net.load_state_dict(state)
        return model

    def _learn_scales(self, samples: Samples) -> None:
        self.features = Features.fit(samples, named=self._named, reads=self.reads)
        sums = self.features.sums(samples)
        self._scaler = Scaler.fit(self._targets, labels_of(samples), sums)
        self.sizes = Sizes(
            self.features.nodes(samples).shape[-1],
            bond_columns(samples).shape[1],
            len(self._targets) + 1,
            samples.encoding,
        )

    def _batch(self, samples: Samples) -> Batch:
        arrays: dict[str, NDArray[Any]] = {
            "nodes": self.features.nodes(samples),
            "bonds": bond_columns(samples),
        }
        if samples.positions is not None:
            arrays["positions"] = samples.positions
        if samples.images is not None:
            arrays["images"] = self.features.pixels(samples.images)
        return self._on_device(arrays)

    def _on_device(self, arrays: Mapping[str, NDArray[Any]]) -> Batch:
        return {
            name: torch.from_numpy(array.astype(np.float32)).to(self.device)
            for name, array in arrays.items()
        }

    def _data(self, samples: Samples) -> Batch:
        labels = labels_of(samples)
        scaled = self._scaler.scaled(labels, self.features.sums(samples))
        known, metal = np.isfinite(scaled), labels[METAL_LIKE][:, None]
        columns = {"scaled": np.where(known, scaled, 0.0), "known": known, "metal": metal}
        return self._batch(samples) | self._on_device(columns)

    def _train(self, train: Batch, validation: Batch | None, cycle: int, epochs: int) -> int:
        """Train for some epochs of a cycle; return the number of the best, whose weights stay."""
        torch.backends.cudnn.deterministic = True
        torch.manual_seed(self._seed)
        recipe, n = self.recipe, len(train["metal"])
        n_batches = max(1, n // recipe.batch)
        net = self.net = self.network(self.sizes).to(self.device)
        optimizer = torch.optim.AdamW(
            [_flat(net)], recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=cycle * n_batches, pct_start=0.2
        )
        least, best, state = torch.inf, epochs, net.state_dict()
        for epoch in range(1, epochs + 1):
            net.train()
            for batch in _shuffled(train, n_batches):
                optimizer.zero_grad(set_to_none=False)
                _loss(net, batch, recipe.metal_weight).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
            if validation is not None and (error := _error(net, validation)) < least:
                least, best = error, epoch
                state = {name: values.clone() for name, values in net.state_dict().items()}
        net.load_state_dict(state)
        return best


def _flat(net: nn.Module) -> Tensor:
    """Make all parameters views of one vector, and their gradients of another: one step for all.

    Each view starts where a vector of its own would be allowed to: at a multiple of 64 numbers.
    """
    parameters = list(net.parameters())
    sizes = [-(-parameter.numel() // 64) * 64 for parameter in parameters]
    flat, gradient = parameters[0].new_zeros(2, sum(sizes)).unbind()
    start = 0
    for parameter, size in zip(parameters, sizes, strict=True):
        here = slice(start, start + parameter.numel())
        flat[here] = parameter.data.flatten()
        parameter.data = flat[here].view_as(parameter)
        parameter.grad = gradient[here].view_as(parameter)
        start += size
    flat.grad = gradient
    return flat


def _shuffled(data: Batch, n_batches: int) -> Iterator[Batch]:
    """Split the pairs at random: one permutation of each tensor, of which batches are views."""
    metal = data["metal"]
    rows = torch.randperm(len(metal), device=metal.device)
    parts = (values[rows].chunk(n_batches) for values in data.values())
    return (dict(zip(data, batch, strict=True)) for batch in zip(*parts, strict=True))


def _mean_errors(predicted: Tensor, data: Batch) -> Tensor:
    """Average the absolute error of each target over the pairs that have it."""
    errors = ((predicted - data["scaled"]) * data["known"]).abs()
    return errors.sum(dim=0) / data["known"].sum(dim=0).clamp(min=1)


def _loss(net: nn.Module, data: Batch, metal_weight: float) -> Tensor:
    predicted, metal = net(data).tensor_split([-1], dim=1)
    cross_entropy = binary_cross_entropy_with_logits(metal, data["metal"])
    return _mean_errors(predicted, data).mean() + metal_weight * cross_entropy


def _error(net: nn.Module, data: Batch) -> float:
    net.eval()
    with torch.no_grad():
        return float(_mean_errors(net(data)[:, :-1], data).mean())
