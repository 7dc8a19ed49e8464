"""The `aws` provider: Lambda functions of one account in one region.

create / update / delete / functions -> Control   boto3, paced, with waiters
invoke -> Invoke (Event)                          202 at once; only receipts tell the rest
call   -> Invoke (RequestResponse)                the answer, and the last 4 KB of its log
status -> {}                                      Lambda has no status by id
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from fedkeeper.model import Cluster, FunctionSpec, Json
from fedkeeper.providers.aws import documents, invoking
from fedkeeper.providers.aws.client import Sessions, boto3
from fedkeeper.providers.aws.config import Config
from fedkeeper.providers.aws.control import Control
from fedkeeper.providers.aws.errors import border
from fedkeeper.providers.aws.naming import TAG_DIGEST, TAG_FABRIC, TAG_FUNCTION, TAG_ROLE, platform_name
from fedkeeper.providers.base import (
    Accepted,
    ActivationStatus,
    Capabilities,
    DeployedFunction,
    InvocationMode,
    Provider,
    Reply,
)

KEPT_LOGS = 512


class AwsProvider(Provider):
    """One `aws` cluster. `home` is not needed: everything is at AWS."""

    kind: ClassVar[str] = "aws"

    def __init__(self, cluster: Cluster, *, home: Path, environ: Mapping[str, str]) -> None:
        del home
        boto3()  # a missing library is said now, not in the middle of a deploy
        self.cluster = cluster
        self._config = Config.of(cluster.settings, environ, f"providers.aws.{cluster.name}")
        self._sessions = Sessions(self._config)
        self._control = Control(self._config, self._sessions, environ)
        self._logs: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()
        self.capabilities = _capabilities(self._config)

    # --- control plane -------------------------------------------------------------------------------------------
    def functions(self, fabric: str) -> Mapping[str, DeployedFunction]:
        found = {}
        for configuration, tags in self._control.of_fabric(fabric):
            if tags.get(TAG_FABRIC) == fabric:
                name = tags.get(TAG_FUNCTION, configuration["FunctionName"])
                labels = {"fabric": fabric, "role": tags.get(TAG_ROLE, "")}
                found[name] = DeployedFunction(name, tags.get(TAG_DIGEST), labels)
        return dict(sorted(found.items()))

    def check(self, spec: FunctionSpec, package: bytes) -> None:
        documents.check(self._config, spec)
        documents.check_size(self._config, spec, len(package))

    def create(self, spec: FunctionSpec, package: bytes) -> None:
        self._control.create(spec, package)

    def update(self, spec: FunctionSpec, package: bytes) -> None:
        self._control.update(spec, package)

    def delete(self, name: str) -> None:
        self._control.delete(name)

    # --- data plane ----------------------------------------------------------------------------------------------
    def invoke(self, function: str, params: Mapping[str, Json]) -> Accepted:
        data = invoking.encode(self._config, function, params, b"", held=False)
        with border(self._config, function, invoking.QUICK_S):
            response = self._sessions.calling(invoking.QUICK_S).invoke(
                FunctionName=platform_name(function), InvocationType="Event", Payload=data
            )
            response["Payload"].read()  # gives the connection back
        return Accepted(invoking.request_id(response) or None)

    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float | None = None) -> Reply:
        data = invoking.encode(self._config, function, params, body, held=True)
        held = invoking.call(self._config, self._sessions, function, data, timeout_s)
        self._keep(held.request_id, held.log)
        return invoking.answered(self._config, function, held)

    def status(self, activation_ids: Sequence[str]) -> Mapping[str, ActivationStatus]:
        del activation_ids
        return {}

    def logs(self, activation_id: str) -> str:
        """The tail that came with a held call of this process; CloudWatch has everything."""
        with self._lock:
            return self._logs.get(activation_id, "")

    # --- life ----------------------------------------------------------------------------------------------------
    def close(self) -> None:
        self._sessions.close()

    def _keep(self, request_id: str, log: str) -> None:
        with self._lock:
            self._logs[request_id] = log
            while len(self._logs) > KEPT_LOGS:
                self._logs.popitem(last=False)


def _capabilities(config: Config) -> Capabilities:
    return Capabilities(
        modes=(InvocationMode.ASYNC, InvocationMode.HELD),
        max_request=config.max_request,
        max_response=config.max_response,
        max_timeout_s=config.max_timeout,
        max_memory_mb=config.max_memory,
        max_concurrency=config.max_concurrency,
        rate_per_s=10.0 * config.max_concurrency,  # AWS: ten times the concurrency
        max_package=None if config.bucket else documents.DIRECT,
    )
