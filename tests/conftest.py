"""What every test lives in: a home of its own, no FedKeeper or cloud settings, no network but loopback, golden files.

golden(path, text)           compares text with the file; `pytest --update-golden` writes it instead
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLEANED = ("FEDKEEPER_", "AWS_", "GOOGLE_", "OW_", "XDG_")
"""Prefixes of variables a developer may have set and no test may see."""


class NetworkForbidden(Exception):
    """A test reached for another machine."""


def _is_loopback(host: Any) -> bool:
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    text = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _hosts_of(event: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The other machines an audited call names; a path (a Unix socket) is none."""
    if event in ("socket.connect", "socket.sendto"):
        address = args[1]
        return (address[0],) if isinstance(address, tuple) else ()
    return args[:1] if event in ("socket.getaddrinfo", "socket.gethostbyname") else ()


def _loopback_only(event: str, args: tuple[Any, ...]) -> None:
    for host in _hosts_of(event, args) if event.startswith("socket.") else ():
        if not _is_loopback(host):
            raise NetworkForbidden(f"{event} to {host!r}: tests talk to this machine only")


sys.addaudithook(_loopback_only)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    update = bool(request.config.getoption("--update-golden"))

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if not path.exists():
            pytest.fail(f"{path} does not exist; read the text, then write it with: pytest --update-golden")
        assert text == path.read_text(encoding="utf-8"), f"not what {path.name} says; when it should be: pytest --update-golden"

    return compare


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith(CLEANED)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    # The font cache takes seconds to build, and a home of its own would make each process build it again.
    monkeypatch.setenv("MPLCONFIGDIR", str(pytestconfig.rootpath / ".pytest_cache" / "matplotlib"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
