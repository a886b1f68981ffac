"""What tests of runs need: small Slater-Koster files, and a campaign with the stand-in program."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from click.testing import CliRunner, Result

import generate_raw_data

TESTS = Path(__file__).resolve().parent
RAW_DATA = TESTS.parent / "raw_data"
STAND_IN = TESTS / "dftb_standin.py"
_HARTREE_TO_EV = 27.211386245988  # CODATA 2018

# Sdd0 Sdd1 Sdd2 Spd0 Spd1 Spp0 Spp1 Ssd0 Ssp0 Sss0 of a basis up to each shell
OVERLAPS = {
    "s": "9*0.0 0.9",
    "p": "5*0.0 0.7 0.6 0.0 0.3 0.9",
    "d": "0.5 0.4 0.3 0.2 0.1 0.7 0.6 0.2 0.3 0.9",
}


HETERONUCLEAR = "0.02, 5\n1.0, 19*0.0\n" + "20*0.0,\n" * 3 + "10*-0.1 9*0.0 0.4\nSpline\n1 1.0\n"


def homonuclear(shell: str) -> str:
    """Return a Slater-Koster file of five grid points, in the way of the PTBP files."""
    return (
        "0.020000000000, 5\n"
        "0 0 -0.238547 0.000000 0 0 0.391066 0 0 1\n"
        "1.008, 19*0.0\n"
        "20*0.0,\n"
        "20*0.0,\n"
        f"10*-0.1 {OVERLAPS[shell]}\n"
        f"10*-0.1  {OVERLAPS[shell]} \n"
        "\nSpline\n1 1.0\n"
    )


def write_skf(folder: Path, shells: Mapping[str, str]) -> Path:
    """Write the files of all pairs of the elements, which have bases up to the given shells."""
    folder.mkdir()
    for a in shells:
        for b in shells:
            text = homonuclear(shells[a]) if a == b else HETERONUCLEAR
            (folder / f"{a}-{b}.skf").write_text(text)
    return folder


def shifted(source: Path, target: Path, energy: float, scale: float) -> None:
    """Copy recorded outputs as another well: `energy` [H] higher, the bond `scale` x as long."""
    shutil.copytree(source, target)

    def higher(match: re.Match[str]) -> str:
        value = float(match[2]) + energy
        return f"{match[1]}{value:18.10f} H{value * _HARTREE_TO_EV:16.4f} eV"

    path = target / "detailed.out"
    pattern = r"(?m)^((?:Repulsive|Total|Total Mermin free) energy: +?)(-?\d+\.\d+) H .*$"
    text, n = re.subn(pattern, higher, path.read_text())
    assert n == 3
    atoms = re.compile(r"(?m)^( +[12] +0\.00000000 +0\.00000000) +(-?\d\.\d{8})$")
    text, n = atoms.subn(lambda row: f"{row[1]}{scale * float(row[2]):16.8f}", text)
    assert n == 2
    path.write_text(text)
    path = target / "geo_end.xyz"
    head, rows = path.read_text().splitlines()[:2], path.read_text().splitlines()[2:]
    atoms = [row.split() for row in rows]
    rows = [f"{a[0]:>5} 0.0 0.0 {scale * float(a[3]):.8f} {a[4]}" for a in atoms]
    path.write_text("\n".join([*head, *rows]) + "\n")


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until `condition()` is true, but not for ever."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.025)
    raise TimeoutError("waited in vain")


def is_dead(pid: int) -> bool:
    """Tell whether a process is gone, or at least ended."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")  # on Linux
        return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


class StandIn:
    """A campaign of H and O with the stand-in for dftb+.

    Attributes
    ----------
    output : Path
        The raw data to make.
    plan : dict
        What the calls for a pair do; see ``dftb_standin.py``.
    """

    def __init__(self, folder: Path) -> None:
        self.output = folder / "raw_data"
        self.skf = write_skf(folder / "skf", {"H": "s", "O": "p"})
        self.recorded = folder / "recorded"
        self.recorded.mkdir()
        for pair in ("H_H", "H_O", "O_O"):
            shutil.copytree(RAW_DATA / pair, self.recorded / pair)
        self.calls_log = folder / "calls.log"
        self._plan = folder / "plan.json"
        self.set_plan({})

    def set_plan(self, plan: Mapping[str, list[str]]) -> None:
        """Say what the calls of each pair do, counted from now."""
        self._plan.write_text(json.dumps(plan))
        self.calls_log.write_text("")

    @property
    def command(self) -> str:
        """The stand-in as a command line."""
        parts = (sys.executable, STAND_IN, self.recorded, self._plan, self.calls_log)
        return shlex.join(str(part) for part in parts)

    def arguments(self, *more: str) -> list[str]:
        """Return the arguments of the command that computes all pairs."""
        return [
            "run", "--skf", str(self.skf), "--output", str(self.output),
            "--dftb-command", self.command, "--jobs", "2", *more,
        ]  # fmt: skip

    def run(self, *more: str) -> Result:
        """Compute all pairs in this process."""
        return CliRunner().invoke(generate_raw_data.main, self.arguments(*more))

    def calls(self) -> list[str]:
        """Return the pairs for which the program was called since the plan was set, sorted."""
        return sorted(line.split()[0] for line in self.calls_log.read_text().splitlines())

    def workers(self, pair: str) -> list[int]:
        """Return the processes that called the program for a pair."""
        lines = map(str.split, self.calls_log.read_text().splitlines())
        return [int(line[3]) for line in lines if line[0] == pair]

    def log(self) -> list[dict[str, str]]:
        """Return the rows of the log."""
        with (self.output / "run_log.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def pairs(self) -> list[str]:
        """Return the folders in the output, hidden ones too."""
        return sorted(path.name for path in self.output.iterdir() if path.is_dir())

    def same_as_recorded(self, pair: str, recorded: str | None = None) -> bool:
        """Tell whether a pair's outputs are, byte by byte, the recorded ones."""
        source = self.recorded / (recorded or pair)
        return all(
            (self.output / pair / name).read_bytes() == (source / name).read_bytes()
            for name in ("detailed.out", "geo_end.xyz", "band.out")
        )
