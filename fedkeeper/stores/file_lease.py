"""One orchestrator per run: an flock on runs/<run>/lease, held while a process lives, with its pid inside.

The file stays when the lease is given back: taking it away could hand the same lease to two processes. A child forked meanwhile
closes its copy of the descriptor at once, so that the holder's death alone frees the run.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fedkeeper.errors import RunBusy
from fedkeeper.stores.file_disk import Disk, translated

_held: set[int] = set()


@contextmanager
def lease(disk: Disk, path: Path, run: str) -> Iterator[None]:
    with translated(f"lock {path}"):
        fd = _take(disk, path, run)
    _held.add(fd)
    try:
        yield
    finally:
        _held.discard(fd)
        with suppress(OSError):
            os.close(fd)


def _take(disk: Disk, path: Path, run: str) -> int:
    disk.make_folder(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
    except BlockingIOError as exc:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise RunBusy(f"run {run} is held by process {holder}" if holder else f"run {run} is held by another process") from exc
    except OSError:
        os.close(fd)
        raise
    return fd


def _forget_in_child() -> None:
    while _held:
        with suppress(OSError):
            os.close(_held.pop())


os.register_at_fork(after_in_child=_forget_in_child)
