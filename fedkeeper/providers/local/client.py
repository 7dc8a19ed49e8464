"""The provider's end of one platform process: starts it, writes frames (any thread), reads what it tells (one thread).

run(...), prepare(...) --lock--> socket --> platform
reader thread <-- ended, resolve <-- socket ;  at the end of the stream: on_gone
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fedkeeper.errors import ProviderError, Unreachable
from fedkeeper.model import Json
from fedkeeper.providers.local.binding import Binding
from fedkeeper.providers.local.wire import Frame, Reader, WireError, send

BOOT = Path(__file__).with_name("boot.py")
LOG = "platform.log"
LOG_LIMIT = 1 << 20
CLOSE_LIMIT_S = 0.15


class Listener(NamedTuple):
    """What the reader thread calls."""

    ended: Callable[[list[Frame]], None]
    resolve: Callable[[str], Binding]  # a running function calls this one: its binding, or a ProviderError
    gone: Callable[[PlatformClient], None]


class PlatformClient:
    """One platform process, from its start to its end."""

    def __init__(self, config: Mapping[str, Json], home: Path, environment: Mapping[str, str], listener: Listener) -> None:
        self.closing = False
        self._listener = listener
        self._work = str(config["work"])
        self._writing = threading.Lock()
        self._defined: dict[str, int] = {}  # Binding.key -> number
        self._sock, self._process = _start(home, environment)
        self.pid = self._process.pid
        self._thread = threading.Thread(target=self._read, name="fedkeeper-local", daemon=True)
        self._thread.start()
        with contextlib.suppress(OSError):  # it ended at once: `run` will say so
            send(self._sock, {"op": "configure", **config})

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self.closing

    def run(self, activation_id: str, binding: Binding, data: bytes, body: bytes, *, held: bool, timeout_s: float | None) -> None:
        """OSError when the process is gone."""
        header = {"op": "run", "id": activation_id, "held": held, "timeout_s": timeout_s}
        with self._writing:
            header["number"] = self._define(binding)
            send(self._sock, header, data, body)

    def prepare(self, binding: Binding) -> None:
        with self._writing, contextlib.suppress(OSError):  # a hint to a process that just ended
            send(self._sock, {"op": "prepare", "number": self._define(binding)})

    def close(self) -> None:
        """End the process and everything it started."""
        self.closing = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(CLOSE_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _define(self, binding: Binding) -> int:
        number = self._defined.get(binding.key)
        if number is None:
            number = self._defined[binding.key] = len(self._defined)
            send(self._sock, {"op": "define", "number": number, **binding.definition})
        return number

    # --- the reader thread ---------------------------------------------------------------------------------------
    def _read(self) -> None:
        reader = Reader(self._sock)
        with contextlib.suppress(EOFError, OSError, WireError):
            while True:
                frames = reader.read()
                for frame in frames:
                    if frame.header["op"] == "resolve":
                        self._answer(frame.header)
                if ended := [frame for frame in frames if frame.header["op"] == "ended"]:
                    self._listener.ended(ended)
        self._process.wait()  # the socket ended, so it is ending
        with self._writing:
            self._sock.close()
        shutil.rmtree(self._work, ignore_errors=True)  # when it was killed before it could do that
        self._listener.gone(self)

    def _answer(self, header: Mapping[str, Json]) -> None:
        reply: dict[str, Json] = {"op": "resolved", "id": header["id"]}
        with self._writing:
            try:
                reply["number"] = self._define(self._listener.resolve(header["function"]))
            except ProviderError as exc:
                reply["error"], reply["kind"] = exc.message, type(exc).__name__
            send(self._sock, reply)


def _start(home: Path, environment: Mapping[str, str]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The platform in a session of its own: Ctrl-C at the terminal is for the orchestrator."""
    ours, theirs = socket.socketpair()
    try:
        with theirs, _open_log(home / LOG) as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(BOOT), "platform", str(theirs.fileno())],
                env=dict(environment),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
    except OSError as exc:
        ours.close()
        raise Unreachable(f"the local platform's process cannot be started: {exc}") from exc
    return ours, process


def _open_log(path: Path) -> BinaryIO:
    """What a platform and its zygotes print; begun anew when it has grown."""
    large = path.exists() and path.stat().st_size > LOG_LIMIT
    return path.open("wb" if large else "ab")
