"""Small facts about processes: who dies with whom, how much memory one uses, how it ended. Standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
MIB = 1 << 20


def die_with_parent(signal_number: int = signal.SIGKILL) -> None:
    """Linux: the kernel kills this process when its parent's forking thread ends; 0 lifts that. Elsewhere EOF must do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)


def kill_group(leader: int | None) -> None:
    """End a worker and everything it started that stayed in its session's group."""
    if leader is not None and leader > 1:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def memory_mb(pid: int) -> float | None:
    """Memory a process cannot give back (anonymous and shared, not cached files), None when it cannot be known."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            text = file.read()
    except OSError:
        return None
    return (_field(text, b"RssAnon:") + _field(text, b"RssShmem:")) / 1024


def _field(text: bytes, name: bytes) -> int:
    at = text.find(name)
    return int(text[at + len(name) :].split(None, 1)[0]) if at >= 0 else 0


def describe_exit(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown"
    hint = "; the machine may have run out of memory" if -code == signal.SIGKILL else ""
    return f"signal {-code}, {name}{hint}"
