"""Elemental crystals: what the vectors of elements that pairs have taught know of solids.

A ridge on the vectors predicts each element from all others. Volume and bulk modulus come from
ASE's collection ``dcdft``: calculated with all electrons (WIEN2k, PBE; K. Lejaeghere et al.,
Science 351, aad3000 (2016), doi:10.1126/science.aad3000) and, for fewer elements, from experiment;
cohesive energies from ASE's table after Kittel.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.descriptors import descriptors
from twobody.benchmark.evaluate import labels_digest
from twobody.benchmark.periodic import BLOCKS, place
from twobody.benchmark.targets import METAL_LIKE, TARGETS
from twobody.benchmark.task import all_samples
from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import ParseError
from twobody.models.runner import pairs_of
from twobody.models.scaling import LOGARITHMS, ROOTS
from twobody.pairs import Pairs
from twobody.text import decode, parse_number, quote, read_bytes
from twobody.transfer import data_folder
from twobody.transfer.probe import leave_one_out
from twobody.transfer.store import Rows, Store, cell

_Float = NDArray[np.float64]
Vectors = Mapping[str, _Float]
"""A vector of each element, float64 [D] by symbol."""

QUANTITIES = {
    "ln_volume": "1",
    "ln_bulk_modulus": "1",
    "ln_volume_exp": "1",
    "ln_bulk_modulus_exp": "1",
    "cohesive_energy_ev": "eV",
}
"""What is predicted, with units: logarithms of the volume per atom in Å^3 and of the bulk modulus
in GPa, calculated and from experiment; the cohesive energy per atom."""

N_SEEDS = 3

MODELS: Mapping[str, tuple[str, bool]] = {
    "mean": ("nothing: the mean of the other elements", False),
    "period and group": ("a number for each period, group and block", False),
    "descriptors": ("the benchmark's descriptors of the element", False),
    "labels of A2": ("labels of the homonuclear pair", False),
    "labels of pairs": ("labels averaged over all pairs of the element", False),
    "gcn": ("embedding of the GCN, which knows elements by name alone", True),
    "mlp": ("column of the element's name in the MLP, beside descriptors", True),
    "schnet": ("the same in SchNet", True),
    "gcn, permuted": ("the GCN, trained on labels of other pairs", True),
    "mlp, permuted": ("the MLP, likewise", True),
    "schnet, permuted": ("SchNet, likewise", True),
    "mlp features": ("what the MLP's head reads of the homonuclear pair", True),
    "schnet features": ("what SchNet's head reads of it", True),
    "mlp features, untrained": ("the same of the MLP as it is drawn", True),
    "schnet features, untrained": ("of SchNet as it is drawn", True),
    "random": ("128 normal random numbers", True),
    "magpie": ("Magpie's properties of elements, without volume and gap of the crystal", False),
    "mat2vec": ("words of abstracts (mat2vec)", False),
}
"""The rows of the table: what they see, and whether another seed gives other vectors."""

PUBLISHED = ("magpie", "mat2vec")
"""Vectors that the package ``elementembeddings`` (MIT) ships; rows without it are left out."""

_OF_THE_CRYSTAL = ("GSvolume_pa", "GSbandgap", "GSmagmom")
"""Columns of Magpie that are properties of the very crystals, calculated."""


def crystals(elements: Sequence[str]) -> dict[str, _Float]:
    """Return `QUANTITIES` of the crystals of some elements, from ASE: float64 [n], NaN if missing.

    Raises
    ------
    ParseError
        ASE is not installed, or is too old to have a table.
    """
    try:
        from ase.collections import dcdft  # noqa: PLC0415 - an extra
        from ase.data.cohesive_energies import cohesive_energy_kittel2005  # noqa: PLC0415
    except ImportError as error:
        expected = 'the package ase with ase.data.cohesive_energies (pip install -U "ase")'
        raise ParseError("ase", None, expected, str(error)) from error
    known = set(dcdft.names)
    columns = {
        "ln_volume": "wien2k_volume",
        "ln_bulk_modulus": "wien2k_B",
        "ln_volume_exp": "exp_volume",
        "ln_bulk_modulus_exp": "exp_B",
    }
    data = {symbol: dcdft.data[symbol] if symbol in known else {} for symbol in elements}
    values = {
        name: np.log([data[symbol].get(key, np.nan) for symbol in elements])
        for name, key in columns.items()
    }
    energies = [cohesive_energy_kittel2005[ATOMIC_NUMBERS[symbol]] for symbol in elements]
    values["cohesive_energy_ev"] = np.array(energies, np.float64)  # None becomes NaN
    return values


def published_folder() -> Path | None:
    """Return the folder of vectors of an installed ``elementembeddings``, which is not imported."""
    folder = data_folder("elementembeddings")
    return None if folder is None else folder / "element_representations"


def read_vectors(path: Path) -> dict[str, _Float]:
    """Read vectors of elements from a CSV file: a symbol, then numbers.

    Raises
    ------
    ParseError
        The file is not that, or an element comes twice.
    """
    lines = csv.reader(io.StringIO(decode(read_bytes(path), path)), strict=True)
    try:
        header = next(lines, [])
        if header[:1] != ["element"] or len(header) < 2:
            raise ParseError(path, 1, "the column element, then numbers", quote(",".join(header)))
        kept = [k for k, name in enumerate(header) if k and name not in _OF_THE_CRYSTAL]
        vectors: dict[str, _Float] = {}
        for cells in lines:
            if len(cells) != len(header):
                raise ParseError(path, lines.line_num, f"{len(header)} cells", f"{len(cells)}")
            if cells[0] in vectors:
                raise ParseError(path, lines.line_num, "an element once", f"{cells[0]} again")
            numbers = [parse_number(cells[k], path, lines.line_num, header[k]) for k in kept]
            vectors[cells[0]] = np.array(numbers)
    except csv.Error as error:
        raise ParseError(path, lines.line_num, "comma-separated values", str(error)) from error
    return vectors


def vectors_without_network(pairs: Pairs) -> dict[str, Vectors]:
    """Return what the models without a network and without a seed know of each element."""
    symbols = np.unique(pairs.elements).tolist()
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols])
    places = [place(z) for z in numbers.tolist()]
    tabular = [
        [
            *(p.period == k for k in range(1, 8)),
            *(p.group == k for k in range(1, 19)),
            *(p.block == block for block in BLOCKS),
        ]
        for p in places
    ]
    labels = _labels(pairs)
    own = np.array([pairs.names.tolist().index(f"{s}_{s}") for s in symbols])
    partners = [(pairs.elements == symbol).any(axis=1) for symbol in symbols]
    averaged = np.array([np.nanmean(labels[rows], axis=0) for rows in partners])
    tables = {
        "mean": np.zeros((len(symbols), 1)),
        "period and group": np.array(tabular, float),
        "descriptors": descriptors(numbers),
        "labels of A2": labels[own],
        "labels of pairs": averaged,
    }
    return {name: dict(zip(symbols, table, strict=True)) for name, table in tables.items()}


def _labels(pairs: Pairs) -> _Float:
    """Return the benchmark's targets and the flag, float64 [N, 13], on the scales of networks."""

    def scaled(name: str) -> _Float:
        if name in LOGARITHMS:
            return np.log(pairs.label(name))
        return np.sqrt(pairs.label(name)) if name in ROOTS else pairs.label(name)

    return np.column_stack([scaled(name) for name in (*TARGETS, METAL_LIKE)])


