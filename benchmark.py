"""Run the benchmark's models, score predictions, make the table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import zip_longest
from pathlib import Path

import click
import numpy as np
import pandas as pd
from tqdm import tqdm

from twobody import ParseError, __version__
from twobody.archive import read
from twobody.benchmark.evaluate import Evaluator
from twobody.benchmark.predictions import Predictions
from twobody.benchmark.results import read_result
from twobody.benchmark.splits import FOLDS, PARTS
from twobody.benchmark.table import PAGES, leaderboard, with_leaderboard
from twobody.benchmark.targets import DERIVED, TARGETS, TRACKS
from twobody.models import MODELS
from twobody.models.runner import Ledger, Outcome, Row, Settings, Training, in_processes, train
from twobody.text import read_text
from twobody.transfer.commands import ARCHIVE, COMMANDS

SOURCE = Path(__file__).resolve().parent

_RESULTS = click.option(
    "--results",
    default="results",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of predictions and cards.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Run the benchmark's models, score predictions, make the table."""


@main.command(context_settings={"show_default": True})
@click.argument("models", nargs=-1, metavar="[MODEL]...")
@click.option("--all", "every", is_flag=True, help="Run every model.")
@click.option("--split", "splits", multiple=True, type=click.Choice(list(FOLDS)), help="[all]")
@click.option("--track", "tracks", multiple=True, type=click.Choice(TRACKS), help="[all it takes]")
@click.option("--seeds", default=3, type=click.IntRange(1), help="Models per fold.")
@click.option("--device", default="cpu", help="Where networks are trained, as PyTorch names it.")
@click.option("--jobs", default=1, type=click.IntRange(1), help="Processes, all on one device.")
@click.option("--train-pairs", type=click.IntRange(20), help="Train on so many pairs of a fold.")
@click.option("--quick", is_flag=True, help="Try: one fold and seed, few epochs, nothing written.")
@_RESULTS
@ARCHIVE
def run(
    models: tuple[str, ...],
    every: bool,
    splits: tuple[str, ...],
    tracks: tuple[str, ...],
    seeds: int,
    device: str,
    jobs: int,
    train_pairs: int | None,
    quick: bool,
    results: Path,
    archive: Path,
) -> None:
    """Train models on the folds of splits and store what they predict.

    What the results hold already is not run again, so a run that was stopped can be continued.
    """
    rows = chosen_rows(models, splits, tracks, train_pairs, every=every)
    settings = Settings(archive, device, quick)
    try:
        evaluator = Evaluator(read(archive))
        if quick:
            failed = try_out(rows, settings, jobs, evaluator)
        else:
            results.mkdir(parents=True, exist_ok=True)
            ledgers = {row: Ledger(results, row, seeds, evaluator.digest) for row in rows}
            failed = train_all(ledgers, settings, jobs)
    except (ParseError, OSError) as error:
        raise click.ClickException(str(error)) from error
    except BrokenProcessPool as error:
        message = "a process died, of too little memory perhaps; what was finished is kept"
        raise click.ClickException(message) from error
    if failed:
        raise click.ClickException(f"{failed} of the trainings failed")


def chosen_rows(
    models: Sequence[str],
    splits: Sequence[str],
    tracks: Sequence[str],
    train_pairs: int | None,
    *,
    every: bool,
) -> list[Row]:
    """Return the rows of the leaderboard that the command line asks for."""
    if every == bool(models):
        raise click.UsageError("name models, or give --all")
    if unknown := [model for model in models if model not in MODELS]:
        raise click.UsageError(f"no model {unknown[0]!r}; known: {', '.join(MODELS)}")
    rows = [
        Row(model, split, track, train_pairs)
        for model in models or MODELS
        for split in splits or FOLDS
        for track in MODELS[model].tracks
        if not tracks or track in tracks
    ]
    if not rows:
        raise click.UsageError(f"none of these models takes the track {', '.join(tracks)}")
    return rows


def train_each(
    trainings: Sequence[Training],
    settings: Settings,
    jobs: int,
    use: Callable[[Training, Outcome], str | None],
) -> int:
    """Hand the outcome of each training to `use`, print what that returns; count the failed."""
    failed = 0
    with tqdm(total=len(trainings), unit="training", disable=None) as bar:
        for training, outcome in in_processes(partial(train, settings=settings), trainings, jobs):
            bar.update(1)
            if isinstance(outcome, Exception):
                failed += 1
                bar.write(f"{training}: {outcome}", file=sys.stderr)
            elif text := use(training, outcome):
                bar.write(f"{training}: {text}", file=sys.stdout)
    return failed


