"""A bench for the google adapter: zips as the packager makes them, specs, and adapters on one emulator."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from fedkeeper.deploy.closure import closure
from fedkeeper.deploy.package import make_zip
from fedkeeper.model import Cluster, FunctionSpec, Json, Role
from fedkeeper.providers import google
from fedkeeper.providers.google.provider import GoogleProvider
from fedkeeper.providers.google.quota import Gate
from fedkeeper.testing.emulated import Emulated

ECHO = "def handle(params, body):\n    return {'echo': params}, body[::-1]\n"
FAIL = "def handle(params, body):\n    raise ValueError('this client has no data')\n"


def files_of(handler: str) -> dict[str, bytes]:
    source = (Path(google.__file__).parent / "shim.py").read_text()
    return {**closure([source]), "main.py": source.encode(), "handler.py": dedent(handler).encode(), "requirements.txt": b""}


def zip_of(handler: str) -> bytes:
    return make_zip(files_of(handler))


def make_spec(name: str, handler_source: str, **limits: Json) -> tuple[FunctionSpec, bytes]:
    package = zip_of(handler_source)
    given = {"fabric": "f", "memory_mb": 512, "timeout_s": 20, **limits}
    digest = "sha256:" + hashlib.sha256(package).hexdigest()
    return FunctionSpec(name=name, cluster="cloud", role=Role.CLIENT, package=digest, **given), package


class Bench:
    def __init__(self, emulator: Emulated, home: Path) -> None:
        self.emulator, self.home = emulator, home
        self.opened: list[GoogleProvider] = []

    @property
    def project(self) -> str:
        return self.emulator.credentials.google_project

    def open(self, environ: Mapping[str, str] | None = None, gate: Gate | None = None, **settings: Json) -> GoogleProvider:
        given = {"project": self.project, "region": "europe-west3", "writes_per_minute": 1000, **settings}
        provider = GoogleProvider(
            Cluster("cloud", "google", given), home=self.home, environ={**self.emulator.environ, **(environ or {})}, gate=gate
        )
        self.opened.append(provider)
        return provider

    def close(self) -> None:
        for provider in self.opened:
            provider.close()
