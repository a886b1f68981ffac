"""Results in parts: a run that was stopped is taken up where it ended, and ends the same."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import tomllib
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from twobody.errors import ParseError
from twobody.files import publish, staging
from twobody.models.runner import in_processes
from twobody.text import decode, parse_number, quote, read_bytes, read_text
from twobody.transfer import FOLDER

Rows = list[list[str]]


@dataclass(frozen=True)
class Store:
    """Where the predictions of an experiment lie: ``NAME.csv.gz``, and ``NAME.toml`` beside it.

    Attributes
    ----------
    results : Path
    name : str
    keys, values : tuple of str
        The columns: text, and numbers.
    made_of : dict of str to str
        What the predictions depend on, as SHA-256; another file or archive gives other ones.
    """

    results: Path
    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    made_of: Mapping[str, str]

    @property
    def file(self) -> Path:
        """The predictions."""
        return self.results / FOLDER / f"{self.name}.csv.gz"

    @property
    def card(self) -> Path:
        """What they are made of."""
        return self.file.with_name(f"{self.name}.toml")

    def run(self, tasks: Mapping[str, Callable[[], Rows]], jobs: int) -> None:
        """Do every task and store the rows of all, in the order of the tasks; none is done twice.

        Raises
        ------
        ParseError
            There are results of another file or archive.
        """
        if not self.file.exists():
            try:
                self._complete(tasks, jobs)
            except (FileNotFoundError, ParseError):
                if not self.file.exists():  # else another run was first, with the same results
                    raise
        self.check()

    def _complete(self, tasks: Mapping[str, Callable[[], Rows]], jobs: int) -> None:
        identity = "-".join(digest[:8] for digest in self.made_of.values())
        folder = self.file.parent / "partial" / f"{self.name}-{identity}"
        folder.mkdir(parents=True, exist_ok=True)
        pending = {k: task for k, task in tasks.items() if not (folder / f"{k}.csv").exists()}
        with tqdm(total=len(tasks), initial=len(tasks) - len(pending), disable=None) as bar:
            for (key, _), rows in in_processes(_done, list(pending.items()), jobs):
                if isinstance(rows, Exception):
                    raise rows
                _write(folder, {f"{key}.csv": _format(rows)})
                bar.update(1)
        parts = [read_bytes(folder / f"{key}.csv") for key in tasks]
        text = _format([[*self.keys, *self.values]]) + b"".join(parts)
        card = "".join(f"{key} = {json.dumps(value)}\n" for key, value in self.made_of.items())
        packed = gzip.compress(text, compresslevel=9, mtime=0)
        _write(self.file.parent, {self.card.name: card.encode(), self.file.name: packed})
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # parts of other results
            folder.parent.rmdir()

    def check(self) -> None:
        """Refuse results that were made of something else.

        Raises
        ------
        ParseError
            They were, or the card cannot be read.
        """
        try:
            found = tomllib.loads(read_text(self.card))
        except tomllib.TOMLDecodeError as error:
            raise ParseError(self.card, None, "TOML", str(error)) from error
        for key, value in self.made_of.items():
            if found.get(key) != value:
                expected = f"{key} {value[:12]}… as now"
                raise ParseError(self.card, None, expected, quote(str(found.get(key))[:12]))

    def read(self) -> pd.DataFrame:
        """Read the predictions; an empty cell is NaN.

        Raises
        ------
        ParseError
            The file is missing, damaged or made of something else.
        """
        self.check()
        data = read_bytes(self.file)
        try:
            text = decode(gzip.decompress(data), self.file)
            header, *rows = csv.reader(io.StringIO(text), strict=True)
        except ParseError:
            raise
        except (OSError, EOFError, zlib.error, csv.Error, ValueError) as error:
            raise ParseError(self.file, None, "a gzip file of CSV", str(error)) from error
        columns = [*self.keys, *self.values]
        if header != columns:
            expected = f"the columns {', '.join(columns)}"
            raise ParseError(self.file, 1, expected, quote(",".join(header)))
        n = len(self.keys)
        for line, row in enumerate(rows, start=2):
            if len(row) != len(columns):
                raise ParseError(self.file, line, f"{len(columns)} cells", f"{len(row)}")
            row[n:] = [
                parse_number(cell, self.file, line, name) if cell else np.nan  # type: ignore[misc]
                for name, cell in zip(self.values, row[n:], strict=True)
            ]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(self.values, float))


def cell(value: float) -> str:
    """Write a number with five significant digits, and NaN as an empty cell."""
    return "" if np.isnan(value) else f"{value:.5g}"


def _done(task: tuple[str, Callable[[], Rows]]) -> Rows:
    return task[1]()


def _format(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    with staging(folder) as staged:
        for name, data in files.items():
            (staged / name).write_bytes(data)
        publish([(staged / name, folder / name) for name in files], folder)
