"""A world for the program: `decide` and `RunState` against simulated platforms, no I/O, any order of observations.

The "model" is a hash of the model before and of what was counted, so two runs that count the same have the same model.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from fedkeeper.events import Event
from fedkeeper.model import Ref, StepKey, Training
from fedkeeper.states import ActivationState
from fedkeeper.strategies.select import RandomSelector
from fedkeeper.train.program import Close, Fail, Record, Request, RunPlan, decide
from fedkeeper.train.retry import retry_in
from fedkeeper.train.state import RunState


def digest(*parts: object) -> Ref:
    return Ref("sha256:" + hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest())


def make_plan(clients: int = 5, **changes: object) -> RunPlan:
    names = tuple(f"c{n}" for n in range(clients))
    values: dict[str, object] = {
        "clients": names, "cluster_of": dict.fromkeys(names, "edge"), "server_cluster": "core", "capacity": {"edge": 3, "core": 2},
        "selector": RandomSelector(), "seed": 7, "rounds": 3, "per_round": clients, "quorum": clients, "evaluate_every": 1,
        "round_deadline_s": None, "target_accuracy": None, "time_budget_s": None,
    }  # fmt: skip
    return RunPlan(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class World:
    """Carries commands out by remembering them; `end` delivers an observation if the state still accepts it."""

    plan: RunPlan
    training: Training = field(default_factory=lambda: Training(task="t", retries=2, backoff_s=1.0, seed=7))
    accuracy: Callable[[int], float] = lambda round_: 0.1 * round_
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.state = RunState()
        self.events: list[Event] = []
        self.failure: str | None = None
        self.decisions: dict[str, list[list[object]]] = {}
        self.record("run_started", run="r", fabric="f")

    def record(self, type_: str, **fields: object) -> None:
        event = {"seq": len(self.events), "time": self.now, "type": type_, **fields}
        self.events.append(event)
        self.state.apply(event)

    def settle(self, *, draining: bool = False) -> None:
        while commands := decide(self.state, self.plan, self.now, draining=draining):
            for command in commands:
                self.carry_out(command)
                if self.failure:
                    return

    def carry_out(self, command: object) -> None:
        if isinstance(command, Fail):
            self.failure = command.message
        elif isinstance(command, Record):
            self.record(command.type, **command.fields)
        elif isinstance(command, Request):
            step = self.state.steps.get(command.key)
            cluster = self.plan.cluster_of.get(command.key.subject, "core")
            self.record(
                "requested", round=command.round, step=command.key.step, subject=command.key.subject,
                attempt=1 + (step.attempt if step else 0), cluster=cluster, function="f", role="r",
            )  # fmt: skip
        elif isinstance(command, Close):
            entries: list[list[object]] = [[s.key.subject, s.outputs["update"], s.examples] for s in command.counted]
            decision = digest(entries)
            self.decisions[decision] = entries
            self.record("closed", round=command.round, decision=decision, reason=command.reason, counted=len(entries), dropped=[])

    def accept(self, key: StepKey, attempt: int) -> None:
        if self.state.accepts(key, attempt, ActivationState.ACCEPTED):
            self.record("accepted", step=key.step, subject=key.subject, attempt=attempt, activation_id=f"{key}-{attempt}")

    def end(self, key: StepKey, attempt: int, state: ActivationState) -> bool:
        if not self.state.accepts(key, attempt, state):
            return False
        fields: dict[str, object] = {"error": None if state is ActivationState.SUCCEEDED else state.value}
        if state is ActivationState.SUCCEEDED:
            fields |= {"outputs": self.outputs(key), "examples": 10, "metrics": self.metrics(key), "receipt": digest(str(key))}
        elif state.retryable:
            fields["retry_in"] = retry_in(self.state.steps[key], self.training)
        self.record("ended", step=key.step, subject=key.subject, attempt=attempt, state=state.value, **fields)
        return True

    def outputs(self, key: StepKey) -> dict[str, Ref]:
        """Depends on inputs only, as real steps do."""
        if key.kind == "init":
            return {"model": digest("initial"), "partition": digest("partition")}
        if key.kind == "train":
            return {"update": digest("update", self.state.model, key.subject)}
        return {"model": digest("model", self.state.model, self.state.decision)} if key.kind == "aggregate" else {}

    def metrics(self, key: StepKey) -> dict[str, float]:
        return {"accuracy": self.accuracy(int(key.step[1:5])), "loss": 1.0} if key.kind == "evaluate" else {}

    def crash(self) -> None:
        """A new orchestrator: only the events survive."""
        self.state = replayed(self.events)
        self.record("resumed")
        for key, step in list(self.state.in_flight.items()):
            self.end(key, step.attempt, ActivationState.LOST)

    def run_calmly(self, limit: int = 10_000) -> World:
        """Everything succeeds at once."""
        for _ in range(limit):
            self.settle()
            if self.state.finished or self.failure:
                return self
            for key, step in list(self.state.in_flight.items()):
                self.end(key, step.attempt, ActivationState.SUCCEEDED)
        raise AssertionError("the run does not end")

    def run_wildly(self, dice: random.Random, limit: int = 20_000) -> World:
        """Acceptances, ends, duplicates, late successes, crashes: in any order. Failures stay below the retry limit half of the time."""
        tried: list[tuple[StepKey, int]] = []
        for _ in range(limit):
            self.settle()
            if self.state.finished or self.failure:
                return self
            self.now += dice.choice([0.0, 0.1, 2.0])
            tried += [(key, step.attempt) for key, step in self.state.in_flight.items() if (key, step.attempt) not in tried[-50:]]
            if not tried:
                continue
            key, attempt = dice.choice(tried[-20:])
            event = dice.random()
            if event < 0.2:
                self.accept(key, attempt)
            elif event < 0.75:
                self.end(key, attempt, ActivationState.SUCCEEDED)
            elif event < 0.95:
                self.end(key, attempt, dice.choice([ActivationState.FAILED, ActivationState.TIMED_OUT, ActivationState.LOST]))
            else:
                self.crash()
        raise AssertionError("the run does not end")


def replayed(events: list[Event]) -> RunState:
    state = RunState()
    for event in events:
        state.apply(event)
    return state
