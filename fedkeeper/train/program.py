"""The star program: select -> train x K -> close -> reduce -> evaluate, as a pure function from state to commands.

    decide(RunState, RunPlan, now, draining) -> [Command, ...]

The engine carries the commands out, records what came of them, and asks again until nothing is left to do. Evaluation of round r runs
while round r+1 trains; round r+1 is closed only after it, so that a run that stops at its target always stops at the same model.
Only the choice to close with fewer than all clients looks at the clock, and it is recorded before anything acts on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fedkeeper.events import INIT_STEP, SERVER, aggregate_step, evaluate_step, train_step
from fedkeeper.model import Fabric, Json, StepKey
from fedkeeper.strategies.base import Selector
from fedkeeper.train.state import RunState, Step


@dataclass(frozen=True)
class RunPlan:
    """What of the spec the program needs. `capacity` is the number of activations a cluster takes at once."""

    clients: tuple[str, ...]
    cluster_of: Mapping[str, str]  # client -> cluster where its activation is requested
    server_cluster: str
    capacity: Mapping[str, int]
    selector: Selector
    seed: int
    rounds: int
    per_round: int
    quorum: int
    evaluate_every: int
    round_deadline_s: float | None
    target_accuracy: float | None
    time_budget_s: float | None


@dataclass(frozen=True)
class Request:
    """Start the next attempt of a step."""

    key: StepKey
    round: int


@dataclass(frozen=True)
class Close:
    """Decide which updates count. `counted` are steps with receipts, in the order of aggregation."""

    round: int
    reason: str
    counted: tuple[Step, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """Write an event down; nothing else follows from it."""

    type: str
    fields: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Fail:
    """The run cannot go on."""

    message: str


Command = Request | Close | Record | Fail


def run_plan(fabric: Fabric, selector: Selector, capacity: Mapping[str, int]) -> RunPlan:
    """The program's view of a fabric. A relay client's activation is its invoker's, on the server cluster."""
    training = fabric.training
    per_round = training.clients_per_round or len(fabric.clients)
    return RunPlan(
        clients=tuple(client.id for client in fabric.clients),
        cluster_of={c.id: fabric.server_cluster if c.weights == "relay" else c.cluster for c in fabric.clients},
        server_cluster=fabric.server_cluster, capacity=capacity, selector=selector, seed=training.seed, rounds=training.rounds,
        per_round=per_round, quorum=training.quorum or per_round, evaluate_every=training.evaluate_every,
        round_deadline_s=training.round_deadline_s, target_accuracy=training.target_accuracy, time_budget_s=training.time_budget_s,
    )  # fmt: skip


def decide(state: RunState, plan: RunPlan, now: float, *, draining: bool = False) -> list[Command]:
    """The commands that are due. Never returns the same command again once its event is folded in."""
    if state.finished is not None:
        return []
    if (failure := _failure(state, plan)) is not None:
        return [failure]
    if (progress := _progress(state, plan, now, draining)) is not None:
        return [progress]
    return [*_requests(state, plan, now)]


def _progress(state: RunState, plan: RunPlan, now: float, draining: bool) -> Command | None:
    """The next step of the run as a whole, if its time has come."""
    if state.model is None:
        return _initialised(state)
    if (command := _evaluated(state)) is not None:
        return command
    if not state.round_open:
        return _between_rounds(state, plan, draining)
    if _target_met(state, plan):
        return _finish(state, "target_accuracy")
    if state.decision is None:
        return _close(state, plan, now)
    return _committed(state)


def _initialised(state: RunState) -> Command | None:
    step = state.step(INIT_STEP)
    if step is None or not step.succeeded:
        return None
    return Record("initialised", {"model": step.outputs["model"], "partition": step.outputs.get("partition")})


def _evaluated(state: RunState) -> Command | None:
    step = state.step(evaluate_step(state.committed))
    if step is None or not step.succeeded:
        return None
    metrics = dict(step.metrics)
    fields = {"round": state.committed, "loss": metrics.get("loss"), "accuracy": metrics.get("accuracy")}
    return Record("evaluated", {**fields, "examples": step.examples, "metrics": metrics})


def _between_rounds(state: RunState, plan: RunPlan, draining: bool) -> Command | None:
    """After a commit: stop, or open the next round. A run that stops evaluates its last model first."""
    if _target_met(state, plan):
        return _finish(state, "target_accuracy")
    reason = _stop_reason(state, plan, draining)
    if reason is not None:
        return _finish(state, reason) if state.committed in state.evaluated or not state.committed else None
    round_ = state.committed + 1
    chosen = plan.selector.select(plan.clients, plan.per_round, seed=plan.seed, round_=round_)
    return Record("round_opened", {"round": round_, "clients": list(chosen), "model": state.model})


