"""A pure fold of a run's events into its tables.

    [event, ...] --view_of--> RunView                 all at once
    batch by batch --RunFold.feed--> rows so far      what folder.py writes from; O(1) per event

The answer does not depend on how the events were cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from fedkeeper.events import Event
from fedkeeper.model import Json
from fedkeeper.observe.live import Live, size
from fedkeeper.observe.rows import ActivationRow, ClientRow, Counts, RoundRow, RunView
from fedkeeper.observe.text import one_line
from fedkeeper.states import ActivationState

ActivationKey = tuple[str, str, int]  # step, subject, attempt
ClientKey = tuple[int, str]  # round, client
_FAILED = frozenset(state.value for state in ActivationState if state.retryable)
_ERROR_LIMIT = 1000  # characters of an error kept per activation


@dataclass
class RoundTimes:
    """The moments of one round, from which its row follows. Time in which no orchestrator was at work is taken out of them."""

    round: int
    clients: int = 0
    succeeded: int | None = None
    opened: float | None = None
    invoked: float | None = None
    closed: float | None = None
    committed: float | None = None
    evaluate_from: float | None = None
    evaluated: float | None = None
    evaluate_s: float | None = None  # as its platform measured it: without waiting for a free worker
    loss: float | None = None
    accuracy: float | None = None
    closed_by: str = ""
    model: str = ""

    def row(self) -> RoundRow:
        invoked = self.invoked if self.invoked is not None else self.opened
        return RoundRow(
            round=self.round,
            clients=self.clients,
            succeeded=self.succeeded,
            invoke_s=_span(self.opened, invoked) if self.closed is not None or self.invoked is not None else None,
            train_s=_span(invoked, self.closed),
            aggregate_s=_span(self.closed, self.committed),
            evaluate_s=self.evaluate_s if self.evaluate_s is not None else _span(self.evaluate_from, self.evaluated),
            total_s=_span(self.opened, self.committed),
            loss=self.loss,
            accuracy=self.accuracy,
            closed_by=self.closed_by,
            model=self.model,
        )


class RunFold:
    """The fold's state: rows are frozen, replaced as more becomes known."""

    def __init__(self) -> None:
        self.live = Live()
        self._handlers: dict[str, Callable[[Event, float], None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(type(self)) if name.startswith("_on_")
        }
        self._begin()

    def _begin(self) -> None:
        self.rounds: dict[int, RoundTimes] = {}
        self.activations: dict[ActivationKey, ActivationRow] = {}
        self.clients: dict[ClientKey, ClientRow] = {}
        self.warnings: list[str] = []
        self._requested = self._succeeded = self._failed = 0

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            self.live.feed(event)
            handler = self._handlers.get(event["type"])
            if handler is not None:
                handler(event, float(event.get("time", self.live.updated)))

    @property
    def counts(self) -> Counts:
        return Counts(self._requested, self._succeeded, self._failed, self.live.retries)

    def view(self, now: float | None = None) -> RunView:
        """The rows so far. `now` is the clock for durations still growing; without it, the last event's time."""
        live, moment = self.live, self.live.updated if now is None else now
        return RunView(
            run=live.run, fabric=live.fabric, task=live.task, strategy=live.strategy, phase=live.phase,
            round=live.round, rounds_wanted=live.rounds_wanted, target_accuracy=live.target_accuracy,
            started=live.started, updated=live.updated,
            seconds=live.elapsed(moment) if live.seconds is None else float(live.seconds),
            finished=live.phase == "finished", stop_reason=live.stop_reason,
            model=live.model, accuracy=live.accuracy, loss=live.loss, eta_s=live.eta(moment), counts=self.counts,
            clusters={name: dict(states) for name, states in live.clusters.items()},
            rounds=tuple(times.row() for times in self.rounds.values()),
            activations=tuple(self.activations.values()),
            clients=tuple(self.clients.values()),
            warnings=tuple(self.warnings),
        )  # fmt: skip

    # --- events --------------------------------------------------------------------------------------------------
    def _on_run_started(self, _event: Event, _time: float) -> None:
        self._begin()

    def _on_requested(self, event: Event, time: float) -> None:
        self._requested += 1
        self.activations[key_of(event)] = ActivationRow(
            round=int(event.get("round") or 0),
            step=str(event["step"]),
            client=str(event["subject"]),
            attempt=int(event["attempt"]),
            requested=time,
            role=str(event.get("role") or ""),
            cluster=str(event.get("cluster") or ""),
            function=str(event.get("function") or ""),
        )
        times = self.rounds.get(int(event.get("round") or 0))
        if times is not None and times.evaluate_from is None and str(event["step"]).endswith("/evaluate"):
            times.evaluate_from = time - self.live.paused_s

    def _on_accepted(self, event: Event, time: float) -> None:
        row = self._row(event, time)
        if row.state == "requested":
            row = replace(row, state="accepted", activation_id=str(event.get("activation_id") or ""), start=time)
            self.activations[key_of(event)] = row
            self._invoked(row, time)

    def _on_ended(self, event: Event, time: float) -> None:
        before = self._row(event, time)
        state = str(event["state"])
        if before.state == "requested":
            self._invoked(before, time)
        self._succeeded += (state == "succeeded") - (before.state == "succeeded")
        self._failed += (state in _FAILED) - (before.state in _FAILED)
        self.activations[key_of(event)] = _ended(before, event, time)
        if state == "succeeded" and before.step.endswith("/evaluate"):
            self._evaluation_took(event)
        if state == "succeeded" and _is_train(before.step):
            client = ClientRow(before.round, before.client, int(event.get("examples") or 0), _numbers(event.get("metrics")))
            self.clients.setdefault((before.round, before.client), client)

    def _evaluation_took(self, event: Event) -> None:
        times = self.rounds.get(int(event.get("round") or 0))
        if times is not None:
            times.evaluate_s = _span(event.get("started"), event.get("finished"))

    def _on_round_opened(self, event: Event, time: float) -> None:
        times = self._times(event)
        times.opened, times.clients = time - self.live.paused_s, size(event.get("clients"))

    def _on_closed(self, event: Event, time: float) -> None:
        times = self._times(event)
        times.closed, times.succeeded = time - self.live.paused_s, size(event.get("counted"))
        times.closed_by = str(event.get("reason") or "")

    def _on_committed(self, event: Event, time: float) -> None:
        times = self._times(event)
        times.committed, times.model = time - self.live.paused_s, str(event.get("model") or "")

    def _on_evaluated(self, event: Event, time: float) -> None:
        times = self._times(event)
        times.evaluated, times.loss, times.accuracy = time - self.live.paused_s, event.get("loss"), event.get("accuracy")

    def _on_warning(self, event: Event, _time: float) -> None:
        self.warnings.append(one_line(event.get("message", ""), _ERROR_LIMIT))

    # --- pieces --------------------------------------------------------------------------------------------------
    def _row(self, event: Event, time: float) -> ActivationRow:
        """The attempt's row; one that was never requested (a foreign ledger) is made up from what the event says."""
        known = self.activations.get(key_of(event))
        if known is not None:
            return known
        step, subject, attempt = key_of(event)
        return ActivationRow(int(event.get("round") or 0), step, subject, attempt, time)

    def _times(self, event: Event) -> RoundTimes:
        number = int(event["round"])
        return self.rounds.setdefault(number, RoundTimes(number))

    def _invoked(self, row: ActivationRow, time: float) -> None:
        """A first attempt has reached its platform (or ended before): invoking took at least until now."""
        times = self.rounds.get(row.round)
        if times is not None and times.closed is None and row.attempt == 1 and _is_train(row.step):
            times.invoked = time - self.live.paused_s


def view_of(events: Iterable[Event], now: float | None = None) -> RunView:
    fold = RunFold()
    fold.feed(events)
    return fold.view(now)


def key_of(event: Event) -> ActivationKey:
    return str(event["step"]), str(event["subject"]), int(event["attempt"])


def client_key(event: Event) -> ClientKey:
    return int(event.get("round") or 0), str(event["subject"])


def _ended(row: ActivationRow, event: Event, time: float) -> ActivationRow:
    """Start and end are the platform's where it tells them, else what the ledger saw."""
    start, end = event.get("started"), event.get("finished")
    return replace(
        row,
        state=str(event["state"]),
        activation_id=str(event.get("activation_id") or row.activation_id),
        client_activation_id=str(event.get("client_activation_id") or row.client_activation_id),
        start=float(start) if start is not None else (row.start if row.start is not None else row.requested),
        end=float(end) if end is not None else time,
        cold_start=event.get("cold_start", row.cold_start),
        error=one_line(event.get("error") or "", _ERROR_LIMIT),
    )


def _is_train(step: str) -> bool:
    return step.endswith("/train")


def _span(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)


def _numbers(metrics: Json) -> dict[str, float]:
    return {str(name): value for name, value in (metrics or {}).items()}
