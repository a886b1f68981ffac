import os
import re
import subprocess
import sys

import pytest
from dftb_runs import TESTS, StandIn
from distributed import LocalCluster

from twobody.campaign.hsd_input import Settings, ladder

if os.name != "posix":
    pytest.skip("DFTB+ runs on Linux and macOS only", allow_module_level=True)

ROOT = TESTS.parent
TEXT = (ROOT / "docs" / "generating.md").read_text(encoding="utf-8")


def test_the_commands_of_the_page_work_one_after_the_other(tmp_path, monkeypatch):
    stand_in = StandIn(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "dftb+").write_text(f"#!/bin/sh\nexec {stand_in.command}\n")
    (programs / "dftb+").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    commands = "".join(re.findall(r"(?ms)^```sh\n(.*?)^```$", TEXT)).splitlines()
    assert len(commands) == 8
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        for command in commands:
            here = command.replace("tcp://localhost:8786", cluster.scheduler_address)
            words = [f"{ROOT}/{word}" if word.endswith(".py") else word for word in here.split()]
            done = subprocess.run(
                [sys.executable, *words[1:]],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            if "--scheduler" in command:
                assert "0 done, 3 resumed" in done.stdout
    assert (tmp_path / "built" / "dataset_combined.npz").is_file()
    assert stand_in.calls() == ["H_H", *["H_O"] * 4, "O_O"]  # each once, and three wells of H_O


def test_the_page_names_every_rung_in_order():
    rows = re.findall(r"(?m)^\| (\d) \| ([a-z ]+) \|", TEXT)
    assert rows == [(str(i), name) for i, name in enumerate(ladder(Settings()))]
