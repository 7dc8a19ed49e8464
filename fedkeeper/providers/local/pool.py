"""Processes of the platform: zygotes that have imported heavy libraries, and the warm workers forked from them.

acquire(definition) -> an idle worker with the same key, or a fork of the right zygote
release(worker)     -> idle, warm; the least recently used beyond `max_idle` ends
discard(worker)     -> its process group is killed

zygote  -- forked(number, pid), exited(number, status) -->  pool  -- on_death(worker, reason) -->  scheduler
worker  -- hello, done, call -->  scheduler
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .activation import Activation, Config, Definition
from .connection import Connection, Loop
from .process import describe_exit, kill_group
from .wire import Frame

BOOT = str(Path(__file__).with_name("boot.py"))
NUMBER = struct.Struct("!Q")
BOOT_LIMIT_S = 180.0
GRACE_S = 0.1
SLACK = 1 << 20  # room for headers beside the largest allowed payload


class SpawnError(Exception):
    """No worker can be made; the text says why."""


class Worker:
    """A fork of a zygote that serves the functions with one key."""

    def __init__(self, pool: Pool, number: int, definition: Definition, zygote: Zygote) -> None:
        self.number = number
        self.key = definition.worker_key
        self.waits = definition.waits
        self.zygote = zygote
        self.pid: int | None = None  # the zygote tells
        self.activation: Activation | None = None
        self.leaving = False  # its zygote has reaped it: gets no further work, and its number may be somebody else's
        self.scratch = f"{pool.config.work}/{number}"
        try:
            os.makedirs(self.scratch, exist_ok=True)
            self.output = _nameless_file(f"{self.scratch}.out")  # what it prints
        except OSError as exc:
            raise SpawnError(f"no scratch space: {exc}") from exc
        ours, theirs = socket.socketpair()
        limit = max(pool.config.max_request, pool.config.max_response) + SLACK
        self.connection = Connection(pool.loop, ours, lambda frame: pool.on_worker_frame(self, frame), self.kill, limit)
        with theirs:
            try:
                zygote.fork(number, theirs, self.output)
            except SpawnError:
                self.close()
                raise
        self.connection.send(_setup(pool.config, definition, self.scratch))

    def kill(self) -> None:
        if not self.leaving:
            kill_group(self.pid)

    def close(self) -> None:
        self.connection.close()
        os.close(self.output)


class Zygote:
    """A child that imports `preload`, then only forks."""

    def __init__(self, pool: Pool, definition: Definition) -> None:
        self.key = definition.zygote_key
        self.preload = definition.preload
        self.born = time.monotonic()
        self.ready = False
        ours, theirs = socket.socketpair()
        with theirs:
            user_site = "user-site" if pool.config.user_site else "no-user-site"
            command = [pool.config.python, "-I", BOOT, "zygote", str(theirs.fileno()), user_site, *self.preload]
            try:
                self.process = subprocess.Popen(
                    command,
                    env=dict(definition.zygote_environment),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                )
            except OSError as exc:
                ours.close()
                raise SpawnError(f"cannot start {pool.config.python}: {exc.strerror}") from exc
        self.connection = Connection(
            pool.loop, ours, lambda frame: pool.on_zygote_frame(self, frame), lambda: pool.on_zygote_gone(self)
        )

    def fork(self, number: int, sock: socket.socket, output: int) -> None:
        try:
            socket.send_fds(self.connection.sock, [NUMBER.pack(number)], [sock.fileno(), output])
        except OSError as exc:
            raise SpawnError(f"the process that holds {', '.join(self.preload) or 'nothing'} takes no requests: {exc}") from exc


class Pool:
    def __init__(
        self,
        loop: Loop,
        config: Config,
        on_frame: Callable[[Worker, Frame], None],
        on_death: Callable[[Worker, str], None],
    ) -> None:
        self.loop = loop
        self.config = config
        self.on_worker_frame = on_frame
        self._on_death = on_death
        self._numbers = itertools.count(1)
        self._zygotes: dict[str, Zygote] = {}
        self._workers: dict[int, Worker] = {}
        self._idle: dict[int, Worker] = {}  # least recently used first
        self._dying: dict[int, str] = {}  # number -> scratch folder, until its zygote has reaped it

    # --- for the scheduler ---------------------------------------------------------------------------------------
    def acquire(self, definition: Definition) -> tuple[Worker, bool]:
        """A worker for this function, and whether it starts cold. SpawnError."""
        for worker in reversed(self._idle.values()):
            if worker.key == definition.worker_key and not worker.connection.closed:
                del self._idle[worker.number]
                return worker, False
        number = next(self._numbers)
        worker = self._workers[number] = Worker(self, number, definition, self.prepare(definition))
        return worker, True

    def release(self, worker: Worker) -> None:
        if worker.leaving or worker.number not in self._workers:
            return
        self._idle[worker.number] = worker
        alike = [other for other in self._idle.values() if other.waits is worker.waits]
        if len(alike) > self.config.max_idle(worker.waits):
            self.discard(alike[0])

    def discard(self, worker: Worker) -> None:
        if self._workers.pop(worker.number, None) is None:
            return
        self._idle.pop(worker.number, None)
        self._dying[worker.number] = worker.scratch
        worker.kill()
        worker.close()

    def prepare(self, definition: Definition) -> Zygote:
        zygote = self._zygotes.get(definition.zygote_key)
        if zygote is None:
            zygote = self._zygotes[definition.zygote_key] = Zygote(self, definition)
        return zygote

    def check(self, now: float) -> None:
        """End zygotes that never become ready."""
        for zygote in list(self._zygotes.values()):
            if not zygote.ready and now > zygote.born + BOOT_LIMIT_S:
                zygote.process.kill()

    def close(self) -> None:
        """End everything, workers first, and give the zygotes a moment to reap them."""
        for worker in list(self._workers.values()):
            self.discard(worker)
        for zygote in self._zygotes.values():
            zygote.connection.close()
        until = time.monotonic() + GRACE_S
        for zygote in self._zygotes.values():
            try:
                zygote.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                zygote.process.kill()

    # --- what zygotes tell ---------------------------------------------------------------------------------------
    def on_zygote_frame(self, zygote: Zygote, frame: Frame) -> None:
        header = frame.header
        if header["op"] == "ready":
            zygote.ready = True
            return
        number = int(header["number"])
        worker = self._workers.get(number)
        if header["op"] == "forked":
            if worker is None:
                kill_group(int(header["pid"]))  # discarded before it was born
            else:
                worker.pid = int(header["pid"])
            return
        if worker is not None:
            worker.leaving = True
            while worker.connection.pump():
                pass  # its last words: it may have answered before it ended
        self._exited(number, header)

    def _exited(self, number: int, header: dict[str, object]) -> None:
        worker = self._workers.get(number)
        if worker is not None:
            status = header.get("status")
            reason = describe_exit(status) if isinstance(status, int) else str(header.get("error"))
            self._bury(worker, reason)
        scratch = self._dying.pop(number, None)
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)

    def on_zygote_gone(self, zygote: Zygote) -> None:
        self._zygotes.pop(zygote.key, None)
        zygote.process.kill()
        status = zygote.process.wait()
        names = ", ".join(zygote.preload) or "no library"
        for worker in [worker for worker in self._workers.values() if worker.zygote is zygote]:
            self._bury(worker, f"the process it was forked from, which holds {names}, ended with {status}")

    def _bury(self, worker: Worker, reason: str) -> None:
        worker.kill()
        self._on_death(worker, reason)
        self.discard(worker)


def _setup(config: Config, definition: Definition, scratch: str) -> dict[str, object]:
    return {
        "op": "setup",
        "package": definition.package,
        "environment": dict(definition.environment),
        "scratch": scratch,
        "max_request": config.max_request,
        "max_response": config.max_response,
        "setting": config.setting,
    }


def _nameless_file(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return descriptor
