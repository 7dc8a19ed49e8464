"""A bench to try the local platform on: makes zips, specs and providers."""

from __future__ import annotations

import hashlib
import io
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

from fedkeeper.model import Cluster, FunctionSpec, Json, Role
from fedkeeper.providers.local import shim
from fedkeeper.providers.local.provider import LocalProvider

SHIM = Path(shim.__file__).read_bytes()
SMALL: Mapping[str, Json] = {"workers": 2, "max_request": 1 << 20, "max_response": 1 << 20}


def make_zip(handler: str, files: Mapping[str, str | bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {"shim.py": SHIM, "handler.py": handler, **(files or {})}.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def spec_of(name: str, package: bytes, **limits: Json) -> FunctionSpec:
    given = {"fabric": "f", "memory_mb": 512, "timeout_s": 20, "requirements": (), **limits}
    digest = "sha256:" + hashlib.sha256(package).hexdigest()
    return FunctionSpec(name=name, cluster="here", role=Role.CLIENT, package=digest, **given)


class Bench:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.opened: list[LocalProvider] = []

    def open(self, environ: Mapping[str, str] | None = None, **settings: Json) -> LocalProvider:
        cluster = Cluster("here", "local", {**SMALL, **settings})
        provider = LocalProvider(cluster, home=self.home, environ=os.environ if environ is None else environ)
        self.opened.append(provider)
        return provider

    def make_spec(self, name: str, handler_source: str, **limits: Json) -> tuple[FunctionSpec, bytes]:
        package = make_zip(dedent(handler_source))
        return spec_of(name, package, **limits), package

    def function(self, provider: LocalProvider, name: str, handler_source: str, **limits: Json) -> FunctionSpec:
        spec, package = self.make_spec(name, handler_source, **limits)
        provider.create(spec, package)
        return spec

    def close(self) -> None:
        for provider in self.opened:
            provider.close()


def is_alive(pid: int) -> bool:
    """False also for a zombie: it holds nothing and computes nothing."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], object], limit_s: float = 10.0) -> bool:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.01)
    return False
