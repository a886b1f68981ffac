"""Where pairs are computed: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from twobody.campaign.run import Attempt, Job, compute_pair

if TYPE_CHECKING:
    from distributed import Client

Compute = Callable[[Job], list[Attempt]]

CLUSTER_LOST = "the cluster was lost: its scheduler, or all of its workers"
"""Why a pair is cancelled: by Dask for the scheduler, by `_watch` for the workers."""

_PATIENCE = 30  # s to wait for the scheduler, for its first worker, and for any when all are lost


@contextmanager
def this_machine(jobs: int) -> Iterator[tuple[Executor, Compute]]:
    """Run `jobs` DFTB+ processes at a time on this machine.

    Threads watch them. The work is done in processes anyway, one per run; a Python process around
    each would only be one more thing to be killed, and one that breaks the whole pool if it is.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(jobs) as threads:
        try:
            yield threads, partial(compute_pair, stop=stop)
        except BaseException:
            stop.set()
            raise


@contextmanager
def cluster(address: str) -> Iterator[tuple[Executor, Compute]]:
    """Run DFTB+ on the workers of a Dask cluster, which see the same folders as this machine.

    A pair whose worker is lost is given to another; one that loses several (Dask's setting
    ``distributed.scheduler.allowed-failures``) fails. Where `address` is not one, or no scheduler
    or no worker answers, that is an OSError.
    """
    from distributed import Client  # noqa: PLC0415  an extra; nothing else needs it

    # A lost scheduler ends in one line of ours; Dask would add tracebacks.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    asyncio.run(_greet(address))
    # distributed has types, but not of these
    with Client(address, timeout=_PATIENCE) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(1, timeout=_PATIENCE)
        workers = client.get_executor(pure=False)
        ended = threading.Event()
        threading.Thread(target=_watch, args=(client, workers, ended), daemon=True).start()
        try:
            yield workers, compute_pair
        finally:
            ended.set()
            workers.shutdown(wait=False)


async def _greet(address: str) -> None:
    """Check that a scheduler answers; a client would wait for ever for one that is something else.

    ConnectionError says what was found.
    """
    from distributed.comm.addressing import resolve_address  # noqa: PLC0415
    from distributed.comm.core import connect  # noqa: PLC0415
    from distributed.security import Security  # noqa: PLC0415

    try:
        resolve_address(address)
    except ValueError as error:
        expected = "the address of a scheduler, such as tcp://localhost:8786"
        raise ConnectionError(f"--scheduler: expected {expected}, found {address!r}") from error
    encryption = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
    try:
        greeting = connect(address, _PATIENCE, **encryption)  # type: ignore[no-untyped-call]
        comm = await asyncio.wait_for(greeting, _PATIENCE)
    except Exception as error:  # whatever the answer of something else is mistaken for
        reason = f"a Dask scheduler that answers within {_PATIENCE} s, found {type(error).__name__}"
        raise ConnectionError(f"--scheduler {address}: expected {reason}") from error
    await comm.close()


def _watch(client: Client, workers: Executor, ended: threading.Event) -> None:
    """Cancel all pairs when the cluster has had no worker for a while; Dask waits for ever."""
    seconds_without = 0
    while seconds_without < _PATIENCE:
        if ended.wait(1):
            return
        seconds_without = 0 if client.scheduler_info()["workers"] else seconds_without + 1
    workers.shutdown(wait=False)


def find_program(workers: Executor, command: Sequence[str]) -> tuple[str, ...] | None:
    """Return `command` with the full path of its program, found where it will run, or None.

    A ConnectionError tells that the cluster was lost, or does not have this package.
    """
    try:
        path = workers.submit(_which, command[0]).result()
    except CancelledError as error:
        raise ConnectionError(CLUSTER_LOST) from error
    except Exception as error:  # whatever kept the workers from calling it
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        expected = "this version of twobody on the scheduler and the workers"
        raise ConnectionError(f"--scheduler: expected {expected}, found {reason}") from error
    return None if path is None else (path, *command[1:])


def _which(program: str) -> str | None:
    path = shutil.which(program)
    return None if path is None else str(Path(path).absolute())  # runs have folders of their own
