"""The ledger's vocabulary: what the orchestrator writes down, and what observers read.

An event is one JSON object: `seq` (0, 1, 2, ... per run), `time` (Unix seconds), `type`, and the fields below.

    type          fields
    run_started   run, fabric, seed, clients, clients_per_round, quorum, rounds, target_accuracy, time_budget_s,
                  task, strategy, deploy_digest, run_digest
    resumed       (none)                    a new orchestrator goes on
    requested     round, step, subject, attempt, role, cluster, function
    accepted      round, step, subject, attempt, activation_id
    ended         round, step, subject, attempt, state, and: error, started, finished, cold_start, activation_id; relay also
                  client_activation_id; with state "succeeded": receipt, outputs, examples, metrics, notes; before a retry: retry_in
    recreated     function, cluster         the Repairer made a function again
    initialised   model, partition          fl_server_init's receipt, accepted as the run's start
    round_opened  round, clients, model
    closed        round, decision, reason ("all" | "quorum" | "deadline"), counted, dropped
    committed     round, model, state
    evaluated     round, loss, accuracy, examples, metrics
    warning       message
    interrupted   reason ("signal" | "error"), error
    finished      stop_reason, rounds, model, loss, accuracy, seconds

`round` is 0 for the init step. `step` is "init", "r0001/train", "r0001/aggregate", "r0001/evaluate"; `subject` is a client id or "server".
`attempt` counts from 1. `state` is one of `states.ActivationState`. `stop_reason` is "target_accuracy", "rounds", "time_budget" or "stopped".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fedkeeper.model import Json

Event = Mapping[str, Json]

EVENT_TYPES = (
    "run_started", "resumed", "requested", "accepted", "ended", "recreated", "initialised", "round_opened", "closed",
    "committed", "evaluated", "warning", "interrupted", "finished",
)  # fmt: skip
STOP_REASONS = ("target_accuracy", "rounds", "time_budget", "stopped")
SERVER = "server"
"""Subject of the steps that are not a client's."""


def train_step(round_: int) -> str:
    return f"r{round_:04d}/train"


def aggregate_step(round_: int) -> str:
    return f"r{round_:04d}/aggregate"


def evaluate_step(round_: int) -> str:
    return f"r{round_:04d}/evaluate"


INIT_STEP = "init"


class Observer(Protocol):
    """Watches a run. Called from the engine's thread: must be quick, and an error in it never stops the run."""

    def on_events(self, events: list[Event]) -> None:
        """A batch that has just become durable, in order. On resume the whole past comes first, in one batch."""

    def on_tick(self, waiting_for: str) -> None:
        """Several times a second; `waiting_for` says in plain words what the engine is waiting for."""

    def close(self) -> None:
        """The run has ended, in whatever way."""
