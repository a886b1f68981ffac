"""Files: inputs hashed as they are read, outputs that appear whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there an open file cannot be removed, which serves as the lock
    fcntl = None  # type: ignore[assignment]

_BEFORE = ".twobody-before"  # what a folder is called while another takes its place

# What network file systems answer that lock nothing, or no folders.
_NO_LOCKS = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


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
def naming(folder: Path) -> Iterator[None]:
    """Let an error of the system that names no file, as of a full disk, name `folder`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(folder)
        raise


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Make a hidden folder inside `folder` for outputs in the making, and remove it at the end.

    What killed runs left behind there is removed first; folders that live runs work in are locked
    and stay. A folder whose replacement was killed half-way is put back.
    """
    with naming(folder), ExitStack() as stack:
        with _locked(folder):
            for before in folder.glob(f".*{_BEFORE}"):
                target = before.with_name(before.name[1:].removesuffix(_BEFORE))
                if target.exists():
                    shutil.rmtree(before, ignore_errors=True)
                else:
                    before.rename(target)
            for old in folder.glob(".twobody-*.part"):
                # A live build holds the lock of its own; without locks nobody can tell.
                with suppress(OSError), _locked(old, wait=False) as alone:
                    if alone:
                        shutil.rmtree(old)
            new = Path(tempfile.mkdtemp(prefix=".twobody-", suffix=".part", dir=folder))
            stack.callback(shutil.rmtree, new, ignore_errors=True)
            stack.enter_context(_locked(new))
        yield new


def publish(moves: list[tuple[Path, Path]], folder: Path) -> None:
    """Move staged files to their places in or below `folder`, one right after the other.

    Each move replaces the target as a whole. Data are on the disk before the first move, and no
    other build publishes into `folder` meanwhile.
    """
    with ThreadPoolExecutor() as threads:  # the disk takes many files at a time
        list(threads.map(flush, [staged for staged, _ in moves]))
    with _locked(folder):
        for staged, target in moves:
            staged.replace(target)


def flush(staged: Path) -> None:
    """Wait until a file is on the disk."""
    with staged.open("r+b") as file:  # Windows flushes writable files only
        os.fsync(file.fileno())


def publish_folder(staged: Path, target: Path) -> None:
    """Move a staged folder to `target`, in the place of what stands there, or change nothing.

    `staged` is in a staging folder beside `target`. Its files are on the disk before the move. The
    two folders change places in one call where the system has one; elsewhere a folder that a kill
    leaves without a name is put back by the next `staging` there.
    """
    for path in staged.rglob("*"):
        if path.is_file():
            flush(path)
    with _locked(target.parent):
        if not target.exists():
            staged.rename(target)
        elif not _exchange(staged, target):
            before = target.with_name(f".{target.name}{_BEFORE}")
            target.rename(before)
            try:
                staged.rename(target)
            except OSError:
                before.rename(target)
                raise
            shutil.rmtree(before)


def _exchange(first: Path, second: Path) -> bool:
    """Let two folders change places in one system call; tell whether there is such a call."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if renameat2 is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux
    status: int = renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange)
    return status == 0  # otherwise an old kernel, or a file system without it


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock(handle: int, *, wait: bool = True) -> bool:
    """Take the lock of an open file or folder, and hold it until it is closed.

    Returns False where the system or the file system has no locks: nothing keeps processes apart.
    Where `wait` is false and another process holds the lock, that is a BlockingIOError.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a folder; yield whether no live process can be at work there."""
    if fcntl is None:  # Windows, where folders cannot be opened, nor removed with open files
        yield True
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # nothing that could be waited for
    try:
        yield lock(handle, wait=wait)
    finally:
        os.close(handle)