def vectors_of(model: str, seed: int, pairs: Pairs) -> Vectors:
    """Return the vectors of a model of the table; networks are trained on all pairs."""
    symbols = np.unique(pairs.elements).tolist()
    if model == "random":
        rng = np.random.default_rng(seed)
        return dict(zip(symbols, rng.normal(size=(len(symbols), 128)), strict=True))
    if model in PUBLISHED:
        folder = published_folder()
        if folder is None:
            expected = "the package elementembeddings (pip install --no-deps elementembeddings)"
            raise ParseError("elementembeddings", None, expected, "no such package")
        return read_vectors(folder / f"{model}.csv")
    if not MODELS[model][1]:
        return vectors_without_network(pairs)[model]
    from twobody.transfer.frozen import embeddings, frozen  # noqa: PLC0415 - torch

    name, _, how = model.partition(", ")
    network, _, what = name.partition(" ")
    samples = all_samples(pairs, "geometry")
    trained = frozen(network, samples, seed, how or "trained", "pair")
    if what != "features":
        return embeddings(trained)
    homonuclear = samples.take(samples.elements[:, 0] == samples.elements[:, 1])
    features = trained.hidden(homonuclear)
    return dict(zip(homonuclear.elements[:, 0].tolist(), features, strict=True))


def probed(
    vectors: Vectors, elements: Sequence[str], values: Mapping[str, _Float]
) -> dict[str, _Float]:
    """Predict each quantity of each element from the vectors of the others.

    Parameters
    ----------
    vectors : dict of str to float64 [D]
    elements : sequence of str
    values : dict of str to float64 [n]
        `crystals` of the elements.

    Returns
    -------
    dict of str to float64 [n]
        NaN where there is no value to compare with.

    Raises
    ------
    ParseError
        An element has no vector.
    """
    for symbol in elements:
        if symbol not in vectors:
            raise ParseError("vectors of elements", None, f"one of {symbol}", "none")
    x = np.array([vectors[symbol] for symbol in elements])
    predictions = {}
    for name, y in values.items():
        known = np.isfinite(y)
        predictions[name] = np.full(len(y), np.nan)
        predictions[name][known] = leave_one_out(x[known], y[known])
    return predictions


