"""Behave like dftb+: read dftb_in.hsd here, leave recorded outputs, or go wrong as told.

    python dftb_standin.py RECORDED [PLAN.json] [CALLS.log]

RECORDED holds folders of pairs with recorded outputs. The plan gives each pair a list of what its
first, second, ... call does; the last entry holds for all further ones, and a pair that is not in
it converges. Calls are counted in the log, a line each.
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


def main(recorded: str, plan: str | None = None, calls: str | None = None) -> None:
    text = Path("dftb_in.hsd").read_text(encoding="utf-8")
    lines = [line.split() for line in text[text.index("GenFormat") :].splitlines()]
    types, second = lines[2], lines[4]
    pair = f"{types[0]}_{types[-1]}"
    behaviours = json.loads(Path(plan).read_text()).get(pair, ["converge"]) if plan else ["converge"]
    n_calls = 0
    if calls:
        with Path(calls).open("a+") as log:
            log.write(f"{pair} {second[-1]} {os.environ['OMP_NUM_THREADS']}\n")
            log.seek(0)
            n_calls = sum(line.split()[0] == pair for line in log) - 1
    behave(behaviours[min(n_calls, len(behaviours) - 1)], Path(recorded) / pair)


def behave(behaviour: str, source: Path) -> None:
    print(" |  DFTB+ stand-in")
    what, _, argument = behaviour.partition(" ")
    if what == "from":  # other recorded outputs of the pair
        source = source.parent / argument
    elif what == "slow":
        time.sleep(float(argument))
    elif what == "hang":
        subprocess.run(["sleep", "1000"], check=True)  # a child, which has to die too
    elif what == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "scc":
        print("ERROR!\n-> SCC is NOT converged, maximal SCC iterations exceeded")
        sys.exit(1)
    elif what == "garbage":
        sys.stdout.buffer.write(b"\xff\x00\x1b[2J garbage\n" * 1000)
        for name in OUTPUTS:
            Path(name).write_bytes(bytes(range(256)))
        return
    for name in OUTPUTS:
        shutil.copyfile(source / name, name)
    if what == "unconverged":
        edit("detailed.out", "Geometry converged", "!!! Geometry did NOT converge!")
    elif what == "scc-flag":
        edit("detailed.out", "SCC converged", argument or SCC_FAILED)
    elif what == "full":
        os.truncate("detailed.out", 1000)
        print("forrtl: No space left on device")
        sys.exit(2)
    elif what == "cut":
        os.truncate("detailed.out", 1000)


SCC_FAILED = "SCC is NOT converged, maximal SCC iterations exceeded"


def edit(name: str, old: str, new: str) -> None:
    text = Path(name).read_text(encoding="utf-8")
    if old not in text:
        sys.exit(f"{name} has no {old!r}")
    Path(name).write_text(text.replace(old, new), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
