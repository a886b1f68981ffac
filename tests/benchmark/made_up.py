"""A benchmark without the archive: made-up labels for the pairs of the splits."""

from pathlib import Path

import numpy as np

from twobody.benchmark.predictions import Predictions, scored_rows
from twobody.benchmark.splits import FOLDS, read_splits
from twobody.benchmark.targets import METAL_LIKE, TARGETS, targets, with_derived
from twobody.elements import ATOMIC_NUMBERS
from twobody.pairs import Pairs, empty_rows


def made_up_pairs(seed=0):
    """Return pairs whose labels are sums over their elements plus noise; some are missing."""
    names, _ = read_splits()
    elements = np.array([name.split("_") for name in names.tolist()])
    numbers = np.array([[ATOMIC_NUMBERS[symbol] for symbol in pair] for pair in elements.tolist()])
    rng = np.random.default_rng(seed)
    labels = {}
    for name in TARGETS:
        of_element = rng.normal(2, 1, 119)
        labels[name] = np.abs(of_element[numbers].sum(axis=1) + rng.normal(0, 0.1, len(names)))
    labels[METAL_LIKE] = (rng.random(len(names)) < 0.7).astype(float)
    labels["softness_evinv"][labels[METAL_LIKE] == 1] = np.nan
    labels = with_derived(labels)
    labels["dipole_z_d"] = -labels.pop("abs(dipole_z_d)")
    lengths = labels["distance_ang"]
    positions = np.zeros((len(names), 2, 3))
    positions[:, 1, 2] = lengths
    rows = empty_rows(len(names))
    rows["positions"], rows["bond_length"] = positions, lengths
    rows["populations"] = rng.random((len(names), 2))
    rows["charges"] = rng.normal(size=(len(names), 2))
    rows["orbital_populations"] = rng.random((len(names), 2, 16))
    return Pairs(
        path=Path("made_up.npz"),
        names=names,
        elements=elements,
        rows=rows,
        label_names=np.array(list(labels)),
        label_units=np.full(len(labels), ""),
        label_values=np.column_stack(list(labels.values())),
        text_label_names=np.array([], np.str_),
        text_label_values=np.empty((len(names), 0), np.str_),
    )


def perfect(pairs, split, track, n_seeds=1):
    """Return predictions that are right; where the label is missing, 1."""
    rows = scored_rows(split, FOLDS[split])
    columns = {}
    for name in (*targets(track), METAL_LIKE):
        truth = np.nan_to_num(pairs.label(name)[rows.pairs], nan=1.0)
        columns[name] = np.tile(truth, (n_seeds, 1))
    seeds = tuple(range(n_seeds))
    return Predictions(Path("perfect.csv.gz"), split, track, FOLDS[split], seeds, columns)
