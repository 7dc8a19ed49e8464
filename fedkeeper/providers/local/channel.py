"""A worker's line to its platform, shared by its loop and by handlers that call other functions.

    loop:    next_frame() -> setup, run, run, ...      send(done)
    handler: call(function, ...) -> send(call) ... reply          (through `fedkeeper.providers.local.caller`)

`install` publishes it as the module `fedkeeper_local_channel`: a handler's own copy of FedKeeper, out of the zip, finds it by
that name. One lock is held while reading: a call waits for its reply before anybody else may read. Standard library only.
"""

from __future__ import annotations

import itertools
import socket
import sys
import threading
import types
from collections import deque
from collections.abc import Mapping
from typing import Any

from .wire import Buffer, Frame, Reader, dump, send

MODULE = "fedkeeper_local_channel"


class Channel:
    def __init__(self, sock: socket.socket) -> None:
        self.max_request = 0
        self.setting = ""
        self.activation: str | None = None  # the one that runs now
        self._sock = sock
        self._reader = Reader(sock)
        self._frames: deque[Frame] = deque()
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._calls = itertools.count(1)

    def install(self) -> None:
        module = types.ModuleType(MODULE, "The platform's side of fedkeeper.providers.local.caller.")
        module.__dict__["call"] = self.call
        sys.modules[MODULE] = module

    def next_frame(self) -> Frame:
        """The next order for the loop. EOFError when the platform is gone."""
        with self._reading:
            while (frame := self._read()).header["op"] == "reply":
                pass  # for a call nobody waits for any more
            return frame

    def send(self, header: Mapping[str, Any], data: bytes = b"", body: Buffer = b"") -> None:
        with self._writing:
            send(self._sock, header, data, body)

    def call(
        self, function: str, params: Mapping[str, Any], body: bytes, timeout_s: float | None
    ) -> tuple[dict[str, Any], Frame]:
        """Run another function and wait. Returns the reply's header (state, error, kind, id) and its frame (result, body)."""
        data = dump(params)
        if len(data) + len(body) > self.max_request:
            return _refused("PayloadTooLarge", too_large("request", len(data) + len(body), self.max_request, self.setting))
        with self._reading:
            if self.activation is None:
                return _refused("", "no activation is running in this worker")
            number = next(self._calls)
            self.send({"op": "call", "call": number, "function": function, "timeout_s": timeout_s}, data, body)
            while (frame := self._read()).header.get("call") != number:
                pass  # a reply to a call that was cut off by the end of its activation
            return frame.header, frame

    def _read(self) -> Frame:
        while not self._frames:
            self._frames.extend(self._reader.read())
        return self._frames.popleft()


def too_large(what: str, size: int, limit: int, setting: str) -> str:
    return f"the {what} of {size:,} bytes is larger than the limit of {limit:,} bytes ({setting}.max_{what})"


def _refused(kind: str, error: str) -> tuple[dict[str, Any], Frame]:
    header = {"state": "failed", "kind": kind, "error": error, "id": None}
    return header, Frame(header, b"null", b"")
