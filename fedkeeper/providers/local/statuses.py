"""What the provider remembers of activations: those under way, and the latest that ended. Thread-safe.

begin(id) -> ACCEPTED --end(id, status)--> SUCCEEDED | FAILED | ...
                      --lose(owner)------> LOST       (its platform process is gone)
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from fedkeeper.providers.base import ActivationStatus
from fedkeeper.providers.local.wire import Frame
from fedkeeper.states import ActivationState

REMEMBERED = 20_000
UNDER_WAY = ActivationStatus(ActivationState.ACCEPTED)


class _Entry(NamedTuple):
    owner: object  # the platform process that runs it
    answer: Future[Frame] | None


class Statuses:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[str, _Entry] = {}
        self._ended: OrderedDict[str, ActivationStatus] = OrderedDict()

    def begin(self, activation_id: str, owner: object, answer: Future[Frame] | None) -> None:
        with self._lock:
            self._under_way[activation_id] = _Entry(owner, answer)

    def get(self, activation_id: str) -> ActivationStatus | None:
        with self._lock:
            return UNDER_WAY if activation_id in self._under_way else self._ended.get(activation_id)

    def end(self, activation_id: str, status: ActivationStatus, frame: Frame) -> None:
        entry = self._close(activation_id, status)
        if entry is not None and entry.answer is not None:
            entry.answer.set_result(frame)

    def lose(self, owner: object, status: Callable[[str], ActivationStatus], error: Exception) -> list[str]:
        """Everything the owner had under way ends with what `status` says of it. Returns the ids."""
        with self._lock:
            lost = [activation_id for activation_id, entry in self._under_way.items() if entry.owner is owner]
        for activation_id in lost:
            entry = self._close(activation_id, status(activation_id))
            if entry is not None and entry.answer is not None:
                entry.answer.set_exception(error)
        return lost

    def forget(self, activation_id: str) -> None:
        """It never reached a platform."""
        with self._lock:
            self._under_way.pop(activation_id, None)

    def _close(self, activation_id: str, status: ActivationStatus) -> _Entry | None:
        with self._lock:
            entry = self._under_way.pop(activation_id, None)
            if entry is not None:
                self._ended[activation_id] = status
                if len(self._ended) > REMEMBERED:
                    self._ended.popitem(last=False)
            return entry
