"""Networks that are trained on pairs and then frozen: what they know of pairs and elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from twobody.benchmark.task import Samples
from twobody.models.features import labels_of
from twobody.models.graphs import GCN, SchNet
from twobody.models.tabular import Head, LargeMLP
from twobody.models.train import NetworkModel, Recipe

_Float = NDArray[np.float64]


class Frozen(NetworkModel):
    """A network of the benchmark, trained on everything that it is given.

    Nothing is held out to find an epoch: the rate falls to zero with the last one, whose weights
    stay.
    """

    recipe = Recipe(epochs=100)

    def learn(self, samples: Samples, *, trained: bool = True) -> None:
        """Train on samples with targets, or only draw the first weights."""
        self._learn_scales(samples)
        torch.manual_seed(self._seed)
        self.net = self.network(self.sizes).to(self.device)
        epochs = 2 if self._quick else self.recipe.epochs
        if trained:
            self._train(self._data(samples), None, epochs, epochs)

    def hidden(self, samples: Samples) -> _Float:
        """Return what the head reads of each pair, the part that tells targets apart.

        Returns
        -------
        float64 [n, width]
        """
        (head,) = (module for module in self.net.modules() if isinstance(module, Head))
        seen: list[torch.Tensor] = []
        handle = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        self.net.eval()
        with torch.no_grad():
            self.net(self._batch(samples))
        handle.remove()
        return np.asarray(seen[0].double().cpu().numpy())


class FrozenGCN(Frozen, GCN):
    """It knows elements by name alone: what it knows of them, pairs have taught it."""


class FrozenMLP(Frozen, LargeMLP):
    """Names, descriptors and bond length."""


class FrozenSchNet(Frozen, SchNet):
    """Names, descriptors and positions."""


NETWORKS: Mapping[str, type[Frozen]] = {
    "gcn": FrozenGCN,
    "mlp": FrozenMLP,
    "schnet": FrozenSchNet,
}
"""By name; the MLP is the large one."""

HOW = ("trained", "permuted", "untrained")
"""On the labels; on labels that belong to other pairs, dealt out at random; not at all."""


def frozen(
    name: str, samples: Samples, seed: int, how: str, split: str, *, quick: bool = False
) -> Frozen:
    """Train a network on pairs and freeze it.

    Parameters
    ----------
    name : str
        One of `NETWORKS`.
    samples : Samples
        With targets.
    seed : int
    how : str
        One of `HOW`; the controls tell what labels teach from what a network is without them.
    split : str
        On "pair" elements have numbers of their own; elsewhere descriptors only are read.
    quick : bool
        Train for two epochs only, to try.
    """
    torch.set_num_threads(1)  # small batches: threads would wait for each other
    labels = labels_of(samples)
    if how == "permuted":
        order = np.random.default_rng(seed).permutation(len(samples))
        labels = {name: values[order] for name, values in labels.items()}
        samples = replace(samples, targets=labels)
    model = NETWORKS[name](seed, tuple(labels), "cpu", quick=quick, split=split)
    model.learn(samples, trained=how != "untrained")
    return model


def embeddings(model: NetworkModel) -> dict[str, _Float]:
    """Return the column that a network has learned for each element it names.

    It is the weights of the element's name in the layer that reads atoms, without those of
    descriptors, which say the same of an element before any training.

    Returns
    -------
    dict of str to float64 [width]
    """
    names = model.features.elements.tolist()
    state = model.net.state_dict()
    (key,) = (name for name in state if name.endswith(("atom.weight", "embedding.weight")))
    columns = state[key].double().cpu().numpy()[:, : len(names)].T
    return dict(zip(names, columns, strict=True))
