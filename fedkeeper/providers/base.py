"""The provider port: one kind of platform that holds and runs functions.

    deploy:  functions() -> create / update / delete            (control plane)
    train:   invoke() -> activation id ... status(ids), logs(id)  (async, async+status)
             call() -> Reply                                     (held: the answer is the response; also what relay uses)

An adapter is four parts: settings (pydantic), client (wire), provider (this port), shim (in every zip) and caller (calls one
deployed function from inside another one; light, goes in the invoker's zip). It translates foreign errors at one border.
Every adapter passes `fedkeeper.testing.provider_contract.ProviderContract`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Protocol

from fedkeeper.model import FunctionSpec, Json
from fedkeeper.states import ActivationState


class InvocationMode(str, Enum):
    ASYNC_STATUS = "async+status"
    """invoke() returns an id at once, and the platform can be asked by it."""
    ASYNC = "async"
    """invoke() returns at once; only receipts tell the rest."""
    HELD = "held"
    """The answer is the HTTP response of the call."""


@dataclass(frozen=True)
class Capabilities:
    """What a cluster can carry, as its operator set it. Sizes in bytes, times in seconds, rate in calls per second."""

    modes: tuple[InvocationMode, ...]
    max_request: int
    max_response: int
    max_timeout_s: float
    max_memory_mb: int
    max_concurrency: int
    rate_per_s: float | None = None  # None: no limit of its own
    max_package: int | None = None
    shares_host: bool = False  # functions see this machine's files (a file store works)
    instant_invoke: bool = False  # invoke() only hands over to a process of ours: no thread is worth its price


@dataclass(frozen=True)
class DeployedFunction:
    """What is on the cluster now. `digest` is the FunctionSpec.digest it was made from, None when unknown."""

    name: str
    digest: str | None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """The platform took an invocation. `activation_id` is None where the platform gives none."""

    activation_id: str | None


@dataclass(frozen=True)
class ActivationStatus:
    """What the platform says of one activation. Times are Unix seconds, None when unknown.

    `state` is ACCEPTED while queued or running; SUCCEEDED means "ended without error" (only a receipt proves success); LOST: unknown id.
    """

    state: ActivationState
    started: float | None = None
    ended: float | None = None
    cold_start: bool | None = None
    error: str | None = None
    result: Json = None  # the handler's small JSON result, when the platform keeps it


@dataclass(frozen=True)
class Reply:
    """The answer of a held call: small JSON, and bytes (an update) when the function returned some."""

    result: Json
    body: bytes = b""
    activation_id: str | None = None


class Provider(ABC):
    """One cluster of a platform. Thread-safe: the dispatcher calls it from several threads. Raises `ProviderError` and its children only."""

    kind: ClassVar[str]
    capabilities: Capabilities

    # --- control plane -------------------------------------------------------------------------------------------
    @abstractmethod
    def functions(self, fabric: str) -> Mapping[str, DeployedFunction]:
        """The functions on the cluster that belong to the fabric of that name, by name."""

    def check(self, spec: FunctionSpec, package: bytes) -> None:  # noqa: B027 - optional
        """Raise what `create` would refuse without asking the platform. The plan calls it for every function before anything is deployed."""

    @abstractmethod
    def create(self, spec: FunctionSpec, package: bytes) -> None:
        """Create from the zip. Creating over an existing function replaces it (a crashed deploy may have made it)."""

    @abstractmethod
    def update(self, spec: FunctionSpec, package: bytes) -> None:
        """FunctionNotFound when there is none."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Absent is fine: remove must be repeatable."""

    # --- data plane ----------------------------------------------------------------------------------------------
    @abstractmethod
    def invoke(self, function: str, params: Mapping[str, Json]) -> Accepted:
        """Start one activation without waiting. FunctionNotFound, PayloadTooLarge, Throttled, Unreachable, AccessDenied."""

    @abstractmethod
    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float | None = None) -> Reply:
        """Run one activation and wait. Besides invoke()'s errors: ActivationFailed when the function failed or timed out."""

    @abstractmethod
    def status(self, activation_ids: Sequence[str]) -> Mapping[str, ActivationStatus]:
        """One batched look; an id the platform does not know is LOST. Providers without status return {}."""

    @abstractmethod
    def logs(self, activation_id: str) -> str:
        """What the activation printed (bounded tail), "" when the platform keeps nothing."""

    # --- life ----------------------------------------------------------------------------------------------------
    def subscribe(self, ended: Callable[[str], None]) -> bool:  # noqa: ARG002
        """`ended(activation_id)` will be called, from any thread, as activations end. False when the platform cannot tell."""
        return False

    def prepare(self, functions: Sequence[str]) -> None:  # noqa: B027 - optional
        """Hint that these functions will soon be invoked (the local platform starts its zygotes). Unknown ones are passed over."""

    def close(self) -> None:  # noqa: B027 - optional
        """Release connections and, for an embedded platform, every process."""


class Caller(Protocol):
    """Calls one deployed function from inside another (the invoker's side of relay)."""

    def call(self, function: str, params: Mapping[str, Json], body: bytes, timeout_s: float) -> Reply: ...
