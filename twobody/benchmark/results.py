"""Where results lie: a file of predictions for each model, split and track, a card for each model.

``results/predictions/MODEL-SPLIT-TRACK.csv.gz`` and ``results/models/MODEL.toml``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from twobody import __version__
from twobody.benchmark.predictions import Predictions, format_predictions, read_predictions
from twobody.benchmark.splits import FOLDS, SPLITS_SHA256
from twobody.benchmark.targets import TRACKS
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.text import quote, read_text

SUFFIX = ".csv.gz"

_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Run:
    """What is said of the predictions in one file.

    Attributes
    ----------
    split, track : str
    seeds : tuple of int
    labels, splits : str
        SHA-256 of the names and labels of the archive, and of the file of splits.
    encoding : str
        The image encoding that the model saw; empty without one.
    train_pairs : int
        The number of pairs trained on, where it was limited; 0 where it was not.
    parameters : int
        Number of trained parameters; 0 where the model does not say.
    seconds : float
        Spent in training and prediction, summed over folds and seeds.
    device, command, version : str
        What it was made on, by, and with which version of this package.
    """

    split: str
    track: str
    seeds: tuple[int, ...]
    labels: str
    splits: str = SPLITS_SHA256
    encoding: str = ""
    train_pairs: int = 0
    parameters: int = 0
    seconds: float = 0.0
    device: str = ""
    command: str = ""
    version: str = __version__

    @property
    def key(self) -> str:
        """The name of the run in a card."""
        return f"{self.split}-{self.track}"


class Card(NamedTuple):
    """What is said of a model, and of each of its runs, under ``SPLIT-TRACK``.

    Attributes
    ----------
    sees : str
        What the model is and sees, in a line; any external data are named there.
    """

    name: str
    sees: str
    runs: dict[str, Run]


class Result(NamedTuple):
    """Predictions with what is said of them."""

    model: str
    sees: str
    run: Run
    predictions: Predictions


def prediction_file(results: Path, model: str, split: str, track: str) -> Path:
    """Return the place of a file of predictions."""
    return results / "predictions" / f"{model}-{split}-{track}{SUFFIX}"


def card_file(results: Path, model: str) -> Path:
    """Return the place of a card."""
    return results / "models" / f"{model}.toml"


def read_results(results: Path, labels: str) -> list[Result]:
    """Read every file of predictions, sorted by name.

    Parameters
    ----------
    results : Path
    labels : str
        The digest that all have to name.

    Raises
    ------
    ParseError
        One cannot be read, is of another archive or other splits, or a card names one that is not
        there.
    """
    files = sorted((results / "predictions").glob(f"*{SUFFIX}"))
    if not files:
        raise ParseError(results / "predictions", None, f"files *{SUFFIX}", "none")
    found = [read_result(file, labels) for file in files]
    there = {(result.model, result.run.key) for result in found}
    for path in sorted((results / "models").glob("*.toml")):
        card = read_card(path)
        for key in card.runs:
            if (card.name, key) not in there:
                raise ParseError(path, None, f"predictions of {card.name} for {key}", "none")
    return found


def read_result(path: Path, labels: str) -> Result:
    """Read a file of predictions and its card, which lies beside it or in ``../models``.

    Raises
    ------
    ParseError
        See `read_predictions`; also where there is no card, or it names other digests.
    """
    if not path.exists():
        raise ParseError(path, None, "a file of predictions", "none")
    stem = path.name.removesuffix(SUFFIX)
    model, _, key = stem.partition("-")
    beside, above = path.with_name(f"{stem}.toml"), card_file(path.absolute().parents[1], model)
    card_path = next((place for place in (beside, above) if place.exists()), None)
    if card_path is None:
        raise ParseError(path, None, f"a card, {beside.name} beside it", "none")
    card = read_card(card_path)
    if card.name != (stem if card_path == beside else model):
        raise ParseError(card_path, None, f"the card of {path.name}", f"name {quote(card.name)}")
    run = card.runs.get(key)
    if run is None and len(card.runs) == 1 and card_path == beside:
        (run,) = card.runs.values()
    if run is None:
        raise ParseError(card_path, None, f"a table [{key}] for {path.name}", "none")
    for what, wanted, named in (
        ("labels", labels, run.labels),
        ("splits", SPLITS_SHA256, run.splits),
    ):
        if named != wanted:
            expected = f"{what} of SHA-256 {wanted[:12]}… for {path.name}"
            raise ParseError(card_path, None, expected, f"{named[:12]}…")
    predictions = read_predictions(path, run.split, run.track)
    if predictions.seeds != run.seeds:
        expected = f"the seeds {list(run.seeds)} of {card_path.name}"
        raise ParseError(path, None, expected, f"{list(predictions.seeds)}")
    return Result(card.name, card.sees, run, predictions)


def write_result(results: Path, result: Result) -> None:
    """Write a file of predictions and the card of its model, both or none."""
    card_path = card_file(results, result.model)
    runs = read_card(card_path).runs if card_path.exists() else {}
    runs[result.run.key] = result.run
    target = prediction_file(results, result.model, result.run.split, result.run.track)
    for path in (card_path, target):
        path.parent.mkdir(parents=True, exist_ok=True)
    with staging(results) as staged:
        (staged / "predictions").write_bytes(format_predictions(result.predictions))
        card = format_card(result.model, result.sees, list(runs.values()))
        (staged / "card").write_bytes(card)
        publish([(staged / "predictions", target), (staged / "card", card_path)], results)


def format_card(name: str, sees: str, runs: Sequence[Run]) -> bytes:
    """Return the text of a card, TOML."""
    lines = [f"name = {json.dumps(name)}", f"sees = {json.dumps(sees, ensure_ascii=False)}"]
    for run in sorted(runs, key=lambda run: (list(FOLDS).index(run.split), run.track)):
        lines += ["", f"[{run.key}]"]
        # Strings and lists of JSON are such of TOML too.
        lines += [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in asdict(run).items()]
    return "\n".join([*lines, ""]).encode()


def read_card(path: Path) -> Card:
    """Read a card.

    Raises
    ------
    ParseError
        It is no TOML, or an entry is missing, unknown, or of another type.
    """
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ParseError(path, None, "TOML", str(error)) from error
    name, sees = content.pop("name", None), content.pop("sees", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        expected = "a name of letters, digits and underscores"
        raise ParseError(path, None, expected, quote(str(name)))
    if not isinstance(sees, str):
        raise ParseError(path, None, "a text sees", quote(str(sees)))
    return Card(name, sees, {key: _read_run(path, key, table) for key, table in content.items()})


def _read_run(path: Path, key: str, table: Any) -> Run:
    if not isinstance(table, dict) or "labels" not in table:
        raise ParseError(path, None, f"a table [{key}] with labels", quote(str(table)))
    example = Run("", "", (0,), "")
    for field in fields(Run):
        value, kind = table.get(field.name), type(getattr(example, field.name))
        if kind is tuple:
            fine = isinstance(value, list) and value and all(type(seed) is int for seed in value)
        else:
            fine = type(value) is kind
        if not fine:
            expected = f"{field.name}, a {kind.__name__}, in [{key}]"
            found = quote(str(value)) if field.name in table else "none"
            raise ParseError(path, None, expected, found)
    if unknown := table.keys() - {field.name for field in fields(Run)}:
        raise ParseError(path, None, f"known entries in [{key}]", quote(min(unknown)))
    run = Run(**table)
    run = replace(run, seeds=tuple(run.seeds))
    if run.split not in FOLDS or run.track not in TRACKS:
        expected = f"a split ({', '.join(FOLDS)}) and a track ({', '.join(TRACKS)})"
        raise ParseError(path, None, expected, quote(run.key))
    if run.key != key:
        raise ParseError(path, None, f"the split and track of [{key}] in it", quote(run.key))
    return run
