"""What a run's tables do not hold: who came and went, what was left out, when nobody was at work.

event --feed: O(1)--> Story: a RunFold for the tables, and moments, drops, late results, pauses beside it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fedkeeper.events import EVENT_TYPES, Event
from fedkeeper.model import Json
from fedkeeper.observe.human import line_of
from fedkeeper.observe.live import names, size
from fedkeeper.observe.rows import RunView
from fedkeeper.observe.view import ActivationKey, RunFold, key_of

_MOMENTS = 2000  # kept; a run with more is told by their number
_GAVE_UP = ("failed", "timed_out", "lost")


@dataclass(frozen=True)
class Moment:
    """Something worth a line of its own."""

    time: float
    kind: str  # the event's type
    text: str


@dataclass(frozen=True)
class Dropped:
    """Clients of a round whose work was not counted."""

    round: int
    reason: str  # why the round closed
    clients: tuple[str, ...]
    number: int


class Story:
    """Feed it every event in order, then ask for `view()` and read the rest."""

    def __init__(self) -> None:
        self.fold = RunFold()
        self._handlers: dict[str, Callable[[Event, float], None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(type(self)) if name.startswith("_on_")
        }
        self._begin()

    def _begin(self) -> None:
        self.facts: Event = {}
        self.events = 0
        self.moments: list[Moment] = []
        self.more_moments = 0
        self.dropped: list[Dropped] = []
        self.late: set[ActivationKey] = set()
        self.pauses: list[tuple[float, float]] = []
        self.peak_mb: dict[str, float] = {}
        self.unknown: Counter[str] = Counter()
        self._gave_up: set[ActivationKey] = set()
        self._before = 0.0

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            kind = event["type"]
            time = float(event.get("time", self._before))
            handler = self._handlers.get(kind)
            if handler is not None:
                handler(event, time)
            elif kind not in EVENT_TYPES:
                self.unknown[str(kind)] += 1
            self.fold.feed((event,))
            self._before = time
            self.events += 1

    def view(self, now: float | None = None) -> RunView:
        return self.fold.view(now)

    def worked(self, time: float) -> float:
        """Seconds from the run's start to that moment in which an orchestrator was at work."""
        gone = sum([min(time, end) - start for start, end in self.pauses if time > start]) if self.pauses else 0.0
        return max(0.0, time - gone - self.fold.live.started)

    # --- events --------------------------------------------------------------------------------------------------
    def _on_run_started(self, event: Event, _time: float) -> None:
        self._begin()
        self.facts = event

    def _on_resumed(self, event: Event, time: float) -> None:
        self.pauses.append((self._before, time))
        self._note(event, time)

    def _on_ended(self, event: Event, _time: float) -> None:
        key = key_of(event)
        if event["state"] in _GAVE_UP:
            self._gave_up.add(key)
        elif event["state"] == "succeeded":
            if key in self._gave_up:
                self.late.add(key)
            self._measure(event)

    def _on_closed(self, event: Event, _time: float) -> None:
        number = size(event.get("dropped"))
        if number:
            clients = tuple(names(event.get("dropped")))
            self.dropped.append(Dropped(int(event["round"]), str(event.get("reason") or ""), clients, number))

    def _note(self, event: Event, time: float) -> None:
        line = line_of(event)
        if line is not None and len(self.moments) < _MOMENTS:
            self.moments.append(Moment(time, event["type"], line.text))
        else:
            self.more_moments += 1

    _on_interrupted = _on_recreated = _on_warning = _note

    def _measure(self, event: Event) -> None:
        """What the function noted about its process."""
        known = self.fold.activations.get(key_of(event))
        peak = _number((event.get("notes") or {}).get("peak_rss_mb"))
        if known is not None and peak is not None:
            self.peak_mb[known.cluster] = max(self.peak_mb.get(known.cluster, 0.0), peak)


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
