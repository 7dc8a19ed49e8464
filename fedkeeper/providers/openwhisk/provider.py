"""The `openwhisk` provider: functions are actions of one namespace, reached over its REST API.

functions / create / update / delete ---> actions, told ours by annotations       (control plane, actions.py)
invoke -> POST, id                        call -> POST, poll, Reply                 (data plane, activations.py)
status(ids) -> one list since the oldest of them, single looks for the rest         (looks.py)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from fedkeeper.errors import FunctionNotFound
from fedkeeper.model import Cluster, FunctionSpec, Json
from fedkeeper.providers.base import (
    Accepted,
    ActivationStatus,
    Capabilities,
    DeployedFunction,
    InvocationMode,
    Provider,
    Reply,
)
from fedkeeper.providers.openwhisk import actions, activations
from fedkeeper.providers.openwhisk.client import Client, segment
from fedkeeper.providers.openwhisk.config import Config
from fedkeeper.providers.openwhisk.looks import Looks
from fedkeeper.providers.openwhisk.outcome import reply_of
from fedkeeper.providers.openwhisk.settings import OpenWhiskSettings

LATE_S = 5.0


class OpenWhiskProvider(Provider):
    """One namespace. `environ` has the key and the values of secrets; `home` is for providers that keep files."""

    kind: ClassVar[str] = "openwhisk"

    def __init__(self, cluster: Cluster, *, home: Path, environ: Mapping[str, str]) -> None:
        del home
        where = f"providers.openwhisk.{cluster.name}"
        # Placeholders are filled in first: only then is an address an address.
        self.config = Config.of(cluster.settings, environ, where)
        self.capabilities = _capabilities(cluster.settings)
        self._environ = environ
        self._client = Client(self.config, environ)
        self._looks = Looks(self._client, self.capabilities.max_timeout_s)

    # --- control plane -------------------------------------------------------------------------------------------
    def functions(self, fabric: str) -> Mapping[str, DeployedFunction]:
        return actions.listed(self._client, fabric)

    def create(self, spec: FunctionSpec, package: bytes) -> None:
        actions.check(self.config, self.capabilities, spec, package)
        actions.put(self._client, spec, package, self._environ)

    def update(self, spec: FunctionSpec, package: bytes) -> None:
        actions.check(self.config, self.capabilities, spec, package)
        actions.require(self._client, spec.name)
        actions.put(self._client, spec, package, self._environ)

    def delete(self, name: str) -> None:
        actions.delete(self._client, name)

    # --- data plane ----------------------------------------------------------------------------------------------
    def invoke(self, function: str, params: Mapping[str, Json]) -> Accepted:
        started = activations.start(self._client, function, activations.payload(self._client, function, params))
        self._looks.begin(started)
        return Accepted(started.activation_id)

    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float | None = None) -> Reply:
        limit = self.capabilities.max_timeout_s * 2 + LATE_S if timeout_s is None else timeout_s
        until = time.monotonic() + limit
        started = activations.start(self._client, function, activations.payload(self._client, function, params, body))
        record = activations.wait(self._client, function, started.activation_id, until)
        return reply_of(self.config, function, record)

    def status(self, activation_ids: Sequence[str]) -> Mapping[str, ActivationStatus]:
        return self._looks.status(activation_ids)

    def logs(self, activation_id: str) -> str:
        try:
            answer = self._client.request("GET", f"activations/{segment(activation_id)}/logs")
        except FunctionNotFound:
            return ""
        lines = answer.data.get("logs", []) if isinstance(answer.data, dict) else []
        return "".join(f"{actions.log_text(str(line))}\n" for line in lines)

    # --- life ----------------------------------------------------------------------------------------------------
    def close(self) -> None:
        self._client.close()


def _capabilities(settings: Mapping[str, Json]) -> Capabilities:
    """A cluster made by hand may leave settings out; one from a spec has them all."""
    defaults = {name: field.default for name, field in OpenWhiskSettings.model_fields.items()}
    known = {**defaults, **settings}
    per_minute = known["invocations_per_minute"]
    return Capabilities(
        modes=(InvocationMode.ASYNC_STATUS, InvocationMode.HELD),
        max_request=known["max_request"],
        max_response=known["max_response"],
        max_timeout_s=known["max_timeout"],
        max_memory_mb=known["max_memory"],
        max_concurrency=known["max_concurrency"],
        rate_per_s=per_minute / 60 if per_minute else None,
        max_package=actions.MAX_ZIP,
    )
