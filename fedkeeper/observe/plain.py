"""The run in a pipe or a log: one plain line per noteworthy event, and a sign of life every ten seconds.

[0:02:14] round 3/10 opened: 100 clients
[0:02:24] round 3/10: 67 of 100 clients done, 23 running, 10 queued; waiting for 33 clients
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TextIO

from fedkeeper.events import Event
from fedkeeper.observe.human import INFO
from fedkeeper.observe.live import Live
from fedkeeper.observe.news import News
from fedkeeper.observe.text import clock, count, one_line

_EVERY_S = 10.0


class Plain:
    """An Observer that writes lines."""

    def __init__(
        self,
        stream: TextIO,
        *,
        cluster_of: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
        every_s: float = _EVERY_S,
    ) -> None:
        self._stream, self._now, self._every = stream, now, every_s
        self._news = News(Live(cluster_of))
        self._spoke = now()

    def on_events(self, events: list[Event]) -> None:
        for line in self._news.take(events):
            self._say(line.text if line.level == INFO else f"{line.level.lower()}: {line.text}")

    def on_tick(self, waiting_for: str) -> None:
        if self._now() - self._spoke >= self._every:
            self._say(standing(self._news.live, waiting_for))

    def close(self) -> None:
        self._stream.flush()

    def _say(self, text: str) -> None:
        self._spoke = self._now()
        self._stream.write(f"[{clock(self._news.live.elapsed(self._spoke))}] {text}\n")
        self._stream.flush()


def standing(live: Live, waiting_for: str) -> str:
    """Where the run stands, in one line."""
    waits = f"; waiting for {one_line(waiting_for)}" if waiting_for else ""
    if live.phase != "training":
        return f"{live.phase}{waits}"
    states = [f"{live.total(state):,} {state}" for state in ("running", "queued", "retrying", "failed") if live.total(state)]
    turn = f"round {live.round}/{live.rounds_wanted}" if live.rounds_wanted else f"round {live.round}"
    return ", ".join([f"{turn}: {live.total('done'):,} of {count(live.in_round, 'client')} done", *states]) + waits
