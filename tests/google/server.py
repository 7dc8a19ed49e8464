"""A server of a test's own routes, in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from fedkeeper.emulator.serve import base_url, listen


@contextmanager
def served(routes: Callable[[str], Sequence[BaseRoute]]) -> Iterator[str]:
    """`routes` is told the address; so is the body of the `with`."""
    with listen() as sock:
        url = base_url(sock)
        config = uvicorn.Config(Starlette(routes=routes(url)), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
        thread.start()
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.005)
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join(20)