def _stop_reason(state: RunState, plan: RunPlan, draining: bool) -> str | None:
    if state.committed >= plan.rounds:
        return "rounds"
    if plan.time_budget_s is not None and state.elapsed >= plan.time_budget_s:
        return "time_budget"
    return "stopped" if draining else None


def _target_met(state: RunState, plan: RunPlan) -> bool:
    accuracy = state.evaluated.get(state.committed, {}).get("accuracy")
    return plan.target_accuracy is not None and accuracy is not None and accuracy >= plan.target_accuracy


def _close(state: RunState, plan: RunPlan, now: float) -> Command | None:
    """All clients have a receipt; or the quorum is met and the rest has been given up or the deadline has passed."""
    if _awaits_evaluation(state, plan):
        return None
    total = len(state.clients)
    if state.succeeded == total:
        reason = "all"
    elif state.succeeded < plan.quorum:
        return None
    elif state.succeeded + state.given_up == total:
        reason = "quorum"
    elif plan.round_deadline_s is not None and now >= state.opened_at + plan.round_deadline_s:
        reason = "deadline"
    else:
        return None
    steps = [state.steps[StepKey(train_step(state.round), client)] for client in state.clients]
    counted = tuple(step for step in steps if step.succeeded)
    dropped = tuple(step.key.subject for step in steps if not step.succeeded)
    return Close(state.round, reason, counted, dropped)


def _awaits_evaluation(state: RunState, plan: RunPlan) -> bool:
    """The last commit's evaluation may still end the run."""
    return evaluation_due(state.committed, plan) and state.committed not in state.evaluated


def evaluation_due(round_: int, plan: RunPlan) -> bool:
    return round_ > 0 and (round_ % plan.evaluate_every == 0 or round_ >= plan.rounds)


def _committed(state: RunState) -> Command | None:
    step = state.step(aggregate_step(state.round))
    if step is None or not step.succeeded:
        return None
    return Record("committed", {"round": state.round, "model": step.outputs["model"], "state": step.outputs.get("state")})


def _finish(state: RunState, reason: str) -> Command:
    last = state.evaluated.get(state.committed, {})
    fields = {"rounds": state.committed, "model": state.model, "loss": last.get("loss"), "accuracy": last.get("accuracy")}
    return Record("finished", {"stop_reason": reason, **fields, "seconds": round(state.elapsed, 3)})


def _requests(state: RunState, plan: RunPlan, now: float) -> Iterator[Command]:
    """First attempts and due retries, as many as the clusters have room for; and the evaluation that is due."""
    free = {cluster: limit - state.busy[cluster] for cluster, limit in plan.capacity.items()}
    evaluation = _evaluation_to_request(state, plan)
    for key in [*([evaluation] if evaluation else []), *state.ready(now)]:
        cluster = plan.cluster_of.get(key.subject, plan.server_cluster)
        if free[cluster] > 0:
            free[cluster] -= 1
            yield Request(key, state.steps[key].round if key in state.steps else state.committed)
        elif not any(room > 0 for room in free.values()):
            return


def _evaluation_to_request(state: RunState, plan: RunPlan) -> StepKey | None:
    """The last commit's, when it is due or when the run ends here."""
    round_ = state.committed
    if round_ == 0 or round_ in state.evaluated or state.step(evaluate_step(round_)) is not None:
        return None
    if evaluation_due(round_, plan) or not state.round_open:
        return StepKey(evaluate_step(round_), SERVER)
    return None


def _failure(state: RunState, plan: RunPlan) -> Fail | None:
    """A step nobody can do without was given up, or too many clients were."""
    for key in (INIT_STEP, aggregate_step(state.round), evaluate_step(state.committed)):
        step = state.step(key)
        if step is not None and step.given_up:
            return Fail(f"{step.function} failed {step.attempt} times on {step.cluster}: {step.error}")
    if state.round_open and state.decision is None and len(state.clients) - state.given_up < plan.quorum:
        return Fail(_quorum_lost(state, plan))
    return None


def _quorum_lost(state: RunState, plan: RunPlan) -> str:
    lost = next(s for c in state.clients if (s := state.steps[StepKey(train_step(state.round), c)]).given_up)
    return (
        f"round {state.round} needs {plan.quorum} of {len(state.clients)} updates, and {state.given_up} clients were given up; "
        f"{lost.key.subject} failed {lost.attempt} times, last: {lost.error}"
    )