def elements_of(pairs: Pairs) -> list[str]:
    """Return the elements that have any of the quantities, by atomic number."""
    symbols = sorted(np.unique(pairs.elements).tolist(), key=ATOMIC_NUMBERS.__getitem__)
    values = np.array(list(crystals(symbols).values()))
    return [symbols[k] for k in np.flatnonzero(np.isfinite(values).any(axis=0))]


def _task(archive: Path, model: str, seed: int) -> Rows:
    """Return the rows of the file of predictions that one set of vectors gives."""
    pairs = pairs_of(archive)
    elements = elements_of(pairs)
    values = probed(vectors_of(model, seed, pairs), elements, crystals(elements))
    return [
        [model, str(seed), symbol, *(cell(values[name][k]) for name in QUANTITIES)]
        for k, symbol in enumerate(elements)
    ]


def store(pairs: Pairs, results: Path) -> Store:
    """Return where the predictions lie."""
    labels = {name: pairs.label(name) for name in (*TARGETS, METAL_LIKE)}
    elements = elements_of(pairs)
    table = {
        symbol: [v[k] for v in crystals(elements).values()] for k, symbol in enumerate(elements)
    }
    digest = hashlib.sha256(json.dumps(table).encode()).hexdigest()
    made_of = {"crystals": digest, "labels": labels_digest(pairs.names, labels)}
    return Store(results, "crystals", ("model", "seed", "element"), tuple(QUANTITIES), made_of)


def run_crystals(archive: Path, results: Path, jobs: int = 1) -> None:
    """Predict every crystal from every set of vectors and store the predictions.

    What was finished before is not done again. Published vectors are left out where the package
    that ships them is not installed.

    Parameters
    ----------
    archive, results : Path
    jobs : int
        Processes.

    Raises
    ------
    ParseError
        ASE is not installed, a file cannot be read, or there are results of other ones.
    """
    pairs = pairs_of(archive)
    left_out = () if published_folder() else PUBLISHED
    tasks = {
        f"{model.replace(', ', '-').replace(' ', '_')}-{seed}": partial(_task, archive, model, seed)
        for model, (_, seeded) in MODELS.items()
        for seed in range(N_SEEDS if seeded else 1)
        if model not in left_out
    }
    store(pairs, results).run(tasks, jobs)
