"""What is worth a line to somebody watching: rounds, scores, retries with their causes, warnings; never 10,000 lines at once.

batch of events --News.take--> [Line, ...]        a replayed past becomes one line
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fedkeeper.events import SERVER, Event
from fedkeeper.observe.human import Line, line_of
from fedkeeper.observe.live import Live
from fedkeeper.observe.text import count, score

_QUIET = ("initialised", "committed", "requested", "accepted")
_MANY = 5  # alike lines of one batch; the others are counted


class News:
    """Feeds `live` and tells what is new. `brief` leaves out what a panel shows anyway: rounds that open, and close with everyone."""

    def __init__(self, live: Live, *, brief: bool = False) -> None:
        self.live = live
        self._brief = brief

    def take(self, events: Sequence[Event]) -> list[Line]:
        if _is_past(events):
            for event in events:
                self.live.feed(event)
            return [Line("INFO", _summary(self.live))]
        return list(self._lines(events))

    def _lines(self, events: Sequence[Event]) -> Iterator[Line]:
        troubles = 0
        for event in events:
            self.live.feed(event)
            if event["type"] == "ended":
                trouble = event["state"] not in ("succeeded", "cancelled")
                troubles += trouble
                if not trouble or troubles > _MANY:
                    continue
            if event["type"] not in _QUIET and not (self._brief and _is_routine(event)):
                cluster = (
                    self.live.cluster(str(event["subject"])) if event["type"] == "ended" and event["subject"] != SERVER else ""
                )
                line = line_of(event, cluster=cluster, rounds=self.live.rounds_wanted)
                if line is not None:
                    yield line
        if troubles > _MANY:
            yield Line("WARNING", f"... and {count(troubles - _MANY, 'more attempt')} that failed, were lost or timed out")


def _is_routine(event: Event) -> bool:
    return event["type"] == "round_opened" or (event["type"] == "closed" and event.get("reason") == "all")


def _is_past(events: Sequence[Event]) -> bool:
    """A fresh run's first batch cannot hold a round: its initial model does not exist yet."""
    return bool(events) and events[0].get("seq") == 0 and any(event["type"] in ("round_opened", "resumed") for event in events)


def _summary(live: Live) -> str:
    text = f"run {live.run} of fabric {live.fabric}: {live.committed} of {count(live.rounds_wanted, 'round')} done before"
    return text if live.accuracy is None else f"{text}, accuracy {score(live.accuracy)}"
