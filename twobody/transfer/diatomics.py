"""Experimental diatomics: what pairs say of R_e, the force constant and D_e.

Every model predicts what it has not seen: a pair, or one or both of its elements. No network is
pretrained on a measured pair, so that it knows tested molecules and those that the probe is fitted
to equally well; for a fold by element it is pretrained without these elements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.descriptors import descriptors
from twobody.benchmark.evaluate import labels_digest
from twobody.benchmark.periodic import place
from twobody.benchmark.task import all_samples
from twobody.elements import COVALENT_RADII
from twobody.models.runner import pairs_of
from twobody.pairs import Pairs
from twobody.transfer.probe import RIDGE, RIDGE_OR_GP, Probe
from twobody.transfer.spectroscopy import GroundStates, read_ground_states
from twobody.transfer.store import Rows, Store, cell

_Float = NDArray[np.float64]
_Index = NDArray[np.int64]

TARGETS = {"r_e_ang": "Å", "ln_k": "1", "d_e_ev": "eV"}
"""What is predicted, with units; ln k is of the force constant in N/m."""

N_REPEATS, N_FOLDS = 3, 5
"""How often the molecules are dealt out anew, and to how many folds."""
PARTS = {
    ("pair", "C1"): "a new pair of known elements",
    ("element", "C2"): "one element new",
    ("element", "C3"): "both elements new",
}
"""Split and part, named as in the benchmark."""


@dataclass(frozen=True)
class Row:
    """A model: a probe of some columns, for R_e of what is left of a first guess.

    Attributes
    ----------
    sees : str
        What it is, in a line.
    columns : tuple of str
        Names in `columns_of`, or of networks; without any the first guess is the prediction.
    base : str
        The first guess of R_e, a column; empty without one.
    widths : tuple of float
        The kernels to choose from.
    scaled : bool
        Whether columns are brought to one spread.
    """

    sees: str
    columns: tuple[str, ...] = ()
    base: str = ""
    widths: tuple[float, ...] = RIDGE_OR_GP
    scaled: bool = True


MODELS: Mapping[str, Row] = {
    "median": Row("nothing: the median of the other molecules"),
    "radii": Row("the sum of covalent radii, as it is", base="radii"),
    "DFTB": Row("R of the archive, as it is", base="dftb"),
    "radii, fitted": Row("a line in that sum and its logarithm", ("radii line",), widths=RIDGE),
    "DFTB, fitted": Row("a line in R and its logarithm", ("dftb line",), widths=RIDGE),
    "Badger": Row(
        "the line in R, and a constant for each atom's period", ("dftb line", "periods"), "", RIDGE
    ),
    "additive": Row("a number per element", ("names",), "", RIDGE, scaled=False),
    "elements": Row("descriptors of both elements, without any pair", ("elements",), "radii"),
    "labels": Row("labels of the pair and of its homonuclear pairs", ("labels",), "dftb"),
    "labels + elements": Row("both", ("labels", "elements"), "dftb"),
    "mlp": Row("features of the MLP, pretrained on pairs", ("mlp trained",), "dftb"),
    "schnet": Row("features of SchNet, pretrained on pairs", ("schnet trained",), "dftb"),
    "mlp, permuted": Row("the same, of labels dealt to other pairs", ("mlp permuted",), "dftb"),
    "mlp, untrained": Row("features of the MLP as it is drawn", ("mlp untrained",), "dftb"),
    "schnet, untrained": Row("of SchNet as it is drawn", ("schnet untrained",), "dftb"),
    "labels + elements + mlp": Row("all three", ("labels", "elements", "mlp trained"), "dftb"),
    "labels + elements + mlp, untrained": Row(
        "all three, of the MLP as it is drawn", ("labels", "elements", "mlp untrained"), "dftb"
    ),
}
"""The rows of the table. Of a tested pair the networks see elements and R of the archive."""

NETWORKS = ("mlp trained", "schnet trained", "mlp permuted", "mlp untrained", "schnet untrained")


@dataclass(frozen=True, eq=False)
class Fold:
    """Which molecules a fold trains on and tests, and what its pretraining leaves out.

    Attributes
    ----------
    split : "pair" or "element"
    repeat, number : int
    train, test : int64 [n]
        Places among the molecules.
    parts : str [n_test]
        C1; C2 or C3, for one or both elements new.
    elements : frozenset of str
        Those that are new.
    """

    split: str
    repeat: int
    number: int
    train: _Index
    test: _Index
    parts: NDArray[np.str_]
    elements: frozenset[str]

    @property
    def pretraining(self) -> str:
        """The name of its pretraining, which all folds by pair of a repeat share."""
        of_pair = f"{self.split}-{self.repeat}"
        return of_pair if self.split == "pair" else f"{of_pair}-{self.number}"


def folds(names: NDArray[np.str_]) -> Iterator[Fold]:
    """Yield the folds of molecules A_B: by pair, then by element, each several times.

    In a repeat, names (or the elements of all names) are sorted by the SHA-256 of the repeat's
    number, a colon and the name, and dealt out to the folds in turn. A fold by element tests every
    molecule of its elements and trains on the others.
    """
    pairs = [frozenset(name.split("_")) for name in names.tolist()]
    elements = frozenset().union(*pairs)
    for split, items in (("pair", frozenset(names.tolist())), ("element", elements)):
        for repeat in range(1, N_REPEATS + 1):
            order = sorted(items, key=lambda name: _hash(f"{repeat}:{name}"))
            for number in range(1, N_FOLDS + 1):
                held = frozenset(order[number - 1 :: N_FOLDS])
                new = frozenset[str]() if split == "pair" else held
                tested = [
                    name in held if split == "pair" else bool(pair & held)
                    for name, pair in zip(names.tolist(), pairs, strict=True)
                ]
                test = np.flatnonzero(tested)
                parts = np.array([f"C{1 + len(pairs[i] & new)}" for i in test], "U2")
                train = np.flatnonzero(~np.array(tested))
                yield Fold(split, repeat, number, train, test, parts, new)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def rows_of(names: NDArray[np.str_], pairs: Pairs) -> _Index:
    """Return the places of molecules among the pairs."""
    place_of = {name: place for place, name in enumerate(pairs.names.tolist())}
    return np.array([place_of[name] for name in names.tolist()], np.int64)


def columns_of(pairs: Pairs, rows: _Index) -> dict[str, _Float]:
    """Return what the models without a network read, float64 [n, D] by name.

    The labels are of the pair, and of the homonuclear pairs of its atoms. Total energies come as
    E(AB) - (E(AA) + E(BB)) / 2, in which the atoms cancel: less the mean of D_e of A2 and B2 it is
    the binding energy of AB (Pauling).
    """
    elements, numbers = pairs.elements[rows], pairs.atomic_numbers[rows]
    same = {
        name.split("_")[0]: place
        for place, name in enumerate(pairs.names.tolist())
        if len({*name.split("_")}) == 1
    }
    homonuclear = np.array([[same[symbol] for symbol in pair] for pair in elements.tolist()])
    radii = np.array([[COVALENT_RADII[s] for s in pair] for pair in elements.tolist()]).sum(axis=1)
    lengths = pairs.label("distance_ang")
    r, r_mean = lengths[rows], lengths[homonuclear].mean(axis=1)
    energy = pairs.label("total_energy_ev")
    labels = [
        *(r, np.log(r), r - radii, r - r_mean, r_mean),
        energy[rows] - energy[homonuclear].mean(axis=1),
        np.sqrt(pairs.label("repulsive_energy_ev")[rows].clip(0.0)),
        *(pairs.label(name)[rows] for name in _LABELS),
        *(pairs.label(name)[homonuclear].mean(axis=1) for name in _LABELS if name != "q_absmean"),
    ]
    described = descriptors(numbers)
    both = np.concatenate([described.sum(axis=1), np.abs(np.diff(described, axis=1))[:, 0]], axis=1)
    names = np.unique(elements)
    periods = np.array([[place(z).period for z in pair] for pair in numbers.tolist()])
    return {
        "radii": radii[:, None],
        "dftb": r[:, None],
        "radii line": np.column_stack([radii, np.log(radii)]),
        "dftb line": np.column_stack([r, np.log(r)]),
        "names": (elements[..., None] == names).sum(axis=1).astype(float),
        "periods": (periods[..., None] == np.arange(1, 8)).sum(axis=1).astype(float),
        "elements": both,
        "labels": np.column_stack(labels),
    }


_LABELS = ("e_g_ev", "e_homo_ev", "e_lumo_ev", "metal_like", "dipole_mag_d", "q_absmean")


def fold_rows(
    fold: Fold, states: GroundStates, columns: Mapping[str, _Float]
) -> dict[str, dict[str, _Float]]:
    """Predict the test part of a fold with every model.

    Parameters
    ----------
    fold : Fold
    states : GroundStates
    columns : dict of str to float64 [n, D]
        Of all molecules: `columns_of` and `features_of`.

    Returns
    -------
    dict of str to dict of str to float64 [n_test]
        By model and target.
    """
    predictions: dict[str, dict[str, _Float]] = {}
    for name, row in MODELS.items():
        x = np.concatenate(
            [np.empty((len(states.names), 0)), *(columns[c] for c in row.columns)], axis=1
        )
        predictions[name] = {}
        for target in TARGETS:
            y = states.measured[target]
            first = np.zeros(len(y))
            if row.base and target == "r_e_ang":
                first = columns[row.base][:, 0]
            train = fold.train[np.isfinite(y[fold.train])]
            if row.columns:
                left = (y - first)[train]
                probe = Probe.fit(x[train], left, row.widths, scaled=row.scaled)
                predicted = first[fold.test] + probe.predict(x[fold.test])
            elif row.base:
                known = target == "r_e_ang"
                predicted = first[fold.test] if known else np.full(len(fold.test), np.nan)
            else:
                predicted = np.full(len(fold.test), np.median(y[train]))
            predictions[name][target] = predicted
    return predictions


def features_of(
    fold: Fold, pairs: Pairs, rows: _Index, *, quick: bool = False
) -> dict[str, _Float]:
    """Pretrain each network for a fold; return its features of all molecules, by `NETWORKS`."""
    from twobody.transfer.frozen import frozen  # noqa: PLC0415 - imports torch

    known = np.flatnonzero(~np.isin(pairs.elements, sorted(fold.elements)).any(axis=1))
    samples = all_samples(pairs, "geometry")
    pretraining, molecules = samples.take(np.setdiff1d(known, rows)), samples.take(rows)
    found = {}
    for name in NETWORKS:
        network, how = name.split()
        model = frozen(network, pretraining, fold.repeat, how, fold.split, quick=quick)
        found[name] = model.hidden(molecules)
    return found


def _task(source: Path, archive: Path, pretraining: str) -> Rows:
    """Return the rows of the file of predictions that the folds of a pretraining give."""
    pairs = pairs_of(archive)
    states = read_ground_states(source, np.unique(pairs.elements).tolist())
    rows = rows_of(states.names, pairs)
    group = [fold for fold in folds(states.names) if fold.pretraining == pretraining]
    columns = columns_of(pairs, rows) | features_of(group[0], pairs, rows)
    return [
        [
            *(fold.split, str(fold.repeat), str(fold.number), part, name, model),
            *(cell(values[target][k]) for target in TARGETS),
        ]
        for fold in group
        for model, values in fold_rows(fold, states, columns).items()
        for k, (part, name) in enumerate(
            zip(fold.parts.tolist(), states.names[fold.test].tolist(), strict=True)
        )
    ]


def store(states: GroundStates, pairs: Pairs, results: Path) -> Store:
    """Return where the predictions lie."""
    labels = {name: pairs.label(name) for name in ("total_energy_ev", "distance_ang", *_LABELS)}
    made_of = {"moleculedata": states.sha256, "labels": labels_digest(pairs.names, labels)}
    keys = ("split", "repeat", "fold", "part", "pair", "model")
    return Store(results, "diatomics", keys, tuple(TARGETS), made_of)


def run_diatomics(source: Path, archive: Path, results: Path, jobs: int = 1) -> None:
    """Predict every fold and store the predictions, none of the experimental values.

    What was finished before is not done again.

    Parameters
    ----------
    source : Path
        ``moleculedata.csv``.
    archive, results : Path
    jobs : int
        Processes.

    Raises
    ------
    ParseError
        A file cannot be read, or there are results of other ones.
    """
    pairs = pairs_of(archive)
    states = read_ground_states(source, np.unique(pairs.elements).tolist())
    tasks = {
        fold.pretraining: partial(_task, source, archive, fold.pretraining)
        for fold in folds(states.names)
    }
    store(states, pairs, results).run(tasks, jobs)
