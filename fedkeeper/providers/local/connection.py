"""The platform's event loop: one thread, non-blocking framed connections.

Loop.turn() -> Connection reads -> on_frame(frame) ... on_close()
               Connection.send() writes at once, keeps the rest until the peer takes it
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from .wire import UNLIMITED, Buffer, Frame, Reader, WireError, pack

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Loop:
    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()

    def turn(self, timeout: float) -> None:
        for key, events in self.selector.select(timeout):
            connection: Connection = key.data
            if events & WRITE and not connection.closed:
                connection.flush()
            if events & READ and not connection.closed:
                connection.pump()


class Connection:
    """Calls `on_frame` for each frame, and `on_close` once when the peer is gone (not after our own `close`)."""

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        on_frame: Callable[[Frame], None],
        on_close: Callable[[], None],
        limit: int = UNLIMITED,
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.closed = False
        self._loop = loop
        self._on_frame = on_frame
        self._on_close = on_close
        self._reader = Reader(sock, limit)
        self._out: deque[memoryview] = deque()
        self._waiting = False  # for the peer to take more
        loop.selector.register(sock, READ, self)

    def send(self, header: Mapping[str, Any], data: bytes = b"", body: Buffer = b"") -> None:
        if self.closed:
            return
        idle = not self._out
        self._out.extend(memoryview(buffer) for buffer in pack(header, data, body))
        if idle:
            self.flush()

    def flush(self) -> None:
        """Write what the peer takes; watch for writability only while something is left."""
        try:
            while self._out:
                sent = self.sock.send(self._out[0])
                if sent < len(self._out[0]):
                    self._out[0] = self._out[0][sent:]
                    break
                self._out.popleft()
        except BlockingIOError:
            pass  # the peer is busy; the selector tells when it is not
        except OSError:
            self._out.clear()  # the peer is gone: reading finds its last words and then the end
        if self._waiting != bool(self._out):
            self._waiting = not self._waiting
            self._loop.selector.modify(self.sock, READ | WRITE if self._waiting else READ, self)

    def pump(self) -> bool:
        """One receive. False when there was nothing to read."""
        if self.closed:
            return False
        try:
            frames = self._reader.read()
        except BlockingIOError:
            return False
        except (EOFError, OSError, WireError):
            self.close()
            self._on_close()
            return False
        for frame in frames:
            if not self.closed:
                self._on_frame(frame)
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.selector.unregister(self.sock)
            self.sock.close()
