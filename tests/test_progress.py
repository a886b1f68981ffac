"""Progress: on a terminal only."""

from __future__ import annotations

import io
import sys

import pytest

from twobody.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def count(stderr: io.StringIO | None, monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    monkeypatch.setattr(sys, "stderr", stderr)
    with progress_bar(5, "counting") as progress:
        for step in steps:
            if step < 0:
                raise ValueError("wrong")
            progress(step)


def test_a_terminal_shows_what_is_done_and_how_much_there_is(monkeypatch):
    terminal = Terminal()
    count(terminal, monkeypatch, 2, 3)
    last = terminal.getvalue().rstrip("\n").rpartition("\r")[2]
    assert last.startswith("counting: 100%")
    assert " 5/5 " in last
    assert "pair/s" in last


def test_a_pipe_stays_silent_and_tqdm_is_not_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "tqdm", raising=False)
    pipe = io.StringIO()
    count(pipe, monkeypatch, 2, 3)
    assert pipe.getvalue() == ""
    assert "tqdm" not in sys.modules


def test_a_closed_standard_error_is_no_obstacle(monkeypatch):
    count(None, monkeypatch, 2, 3)


def test_on_an_error_the_bar_ends_and_the_error_goes_on(monkeypatch):
    terminal = Terminal()
    with pytest.raises(ValueError, match="wrong"):
        count(terminal, monkeypatch, 2, -1)
    assert terminal.getvalue().endswith("\n")
