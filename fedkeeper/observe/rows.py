"""The frozen rows of a run: what happened, as tables.

    RunView -- rounds: RoundRow*, activations: ActivationRow*, clients: ClientRow*, counts, clusters

Times are Unix seconds, durations seconds; None means "not known" or "not yet".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from fedkeeper.model import Json


@dataclass(frozen=True)
class RoundRow:
    """One round. `total_s` ends at the commit: evaluation may overlap with the next round."""

    round: int
    clients: int
    succeeded: int | None = None  # updates that were counted
    invoke_s: float | None = None  # opened -> the last first attempt was accepted
    train_s: float | None = None  # from there until closed
    aggregate_s: float | None = None  # closed -> committed
    evaluate_s: float | None = None  # of the evaluator's activation; requested -> evaluated where its platform has no times
    total_s: float | None = None  # opened -> committed
    loss: float | None = None
    accuracy: float | None = None
    closed_by: str = ""  # "all", "quorum" or "deadline"
    model: str = ""

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True)
class ActivationRow:
    """One attempt of one step. `client` is "server" for the steps that are not a client's."""

    round: int
    step: str
    client: str
    attempt: int
    requested: float
    role: str = ""
    cluster: str = ""
    function: str = ""
    activation_id: str = ""
    client_activation_id: str = ""  # with weights: relay, the activation that the invoker made
    state: str = "requested"
    start: float | None = None
    end: float | None = None
    cold_start: bool | None = None
    error: str = ""

    @property
    def duration_s(self) -> float | None:
        return None if self.start is None or self.end is None else max(0.0, self.end - self.start)

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "duration_s": self.duration_s}


@dataclass(frozen=True)
class ClientRow:
    """What one client reported in one round."""

    round: int
    client: str
    examples: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Counts:
    """Attempts, over all steps of the run. A late success takes its attempt back out of `failed`."""

    requested: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0

    def to_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class RunView:
    """A run as its ledger tells it."""

    run: str
    fabric: str
    task: str
    strategy: str
    phase: str  # "starting", "training", "aggregating", "between rounds", "interrupted", "finished"
    round: int
    rounds_wanted: int
    target_accuracy: float | None
    started: float
    updated: float
    seconds: float
    finished: bool
    stop_reason: str
    model: str
    accuracy: float | None
    loss: float | None
    eta_s: float | None
    counts: Counts
    clusters: Mapping[str, Mapping[str, int]]  # cluster -> state -> clients of the round now open
    rounds: tuple[RoundRow, ...]
    activations: tuple[ActivationRow, ...]
    clients: tuple[ClientRow, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """The summary and the rounds; activations and clients have files of their own."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("activations", "clients")}
        return plain | {
            "counts": self.counts.to_json(),
            "clusters": {name: dict(states) for name, states in self.clusters.items()},
            "rounds": [row.to_json() for row in self.rounds],
            "warnings": list(self.warnings),
        }
