"""What one invocation asks for: a few hundred bytes of JSON, refs instead of weights.

    engine --Job.to_params()--> platform --Job.from_params()--> runtime

The payload of an activation is `{"job": {...}, "attempt": n}`, always under 4 KiB: lists (who is aggregated) travel as blobs.
Nothing in a job depends on the attempt, so a retry repeats the same work bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, TypeVar

from fedkeeper.errors import UsageError
from fedkeeper.model import Json, Ref, StepKey

MAX_PARAMS = 4096
"""Bytes of JSON an invocation may carry."""

J = TypeVar("J", bound="Job")


@dataclass(frozen=True)
class Job:
    """Fields every job has. `run` only names where the receipt goes: it never reaches a blob."""

    kind: ClassVar[str] = ""
    run: str
    step: str
    subject: str

    @property
    def key(self) -> StepKey:
        return StepKey(self.step, self.subject)

    def to_params(self) -> dict[str, Json]:
        return {"kind": self.kind, **vars(self)}  # JSON already: a deep copy would be most of what a request costs

    @classmethod
    def from_params(cls: type[J], params: Mapping[str, Json]) -> J:
        """Unknown or missing fields are a UsageError that names them (people call functions by hand)."""
        names = {f.name for f in fields(cls)}
        given = {name: value for name, value in params.items() if name != "kind"}
        if params.get("kind", cls.kind) != cls.kind:
            raise UsageError(f"a {cls.kind} job was expected, not {params.get('kind')!r}")
        if unknown := sorted(set(given) - names):
            raise UsageError(f"{cls.kind} job: unknown field {', '.join(unknown)}")
        try:
            return cls(**given)
        except TypeError as exc:
            raise UsageError(f"{cls.kind} job: {exc}") from exc


@dataclass(frozen=True)
class Hyper:
    """How a client trains. `params` goes to the task as it is."""

    epochs: int = 1
    batch_size: int = 10
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    params: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class InitJob(Job):
    """Make the initial model and cut the data. Outputs: model, and partition when the dataset is dealt out."""

    kind: ClassVar[str] = "init"
    seed: int = 0
    clients: int = 0  # how many parts
    data: Mapping[str, Json] = field(default_factory=dict)  # model.Data as JSON
    params: Mapping[str, Json] = field(default_factory=dict)
    start_from: str | None = None  # Ref of a checkpoint already in the store


@dataclass(frozen=True)
class TrainJob(Job):
    """Train `subject` (a client) on its data from `model`. Outputs: update."""

    kind: ClassVar[str] = "train"
    seed: int = 0
    round: int = 0
    model: Ref = Ref("")
    partition: Ref | None = None
    client_index: int = 0
    file: str | None = None
    data: Mapping[str, Json] = field(default_factory=dict)
    hyper: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class AggregateJob(Job):
    """Reduce the updates that `decision` (a blob: JSON list of [client, update ref, examples]) names. Outputs: model, state."""

    kind: ClassVar[str] = "aggregate"
    seed: int = 0
    round: int = 0
    model: Ref = Ref("")
    decision: Ref = Ref("")
    state: Ref | None = None
    strategy: str = "fedavg"
    params: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluateJob(Job):
    """Loss and accuracy of `model` on the test data, in the receipt's metrics."""

    kind: ClassVar[str] = "evaluate"
    seed: int = 0
    model: Ref = Ref("")
    data: Mapping[str, Json] = field(default_factory=dict)
    params: Mapping[str, Json] = field(default_factory=dict)
    batch_size: int = 500


@dataclass(frozen=True)
class ExportJob(Job):
    """Answer `model` as a `.keras` file. It leaves no receipt: nothing of a run depends on it."""

    kind: ClassVar[str] = "export"
    model: Ref = Ref("")
    params: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class RelayJob(Job):
    """Carry a TrainJob to `function` on the client's cluster and its update back. The receipt is the client's."""

    kind: ClassVar[str] = "relay"
    function: str = ""
    timeout_s: float = 300.0
    train: Mapping[str, Json] = field(default_factory=dict)