def train_all(ledgers: dict[Row, Ledger], settings: Settings, jobs: int) -> int:
    """Train what the ledgers lack; return how many trainings failed."""
    # One of each row in turn, so that trees, on the cores, grow beside networks, on the card.
    turns = zip_longest(*(ledger.pending for ledger in ledgers.values()))
    pending = [training for turn in turns for training in turn if training is not None]
    for row, ledger in ledgers.items():  # a run may have been killed between the last two steps
        if not ledger.finish(settings) and not ledger.pending:
            click.echo(f"{row.name} on {row.split}-{row.track}: in {ledger.file} already", err=True)

    def keep(training: Training, outcome: Outcome) -> None:
        ledgers[training.row].keep(training, outcome)
        ledgers[training.row].finish(settings)

    return train_each(pending, settings, jobs, keep)


def try_out(rows: Sequence[Row], settings: Settings, jobs: int, evaluator: Evaluator) -> int:
    """Train on one fold with one seed and print errors; return how many trainings failed."""
    trainings = [Training(row, FOLDS[row.split][0], 0) for row in rows]
    return train_each(trainings, settings, jobs, partial(maes, evaluator=evaluator))


def maes(training: Training, outcome: Outcome, evaluator: Evaluator) -> str:
    """Return the mean absolute errors of a training in one line."""
    row, folds = training.row, (training.fold,)
    columns = {label: np.array([values]) for label, values in outcome.predictions.items()}
    predictions = Predictions(str(training), row.split, row.track, folds, (0,), columns)
    scores = evaluator.scores(predictions)
    first = PARTS[row.split][0]
    found = ", ".join(
        f"{label} {scores[first, label].single.mae:.3g}" for label in TARGETS if label in columns
    )
    return f"{outcome.seconds:.1f} s, MAE in {first}: {found}"


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, all digits.")
@ARCHIVE
def score(file: Path, as_csv: bool, archive: Path) -> None:
    """Score the predictions in FILE; its card, a .toml file beside it, says what they are."""
    try:
        evaluator = Evaluator(read(archive))
        result = read_result(file, evaluator.digest)
        frame = evaluator.frame(result.predictions)
    except (ParseError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_csv:
        click.echo(frame.to_csv(), nl=False)
        return
    click.echo(f"{result.model} on {result.run.key}, seeds {list(result.run.seeds)}")
    with pd.option_context("display.width", None, "display.max_columns", None):
        shown = frame.dropna(axis="columns", how="all").drop(columns="derived")
        if len(result.run.seeds) == 1:
            shown = shown.loc[:, ~shown.columns.str.startswith("ensemble_")]
        shown.index = [f"{part} {label}{' *' * (label in DERIVED)}" for part, label in frame.index]
        click.echo(shown.to_string(float_format="{:.4g}".format, na_rep="–"))
    click.echo("* follows from others by identity")


@main.command()
@_RESULTS
@ARCHIVE
def table(results: Path, archive: Path) -> None:
    """Put the leaderboard, made from the results, into README.md and docs/benchmark.md."""
    try:
        blocks = leaderboard(results, Evaluator(read(archive)))
        for name in PAGES:
            path = SOURCE / name
            page = with_leaderboard(read_text(path), blocks)
            path.write_text(page, encoding="utf-8", newline="\n")
    except (ParseError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option(
    "--output",
    default=SOURCE / "docs" / "images" / "benchmark",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the pictures.  [default: docs/images/benchmark]",
)
@_RESULTS
@ARCHIVE
def pictures(output: Path, results: Path, archive: Path) -> None:
    """Draw the results: parity, elements, new elements, learning curve, tracks."""
    try:
        from twobody.benchmark.pictures import draw_all  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise click.UsageError(f'{error}: python -m pip install "twobody-dataset[plot]"') from error
    try:
        evaluator = Evaluator(read(archive))
        draw_all(results, leaderboard(results, evaluator), evaluator, output)
    except (ParseError, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command("list")
def list_models() -> None:
    """List the models, the tracks they take, and what each of them is."""
    width = max(map(len, MODELS))
    for name, info in MODELS.items():
        click.echo(f"{name:{width}}  {', '.join(info.tracks):27}  {info.sees}")


for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()
