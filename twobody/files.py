"""Files: inputs hashed as they are read, outputs that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there an open file cannot be removed, which serves as the lock
    fcntl = None  # type: ignore[assignment]


class InputDigest:
    """SHA-256 over the input: name, size and bytes of each file in the order of reading."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, name: str, data: bytes) -> None:
        """Take in a file; `name` is its path below the raw data, with slashes."""
        self._hash.update(f"{name}\0{len(data)}\0".encode())
        self._hash.update(data)

    def hexdigest(self) -> str:
        """Return the digest of all files so far."""
        return self._hash.hexdigest()


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Make a hidden folder inside `folder` for outputs in the making, and remove it at the end.

    What killed runs left behind there is removed first; folders that live runs work in are locked
    and stay.
    """
    with ExitStack() as stack:
        with _locked(folder):
            for old in folder.glob(".twobody-*.part"):
                _remove_if_abandoned(old)
            new = Path(tempfile.mkdtemp(prefix=".twobody-", suffix=".part", dir=folder))
            stack.callback(shutil.rmtree, new, ignore_errors=True)
            stack.enter_context(_locked(new))
        yield new


def publish(moves: list[tuple[Path, Path]], folder: Path) -> None:
    """Move staged files to their places in or below `folder`, all in one go.

    Each move replaces the target as a whole, and where one fails those before it are undone. Data
    are on the disk before the first move, and no other build publishes into `folder` meanwhile.
    """
    for staged, _ in moves:
        staged.chmod(0o666 & ~_umask())
        with staged.open("r+b") as file:  # Windows flushes writable files only
            os.fsync(file.fileno())
    with _locked(folder), ExitStack() as undo:
        for i, (staged, target) in enumerate(moves):
            if i + 1 < len(moves):  # nothing comes after the last move that could fail
                undo.callback(_put_back, _copied(target, staged.with_name(f"{i}.before")), target)
            staged.replace(target)
        undo.pop_all()


def _copied(file: Path, copy: Path) -> Path | None:
    """Copy a file, if there is one."""
    if not file.exists():
        return None
    shutil.copy2(file, copy)
    return copy


def _put_back(copy: Path | None, target: Path) -> None:
    if copy is None:
        target.unlink(missing_ok=True)
    else:
        copy.replace(target)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        if fcntl is not None:
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(handle)
        shutil.rmtree(folder)
    except OSError:
        return  # a live build works there


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
