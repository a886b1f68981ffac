"""How a long run shows its progress, and how many cores it may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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


def n_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
