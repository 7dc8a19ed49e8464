"""What is known of a run: a fold over its ledger, nothing else. The same events always give the same state.

    RunState.apply(event) ... apply(event)   -> where the run stands, with the indexes `decide` needs, each O(1) per event

Only the open steps are kept (init, the current round's, the evaluation under way): memory is linear in the clients of a round.
Observations that come late, twice or out of order are filtered by `accepts` before they are recorded.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fedkeeper.errors import CorruptData
from fedkeeper.events import INIT_STEP, SERVER, Event, aggregate_step, evaluate_step, train_step
from fedkeeper.model import Json, Ref, StepKey
from fedkeeper.states import ActivationState, may_follow

_S = ActivationState


@dataclass
class Step:
    """One open unit of work and its latest attempt."""

    key: StepKey
    round: int
    attempt: int = 0
    spent_before: int = 0  # attempts made before the latest resume: they do not use up its retries
    state: ActivationState | None = None
    cluster: str = ""
    function: str = ""
    activation_id: str | None = None
    since: float = 0.0  # Unix time of the latest request or acceptance
    retry_at: float | None = None  # Unix time; None: no further attempt
    error: str | None = None
    outputs: Mapping[str, Ref] = field(default_factory=dict)
    examples: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def in_flight(self) -> bool:
        return self.state in (_S.REQUESTED, _S.ACCEPTED)

    @property
    def succeeded(self) -> bool:
        return self.state is _S.SUCCEEDED

    @property
    def given_up(self) -> bool:
        return self.state is not None and not self.in_flight and not self.succeeded and self.retry_at is None


class RunState:
    """Mutable accumulator; `apply` is the only way in."""

    def __init__(self) -> None:
        self.run = ""
        self.steps: dict[StepKey, Step] = {}
        self.in_flight: dict[StepKey, Step] = {}
        self.busy: Counter[str] = Counter()  # cluster -> activations in flight
        self.flying: Counter[str] = Counter()  # "init", "train", "aggregate", "evaluate" -> activations in flight
        self.round = 0  # the open round, or the last committed one
        self.clients: tuple[str, ...] = ()  # of the open round, in the order of aggregation
        self.opened_at = 0.0
        self.model: Ref | None = None  # the last committed model (the initial one in round 0)
        self.partition: Ref | None = None
        self.server_state: Ref | None = None
        self.succeeded = 0  # clients of the open round with a receipt
        self.given_up = 0
        self.decision: Ref | None = None  # the open round's close decision
        self.committed = 0  # rounds
        self.evaluated: dict[int, Mapping[str, Json]] = {}
        self.finished: Event | None = None
        self.elapsed = 0.0  # seconds an orchestrator has been at work
        self.next_seq = 0
        self._last_time: float | None = None
        self._unrequested: dict[StepKey, None] = {}
        self._retries: list[tuple[float, int, str, StepKey]] = []

    # --- reading ---------------------------------------------------------------------------------------------------
    def step(self, step: str, subject: str = SERVER) -> Step | None:
        return self.steps.get(StepKey(step, subject))

    def ready(self, now: float) -> Iterator[StepKey]:
        """Steps of the open round that may be requested now: first attempts in order, then retries whose time has come."""
        while self._retries and self._retries[0][0] <= now:
            _, attempt, _, key = heapq.heappop(self._retries)
            step = self.steps.get(key)
            if step is not None and step.attempt == attempt and step.retry_at is not None:
                self._unrequested[key] = None
        yield from self._unrequested

    def next_retry(self) -> float | None:
        """When the next retry is due (Unix time), an underestimate at worst."""
        return self._retries[0][0] if self._retries else None

    @property
    def round_open(self) -> bool:
        return self.round > self.committed

    def accepts(self, key: StepKey, attempt: int, state: ActivationState) -> bool:
        """Whether an observation of `attempt` may be recorded: known step, current attempt (a receipt counts for any), legal transition."""
        step = self.steps.get(key)
        if step is None or step.state is None:
            return False
        if attempt != step.attempt and state is not _S.SUCCEEDED:
            return False
        return may_follow(step.state, state)

    # --- folding ---------------------------------------------------------------------------------------------------
    def apply(self, event: Event) -> None:
        """Fold one event in. CorruptData when the ledger is not one this version can have written."""
        if event["seq"] != self.next_seq:
            raise CorruptData(f"ledger of {self.run or 'a run'}: event {event['seq']} where {self.next_seq} was due")
        self.next_seq += 1
        if self._last_time is not None and event["type"] != "resumed":
            self.elapsed += max(0.0, event["time"] - self._last_time)
        self._last_time = event["time"]
        handler = _HANDLERS.get(event["type"])
        if handler is not None:
            handler(self, event)

    def _on_run_started(self, event: Event) -> None:
        self.run = event["run"]
        self._expect(StepKey(INIT_STEP, SERVER), 0)

    def _on_resumed(self, event: Event) -> None:
        """What had been given up gets a fresh set of attempts."""
        for step in self.steps.values():
            step.spent_before = step.attempt
            if step.given_up:
                step.retry_at = event["time"]
                heapq.heappush(self._retries, (step.retry_at, step.attempt, str(step.key), step.key))
        self.given_up = 0

    def _on_requested(self, event: Event) -> None:
        step = self._known(event)
        step.attempt, step.state, step.since = event["attempt"], _S.REQUESTED, event["time"]
        step.cluster, step.function, step.activation_id, step.retry_at = event["cluster"], event["function"], None, None
        self._unrequested.pop(step.key, None)
        self.in_flight[step.key] = step
        self._count(step, 1)

    def _on_accepted(self, event: Event) -> None:
        step = self._known(event)
        step.state, step.activation_id, step.since = _S.ACCEPTED, event["activation_id"], event["time"]

    def _on_ended(self, event: Event) -> None:
        step = self._known(event)
        was_given_up = step.given_up
        if self.in_flight.pop(step.key, None) is not None:
            self._count(step, -1)
        step.state, step.error = _S(event["state"]), event.get("error")
        step.retry_at = event["time"] + event["retry_in"] if event.get("retry_in") is not None else None
        if step.retry_at is not None:
            heapq.heappush(self._retries, (step.retry_at, step.attempt, str(step.key), step.key))
        if step.succeeded:
            step.outputs = {name: Ref(ref) for name, ref in event["outputs"].items()}
            step.examples, step.metrics = event["examples"], event["metrics"]
            self._unrequested.pop(step.key, None)
        if step.key.step == train_step(self.round):
            self.succeeded += step.succeeded
            self.given_up += step.given_up - was_given_up

    def _on_initialised(self, event: Event) -> None:
        self.model, self.partition = event["model"], event["partition"]
        self._forget(StepKey(INIT_STEP, SERVER))

    def _on_round_opened(self, event: Event) -> None:
        self.round, self.clients, self.opened_at = event["round"], tuple(event["clients"]), event["time"]
        self.succeeded = self.given_up = 0
        self.decision = None
        for client in self.clients:
            self._expect(StepKey(train_step(self.round), client), self.round)

    def _on_closed(self, event: Event) -> None:
        self.decision = event["decision"]
        for client in self.clients:
            self._forget(StepKey(train_step(self.round), client))
        self._expect(StepKey(aggregate_step(self.round), SERVER), self.round)

    def _on_committed(self, event: Event) -> None:
        self.committed, self.model, self.server_state = event["round"], event["model"], event.get("state")
        self._forget(StepKey(aggregate_step(self.round), SERVER))

    def _on_evaluated(self, event: Event) -> None:
        self.evaluated[event["round"]] = event
        self._forget(StepKey(evaluate_step(event["round"]), SERVER))

    def _on_finished(self, event: Event) -> None:
        self.finished = event

    def _expect(self, key: StepKey, round_: int) -> None:
        self.steps[key] = Step(key, round_)
        self._unrequested[key] = None

    def _forget(self, key: StepKey) -> None:
        self.steps.pop(key, None)
        self._unrequested.pop(key, None)
        if (step := self.in_flight.pop(key, None)) is not None:
            self._count(step, -1)

    def _count(self, step: Step, change: int) -> None:
        self.busy[step.cluster] += change
        self.flying[step.key.kind] += change

    def _known(self, event: Event) -> Step:
        key = StepKey(event["step"], event["subject"])
        if key not in self.steps and event["type"] == "requested":
            self._expect(key, event["round"])  # evaluations are announced by their first request
        try:
            return self.steps[key]
        except KeyError:
            raise CorruptData(f"ledger of {self.run}: {event['type']} of {key}, which was not open") from None


_HANDLERS: dict[str, Callable[[RunState, Event], None]] = {
    "run_started": RunState._on_run_started,
    "resumed": RunState._on_resumed,
    "requested": RunState._on_requested,
    "accepted": RunState._on_accepted,
    "ended": RunState._on_ended,
    "initialised": RunState._on_initialised,
    "round_opened": RunState._on_round_opened,
    "closed": RunState._on_closed,
    "committed": RunState._on_committed,
    "evaluated": RunState._on_evaluated,
    "finished": RunState._on_finished,
}
