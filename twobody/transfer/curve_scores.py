"""Errors of learning curves, with intervals over seeds and structures, as tables in Markdown."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twobody.benchmark.table import significant
from twobody.errors import ParseError
from twobody.text import quote
from twobody.transfer import ARMS
from twobody.transfer.records import Outcome, Run, read_outcome, read_values, values_file
from twobody.transfer.scores import markdown_table

_Float = NDArray[np.float64]
N_DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Cell:
    """The trainings of one model, arm and number of structures that differ in nothing but the seed.

    Attributes
    ----------
    runs : list of (Run, Outcome)
        Ordered by seed.
    mae : dict of str to float
        By target; the mean over seeds.
    draws : dict of str to float64 [N_DRAWS]
        The same for seeds and structures drawn with replacement, the same draws in every cell.
    """

    runs: list[tuple[Run, Outcome]]
    mae: dict[str, float]
    draws: dict[str, _Float]


Cells = dict[tuple[str, int, str], Cell]
"""Under model, number of structures, and arm."""


def read_cells(folder: Path, data: str) -> Cells:
    """Read what a folder holds of some data, and score it.

    Of several rates of a model and arm, the one counts that is best on validation with seed 0 at
    the size where all were tried.

    Raises
    ------
    ParseError
        There is none, or a file is damaged or of another test part.
    """
    truth = read_values(values_file(folder, data))
    read = []
    for path in sorted(folder.glob(f"{data}-*.csv.gz")):
        run, outcome = read_outcome(path)
        wanted = {name: values.shape for name, values in truth.items() if name != "name"}
        if {name: values.shape for name, values in outcome.predictions.items()} != wanted:
            expected = f"{len(truth['name'])} predictions of each of {', '.join(wanted)}"
            raise ParseError(path, None, expected, "others")
        read.append((run, outcome))
    if not read:
        raise ParseError(folder, None, f"outcomes of trainings, {data}-*.csv.gz", "none")
    rng = np.random.default_rng(0)
    n = len(truth["name"])
    weights = rng.multinomial(n, np.full(n, 1 / n), N_DRAWS) / n
    cells: Cells = {}
    for model, arm in sorted({(run.model, run.arm) for run, _ in read}):
        of_arm = [(r, o) for r, o in read if (r.model, r.arm) == (model, arm)]
        rate = chosen_rate(of_arm)
        for size in sorted({run.n_train for run, _ in of_arm}):
            runs = [(r, o) for r, o in of_arm if (r.n_train, r.rate) == (size, rate)]
            runs.sort(key=lambda pair: pair[0].seed)
            if runs:  # rates may have been tried at a size that was not gone on with
                cells[model, size, arm] = _scored(runs, truth, weights)
    return cells


def chosen_rate(runs: list[tuple[Run, Outcome]]) -> float:
    """Return the rate that was best on validation, with seed 0 where several were tried."""
    sizes = [run.n_train for run, _ in runs if run.seed == 0]
    tried_at = max(set(sizes), key=lambda size: (sizes.count(size), -size))
    tried = [(o.validation_error, r.rate) for r, o in runs if (r.n_train, r.seed) == (tried_at, 0)]
    return min(tried)[1]


def _scored(runs: list[tuple[Run, Outcome]], truth: dict[str, _Float], weights: _Float) -> Cell:
    n_seeds = len(runs)
    seeds = np.random.default_rng(1).integers(n_seeds, size=(len(weights), n_seeds))
    mae, draws = {}, {}
    for target in runs[0][1].predictions:
        errors = np.array([np.abs(o.predictions[target] - truth[target]) for _, o in runs])
        mae[target] = float(errors.mean())
        drawn = weights @ errors.T
        draws[target] = np.take_along_axis(drawn, seeds, axis=1).mean(axis=1)
    return Cell(runs, mae, draws)


def curves_table(cells: Cells) -> str:
    """Return the errors of every arm, each with its interval of 95 %."""
    targets = list(next(iter(cells.values())).mae)
    rows = []
    for (model, size, arm), cell in _ordered(cells):
        row = [f"`{model}`", f"{size:,}", arm, f"{cell.runs[0][0].rate:g}", f"{len(cell.runs)}"]
        row += [f"{significant(cell.mae[t])} {_interval(cell.draws[t])}" for t in targets]
        rows.append(row)
    head = ["model", "trained on", "arm", "rate", "seeds", *map(title, targets)]
    return markdown_table(head, rows)


def ratios_table(cells: Cells) -> str:
    """Return the errors of every arm over those from scratch; bold where 1 is not inside."""
    targets = list(next(iter(cells.values())).mae)
    rows = []
    for (model, size, arm), cell in _ordered(cells):
        scratch = cells.get((model, size, "scratch"))
        if arm == "scratch" or scratch is None:
            continue
        row = [f"`{model}`", f"{size:,}", arm]
        for target in targets:
            if np.isnan(cell.mae[target] / scratch.mae[target]):  # a training diverged
                row.append("–")
                continue
            draws = cell.draws[target] / scratch.draws[target]
            low, high = np.quantile(draws, [0.025, 0.975])
            text = f"{cell.mae[target] / scratch.mae[target]:.2f}"
            row.append(f"{text if low <= 1 <= high else f'**{text}**'} [{low:.2f}, {high:.2f}]")
        rows.append(row)
    return markdown_table(["model", "trained on", "arm", *map(title, targets)], rows)


def reference_table(path: Path) -> str:
    """Return what ``examples/qm9_schnet.py`` has measured.

    Raises
    ------
    ParseError
        There is no such file, or it is another.
    """
    expected = "a table of examples/qm9_schnet.py"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            read = sorted(csv.DictReader(file), key=lambda row: (row["target"], float(row["rate"])))
        rows = []
        for row in read:
            errors = [significant(float(row[name])) for name in ("validation_mae", "test_mae")]
            how = [f"{int(row['n_train']):,}", f"{int(row['steps']):,}", row["rate"]]
            rows.append([title(row["target"]), *how, *errors])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParseError(path, None, expected, quote(str(error))) from error
    if not rows:
        raise ParseError(path, None, expected, "no row")
    head = ["target", "trained on", "steps", "rate", "validation", "test"]
    return markdown_table(head, rows)


def _ordered(cells: Cells) -> list[tuple[tuple[str, int, str], Cell]]:
    order = list(ARMS)
    return sorted(cells.items(), key=lambda item: (*item[0][:2], order.index(item[0][2])))


def title(target: str) -> str:
    """Write the name of a target with its unit: ``E_g_eV`` as E g [eV]."""
    name, unit = target.rsplit("_", 1)
    return f"{name.replace('_', ' ')} [{unit}]"


def _interval(draws: _Float) -> str:
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"[{significant(low)}, {significant(high)}]"
