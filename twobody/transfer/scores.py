"""Errors of the experiments, with intervals by a bootstrap over elements, as tables in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twobody.benchmark.evaluate import Errors, element_draws, separable
from twobody.benchmark.periodic import place
from twobody.benchmark.table import significant
from twobody.elements import ATOMIC_NUMBERS
from twobody.errors import ParseError
from twobody.pairs import Pairs
from twobody.transfer import crystals, diatomics
from twobody.transfer.spectroscopy import GroundStates

_Float = NDArray[np.float64]
Cells = dict[str, dict[tuple[str, ...], Errors]]
"""Errors by model and column of a table."""

_MARKED = re.compile(r"(?ms)^(<!-- transfer: ([\w-]+) -->\n).*?^(<!-- end of transfer -->)$")


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """Return the text of a page with these of its marked tables as the results have them now.

    Raises
    ------
    ParseError
        The page has no place for one of them.
    """
    places = {found[2] for found in _MARKED.finditer(page)}
    for name in tables:
        if name not in places:
            raise ParseError(None, None, f"a place for the table {name} in the page", "none")
    return _MARKED.sub(
        lambda found: (
            f"{found[1]}\n{tables[found[2]]}\n{found[3]}" if found[2] in tables else found[0]
        ),
        page,
    )


def errors_of(errors: _Float, numbers: NDArray[np.int64]) -> Errors:
    """Score the errors of things of one or two elements.

    Parameters
    ----------
    errors : float64 [n]
        Absolute; NaN where there is nothing to compare with.
    numbers : int64 [n, 2]
        Atomic numbers; a thing of one element has it twice.
    """
    known = np.isfinite(errors)
    errors, weights = errors[known], element_draws(numbers[known])
    with np.errstate(invalid="ignore"):  # a draw may hold none of them
        draws = weights @ errors / weights.sum(axis=1)
    return Errors(float(errors.mean()), float(np.sqrt((errors**2).mean())), draws)


def diatomic_errors(predictions: pd.DataFrame, states: GroundStates) -> Cells:
    """Score the predictions of molecules, under (split, part, target).

    The error of a molecule is the mean over the folds that test it.
    """
    truth = pd.DataFrame(states.measured, index=states.names)[list(diatomics.TARGETS)]
    errors = predictions.set_index(["model", "split", "part", "pair"])[list(diatomics.TARGETS)]
    errors = (errors - truth.reindex(errors.index.get_level_values("pair")).to_numpy()).abs()
    errors = errors.groupby(level=[0, 1, 2, 3]).mean()
    cells: Cells = {}
    for model in diatomics.MODELS:
        for split, part in diatomics.PARTS:
            of_part = errors.xs((model, split, part))
            numbers = _numbers(of_part.index)
            for target in diatomics.TARGETS:
                if of_part[target].notna().any():
                    scored = errors_of(of_part[target].to_numpy(), numbers)
                    cells.setdefault(model, {})[split, part, target] = scored
    return cells


def _numbers(names: Iterable[str]) -> NDArray[np.int64]:
    """Return the atomic numbers of molecules A_B: int64 [n, 2]."""
    return np.array([[ATOMIC_NUMBERS[s] for s in name.split("_")] for name in names], np.int64)


_TITLES = {"r_e_ang": "R_e [Å]", "ln_k": "ln k", "d_e_ev": "D_e [eV]"}


def diatomics_table(cells: Cells) -> str:
    """Return the errors of every model, target and part."""
    columns = [
        (split, part, target) for target in diatomics.TARGETS for split, part in diatomics.PARTS
    ]
    heads = [f"{_TITLES[target]}, {part}" for _, part, target in columns]
    sees = {name: row.sees for name, row in diatomics.MODELS.items()}
    return _errors_table(cells, columns, heads, sees)


COMPARED = (
    ("labels + elements", "elements"),
    ("mlp", "mlp, untrained"),
    ("mlp", "mlp, permuted"),
    ("schnet", "schnet, untrained"),
    ("mlp", "labels + elements"),
    ("schnet", "labels + elements"),
    ("labels + elements + mlp", "labels + elements"),
    ("labels + elements + mlp", "labels + elements + mlp, untrained"),
)
"""What is compared on the same molecules and draws: a model, and one without what it adds."""


def comparison_table(cells: Cells) -> str:
    """Return how much smaller the errors of a model are than those of another, for molecules."""
    columns = [
        (split, part, target) for target in diatomics.TARGETS for split, part in diatomics.PARTS
    ]
    heads = [f"{_TITLES[target]}, {part}" for _, part, target in columns]
    return _differences_table(cells, columns, heads, COMPARED)


def _differences_table(
    cells: Cells,
    columns: Sequence[tuple[str, ...]],
    heads: Sequence[str],
    compared: Iterable[tuple[str, str]],
) -> str:
    rows = [
        [f"{one} – {other}", *(_difference(cells[one][c], cells[other][c]) for c in columns)]
        for one, other in compared
        if one in cells and other in cells
    ]
    return markdown_table(["", *heads], rows)


def _difference(one: Errors, other: Errors) -> str:
    """Write the difference of two MAEs with its interval; bold where 0 is not inside."""
    draws = one.draws - other.draws
    low, high = np.nanquantile(draws, [0.025, 0.975])
    text = _signed(one.mae - other.mae)
    text = f"**{text}**" if low > 0 or high < 0 else text
    return f"{text}<br>{_signed(float(low))} to {_signed(float(high))}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def raw_errors(states: GroundStates, pairs: Pairs) -> pd.DataFrame:
    """Return labels less experiment, a row per molecule: R [Å] and the ionisation energy [eV]."""
    rows = diatomics.rows_of(states.names, pairs)
    return pd.DataFrame(
        {
            "r_ang": pairs.label("distance_ang")[rows] - states.measured["r_e_ang"],
            "ip_ev": pairs.label("i_ev")[rows] - states.measured["ip_ev"],
        },
        index=states.names,
    )


def raw_table(errors: pd.DataFrame) -> str:
    """Return how far the raw data are from experiment: in all, and by period and group.

    A line has `FEWEST` molecules or more.
    """
    named = errors["r_ang"].dropna()
    places = {name: [place(ATOMIC_NUMBERS[s]) for s in name.split("_")] for name in named.index}
    rows = [_raw_row("R_e [Å], all", named)]
    for period in range(2, 8):
        chosen = [n for n in named.index if max(p.period for p in places[n]) == period]
        rows += [_raw_row(f"R_e [Å], heavier atom of period {period}", named[chosen])]
    for group in range(1, 19):
        chosen = [n for n in named.index if any(p.group == group for p in places[n])]
        rows += [_raw_row(f"R_e [Å], an atom of group {group}", named[chosen])]
    rows += [_raw_row("I [eV], Koopmans' theorem", errors["ip_ev"].dropna())]
    head = ["", "n", "mean absolute error", "median absolute error", "mean error"]
    return markdown_table(head, [row for row in rows if int(row[1]) >= FEWEST])


FEWEST = 10
"""Molecules of a line of the table of raw errors."""


def _raw_row(title: str, errors: pd.Series[float]) -> list[str]:
    """Return a line of the table, with intervals."""
    values, numbers = np.asarray(errors, np.float64), _numbers(errors.index)
    if not len(values):
        return [title, "0"]
    low, high = errors_of(np.abs(values), numbers).interval
    absolute = (
        f"{significant(float(np.abs(values).mean()))} ({significant(low)} – {significant(high)})"
    )
    low, high = errors_of(values, numbers).interval
    signed = f"{_signed(float(values.mean()))} ({_signed(low)} to {_signed(high)})"
    median = significant(float(np.median(np.abs(values))))
    return [title, str(len(values)), absolute, median, signed]


def crystal_errors(
    predictions: pd.DataFrame, elements: Sequence[str], values: Mapping[str, _Float]
) -> tuple[Cells, dict[str, dict[str, float]]]:
    """Score the predictions of crystals, under (quantity,); errors are means over seeds.

    Returns
    -------
    Cells
    dict of str to dict of str to float
        R^2 by model and quantity, 1 - sum of squared errors / that of the mean; the mean over
        seeds.
    """
    numbers = np.repeat([[ATOMIC_NUMBERS[symbol]] for symbol in elements], 2, axis=1)
    cells: Cells = {}
    r_squared: dict[str, dict[str, float]] = {}
    for model in crystals.MODELS:
        of_model = predictions[predictions["model"] == model]
        if of_model.empty:
            continue
        for name, truth in values.items():
            table = of_model.pivot_table(name, "seed", "element", dropna=False)
            errors = table.reindex(columns=list(elements)).to_numpy() - truth
            known = np.isfinite(truth)
            scored = errors_of(np.abs(errors).mean(axis=0), numbers)
            cells.setdefault(model, {})[name,] = scored
            total = ((truth[known] - truth[known].mean()) ** 2).sum()
            left = (errors[:, known] ** 2).sum(axis=1)
            r_squared.setdefault(model, {})[name] = float((1 - left / total).mean())
    return cells, r_squared


_CRYSTAL_TITLES = {
    "ln_volume": "ln V, calculated",
    "ln_bulk_modulus": "ln B, calculated",
    "ln_volume_exp": "ln V, experiment",
    "ln_bulk_modulus_exp": "ln B, experiment",
    "cohesive_energy_ev": "cohesive energy [eV], experiment",
}


def crystals_table(cells: Cells, r_squared: Mapping[str, Mapping[str, float]]) -> str:
    """Return the errors of every model and quantity, with R^2."""
    columns = [(name,) for name in crystals.QUANTITIES]
    sees = {name: about for name, (about, _) in crystals.MODELS.items()}
    notes: dict[str, dict[tuple[str, ...], str]] = {
        model: {(name,): f"R² {value:.2f}".replace("-", "−") for name, value in of_model.items()}
        for model, of_model in r_squared.items()
    }
    return _errors_table(cells, columns, list(_CRYSTAL_TITLES.values()), sees, notes)


COMPARED_VECTORS = (
    ("gcn", "gcn, permuted"),
    ("gcn", "labels of pairs"),
    ("gcn", "period and group"),
    ("mlp features", "mlp features, untrained"),
    ("schnet features", "schnet features, untrained"),
    ("mlp features", "labels of A2"),
    ("mlp features", "period and group"),
    ("mlp features", "magpie"),
)
"""The same for vectors of elements."""


def crystals_comparison(cells: Cells) -> str:
    """Return how much smaller the errors of some vectors are than those of others."""
    columns = [(name,) for name in crystals.QUANTITIES]
    return _differences_table(cells, columns, list(_CRYSTAL_TITLES.values()), COMPARED_VECTORS)


def _errors_table(
    cells: Cells,
    columns: Sequence[tuple[str, ...]],
    heads: Sequence[str],
    sees: Mapping[str, str],
    notes: Mapping[str, Mapping[tuple[str, ...], str]] | None = None,
) -> str:
    """Write MAEs with intervals; bold is what cannot be told from the best of its column."""
    best = {
        column: min((row[column] for row in cells.values() if column in row), key=lambda e: e.mae)
        for column in columns
    }
    rows = []
    for model, of_model in cells.items():
        row = [f"`{model}`", sees[model]]
        for column in columns:
            if column not in of_model:
                row.append("–")
                continue
            errors = of_model[column]
            text = significant(errors.mae)
            if not separable(errors, best[column]):
                text = f"**{text}**"
            low, high = errors.interval
            text += f"<br>{significant(low)} – {significant(high)}"
            if notes:
                text += f"<br>{notes[model][column]}"
            row.append(text)
        rows.append(row)
    return markdown_table(["model", "what it sees", *heads], rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown, a line for each row."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
