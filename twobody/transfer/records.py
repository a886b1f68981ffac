"""Files of what trainings on other structures gave: one for each, and one of the test's values.

A file ``RUN.csv.gz`` begins with a line of JSON behind ``# ``: the run and all that is said of it.
What follows is a table of the predictions, a row for each structure of the test.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from twobody import __version__
from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.text import quote, read_bytes
from twobody.transfer.structures import Source

_Float = NDArray[np.float64]
DIGITS = 4
"""Behind the decimal point."""


@dataclass(frozen=True)
class Run:
    """One training: all that its result depends on; `rate` is the learning rate."""

    data: str
    model: str
    arm: str
    n_train: int
    rate: float
    seed: int

    def __str__(self) -> str:
        return f"{self.data}-{self.model}-{self.arm}-{self.n_train}-{self.rate:g}-{self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What a training gave.

    Attributes
    ----------
    predictions : dict of str to float64 [n_test]
        Of the weights that are best on validation.
    curve : list of [int, float]
        Step, and error on validation: the mean over the targets of the mean absolute error, in
        units of the mean absolute deviation in training; with forces, theirs is added.
    forces_mae : float or None
        Of the test part [eV/Å], where there are forces.
    weights : str
        The SHA-256 of the weights that come with the package: of the arms ``pretrained`` and
        ``embedding`` the start, of ``scratch`` the scales of its columns.
    parameters : int
    seconds : float
    device : str
        The name of the card, or "cpu".
    """

    predictions: dict[str, _Float]
    curve: list[list[float]]
    forces_mae: float | None
    weights: str
    parameters: int
    seconds: float
    device: str

    @property
    def validation_error(self) -> float:
        """The least error on validation; a training that diverged has NaN behind it.

        Infinite where all are NaN, so that no other is chosen after it.
        """
        return min((error for _, error in self.curve if not np.isnan(error)), default=np.inf)


def run_file(folder: Path, run: Run) -> Path:
    """Return where the outcome of a run lies."""
    return folder / f"{run}.csv.gz"


def write_outcome(folder: Path, run: Run, outcome: Outcome) -> None:
    """Write what a training gave, whole or not at all."""
    said = {**asdict(run), **asdict(outcome), "version": __version__}
    del said["predictions"]
    text = f"# {json.dumps(said)}\n{_csv(outcome.predictions)}"
    _write(folder, run_file(folder, run), text)


def read_outcome(path: Path) -> tuple[Run, Outcome]:
    """Read what a training gave.

    Raises
    ------
    ParseError
        The file is damaged, or named for another run.
    """
    head, _, table = _unpacked(path).partition("\n")
    predictions = _columns(path, table)
    try:
        said = _typed(dict(json.loads(head.removeprefix("# "))))
        run = Run(**{name: said.pop(name) for name in Run.__dataclass_fields__})
        said.pop("version")
        columns = {name: values.astype(np.float64) for name, values in predictions.items()}
        outcome = Outcome(predictions=columns, **said)
    except (ValueError, TypeError, KeyError) as error:
        raise ParseError(path, 1, "what is said of a run", quote(str(error))) from error
    if any(np.isinf(values).any() for values in columns.values()):
        raise ParseError(path, None, "finite predictions", "an infinite one")
    if path != run_file(path.parent, run):
        raise ParseError(path, 1, f"the run {path.name.removesuffix('.csv.gz')}", str(run))
    return run, outcome


_TYPES = {
    str: ("data", "model", "arm", "weights", "device"),
    int: ("n_train", "seed", "parameters"),
    int | float: ("rate", "seconds"),
    int | float | None: ("forces_mae",),
    list: ("curve",),
}


def _typed(said: dict[str, Any]) -> dict[str, Any]:
    """Return it, if everything is of its type."""
    for kind, names in _TYPES.items():
        for name in names:
            if not isinstance(said[name], kind):
                raise TypeError(f"{name} {json.dumps(said[name])}")
    if not said["curve"] or any(step != int(step) or float(e) < 0 for step, e in said["curve"]):
        raise ValueError("curve without steps and errors")
    return said


def values_file(folder: Path, data: str) -> Path:
    """Return where the values of a test lie."""
    return folder / f"{data}.csv.gz"


def write_values(folder: Path, source: Source) -> None:
    """Write the values of the test part, or find the same values there.

    Raises
    ------
    ParseError
        There are others, as of another version of the data.
    """
    path = values_file(folder, source.name)
    part = source.structures.take(source.test)
    columns = {"name": part.names, **part.targets}
    if not path.exists():
        _write(folder, path, _csv(columns))
    elif _unpacked(path) != _csv(columns):
        raise ParseError(path, None, "the test part of these data", "another; move it away")


def read_values(path: Path) -> dict[str, NDArray[Any]]:
    """Read the values of a test: ``name``, and each target.

    Raises
    ------
    ParseError
        The file is missing or damaged.
    """
    columns = _columns(path, _unpacked(path))
    if "name" not in columns:
        raise ParseError(path, 1, "the column name", quote(",".join(columns)))
    return columns


def _csv(columns: Mapping[str, NDArray[Any]]) -> str:
    return pd.DataFrame(columns).to_csv(
        index=False, float_format=f"%.{DIGITS}f", lineterminator="\n"
    )


def _write(folder: Path, path: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with staging(folder) as staged:
        (staged / path.name).write_bytes(gzip.compress(text.encode(), mtime=0))
        publish([(staged / path.name, path)], folder)


def _unpacked(path: Path) -> str:
    try:
        return gzip.decompress(read_bytes(path)).decode()
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def _columns(path: Path, text: str) -> dict[str, NDArray[Any]]:
    try:
        table = pd.read_csv(io.StringIO(text), dtype={"name": str})  # of MD17 they are numbers
    except ValueError as error:
        raise _damaged(path, error) from error
    return {str(name): table[name].to_numpy() for name in table}


def _damaged(path: Path, error: Exception) -> ParseError:
    return ParseError(path, None, "predictions in CSV, compressed", " ".join(str(error).split()))
