"""The `google` provider: Cloud Run functions (Cloud Functions, 2nd generation) of one project and region, called by HTTPS.

create / update / delete / functions --> client.ControlPlane --> cloudfunctions.googleapis.com (or the endpoint of the settings)
call ------------------------------> caller.GoogleCaller --> https://REGION-PROJECT.cloudfunctions.net/NAME, ID token
invoke, status, logs: nothing to ask; a call is held, and Cloud Logging has the output (docs/google.md)

Functions are private: nobody but accounts with roles/run.invoker may call them, and FedKeeper never changes that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from fedkeeper.errors import FunctionNotFound, ProviderError
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
from fedkeeper.providers.google.caller import GoogleCaller
from fedkeeper.providers.google.client import AlreadyThere, ControlPlane
from fedkeeper.providers.google.config import Config
from fedkeeper.providers.google.document import check_limits, deployed_of, function_document
from fedkeeper.providers.google.naming import platform_name
from fedkeeper.providers.google.quota import Gate
from fedkeeper.providers.secrets import resolved

OWN = ("max_memory", "service_account", "ingress")  # settings that the caller has no use for
LATE_S = 15.0  # beyond a function's own limit, which Google keeps: for the way there and back


class GoogleProvider(Provider):
    """One project and region. `environ` has the values of secrets; nothing is kept in `home`."""

    kind: ClassVar[str] = "google"

    def __init__(self, cluster: Cluster, *, home: Path, environ: Mapping[str, str], gate: Gate | None = None) -> None:
        del home
        setting = f"providers.google.{cluster.name}"
        self.cluster = cluster
        self._environ = environ
        self._config = Config.of(cluster.settings, environ, setting)
        self._caller = GoogleCaller(cluster.settings, environ, self._config)
        self._settings = resolved({name: value for name, value in cluster.settings.items() if name in OWN}, environ, setting)
        self._control = ControlPlane(self._config, self._caller.identity, gate)
        self.capabilities = Capabilities(
            modes=(InvocationMode.HELD,),
            max_request=self._config.max_request,
            max_response=self._config.max_response,
            max_timeout_s=self._config.max_timeout_s,
            max_memory_mb=int(self._settings.get("max_memory", 32768)),
            max_concurrency=self._config.max_concurrency,
        )

    # --- control plane -------------------------------------------------------------------------------------------
    def functions(self, fabric: str) -> Mapping[str, DeployedFunction]:
        found = (deployed_of(function, fabric) for function in self._control.functions(fabric))
        return {function.name: function for function in found if function is not None}

    def create(self, spec: FunctionSpec, package: bytes) -> None:
        document = self._document(spec)
        try:
            self._control.create(document, package)
        except AlreadyThere:
            self._control.update(document, package)

    def update(self, spec: FunctionSpec, package: bytes) -> None:
        self._control.update(self._document(spec), package)

    def delete(self, name: str) -> None:
        try:
            self._control.delete(platform_name(name))
        except FunctionNotFound:
            return  # remove is repeatable

    # --- data plane ----------------------------------------------------------------------------------------------
    def invoke(self, function: str, params: Mapping[str, Json]) -> Accepted:  # noqa: ARG002
        raise ProviderError(
            f"{function}: functions at Google answer the call that starts them; there is no asynchronous invocation"
        )

    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float | None = None) -> Reply:
        limit = self._config.max_timeout_s + LATE_S if timeout_s is None else timeout_s
        return self._caller.call(function, params, body, limit)

    def status(self, activation_ids: Sequence[str]) -> Mapping[str, ActivationStatus]:  # noqa: ARG002
        return {}

    def logs(self, activation_id: str) -> str:  # noqa: ARG002
        return ""

    def close(self) -> None:
        self._caller.close()
        self._control.close()

    def _document(self, spec: FunctionSpec) -> dict[str, Json]:
        check_limits(spec, self._settings, self._config)
        return function_document(spec, self._config, self._settings, self._environ)
