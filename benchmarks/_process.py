"""One command, measured from its start to its exit: wall time, processor time and memory of the whole process tree.

    measured(command) --Popen--> tree of processes     every half second: Pss and CPU seconds of all of them
                      <--exit-- CPU seconds            (the kernel's count of those that were waited for)

Pss divides a shared page among its holders, so memory that processes share is counted once. What the command leaves behind
becomes our child and counts until it ends. The kernel forgets the time of children that their parent ignores (ray does); what
was seen of it does not, so the larger of the two sums counts.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SUBREAPER = 36  # prctl(PR_SET_CHILD_SUBREAPER)
_EVERY_S = 0.5
_ORPHANS_S = 10.0


@dataclass(frozen=True)
class Usage:
    """What one command took. `began` and `ended` are Unix times."""

    began: float
    ended: float
    cpu_s: float
    peak_pss_mb: float
    output: str

    @property
    def wall_s(self) -> float:
        return self.ended - self.began


def measured(command: Sequence[str | Path], *, cwd: Path | None = None, environ: Mapping[str, str] | None = None) -> Usage:
    """Run it to its end. SystemExit with its last words when it fails."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    before = _children_cpu()
    with tempfile.TemporaryFile("w+") as errors:
        began = time.time()
        process = subprocess.Popen(
            list(map(str, command)), cwd=cwd, env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        watch = _Watch()
        output, _ = process.communicate()
        ended = time.time()
        _reap()
        watch.stop()
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} exited with {process.returncode}:\n{output}{errors.read()[-3000:]}")
    return Usage(began, ended, max(_children_cpu() - before, sum(watch.cpu_s.values())), watch.peak_pss / 1e6, output)


class _Watch:
    """Looks at our descendants from a thread."""

    def __init__(self) -> None:
        self.peak_pss = 0
        self.cpu_s: dict[int, float] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_EVERY_S):
            found = list(descendants(os.getpid()))
            self.peak_pss = max(self.peak_pss, sum(map(_pss, found)))
            self.cpu_s |= {pid: cpu for pid in found if (cpu := cpu_of(pid))}


def descendants(root: int) -> Iterator[int]:
    """Process ids of children, their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    waiting = [root]
    while waiting:
        found = children.get(waiting.pop(), [])
        yield from found
        waiting += found


def _pss(pid: int) -> int:
    """Bytes; 0 for a process that has gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_of(pid: int) -> float:
    """Its own, in seconds; 0 for a process that has gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _reap() -> None:
    """Wait for what the command left behind; its processor time counts too."""
    until = time.monotonic() + _ORPHANS_S
    with suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.05)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
