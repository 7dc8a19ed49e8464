"""The `local` provider: functions are files, activations run in warm child processes of one platform process.

create / update / delete ------------> files.FunctionFiles            (no process)
invoke / call -> bind -> client.run -> platform process -> workers    (started by the first activation)
status / logs <- statuses (this process) or records (any process, also later)
"""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import ClassVar, NamedTuple

from fedkeeper.errors import (
    ActivationFailed,
    FunctionNotFound,
    PackageError,
    PayloadTooLarge,
    ProviderError,
    Unreachable,
)
from fedkeeper.model import Cluster, FunctionSpec, Json
from fedkeeper.providers.base import Accepted, ActivationStatus, DeployedFunction, Provider, Reply
from fedkeeper.providers.local import packages, records, requirements
from fedkeeper.providers.local.binding import Binding, base_environment, bind, resolve_secrets
from fedkeeper.providers.local.caller import error_of
from fedkeeper.providers.local.channel import too_large
from fedkeeper.providers.local.client import BOOT, LOG, Listener, PlatformClient
from fedkeeper.providers.local.config import LocalConfig
from fedkeeper.providers.local.files import FunctionFiles, Signature
from fedkeeper.providers.local.statuses import Statuses
from fedkeeper.providers.local.wire import Frame, dump
from fedkeeper.states import ActivationState

LOST = ActivationStatus(ActivationState.LOST)
LATE_S = 5.0  # beyond a caller's limit, which the platform keeps: only a platform that hangs is later
_log = logging.getLogger(__name__)


class _Known(NamedTuple):
    """A function's binding, and what it was made from."""

    signature: Signature
    spec: FunctionSpec
    secrets: Mapping[str, str]
    binding: Binding


