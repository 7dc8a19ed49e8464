"""Threads that nobody waits for: an interrupted orchestrator ends at once, whatever calls its threads are in.

submit(work) -> queue -> an idle thread, or a new one up to `limit`

`concurrent.futures` joins its threads when the interpreter ends, and a held call may last as long as its function's time limit.
Here nothing is lost with the thread: what a call was to bring is in the ledger as requested, and `resume` asks for its receipt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]


class Threads:
    """`submit` and `close` belong to one thread. `work` must not raise."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0
        self._closed = threading.Event()

    def submit(self, work: Work) -> None:
        self._queue.put(work)
        if not self._idle.acquire(blocking=False) and self._started < self._limit:
            self._started += 1
            threading.Thread(target=self._serve, name=f"{self._name}-{self._started}", daemon=True).start()

    def close(self) -> None:
        """What has not begun never will; what is under way is left alone."""
        self._closed.set()
        for _ in range(self._started):
            self._queue.put(None)

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None and not self._closed.is_set():
            work()
            self._idle.release()
