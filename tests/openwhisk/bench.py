"""Zips, specs and providers for OpenWhisk, as deploy would make them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from fedkeeper.deploy.closure import closure
from fedkeeper.deploy.package import make_zip
from fedkeeper.model import Cluster, FunctionSpec, Json, Role
from fedkeeper.providers.openwhisk import shim
from fedkeeper.providers.openwhisk.provider import OpenWhiskProvider
from fedkeeper.refs import ref_of
from fedkeeper.testing.emulated import Emulated

SHIM = Path(shim.__file__).read_text()
SETTINGS: Mapping[str, Json] = {"api_host": "${env:OW_API_HOST}", "auth": "${env:OW_AUTH}"}
ECHO = "def handle(params, body):\n    return {'echo': params}, body[::-1]\n"


def make_package(handler: str) -> bytes:
    return make_zip({**closure([handler, SHIM]), "handler.py": handler.encode(), shim.ENTRY: SHIM.encode()})


def make_spec(name: str, handler_source: str, **limits: Json) -> tuple[FunctionSpec, bytes]:
    package = make_package(dedent(handler_source))
    given = {"fabric": "f", "memory_mb": 256, "timeout_s": 20, **limits}
    return FunctionSpec(name=name, cluster="edge", role=Role.CLIENT, package=ref_of(package), **given), package


def open_provider(environ: Mapping[str, str], **settings: Json) -> OpenWhiskProvider:
    cluster = Cluster("edge", "openwhisk", {**SETTINGS, **settings})
    return OpenWhiskProvider(cluster, home=Path("unused"), environ=environ)


def provider_of(emulator: Emulated, **settings: Json) -> OpenWhiskProvider:
    return open_provider(emulator.environ, **settings)
