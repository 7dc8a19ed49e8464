"""A bench to try the aws provider on: zips with its shim, specs, adapters for an endpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from fedkeeper.deploy.closure import closure
from fedkeeper.deploy.package import make_zip
from fedkeeper.model import Cluster, FunctionSpec, Json, Role
from fedkeeper.providers.aws import shim
from fedkeeper.providers.aws.provider import AwsProvider

ROLE = "arn:aws:iam::000000000000:role/fedkeeper"
SHIM = Path(shim.__file__).read_text()
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
SETTINGS: Mapping[str, Json] = {"region": "us-east-1", "role": ROLE}


def package_of(handler: str) -> bytes:
    """What `deploy` would make of it."""
    source = dedent(handler)
    own = {"handler.py": source.encode(), shim.ENTRY: SHIM.encode()}
    return make_zip({**closure([SHIM, source]), **own})


def spec_of(name: str, package: bytes = b"", **given: Json) -> FunctionSpec:
    fields = {"fabric": "f", "memory_mb": 256, "timeout_s": 20, **given}
    digest = "sha256:" + hashlib.sha256(package).hexdigest()
    return FunctionSpec(name=name, cluster="eu", role=Role.CLIENT, package=digest, **fields)


def make_spec(name: str, handler_source: str, **limits: Json) -> tuple[FunctionSpec, bytes]:
    package = package_of(handler_source)
    return spec_of(name, package, **limits), package


def provider_at(endpoint: str | None, environ: Mapping[str, str] = KEYS, **settings: Json) -> AwsProvider:
    found = {**environ, "AWS_ENDPOINT_URL": endpoint} if endpoint else dict(environ)
    return AwsProvider(Cluster("eu", "aws", {**SETTINGS, **settings}), home=Path("unused"), environ=found)
