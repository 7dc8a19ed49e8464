"""A vendor's runtime as a child of the worker; travels as `fedkeeper_process.py`.

    Child(command) -> ready() -> requests over a loopback port ... -> the next activation finds it warm, or dead: then a new one

It prints where the worker prints. It ends with the worker (same process group, which the platform kills at the time limit),
and a watcher ends it when it, with its children, uses more memory than the function has.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from fedkeeper_runner import FOLDER

HOST = "127.0.0.1"
BOOT_LIMIT_S = 60.0
LOOK_S = 0.05


class Child:
    """One runtime process. `out_of_memory` tells why it is gone."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], memory_mb: int) -> None:
        self.out_of_memory = False
        self._memory_mb = memory_mb
        self._process = subprocess.Popen(
            [sys.executable, *command], cwd=FOLDER, env={**os.environ, **environment}, stdin=subprocess.DEVNULL
        )
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self._process.wait()
        return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"

    def wait_until(self, ready: Callable[[], bool]) -> bool:
        """False when it ended, or took too long."""
        end = time.monotonic() + BOOT_LIMIT_S
        while self.alive and time.monotonic() < end:
            if ready():
                return True
            time.sleep(0.005)
        return False

    def kill(self) -> None:
        for pid in family(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _watch(self) -> None:
        while self.alive:
            used = sum(memory_mb(pid) for pid in family(self._process.pid))
            if used > self._memory_mb:
                self.out_of_memory = True
                self.kill()
            time.sleep(LOOK_S)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((HOST, port)) == 0


def ask(port: int, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request. OSError or HTTPException when the other end dies meanwhile."""
    connection = http.client.HTTPConnection(HOST, port)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError), open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found


def memory_mb(pid: int) -> float:
    """Memory it cannot give back, as the local platform counts it."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            lines = [line.split() for line in file if line.startswith(("RssAnon:", "RssShmem:"))]
    except OSError:
        return 0.0
    return sum(int(line[1]) for line in lines) / 1024
