"""How a run shows its progress, how it fails, and how many cores it may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from twobody.errors import ParseError


@contextmanager
def progress_bar(total: int, what: str) -> Iterator[Callable[[int], object]]:
    """Show how many of `total` pairs are done; yield the function that counts some more.

    On a terminal, on standard error; nothing is shown where it is piped.
    """
    if getattr(sys.stderr, "isatty", bool)():  # a closed standard error is None
        from tqdm import tqdm  # noqa: PLC0415 - it takes a twentieth of a build

        with tqdm(total=total, desc=what, unit="pair") as bar:
            yield bar.update
    else:
        yield lambda _: None


@contextmanager
def one_message(status: int = 1) -> Iterator[None]:
    """Let what cannot be done end a command with one message and an exit status.

    That is wrong input, a system that refuses, no more memory or threads (a RuntimeError), an extra
    that is not installed. Where nobody reads on, as after ``| head``, click ends without a message.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (ParseError, OSError, MemoryError, RuntimeError, ImportError) as error:
        click.ClickException(str(error) or "not enough memory").show()
        raise SystemExit(status) from error


def n_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