class LocalProvider(Provider):
    """One local cluster. `home` holds its functions and activations; `environ` has the values of secrets."""

    kind: ClassVar[str] = "local"

    def __init__(self, cluster: Cluster, *, home: Path, environ: Mapping[str, str]) -> None:
        self.cluster = cluster
        self.home = home.absolute()
        self._config = LocalConfig.of(cluster)
        self.capabilities = self._config.capabilities
        self._environ = environ
        self._files = FunctionFiles(self.home)
        self._activations = self.home / "activations"
        self._known: dict[str, _Known] = {}
        self._statuses = Statuses()
        self._subscribers: list[Callable[[str], None]] = []
        self._starting = threading.Lock()
        self._client: PlatformClient | None = None

    # --- control plane -------------------------------------------------------------------------------------------
    def functions(self, fabric: str) -> Mapping[str, DeployedFunction]:
        return {
            name: DeployedFunction(name, stored.digest, {"fabric": stored.spec.fabric, "role": str(stored.spec.role)})
            for name, stored in self._files.all().items()
            if stored.spec.fabric == fabric
        }

    def check(self, spec: FunctionSpec, package: bytes) -> None:  # noqa: ARG002
        self._check(spec)

    def create(self, spec: FunctionSpec, package: bytes) -> None:
        self._check(spec)
        self._files.put(spec, package, existing=False)

    def update(self, spec: FunctionSpec, package: bytes) -> None:
        self._check(spec)
        self._files.put(spec, package, existing=True)

    def delete(self, name: str) -> None:
        if self._files.delete(name):
            self.close()
            self._files.clear()

    def _check(self, spec: FunctionSpec) -> None:
        limits = self.capabilities
        if spec.memory_mb > limits.max_memory_mb:
            raise ProviderError(self._exceeds(spec, "memory", f"{spec.memory_mb} MB", f"{limits.max_memory_mb} MB"))
        if spec.timeout_s > limits.max_timeout_s:
            raise ProviderError(self._exceeds(spec, "timeout", f"{spec.timeout_s} s", f"{limits.max_timeout_s:g} s"))
        if absent := self._missing(spec.requirements):
            names = ", ".join(absent)
            quoted = " ".join(f"'{line}'" for line in absent)
            hint = f"{self._config.python} -m pip install {quoted}"
            raise PackageError(f"{spec.name} requires {names}, which {self._config.python} does not have", hint=hint)

    def _exceeds(self, spec: FunctionSpec, what: str, value: str, limit: str) -> str:
        setting = f"{self._config.setting}.max_{what}"
        return f"{spec.name}: functions.{spec.role}.{what} of {value} is more than the limit of {limit} ({setting})"

    def _missing(self, lines: Sequence[str]) -> list[str]:
        if not self._config.own_python:
            return requirements.missing(lines)
        command = [self._config.python, "-I", str(BOOT), "requirements"]
        try:
            done = subprocess.run(command, input=json.dumps(list(lines)), capture_output=True, text=True, check=True, timeout=60)
            absent: list[str] = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError) as exc:
            raise ProviderError(f"{self._config.setting}.python: {self._config.python} cannot be used: {exc}") from exc
        return absent

    # --- data plane ----------------------------------------------------------------------------------------------
    def invoke(self, function: str, params: Mapping[str, Json]) -> Accepted:
        return Accepted(self._submit(function, params, b"", None, None))

    def begin(self, function: str, params: Mapping[str, Json], body: bytes = b"") -> tuple[str, Future[Frame]]:
        """Start one activation; the future brings its end, with all of its answer, whatever became of it."""
        answer: Future[Frame] = Future()
        return self._submit(function, params, body, answer, None), answer

    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float | None = None) -> Reply:
        answer: Future[Frame] = Future()
        activation_id = self._submit(function, params, body, answer, timeout_s)
        try:
            header, data, reply = answer.result(None if timeout_s is None else timeout_s + LATE_S)
        except FutureTimeout:
            raise ActivationFailed(f"no answer within {timeout_s:g} s", where=function) from None
        if header["state"] != str(ActivationState.SUCCEEDED):
            raise error_of(function, header["kind"], header["error"])
        return Reply(json.loads(data), bytes(reply), activation_id)

    def status(self, activation_ids: Sequence[str]) -> Mapping[str, ActivationStatus]:
        return {
            activation_id: self._statuses.get(activation_id) or self._recorded(activation_id) for activation_id in activation_ids
        }

    def logs(self, activation_id: str) -> str:
        return records.read_log(self._activations, activation_id)

    # --- life ----------------------------------------------------------------------------------------------------
    def subscribe(self, ended: Callable[[str], None]) -> bool:
        self._subscribers.append(ended)
        return True

    def prepare(self, functions: Sequence[str]) -> None:
        for function in functions:
            try:
                self._platform().prepare(self._bind(function))
            except FunctionNotFound:
                continue  # only a hint: whoever invokes it will find out

    def close(self) -> None:
        with self._starting:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def platform_pid(self) -> int | None:
        """The platform process, when one runs."""
        client = self._client
        return client.pid if client is not None and client.alive else None

    # --- inside --------------------------------------------------------------------------------------------------
    def _submit(
        self, function: str, params: Mapping[str, Json], body: bytes, answer: Future[Frame] | None, timeout_s: float | None
    ) -> str:
        binding = self._bind(function)
        data = _encode(function, params)
        if len(data) + len(body) > self.capabilities.max_request:
            size = len(data) + len(body)
            raise PayloadTooLarge(too_large("request", size, self.capabilities.max_request, self._config.setting), where=function)
        activation_id = uuid.uuid4().hex
        for _ in range(2):  # the process may have died since the last time: then a new one
            client = self._platform()
            self._statuses.begin(activation_id, client, answer)
            try:
                client.run(activation_id, binding, data, body, held=answer is not None, timeout_s=timeout_s)
                return activation_id
            except OSError:
                self._statuses.forget(activation_id)
                self._drop(client)
        raise Unreachable(f"the local platform's process ends as soon as it starts; see {self.home / LOG}")

    def _bind(self, function: str) -> Binding:
        """The function as it is now: its file and the operator's secrets are looked at each time, cheaply."""
        known = self._known.get(function)
        if known is not None and known.signature == self._files.signature(function) and self._same_secrets(known):
            return known.binding
        stored = self._files.load(function)
        folder = packages.folder_of(self._files.packages, stored.spec.package)
        binding = bind(stored.spec, folder, self._config, self._environ)
        secrets = resolve_secrets(stored.spec, self._environ)
        self._known[function] = _Known(stored.signature, stored.spec, secrets, binding)
        return binding

    def _same_secrets(self, known: _Known) -> bool:
        return not known.spec.secrets or known.secrets == resolve_secrets(known.spec, self._environ)

    def _platform(self) -> PlatformClient:
        with self._starting:
            if self._client is None or not self._client.alive:
                self._client = self._start()
            return self._client

    def _start(self) -> PlatformClient:
        self._activations.mkdir(parents=True, exist_ok=True)
        config = {
            "slots": self._config.slots,
            "waiters": self._config.waiters,
            "max_request": self.capabilities.max_request,
            "max_response": self.capabilities.max_response,
            "keep_activations": self._config.keep_activations,
            "setting": self._config.setting,
            "activations": str(self._activations),
            "work": str(self.home / "work" / uuid.uuid4().hex),
            "python": self._config.python,
            "user_site": self._config.user_site,
        }
        environment = base_environment(self._config.threads, self._environ)
        return PlatformClient(config, self.home, environment, Listener(self._on_ended, self._bind, self._on_gone))

    def _drop(self, client: PlatformClient) -> None:
        with self._starting:
            if self._client is client:
                self._client = None

    def _recorded(self, activation_id: str) -> ActivationStatus:
        record = records.read(self._activations, activation_id)
        return LOST if record is None else _status(record, record["result"])

    # --- called by the client's reader thread --------------------------------------------------------------------
    def _on_ended(self, frames: list[Frame]) -> None:
        for frame in frames:
            kept = frame.data if len(frame.data) <= records.RESULT_LIMIT else b"null"
            status = _status(frame.header, json.loads(kept))
            self._statuses.end(frame.header["id"], status, frame)
            self._tell(frame.header["id"])

    def _on_gone(self, client: PlatformClient) -> None:
        self._drop(client)
        if client.closing:
            cancelled = ActivationStatus(ActivationState.CANCELLED)
            lost = self._statuses.lose(client, lambda _: cancelled, ProviderError("the local platform was closed"))
        else:
            error = Unreachable(f"the local platform's process ended; see {self.home / LOG}")
            lost = self._statuses.lose(client, self._recorded, error)
        for activation_id in lost:
            self._tell(activation_id)

    def _tell(self, activation_id: str) -> None:
        for ended in self._subscribers:
            try:
                ended(activation_id)
            except Exception:  # a subscriber's fault must not end the thread that everybody's answers come by
                _log.exception("a subscriber of the local platform failed")


def _encode(function: str, params: Mapping[str, Json]) -> bytes:
    try:
        return dump(dict(params))
    except (TypeError, ValueError) as exc:
        raise ProviderError(f"the parameters of {function} are not JSON: {exc}") from exc


def _status(record: Mapping[str, Json], result: Json) -> ActivationStatus:
    return ActivationStatus(
        state=ActivationState(record["state"]),
        started=record["started"],
        ended=record["ended"],
        cold_start=record["cold_start"],
        error=record["error"],
        result=result,
    )
