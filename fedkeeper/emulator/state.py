"""Which emulator runs in a home: one at most, held by a lock; what it said of itself in a file for this user alone.

    daemon:  claim(home) -> lock, write(State)  ...  release: the port stays written, so that it can be had again
    others:  running(home) -> State | None       a state counts only while the lock is held

The lock ends with its process, however that ends: a stale file fools nobody, and no process but the daemon is ever signalled.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from fedkeeper.emulator import files
from fedkeeper.errors import UsageError

STATE, LOCK, LOG = "emulator.json", "emulator.lock", "emulator.log"


@dataclass(frozen=True)
class State:
    """`pid` is None while nothing runs."""

    pid: int | None
    port: int
    url: str
    started: float


def home_of(given: str | None, config: str | None) -> Path:
    """--home, or beside the spec, or the user's own."""
    if given:
        return Path(given).absolute()
    if config:
        return Path(config).absolute().parent / ".fedkeeper" / "emulator"
    return Path.home() / ".fedkeeper" / "emulator"


def running(home: Path) -> State | None:
    """The daemon of this home. It may not answer yet."""
    state = written(home)
    return state if state is not None and state.pid is not None and held(home) else None


def written(home: Path) -> State | None:
    try:
        return State(**json.loads((home / STATE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write(home: Path, state: State) -> None:
    files.write_json(home / STATE, asdict(state))


def held(home: Path) -> bool:
    """True while a daemon lives."""
    try:
        descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def claim(home: Path) -> Iterator[None]:
    """Be the daemon of this home. UsageError when there is one."""
    files.folder(home)
    descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"an emulator already runs in {home}", hint="`fedkeeper emulate down` ends it") from None
        yield
    finally:
        os.close(descriptor)
