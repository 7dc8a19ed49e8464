"""The run's ledger: events get a number and a time, become durable in batches, and only then reach the observers.

    record(type, fields) -> buffer --flush--> store.append(run, seq, batch) -> observers

A side effect that an event announces (an invocation) happens after the flush: what is on disk is never less than what was done.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from fedkeeper.errors import RunNotFound
from fedkeeper.events import EVENT_TYPES, Event, Observer
from fedkeeper.model import Json
from fedkeeper.stores.base import Store

_log = logging.getLogger(__name__)


class Ledger:
    """One per orchestrator and run. Fenced by the store: when somebody else appends, `flush` raises Fenced."""

    def __init__(
        self, store: Store, run: str, observers: Sequence[Observer] = (), clock: Callable[[], float] = time.time
    ) -> None:
        self.run = run
        self._store = store
        self._observers = observers
        self._clock = clock
        self._next = 0
        self._buffer: list[Event] = []

    def replay(self) -> list[Event]:
        """The whole past, which the observers see as one batch."""
        past = list(self._store.read_events(self.run))
        if not past:
            raise RunNotFound(f"run {self.run} has no ledger")
        self._next = int(past[-1]["seq"]) + 1
        self._tell(past)
        return past

    def record(self, type_: str, fields: Mapping[str, Json]) -> Event:
        """Number and keep an event until the next flush."""
        if type_ not in EVENT_TYPES:
            raise ValueError(f"{type_!r} is not an event type")
        event = {"seq": self._next, "time": round(self._clock(), 6), "type": type_, **fields}
        self._next += 1
        self._buffer.append(event)
        return event

    def flush(self) -> None:
        if not self._buffer:
            return
        batch, self._buffer = self._buffer, []
        self._store.append(self.run, int(batch[0]["seq"]), batch)
        self._tell(batch)

    def tick(self, waiting_for: str) -> None:
        for observer in self._observers:
            _guarded(observer.on_tick, waiting_for)

    def close(self) -> None:
        for observer in self._observers:
            _guarded(observer.close)

    def _tell(self, batch: list[Event]) -> None:
        for observer in self._observers:
            _guarded(observer.on_events, batch)


def _guarded(method: Callable[..., None], *args: object) -> None:
    """An observer watches; its failure is logged and the run goes on."""
    try:
        method(*args)
    except Exception:
        _log.exception("observer %s failed", getattr(method, "__self__", method))
