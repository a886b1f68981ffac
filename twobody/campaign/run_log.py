"""``run_log.csv``: every attempt to compute a pair, with its settings and what came of it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from twobody.files import lock

RUN_LOG = "run_log.csv"


@dataclass(frozen=True)
class Attempt:
    """One run of DFTB+; the fields are the columns of the log. What is missing is None.

    Attributes
    ----------
    pair : str
    start_factor : float
        The start asked for, in units of the sum of the covalent radii.
    rung : int
        Place on the ladder of settings, counted from 0.
    settings : str
        Name of the rung, and the settings that rungs change.
    outcome : str
        ``converged`` or what went wrong.
    reason : str
        Details of what went wrong; empty where nothing did.
    energy_ev : float or None
        Mermin free energy of the well found (total energy where the output has no other) [eV].
    bond_length_ang : float or None
        Bond length of the well found [Å].
    physical : bool or None
        Whether the well is physical; see `twobody.campaign.run.is_physical`.
    chosen : bool
        Whether this is the well that was kept.
    seconds : float
        Time of the run [s].
    """

    pair: str
    start_factor: float
    rung: int
    settings: str
    outcome: str
    reason: str
    energy_ev: float | None
    bond_length_ang: float | None
    physical: bool | None
    chosen: bool
    seconds: float


def append(path: Path, attempts: Iterable[Attempt]) -> None:
    """Append rows to the log while other processes may do the same.

    Where writing fails the log is as it was. An append that was killed may leave its first rows;
    what it left behind the last line end is cut off by the next.
    """
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    for attempt in attempts:
        writer.writerow([_cell(value) for value in astuple(attempt)])
    header = ",".join(field.name for field in fields(Attempt)) + "\n"
    with path.open("a+b", buffering=0) as file:  # a buffer would be written again when closed
        lock(file.fileno())
        file.seek(0)
        end = file.read().rfind(b"\n") + 1
        file.truncate(end)
        left = ((header if end == 0 else "") + rows.getvalue()).encode()
        try:
            while left:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(end)
            raise


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return str(value)
