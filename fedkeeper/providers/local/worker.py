"""A worker: a fork of a zygote that serves one package, one activation after another.

    setup: output and scratch folder, environment, import path     (once)
    run:   shim.run(params, body) -> done(result, body) | done(error)

It leads a session of its own, so that everything a handler starts can be ended with it, and dies with its zygote. What the
handler prints goes to a file, never to the channel. Standard library only.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from .channel import Channel, too_large
from .isolation import isolate
from .process import die_with_parent
from .wire import Buffer, dump

Run = Callable[[dict[str, Any], bytes], tuple[Any, Buffer]]
ERROR_LIMIT = 500
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class ResponseError(Exception):
    """The handler's answer is larger than the platform carries."""


def main(sock: int, output: int, zygote_pid: int) -> None:
    os.setsid()
    die_with_parent()
    if os.getppid() != zygote_pid:
        return  # it died before it could take us along
    for stream in (1, 2):
        os.dup2(output, stream)
    for text in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            text.reconfigure(encoding="utf-8", line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    os.close(output)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the platform ended us, or ended
        Worker(Channel(socket.socket(fileno=sock))).serve()


class Worker:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._pid = os.getpid()
        self._scratch = ""
        self._max_response = 0
        self._broken: Exception | None = None

    def serve(self) -> None:
        self._channel.send({"op": "hello"})
        self._set_up(self._channel.next_frame().header)
        while True:
            self._run(*self._next())

    def _next(self) -> tuple[str, bytes, bytes]:
        """An activation's id, parameters and body. Only the body's own bytes stay, not the frame it came in: it may be a model."""
        header, data, body = self._channel.next_frame()
        return header["id"], data, bytes(body)

    def _set_up(self, setup: Mapping[str, Any]) -> None:
        self._scratch = setup["scratch"]
        self._max_response = setup["max_response"]
        self._channel.max_request, self._channel.setting = setup["max_request"], setup["setting"]
        os.environ.clear()
        os.environ.update(setup["environment"], TMPDIR=self._scratch)
        tempfile.tempdir = None
        time.tzset()
        sys.argv[:] = [""]
        try:
            isolate(setup["package"])
        except Exception as exc:
            self._broken = exc
        self._channel.install()

    def _run(self, activation: str, params: bytes, request: bytes) -> None:
        self._channel.activation = os.environ["FEDKEEPER_ACTIVATION_ID"] = activation
        try:
            header, data, body = self._answer(params, request)
        except BaseException as exc:  # also SystemExit: a handler must not end its worker without a word
            traceback.print_exc()
            header, data, body = _failure(exc), b"null", b""
        if os.getpid() != self._pid:
            os._exit(0)  # a child that the handler forked and let return
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # a handler may have put anything there
                stream.flush()
        self._channel.activation = None
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
        self._channel.send({"op": "done", "id": activation, "rss": rss, **header}, data, body)

    def _answer(self, params: bytes, request: bytes) -> tuple[dict[str, Any], bytes, Buffer]:
        self._enter_scratch()
        result, body = _shim_run(self._broken)(json.loads(params or b"{}"), request)
        data = dump(result)
        if len(data) + len(body) > self._max_response:
            size = len(data) + len(body)
            raise ResponseError(too_large("response", size, self._max_response, self._channel.setting))
        return {"ok": True}, data, body

    def _enter_scratch(self) -> None:
        """Every activation starts in the same folder, wherever the one before went."""
        try:
            os.chdir(self._scratch)
        except FileNotFoundError:
            os.makedirs(self._scratch, exist_ok=True)
            os.chdir(self._scratch)


def _shim_run(broken: Exception | None) -> Run:
    if broken is not None:
        raise broken
    run: Run = importlib.import_module("shim").run
    return run


def _failure(exc: BaseException) -> dict[str, Any]:
    """One line for people; the traceback is in the log."""
    text = " ".join(str(exc).split()) or "no message"
    if isinstance(exc, ResponseError):
        return {"ok": False, "error": text, "kind": "PayloadTooLarge"}
    return {"ok": False, "error": f"{type(exc).__name__}: {text}"[:ERROR_LIMIT], "kind": ""}
