"""Serving the application with uvicorn: one process, one event loop, 127.0.0.1 only.

listen(port) -> socket -> server(emulator, socket).run()       the port is known before anything is served
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from fedkeeper.emulator.app import Emulator, build
from fedkeeper.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    import uvicorn

HOST = "127.0.0.1"
BACKLOG = 2048


def listen(port: int = 0, *, instead: bool = False) -> socket.socket:
    """A socket on `port` (0: any). `instead`: any other port when that one is taken; otherwise UsageError."""
    # asyncio turns Nagle's algorithm off (40 ms an answer) only for sockets that name their protocol
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError as exc:
        if not (instead and port):
            sock.close()
            raise UsageError(f"port {port} of {HOST} cannot be used: {exc.strerror}", hint="--port names another one") from exc
        sock.bind((HOST, 0))
    sock.listen(BACKLOG)
    return sock


def base_url(sock: socket.socket) -> str:
    return f"http://{HOST}:{sock.getsockname()[1]}"


def server(emulator: Emulator, sock: socket.socket) -> uvicorn.Server:
    """Run it with `.run(sockets=[sock])`. MissingExtra without uvicorn."""
    try:
        import uvicorn
    except ImportError as exc:
        raise MissingExtra("uvicorn", "emulator", "the emulator") from exc
    config = uvicorn.Config(
        build(emulator, base_url(sock)),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        backlog=BACKLOG,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
        date_header=True,
        server_header=False,
    )
    return uvicorn.Server(config)
