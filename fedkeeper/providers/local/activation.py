"""Data of the platform process: what a function is, one activation of it, and how it ended. Standard library only."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .wire import Buffer

if TYPE_CHECKING:
    from .pool import Worker

MAX_DEPTH = 8
"""How deep functions may call functions: each waiting caller keeps a process."""


OUT_OF_MEMORY, DIED, NO_WORKER = "OutOfMemory", "Died", "NoWorker"
KINDS_OF_FAILURE = (OUT_OF_MEMORY, DIED, NO_WORKER)


@dataclass(frozen=True)
class Config:
    """The platform's settings, as the provider sends them in its first frame."""

    slots: int
    waiters: int  # slots of functions that mostly wait
    max_request: int
    max_response: int
    keep_activations: int
    setting: str  # "providers.local.<cluster>": what an error message points at
    activations: str  # folder of the records
    work: str  # folder of this process: scratch space of its workers, gone when it ends
    python: str
    user_site: bool

    def max_idle(self, waits: bool) -> int:
        """A round warms clients on every slot, one aggregator and one evaluator; invokers, which are small, on every waiting one."""
        return self.waiters if waits else 2 * self.slots + 2


@dataclass(frozen=True)
class Definition:
    """One function, ready to run. Functions with equal `worker_key` share warm workers."""

    name: str
    role: str
    digest: str
    package: str  # folder of the unpacked zip
    worker_key: str
    zygote_key: str
    preload: tuple[str, ...]
    zygote_environment: Mapping[str, str]
    environment: Mapping[str, str]
    timeout_s: float
    memory_mb: int
    waits: bool = False  # mostly waits for others: takes a waiting slot


@dataclass(frozen=True)
class Outcome:
    """How an activation ended. `kind` names the error its caller shall raise, "" for the function's own failure; those of
    `KINDS_OF_FAILURE` say how the platform came to end it."""

    state: str
    error: str | None = None
    kind: str = ""
    data: bytes = b"null"
    body: Buffer = b""
    max_rss_mb: float | None = None


@dataclass(eq=False)
class Activation:
    id: str
    definition: Definition
    data: bytes
    body: Buffer
    held: bool = False  # the provider wants the body of the answer
    parent: Activation | None = None
    call: int = 0  # the parent's number for this call
    depth: int = 0
    give_up: float | None = None  # monotonic: when the caller stops waiting
    worker: Worker | None = None
    cold_start: bool | None = None
    started: float | None = None  # Unix time at which the handler began
    ended: float | None = None
    deadline: float | None = None  # monotonic: the function's own time limit
    max_rss_mb: float = 0.0
    outcome: Outcome | None = None
    slotted: bool = False  # holds a slot of its own
    callee: Activation | None = None  # computes in this one's slot while this one waits; that of a waiting function has its own
    lane: deque[Activation] = field(default_factory=deque)  # further callees, in turn

    def record(self, outcome: Outcome) -> dict[str, Any]:
        worker = self.worker
        return {
            "id": self.id,
            "function": self.definition.name,
            "digest": self.definition.digest,
            "state": outcome.state,
            "started": self.started,
            "ended": self.ended,
            "cold_start": self.cold_start,
            "error": outcome.error,
            "pid": worker.pid if worker else None,
            "max_rss_mb": self.peak_mb(outcome),
            "caller": self.parent.id if self.parent else None,
        }

    def peak_mb(self, outcome: Outcome) -> float:
        return round(max(self.max_rss_mb, outcome.max_rss_mb or 0.0), 1)


def timed_out(activation: Activation) -> Outcome:
    definition = activation.definition
    limit = f"{definition.timeout_s:g} s"
    return Outcome("timed_out", f"ran longer than its limit of {limit} (functions.{definition.role}.timeout)")


def given_up() -> Outcome:
    return Outcome("timed_out", "no answer within the time its caller waits")


def out_of_memory(activation: Activation) -> Outcome:
    definition = activation.definition
    used = f"{activation.max_rss_mb:.0f} MB"
    limit = f"{definition.memory_mb} MB (functions.{definition.role}.memory)"
    return Outcome("failed", f"used {used} of memory, more than its limit of {limit}", OUT_OF_MEMORY)


def died(reason: str) -> Outcome:
    return Outcome("failed", f"worker died ({reason})", DIED)


CANCELLED = Outcome("cancelled", "its caller ended before it did")
