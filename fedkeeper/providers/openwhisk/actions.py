"""Deploying: a FunctionSpec and its zip -> an action, and back.

    PUT actions/NAME?overwrite=true   exec {kind | blackbox + image, code: base64}, limits, parameters, annotations
    GET actions?limit&skip            annotations fedkeeper-fabric, -digest, -name say which are ours

No web actions, and no namespace key in the function's environment. The bound variables are one final parameter, `__fedkeeper_env`:
nobody who may invoke can replace it, but whoever may read the action can read it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping

from fedkeeper.errors import AccessDenied, FunctionNotFound, ProviderError
from fedkeeper.model import FunctionSpec, Json
from fedkeeper.providers.base import Capabilities, DeployedFunction
from fedkeeper.providers.openwhisk.activations import PAGE
from fedkeeper.providers.openwhisk.client import Client, segment
from fedkeeper.providers.openwhisk.config import Config
from fedkeeper.providers.openwhisk.errors import malformed
from fedkeeper.providers.openwhisk.naming import platform_name
from fedkeeper.providers.openwhisk.shim import ENVIRONMENT

MAX_CODE = 48 * 1024**2  # Exec.maxSize: the code as it is sent, in base64
MAX_ZIP = MAX_CODE // 4 * 3
LOGS_MB = 10
_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z\s+(?:stdout|stderr): ?")
_FABRIC, _DIGEST, _NAME, _ROLE = "fedkeeper-fabric", "fedkeeper-digest", "fedkeeper-name", "fedkeeper-role"


def check(config: Config, limits: Capabilities, spec: FunctionSpec, package: bytes) -> None:
    """What the installation would refuse, said before anything is sent, with the settings' names."""
    if spec.memory_mb > limits.max_memory_mb:
        raise ProviderError(_exceeds(config, spec, "memory", f"{spec.memory_mb} MB", f"{limits.max_memory_mb} MB"))
    if spec.timeout_s > limits.max_timeout_s:
        raise ProviderError(_exceeds(config, spec, "timeout", f"{spec.timeout_s} s", f"{limits.max_timeout_s:g} s"))
    if len(package) > MAX_ZIP:
        raise ProviderError(
            f"{spec.name}: a zip of {len(package):,} bytes is more than OpenWhisk takes ({MAX_ZIP:,} bytes, as base64 {MAX_CODE:,})",
            hint="put large files into the image of functions.<role>.openwhisk.image, or read them from the store",
        )


def put(client: Client, spec: FunctionSpec, package: bytes, environ: Mapping[str, str]) -> None:
    body = json.dumps(document(spec, package, environ)).encode()
    client.request("PUT", _path(spec.name), place=spec.name, query={"overwrite": "true"}, body=body)


def require(client: Client, name: str) -> None:
    """FunctionNotFound when there is no such action."""
    client.request("GET", _path(name), place=name, query={"code": "false"})


def delete(client: Client, name: str) -> None:
    try:
        client.request("DELETE", _path(name), place=name)
    except FunctionNotFound:
        return


def listed(client: Client, fabric: str) -> dict[str, DeployedFunction]:
    found = (_deployed(entry, fabric) for entry in _all(client))
    return {function.name: function for function in found if function is not None}


def document(spec: FunctionSpec, package: bytes, environ: Mapping[str, str]) -> dict[str, Json]:
    """The body of the PUT. All of it is always said: what is left out would stay as it was."""
    variables = {**spec.environment, **_secrets(spec, environ)}
    return {
        "exec": _exec(spec, package),
        "limits": {
            "memory": spec.memory_mb,
            "timeout": int(spec.timeout_s * 1000),
            "concurrency": int(spec.options.get("concurrency") or 1),
            "logs": LOGS_MB,
        },
        "parameters": [{"key": ENVIRONMENT, "value": variables}] if variables else [],
        "annotations": [{"key": key, "value": value} for key, value in _annotations(spec).items()],
    }


def log_text(line: str) -> str:
    """A log line without the time and stream that the platform puts before it."""
    return _LOG_LINE.sub("", line, count=1).rstrip("\n")


def _exec(spec: FunctionSpec, package: bytes) -> dict[str, Json]:
    code = {"code": base64.b64encode(package).decode("ascii"), "binary": True, "main": "main"}
    if image := spec.options.get("image"):
        return {"kind": "blackbox", "image": image, **code}
    return {"kind": spec.options.get("kind") or "python:default", **code}


def _annotations(spec: FunctionSpec) -> dict[str, Json]:
    return {
        _FABRIC: spec.fabric,
        _DIGEST: spec.digest,
        _NAME: spec.name,
        _ROLE: spec.role.value,
        "final": True,
        "web-export": False,
        "raw-http": False,
        "require-whisk-auth": True,
        "provide-api-key": False,
    }


def _secrets(spec: FunctionSpec, environ: Mapping[str, str]) -> dict[str, str]:
    missing = [source for source in spec.secrets.values() if not environ.get(source)]
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        raise AccessDenied(
            f"{spec.name} needs the environment variable {names}, which is not set", hint="export it and deploy again"
        )
    return {name: environ[source] for name, source in spec.secrets.items()}


def _all(client: Client) -> Iterator[dict[str, Json]]:
    skip = 0
    while True:
        page = client.request("GET", "actions", query={"limit": PAGE, "skip": skip}).data
        if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
            raise malformed(client.config, "the list of actions is none")
        yield from page
        if len(page) < PAGE:
            return
        skip += PAGE


def _deployed(entry: Mapping[str, Json], fabric: str) -> DeployedFunction | None:
    notes = {pair.get("key"): pair.get("value") for pair in entry.get("annotations") or [] if isinstance(pair, dict)}
    if notes.get(_FABRIC) != fabric:
        return None
    name = str(notes.get(_NAME) or entry.get("name"))
    return DeployedFunction(name, notes.get(_DIGEST), {"fabric": fabric, "role": str(notes.get(_ROLE, ""))})


def _exceeds(config: Config, spec: FunctionSpec, what: str, value: str, limit: str) -> str:
    return f"{spec.name}: functions.{spec.role}.{what} of {value} is more than the limit of {limit} ({config.where}.max_{what})"


def _path(name: str) -> str:
    return f"actions/{segment(platform_name(name))}"
