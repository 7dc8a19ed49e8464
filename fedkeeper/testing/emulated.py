"""An emulator inside a test's own process: a server in a thread, on a free port, with a home of its own.

with emulated(tmp_path) as emulator:
    provider = OpenWhiskProvider(cluster, home=..., environ=emulator.environ)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedkeeper.emulator.app import Emulator
from fedkeeper.emulator.core import Credentials, Platform, Settings
from fedkeeper.emulator.credentials import variables
from fedkeeper.emulator.limits import Limits
from fedkeeper.emulator.serve import base_url, listen, server
from fedkeeper.errors import ProviderError

START_LIMIT_S = 20.0


@dataclass(frozen=True)
class Emulated:
    """One that runs. `environ`: what `fedkeeper emulate env` prints, and nothing else."""

    base_url: str
    environ: dict[str, str]
    emulator: Emulator

    @property
    def credentials(self) -> Credentials:
        return self.emulator.credentials

    @property
    def platforms(self) -> Mapping[str, Platform]:
        return self.emulator.platforms


@contextlib.contextmanager
def emulated(
    home: Path,
    *,
    limits: Mapping[str, Limits] | None = None,
    runtime: str = "local",
    workers: int | None = None,
    port: int = 0,
) -> Iterator[Emulated]:
    """`limits`: by kind, instead of the documented ones. The same `home` again: what was deployed is there again."""
    emulator = Emulator.open(home, limits, Settings(runtime, workers))
    with contextlib.ExitStack() as stack:
        stack.callback(emulator.close)
        sock = stack.enter_context(listen(port))
        serving = server(emulator, sock)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [sock]}, name="emulator", daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(setattr, serving, "should_exit", True)
        end = time.monotonic() + START_LIMIT_S
        while not serving.started:
            if not thread.is_alive() or time.monotonic() > end:
                raise ProviderError("the emulator did not start")
            time.sleep(0.005)
        url = base_url(sock)
        yield Emulated(url, variables(emulator.credentials, url), emulator)
