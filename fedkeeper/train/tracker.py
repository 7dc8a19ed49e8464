"""Finds out how activations ended. Receipts are the truth about success; a platform's status only explains silence.

platform tells us (subscribe)  -> that activation's status, that step's receipt
otherwise, every poll          -> one batched look at the receipts of each step in flight
silence past a deadline        -> ask the platform by activation id: lost, failed, timed out, or still running
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from fedkeeper.model import Json, Receipt, StepKey
from fedkeeper.providers.base import ActivationStatus, InvocationMode, Provider
from fedkeeper.states import ActivationState
from fedkeeper.stores.base import Store
from fedkeeper.train.state import RunState, Step

_S = ActivationState
_POLL_S = 0.25  # between looks where platforms do not tell; grows with the time a look takes
_LOOK_SHARE = 10  # a look may cost at most 1/10 of the time
_ASK_S = 5.0  # between questions to a platform about the same silence
_EARLY = 20_000  # ended activations kept until we know whose they are
_GRACE_S = 5.0  # beyond a function's own time limit before its silence counts


@dataclass(frozen=True)
class Observation:
    """How an attempt ended, to be recorded if the state still accepts it."""

    key: StepKey
    attempt: int
    state: ActivationState
    fields: Mapping[str, Json] = field(default_factory=dict)


class Tracker:
    """One per run. `look` belongs to the engine's thread; the subscriptions come from any."""

    def __init__(
        self,
        store: Store,
        run: str,
        providers: Mapping[str, Provider],
        timeout_of: Callable[[Step], float],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._run = run
        self._providers = providers
        self._timeout_of = timeout_of
        self._ended: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._telling = {name for name, p in providers.items() if p.subscribe(self._ear(name, wake))}
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        self._by_id: dict[tuple[str, str], StepKey] = {}
        self._early: dict[tuple[str, str], None] = {}  # ended before their acceptance was folded in
        self._next_look = 0.0
        self._next_ask = 0.0

    def expect(self, step: Step) -> None:
        """An activation id has become known."""
        if step.activation_id is None:
            return
        place = (step.cluster, step.activation_id)
        self._by_id[place] = step.key
        if place in self._early:
            del self._early[place]
            self._ended.put(place)

    def look(self, state: RunState, now: float, *, everywhere: bool = False) -> list[Observation]:
        """Everything that has ended since the last look. `now` is Unix time; `everywhere` looks at once and at all steps (resume)."""
        seen = self._told(state)
        if everywhere or now >= self._next_look:
            began = time.monotonic()
            seen += self._polled(state, everywhere)
            self._next_look = now + max(_POLL_S, _LOOK_SHARE * (time.monotonic() - began))
        if everywhere or now >= self._next_ask:
            self._next_ask = now + 1.0
            seen += self._asked(state, now, everywhere)
        return seen

    def settle(self, step: Step, activation_id: str | None) -> Observation:
        """A held call has returned: its receipt decides."""
        return self._verdict(step, ActivationStatus(_S.SUCCEEDED), activation_id)

    def _ear(self, cluster: str, wake: Callable[[], None]) -> Callable[[str], None]:
        def hear(activation_id: str) -> None:
            self._ended.put((cluster, activation_id))
            wake()

        return hear

    def _told(self, state: RunState) -> list[Observation]:
        """Activations whose platform said that they ended."""
        ids: defaultdict[str, list[str]] = defaultdict(list)
        while True:
            try:
                cluster, activation_id = self._ended.get_nowait()
            except Empty:
                break
            if (cluster, activation_id) in self._by_id:
                ids[cluster].append(activation_id)
            else:
                self._keep_early((cluster, activation_id))
        seen = []
        for cluster, asked in ids.items():
            for activation_id, status in self._providers[cluster].status(asked).items():
                step = self._in_flight(state, cluster, activation_id)
                if step is not None and status.state.ended:
                    seen.append(self._verdict(step, status, activation_id))
        return seen

    def _keep_early(self, place: tuple[str, str]) -> None:
        """A fast function may end before we have folded in that it was accepted. Others' activations age out."""
        self._early[place] = None
        if len(self._early) > _EARLY:
            del self._early[next(iter(self._early))]

    def _polled(self, state: RunState, everywhere: bool) -> list[Observation]:
        """One batched look per step name, where platforms do not tell us."""
        silent = [s for s in state.in_flight.values() if everywhere or s.cluster not in self._telling]
        found = []
        for name in dict.fromkeys(step.key.step for step in silent):
            for subject, receipt in self._store.receipts(self._run, name, self._known[name]).items():
                step = state.steps.get(StepKey(name, subject))
                self._known[name].add(subject)
                if step is not None and not step.succeeded and step.state is not None:
                    found.append((step, receipt))
        times = self._times([step for step, _ in found])
        return [_success(step, receipt, times.get(step.key)) for step, receipt in found]

    def _asked(self, state: RunState, now: float, everywhere: bool) -> list[Observation]:
        """Activations that are silent for too long, or all of them after a resume or where the platform can be asked cheaply."""
        late = [step for step in state.in_flight.values() if everywhere or now >= step.since + self._patience(step)]
        seen = []
        statuses = self._times(late)
        for step in late:
            status = statuses.get(step.key)
            if status is None:
                if everywhere and step.activation_id is None:
                    seen.append(self._verdict(step, ActivationStatus(_S.LOST, error="its acceptance was never recorded"), None))
                elif now >= step.since + self._timeout_of(step) + _GRACE_S:
                    seen.append(
                        self._verdict(
                            step, ActivationStatus(_S.TIMED_OUT, error="silent past its time limit"), step.activation_id
                        )
                    )
            elif status.state.ended:
                seen.append(self._verdict(step, status, step.activation_id))
        return seen

    def _patience(self, step: Step) -> float:
        """How long silence is normal: platforms that can be asked are asked every few seconds."""
        if step.activation_id is not None and InvocationMode.ASYNC_STATUS in self._providers[step.cluster].capabilities.modes:
            return _ASK_S
        return self._timeout_of(step) + _GRACE_S

    def _times(self, steps: Iterable[Step]) -> dict[StepKey, ActivationStatus]:
        """What the platforms say, in one question per cluster."""
        asked: defaultdict[str, dict[str, StepKey]] = defaultdict(dict)
        for step in steps:
            if step.activation_id is not None and InvocationMode.ASYNC_STATUS in self._providers[step.cluster].capabilities.modes:
                asked[step.cluster][step.activation_id] = step.key
        return {
            keys[activation_id]: status
            for cluster, keys in asked.items()
            for activation_id, status in self._providers[cluster].status(list(keys)).items()
        }

    def _in_flight(self, state: RunState, cluster: str, activation_id: str) -> Step | None:
        key = self._by_id.pop((cluster, activation_id))
        step = state.in_flight.get(key)
        return step if step is not None and step.activation_id == activation_id else None

    def _verdict(self, step: Step, status: ActivationStatus, activation_id: str | None) -> Observation:
        """A receipt makes success, whatever the status says; "success" without one is a failure."""
        receipt = self._store.get_receipt(self._run, step.key)
        if receipt is not None:
            return _success(step, receipt, status)
        state = status.state if status.state is not _S.SUCCEEDED else _S.FAILED
        error = status.error or ("it ended without writing a receipt" if status.state is _S.SUCCEEDED else state.value)
        return Observation(step.key, step.attempt, state, {"error": error, "activation_id": activation_id, **_facts(status)})


def _success(step: Step, receipt: Receipt, status: ActivationStatus | None) -> Observation:
    notes = dict(receipt.notes)
    fields = {
        "receipt": receipt.digest, "outputs": dict(receipt.outputs), "examples": receipt.examples, "metrics": dict(receipt.metrics),
        "notes": notes, "activation_id": step.activation_id, **(_facts(status) if status is not None else {}),
    }  # fmt: skip
    if notes.get("client_activation_id"):
        fields["client_activation_id"] = notes["client_activation_id"]
    return Observation(step.key, step.attempt, _S.SUCCEEDED, fields)


def _facts(status: ActivationStatus) -> dict[str, Json]:
    return {"started": status.started, "finished": status.ended, "cold_start": status.cold_start}
