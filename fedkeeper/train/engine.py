"""The loop: observe, fold, decide, record, act; until the run is finished.

    tracker, dispatcher --observations--> record -> RunState -> decide -> record -> flush -> dispatch
         ^                                                                                      |
         `----------------------------- wait for a wake-up (or the next due time) <-------------'

Nothing is done before the event that announces it is durable. A signal only sets a flag: the loop stops between two steps,
records that it was interrupted, and `resume` goes on from the ledger.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from fedkeeper.errors import AccessDenied, FedKeeperError, FunctionNotFound, Interrupted, PayloadTooLarge, RunFailed
from fedkeeper.events import train_step
from fedkeeper.model import Fabric, Json, Role, StepKey
from fedkeeper.providers.base import Provider
from fedkeeper.states import ActivationState
from fedkeeper.stores.base import Store
from fedkeeper.train.assign import Assigner
from fedkeeper.train.dispatcher import Answered, Dispatcher, Order, Outcome, Recreated, Repairer, Taken
from fedkeeper.train.ledger import Ledger
from fedkeeper.train.program import Close, Fail, Record, Request, RunPlan, decide
from fedkeeper.train.retry import retry_in
from fedkeeper.train.state import RunState, Step
from fedkeeper.train.tracker import Observation, Tracker

_TICK_S = 0.1
_CONTROL_S = 0.5
_HOPELESS = (AccessDenied, PayloadTooLarge)  # trying again cannot help


class Engine:
    """Runs one run to its end. Construct, then `run()` once."""

    def __init__(
        self,
        fabric: Fabric,
        plan: RunPlan,
        *,
        store: Store,
        ledger: Ledger,
        state: RunState,
        assigner: Assigner,
        providers: Mapping[str, Provider],
        repairer: Repairer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fabric = fabric
        self._plan = plan
        self._store = store
        self._ledger = ledger
        self._state = state
        self._assigner = assigner
        self._clock = clock
        self._wake = threading.Event()
        self._dispatcher = Dispatcher(providers, repairer, self._wake.set)
        self._tracker = Tracker(store, ledger.run, providers, self._timeout_of, self._wake.set)
        self._interrupted = False
        self._draining = False
        self._next_control = 0.0
        self._orders: list[Order] = []

    def interrupt(self) -> None:
        """Ask the loop to stop between two steps (safe in a signal handler)."""
        self._interrupted = True
        self._wake.set()

    def run(self, *, resumed: bool = False) -> RunState:
        """Until finished. Raises RunFailed, Interrupted, or what the store and the providers raise; all but finishing can be resumed."""
        try:
            if resumed:
                self._take_over()
            while self._state.finished is None:
                self._turn()
            return self._state
        except RunFailed as exc:
            self._give_up("error", exc.message)
            raise
        finally:
            self._dispatcher.close()

    def _turn(self) -> None:
        if self._interrupted:
            self._give_up("signal", None)
            raise Interrupted(f"run {self._ledger.run} was interrupted in round {self._state.round}")
        self._look_for_stop()
        for outcome in self._dispatcher.take():
            self._take_outcome(outcome)
        for observation in self._tracker.look(self._state, self._clock()):
            self._end(observation)
        self._carry_out()
        self._ledger.flush()
        self._dispatch()
        self._ledger.tick(self._waiting_for())
        if self._state.finished is None:
            self._rest()

    def _rest(self) -> None:
        due = [_TICK_S]
        if (retry := self._state.next_retry()) is not None:
            due.append(retry - self._clock())
        if (throttled := self._dispatcher.next_due()) is not None:
            due.append(throttled)
        self._wake.wait(max(0.0, min(due)))
        self._wake.clear()

    # --- taking over after a crash ------------------------------------------------------------------------------------
    def _take_over(self) -> None:
        """What was in flight when the last orchestrator went: its receipts count, its silence is asked about at once."""
        for step in self._state.in_flight.values():
            self._tracker.expect(step)
        for observation in self._tracker.look(self._state, self._clock(), everywhere=True):
            self._end(observation)
        self._ledger.flush()

    # --- observations -------------------------------------------------------------------------------------------------
    def _take_outcome(self, outcome: Outcome) -> None:
        order = outcome.order
        if isinstance(outcome, Recreated):
            self._record("recreated", {"function": outcome.function, "cluster": outcome.cluster})
            return
        if isinstance(outcome, Taken):
            if self._state.accepts(order.key, order.attempt, ActivationState.ACCEPTED):
                self._record("accepted", {**self._names(order.key, order.attempt), "activation_id": outcome.activation_id})
                self._tracker.expect(self._state.steps[order.key])
            return
        step = self._state.steps.get(order.key)
        if step is None or step.attempt != order.attempt:
            return
        if isinstance(outcome, Answered):
            self._end(self._tracker.settle(step, outcome.activation_id))
        else:
            fields = {"error": str(outcome.error), "hopeless": isinstance(outcome.error, _HOPELESS)}
            self._end(Observation(order.key, order.attempt, ActivationState.FAILED, fields))

    def _end(self, observation: Observation) -> None:
        if not self._state.accepts(observation.key, observation.attempt, observation.state):
            return
        fields = dict(observation.fields)
        hopeless = fields.pop("hopeless", False)
        if observation.state.retryable and not hopeless:
            fields["retry_in"] = retry_in(self._state.steps[observation.key], self._fabric.training)
        self._record("ended", {**self._names(observation.key, observation.attempt), "state": observation.state.value, **fields})

    # --- commands -----------------------------------------------------------------------------------------------------
    def _carry_out(self) -> None:
        """Ask for commands until none is due. Each one's event is folded in before the next question."""
        while commands := decide(self._state, self._plan, self._clock(), draining=self._draining):
            for command in commands:
                if isinstance(command, Request):
                    self._request(command)
                elif isinstance(command, Close):
                    self._close_round(command)
                elif isinstance(command, Record):
                    if command.type == "finished":
                        self._cancel_all()
                    self._record(command.type, command.fields)
                elif isinstance(command, Fail):
                    raise RunFailed(
                        command.message, hint=f"`fedkeeper logs {self._ledger.run}` shows why; then `fedkeeper resume`"
                    )

    def _request(self, command: Request) -> None:
        step = self._state.steps.get(command.key)
        attempt = 1 + (step.attempt if step is not None else 0)
        assignment = self._assigner.assign(command.key, command.round, self._state)
        place = {"role": assignment.role.value, "cluster": assignment.cluster, "function": assignment.function}
        self._record("requested", {"round": command.round, **self._names(command.key, attempt), **place})
        lost = assignment.callee if step is not None and (step.error or "").startswith(FunctionNotFound.__name__) else None
        params = assignment.params(attempt)
        self._orders.append(Order(command.key, attempt, assignment.cluster, assignment.function, params, missing=lost))

    def _dispatch(self) -> None:
        """Only now: what is asked of the platforms is already on disk."""
        orders, self._orders = self._orders, []
        for order in orders:
            self._dispatcher.submit(order)

    def _close_round(self, command: Close) -> None:
        """The decision is a blob, durable before the event that names it."""
        entries = [[step.key.subject, step.outputs["update"], step.examples] for step in command.counted]
        decision = self._store.put_blob(json.dumps(entries, separators=(",", ":")).encode())
        self._cancel(StepKey(train_step(command.round), client) for client in command.dropped)
        fields = {"round": command.round, "decision": decision, "reason": command.reason}
        self._record("closed", {**fields, "counted": len(entries), "dropped": list(command.dropped)})

    def _cancel_all(self) -> None:
        self._cancel(list(self._state.in_flight))

    def _cancel(self, keys: Iterable[StepKey]) -> None:
        for key in keys:
            step = self._state.steps.get(key)
            if step is not None and step.in_flight:
                names = self._names(key, step.attempt)
                self._record("ended", {**names, "state": "cancelled", "error": "its result is no longer needed"})

    def _record(self, type_: str, fields: Mapping[str, Json]) -> None:
        self._state.apply(self._ledger.record(type_, fields))

    def _names(self, key: StepKey, attempt: int) -> dict[str, Json]:
        step = self._state.steps.get(key)
        round_ = {"round": step.round} if step is not None else {}
        return {**round_, "step": key.step, "subject": key.subject, "attempt": attempt}

    def _give_up(self, reason: str, error: str | None) -> None:
        """Best effort: the ledger is complete without this event."""
        try:
            self._record("interrupted", {"reason": reason, "error": error})
            self._ledger.flush()
        except FedKeeperError:
            return

    def _look_for_stop(self) -> None:
        now = self._clock()
        if now < self._next_control or self._draining:
            return
        self._next_control = now + _CONTROL_S
        control = self._store.get_record("control", self._ledger.run)
        self._draining = bool(control and control.get("stop"))

    def _timeout_of(self, step: Step) -> float:
        """The time limit of the function that does a step."""
        roles = {"train": Role.CLIENT, "aggregate": Role.AGGREGATOR, "evaluate": Role.EVALUATOR}
        role = roles.get(step.key.kind, Role.INIT)
        if role is Role.CLIENT and self._fabric.client(step.key.subject).weights == "relay":
            role = Role.INVOKER
        return float(self._fabric.functions[role].timeout_s)

    def _waiting_for(self) -> str:
        """In plain words, for people."""
        state = self._state
        flying = state.flying
        parts = []
        if flying["init"]:
            parts.append("fl_server_init (initial model and data)")
        if flying["train"]:
            parts.append(f"{flying['train']} clients")
        if flying["aggregate"]:
            parts.append("fl_server_aggregator")
        if flying["evaluate"]:
            parts.append(f"fl_evaluator (round {state.committed})")
        if self._dispatcher.throttled:
            parts.append(f"{self._dispatcher.throttled} throttled invocations")
        if not parts and (retry := state.next_retry()) is not None:
            parts.append(f"the next retry in {max(0.0, retry - self._clock()):.1f} s")
        return ", ".join(parts) or "nothing"
