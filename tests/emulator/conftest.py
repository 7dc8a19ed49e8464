from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedkeeper.testing.emulated import Emulated, emulated


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
