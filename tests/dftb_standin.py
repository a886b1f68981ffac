"""Behave like dftb+: read dftb_in.hsd here, leave recorded outputs, or go wrong as told.

    python dftb_standin.py RECORDED [PLAN.json CALLS.log]

RECORDED holds folders of pairs with recorded outputs. The plan gives each pair a list of what its
first, second, ... call does (a name of `BEHAVIOURS`, and an argument); the last entry holds for all
further calls, and a pair that is not in it converges. Calls are counted in the log, a line each:
pair, starting distance, threads, the process that called.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

OUTPUTS = ("detailed.out", "geo_end.xyz", "band.out")
SCC_FAILED = "SCC is NOT converged, maximal SCC iterations exceeded"


def main(recorded: str, plan: str | None = None, calls: str | None = None) -> None:
    """Do what the plan says for the pair in dftb_in.hsd."""
    text = Path("dftb_in.hsd").read_text(encoding="utf-8")
    geometry = [line.split() for line in text[text.index("GenFormat") :].splitlines()]
    types, distance = geometry[2], geometry[4][-1]
    pair = f"{types[0]}_{types[-1]}"
    sys.stdout.write(" |  DFTB+ stand-in\n")
    behaviour = "converge"
    if plan is not None and calls is not None:
        with Path(calls).open("a+") as log:
            log.write(f"{pair} {distance} {os.environ['OMP_NUM_THREADS']} {os.getppid()}\n")
            log.seek(0)
            n_before = sum(line.split()[0] == pair for line in log) - 1
        behaviours = json.loads(Path(plan).read_text()).get(pair, [behaviour])
        behaviour = behaviours[min(n_before, len(behaviours) - 1)]
    name, _, argument = behaviour.partition(" ")
    BEHAVIOURS[name](Path(recorded) / pair, argument)


def converge(source: Path, _argument: str = "") -> None:
    for name in OUTPUTS:
        shutil.copyfile(source / name, name)


def other_well(source: Path, name: str) -> None:
    converge(source.parent / name)


def slow(source: Path, seconds: str) -> None:
    time.sleep(float(seconds))
    converge(source)


def hang(_source: Path, _argument: str) -> None:
    """Wait for a child, which has to die too; it leaves its number."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    Path(os.environ["TMPDIR"], "child").write_text(str(child.pid))
    child.wait()


def leave_child(source: Path, _argument: str) -> None:
    """End well while a child goes on; it leaves its number."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    Path(os.environ["TMPDIR"], "child").write_text(str(child.pid))
    converge(source)


def tidy(source: Path, status: str) -> None:
    """Remove its input and what it printed; end with `status`."""
    converge(source)
    Path("dftb_in.hsd").unlink()
    Path("dftb.out").unlink()
    sys.exit(int(status))


def folder(source: Path, name: str) -> None:
    converge(source)
    Path(name).unlink()
    Path(name).mkdir()


def link(source: Path, name: str) -> None:
    converge(source)
    Path(name).unlink()
    Path(name).symlink_to(source / name)


def crash(_source: Path, _argument: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def kill_caller(_source: Path, _argument: str) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def scc_fails(_source: Path, _argument: str) -> None:
    sys.stdout.write(f"ERROR!\n-> {SCC_FAILED}\n")
    sys.exit(1)


def scc_flag(source: Path, _argument: str) -> None:
    converge(source)
    edit("detailed.out", "SCC converged", SCC_FAILED)


def geometry_fails(source: Path, _argument: str) -> None:
    converge(source)
    edit("detailed.out", "Geometry converged", "!!! Geometry did NOT converge!")


def garbage(_source: Path, _argument: str) -> None:
    """Print and write bytes that are no text; end as if all were well."""
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\xff\x00\x1b[2J garbage\n" * 1000)
    for name in OUTPUTS:
        Path(name).write_bytes(bytes(range(256)))


def cut(source: Path, _argument: str) -> None:
    converge(source)
    os.truncate("detailed.out", 1000)


def full_disk(source: Path, _argument: str) -> None:
    cut(source, "")
    sys.stdout.write("Fortran runtime error: No space left on device\n")
    sys.exit(2)


def edit(name: str, old: str, new: str) -> None:
    text = Path(name).read_text(encoding="utf-8")
    if old not in text:
        sys.exit(f"{name} has no {old!r}")
    Path(name).write_text(text.replace(old, new), encoding="utf-8")


BEHAVIOURS = {
    "converge": converge,
    "from": other_well,
    "slow": slow,
    "hang": hang,
    "leave-child": leave_child,
    "tidy": tidy,
    "folder": folder,
    "link": link,
    "crash": crash,
    "kill-caller": kill_caller,
    "scc": scc_fails,
    "scc-flag": scc_flag,
    "unconverged": geometry_fails,
    "garbage": garbage,
    "cut": cut,
    "full": full_disk,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
