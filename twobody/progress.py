"""Progress on a terminal, on standard error; nothing where it is piped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int, what: str) -> Iterator[Callable[[int], object]]:
    """Show how many of `total` pairs are done; yield the function that counts some more."""
    if getattr(sys.stderr, "isatty", bool)():  # a closed standard error is None
        from tqdm import tqdm  # noqa: PLC0415 - it takes a twentieth of a build

        with tqdm(total=total, desc=what, unit="pair") as bar:
            yield bar.update
    else:
        yield lambda _: None
