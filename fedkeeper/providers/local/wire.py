"""Frames on a stream socket: what provider, platform and workers say to each other.

    | 4 header size | 4 data size | 8 body size | header: our JSON | data: the user's JSON, opaque | body: raw bytes |

The platform routes a frame by its header and never parses the user's JSON. Standard library only.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

Buffer = bytes | bytearray | memoryview

PREFIX = struct.Struct("!IIQ")
CHUNK = 1 << 18
JOIN_BELOW = 1 << 16  # bodies smaller than this are cheaper to copy than to send by a system call of their own
UNLIMITED = 1 << 62


class WireError(Exception):
    """The peer does not speak this protocol (or a handler wrote into our socket)."""


class Frame(NamedTuple):
    header: dict[str, Any]
    data: bytes
    body: Buffer


def dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def pack(header: Mapping[str, Any], data: bytes = b"", body: Buffer = b"") -> list[Buffer]:
    """The buffers to send, in order."""
    head = dump(header)
    start = b"".join((PREFIX.pack(len(head), len(data), len(body)), head, data))
    if len(body) < JOIN_BELOW:
        return [b"".join((start, body))]
    return [start, body]


def send(sock: socket.socket, header: Mapping[str, Any], data: bytes = b"", body: Buffer = b"") -> None:
    """On a blocking socket."""
    for buffer in pack(header, data, body):
        sock.sendall(buffer)


class Reader:
    """Cuts what a socket delivers into frames. Works on blocking and non-blocking sockets."""

    def __init__(self, sock: socket.socket, limit: int = UNLIMITED) -> None:
        self._sock = sock
        self._limit = limit
        self._buffer = bytearray()
        self._large: memoryview | None = None  # a frame larger than CHUNK is received into memory of its own
        self._filled = 0

    def read(self) -> list[Frame]:
        """One receive; the frames it completed. EOFError at the end, BlockingIOError when there is nothing yet."""
        if self._large is not None:
            return self._read_large(self._large)
        chunk = self._receive()
        self._buffer += chunk
        return self._cut()

    def _receive(self) -> bytes:
        try:
            chunk = self._sock.recv(CHUNK)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            raise EOFError
        return chunk

    def _read_large(self, large: memoryview) -> list[Frame]:
        try:
            count = self._sock.recv_into(large[self._filled :])
        except ConnectionResetError:
            count = 0
        if not count:
            raise EOFError
        self._filled += count
        if self._filled < len(large):
            return []
        self._large = None
        return [_frame(large, 0)]

    def _cut(self) -> list[Frame]:
        buffer, at = self._buffer, 0
        frames: list[Frame] = []
        while len(buffer) - at >= PREFIX.size:
            total = self._total(at)
            if len(buffer) - at < total:
                if total > CHUNK:
                    self._begin_large(total, at)
                    return frames
                break
            frames.append(_frame(buffer, at))
            at += total
        del buffer[:at]
        return frames

    def _total(self, at: int) -> int:
        total: int = PREFIX.size + sum(PREFIX.unpack_from(self._buffer, at))
        if total > self._limit:
            raise WireError(f"a frame of {total} bytes, more than {self._limit}")
        return total

    def _begin_large(self, total: int, at: int) -> None:
        self._filled = len(self._buffer) - at
        self._large = memoryview(bytearray(total))
        self._large[: self._filled] = self._buffer[at:]
        self._buffer.clear()


def _frame(buffer: bytearray | memoryview, at: int) -> Frame:
    head, data, body = PREFIX.unpack_from(buffer, at)
    start = at + PREFIX.size
    middle = start + head
    end = middle + data
    try:
        header = json.loads(bytes(buffer[start:middle]))
    except ValueError as exc:
        raise WireError("a header that is not JSON") from exc
    if not isinstance(header, dict):
        raise WireError("a header that is not an object")
    return Frame(header, bytes(buffer[middle:end]), buffer[end : end + body])
