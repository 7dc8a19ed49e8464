"""The platform process: one child of the orchestrator, one thread, no listening socket.

    provider --configure, define, run, prepare, resolved-->  platform  --ended, resolve-->  provider
                                                                |  records, logs
                                                            Scheduler -> Pool -> zygotes -> workers

The connection is an inherited socket pair. When it ends, or the parent is gone, every process of the platform ends.
Standard library only; run as `python -I boot.py platform <fd>`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import time
import uuid
from typing import Any, NamedTuple

from .activation import MAX_DEPTH, Activation, Config, Definition, Outcome
from .connection import Connection, Loop
from .pool import SpawnError
from .records import Recorder, take_output
from .scheduler import TICK_S, Scheduler
from .wire import Frame

IDLE_S = 0.5
STALE_S = 60.0
LOCK = "lock"


class PendingCall(NamedTuple):
    """A nested call whose function the provider is asked about."""

    parent: Activation
    frame: Frame


class Platform:
    def __init__(self, sock: socket.socket) -> None:
        self.loop = Loop()
        self.provider = Connection(self.loop, sock, self._on_frame, self._stop)
        self.alive = True
        self._parent = os.getppid()
        self._definitions: dict[int, Definition] = {}
        self._pending: dict[str, PendingCall] = {}
        self._scheduler: Scheduler | None = None
        self._work: str | None = None

    def run(self) -> None:
        due = 0.0
        while self.alive:
            scheduler = self._scheduler
            busy = scheduler is not None and not scheduler.idle
            self.loop.turn(TICK_S if busy else IDLE_S)
            now = time.monotonic()
            if now >= due:
                due = now + TICK_S
                if scheduler is not None:
                    scheduler.tick(now)
                if os.getppid() != self._parent:
                    self._stop()

    def close(self) -> None:
        if self._scheduler is not None:
            self._scheduler.pool.close()
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)

    def _stop(self) -> None:
        self.alive = False

    # --- what the provider says ----------------------------------------------------------------------------------
    def _on_frame(self, frame: Frame) -> None:
        header = frame.header
        operation = header.pop("op")
        if operation == "run":
            self._run(header, frame)
        elif operation == "define":
            number = header.pop("number")
            self._definitions[number] = Definition(**header)
        elif operation == "resolved":
            self._resolved(header)
        elif operation == "prepare":
            self._prepare(header["number"])
        elif operation == "configure":
            self._configure(Config(**header))

    def _configure(self, config: Config) -> None:
        self._work = config.work
        self._lock = _own_folder(config.work)
        self._config = config
        self._recorder = Recorder(config.activations, config.keep_activations)
        self._scheduler = Scheduler(self.loop, config, self._ended, self._call)

    def _run(self, header: dict[str, Any], frame: Frame) -> None:
        definition = self._definitions[header["number"]]
        give_up = _give_up(header.get("timeout_s"))
        self._submit(Activation(header["id"], definition, frame.data, frame.body, held=header["held"], give_up=give_up))

    def _prepare(self, number: int) -> None:
        assert self._scheduler is not None
        with contextlib.suppress(SpawnError):  # only a hint: the first activation reports it
            self._scheduler.pool.prepare(self._definitions[number])

    def _submit(self, activation: Activation) -> None:
        assert self._scheduler is not None
        self._scheduler.submit(activation)

    # --- nested calls --------------------------------------------------------------------------------------------
    def _call(self, parent: Activation, frame: Frame) -> None:
        if parent.depth >= MAX_DEPTH:
            self._reply(parent, frame, Outcome("failed", f"functions call functions more than {MAX_DEPTH} deep"))
            return
        activation_id = uuid.uuid4().hex
        self._pending[activation_id] = PendingCall(parent, frame)
        self.provider.send({"op": "resolve", "id": activation_id, "function": str(frame.header["function"])})

    def _resolved(self, header: dict[str, Any]) -> None:
        parent, frame = self._pending.pop(header["id"])
        if parent.outcome is not None or header.get("error"):
            error = str(header.get("error") or "its caller ended")
            self._reply(parent, frame, Outcome("failed", error, str(header.get("kind", ""))))
            return
        call = Activation(header["id"], self._definitions[header["number"]], frame.data, frame.body, parent=parent)
        call.call, call.depth = int(frame.header["call"]), parent.depth + 1
        call.give_up = _give_up(frame.header.get("timeout_s"))
        self._submit(call)

    def _reply(self, parent: Activation, frame: Frame, outcome: Outcome) -> None:
        _tell_caller(parent, int(frame.header["call"]), None, outcome)

    # --- ends ----------------------------------------------------------------------------------------------------
    def _ended(self, activation: Activation, outcome: Outcome) -> None:
        log = take_output(activation.worker.output) if activation.worker else b""
        self._recorder.write(activation.id, activation.record(outcome), outcome.data, log)
        if activation.parent is not None:
            _tell_caller(activation.parent, activation.call, activation.id, outcome)
            return
        header = {
            "op": "ended",
            "id": activation.id,
            "state": outcome.state,
            "started": activation.started,
            "ended": activation.ended,
            "cold_start": activation.cold_start,
            "error": outcome.error,
            "kind": outcome.kind,
            "max_rss_mb": activation.peak_mb(outcome),
        }
        self.provider.send(header, outcome.data, outcome.body if activation.held else b"")


def _tell_caller(parent: Activation, call: int, activation_id: str | None, outcome: Outcome) -> None:
    if parent.worker is None:
        return
    header = {"op": "reply", "call": call, "id": activation_id, "state": outcome.state}
    header.update(error=outcome.error or "", kind=outcome.kind)
    parent.worker.connection.send(header, outcome.data, outcome.body)


def _give_up(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else time.monotonic() + timeout_s


def _own_folder(work: str) -> int:
    """Make this process' folder, hold its lock, and clear away folders of platforms that were killed."""
    os.makedirs(work, exist_ok=True)
    lock = os.open(f"{work}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with os.scandir(os.path.dirname(work)) as entries:
        for entry in entries:
            if entry.path != work:
                _clear_stale(entry.path)
    return lock


def _clear_stale(folder: str) -> None:
    with contextlib.suppress(OSError):  # locked, or cleared by another platform meanwhile
        if time.time() - os.stat(folder).st_mtime < STALE_S:
            return  # its owner may be about to lock it
        with open(f"{folder}/{LOCK}", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def main(descriptor: str) -> None:
    platform = Platform(socket.socket(fileno=int(descriptor)))
    try:
        platform.run()
    finally:
        platform.close()
