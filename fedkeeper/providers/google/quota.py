"""The API's write quota (60 deploys and deletions a minute, by default): kept to, and when Google says 429, everybody waits.

through(attempt) -> at most `per_minute` within any minute -> attempt
thread 1 --429--> closed for 1 s, 2 s, 4 s ... 30 s ---> tried again, one after the other ---> goes on
thread 2 ---------waits at the same gate------------'
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from fedkeeper.errors import Throttled

T = TypeVar("T")
FIRST_S = 1.0
MOST_S = 30.0
PATIENCE_S = 900.0
MINUTE_S = 60.5  # a little more: Google's clock is not ours


class Gate:
    """Shared by all writers of one cluster. A platform that stays closed for `patience_s` is an error."""

    def __init__(
        self,
        *,
        per_minute: int | None = None,
        patience_s: float = PATIENCE_S,
        first_s: float = FIRST_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._patience_s = patience_s
        self._first_s = self._delay = first_s
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._opens = 0.0
        self._per_minute = per_minute
        self._begun: deque[float] = deque()

    def through(self, attempt: Callable[[], T]) -> T:
        """`attempt` once it gets through; other errors than Throttled are the caller's."""
        until = self._clock() + self._patience_s
        while True:
            self._wait()
            try:
                done = attempt()
            except Throttled as exc:
                if self._clock() >= until:
                    raise
                self._close(exc.retry_after)
                continue
            with self._lock:
                self._delay = self._first_s
            return done

    def _wait(self) -> None:
        self._pace()
        while (left := self._opens - self._clock()) > 0:
            self._sleep(left + random.uniform(0, 0.25) * min(left, 4.0))  # not all at the same moment

    def _pace(self) -> None:
        while self._per_minute is not None:
            with self._lock:
                now = self._clock()
                while self._begun and self._begun[0] <= now - MINUTE_S:
                    self._begun.popleft()
                if len(self._begun) < self._per_minute:
                    self._begun.append(now)
                    return
                left = self._begun[0] + MINUTE_S - now
            self._sleep(max(left, 0.01))

    def _close(self, retry_after: float | None) -> None:
        with self._lock:
            if self._opens > self._clock():
                return  # another thread has just found out
            self._opens = self._clock() + (retry_after if retry_after is not None else self._delay)
            self._delay = min(MOST_S, self._delay * 2)
