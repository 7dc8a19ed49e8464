"""Activations of one platform: those under way, and the latest that ended, with their answers; the ended ones survive the emulator.

    begin(id) -> ACCEPTED --end(outcome)--> memory and, by a thread of its own, <home>/outcomes/<id>   (the oldest are pruned)

One file holds a JSON line and the answer. Large answers are read from there again; memory keeps the small ones. Thread-safe.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from fedkeeper.emulator import files
from fedkeeper.emulator.stored import Outcome
from fedkeeper.states import ActivationState

SMALL = 1 << 14
KEPT_BYTES = 1 << 29  # of answers and logs
_log = logging.getLogger(__name__)


class History:
    def __init__(self, home: Path, keep: int) -> None:
        self._folder = files.folder(home / "outcomes")
        self._keep = keep
        self._lock = threading.Lock()
        self._under_way: dict[str, Outcome] = {}
        self._in_flight: dict[str, int] = {}
        self._ended: OrderedDict[str, Outcome] = OrderedDict()  # answers and logs above SMALL left out
        self._unwritten: dict[str, Outcome] = {}
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self._waiting: dict[str, list[Callable[[Outcome], None]]] = {}
        self._queue: queue.SimpleQueue[Outcome | str | None] = queue.SimpleQueue()
        self._load()
        self._thread = threading.Thread(target=self._write_all, name="fedkeeper-outcomes", daemon=True)
        self._thread.start()

    def begin(self, activation_id: str, scope: str, name: str) -> None:
        with self._lock:
            self._under_way[activation_id] = Outcome(activation_id, scope, name)
            self._in_flight[scope] = self._in_flight.get(scope, 0) + 1

    def end(self, outcome: Outcome) -> None:
        with self._lock:
            before = self._under_way.pop(outcome.id, None)
            if before is None:
                return
            self._in_flight[before.scope] -= 1
            self._unwritten[outcome.id] = outcome
            self._remember(outcome)
            waiting = self._waiting.pop(outcome.id, [])
        self._queue.put(outcome)
        for tell in waiting:
            tell(outcome)

    def in_flight(self, scope: str) -> int:
        with self._lock:
            return self._in_flight.get(scope, 0)

    def get(self, activation_id: str) -> Outcome | None:
        with self._lock:
            found = self._under_way.get(activation_id) or self._unwritten.get(activation_id) or self._ended.get(activation_id)
            large = self._sizes.get(activation_id, 0) > SMALL and activation_id not in self._unwritten
        return self._whole(found) if found is not None and large else found

    def when_ended(self, activation_id: str, tell: Callable[[Outcome], None]) -> Callable[[], None]:
        """`tell` is called, from any thread, when it ends (at once when it has). Returns what takes that back."""
        with self._lock:
            if activation_id in self._under_way:
                self._waiting.setdefault(activation_id, []).append(tell)
                return lambda: self._forget_waiting(activation_id, tell)
        found = self.get(activation_id)
        if found is not None:
            tell(found)
        return lambda: None

    def newest(self, scope: str, name: str | None) -> list[Outcome]:
        """Newest first, without large answers and logs."""
        with self._lock:
            known = [*reversed(self._under_way.values()), *reversed(self._ended.values())]
        return [outcome for outcome in known if outcome.scope == scope and name in (None, outcome.name)]

    def close(self) -> None:
        """Write what is not yet written."""
        self._queue.put(None)
        self._thread.join()

    # --- inside --------------------------------------------------------------------------------------------------
    def _forget_waiting(self, activation_id: str, tell: Callable[[Outcome], None]) -> None:
        with self._lock:
            waiting = self._waiting.get(activation_id, [])
            if tell in waiting:
                waiting.remove(tell)

    def _remember(self, outcome: Outcome) -> None:
        """Under the lock. Prunes by number and by bytes."""
        size = len(outcome.answer) + len(outcome.logs)
        self._ended[outcome.id] = replace(outcome, answer=b"", logs="") if size > SMALL else outcome
        self._sizes[outcome.id] = size
        self._bytes += size
        while len(self._ended) > self._keep or (self._bytes > KEPT_BYTES and len(self._ended) > 1):
            old, _ = self._ended.popitem(last=False)
            self._bytes -= self._sizes.pop(old)
            self._unwritten.pop(old, None)
            self._queue.put(old)

    def _write_all(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                if isinstance(item, str):
                    (self._folder / item).unlink(missing_ok=True)
                else:
                    self._write(item)
            except OSError as exc:  # a full disk: what is in memory stays, and the emulator goes on
                _log.warning("an activation cannot be kept: %s", exc)
            if isinstance(item, Outcome):
                with self._lock:
                    self._unwritten.pop(item.id, None)

    def _write(self, outcome: Outcome) -> None:
        header = {key: value for key, value in asdict(outcome).items() if key != "answer"}
        files.write(self._folder / outcome.id, json.dumps(header).encode() + b"\n" + outcome.answer)

    def _whole(self, outcome: Outcome) -> Outcome:
        with contextlib.suppress(OSError, ValueError):
            return _read(self._folder / outcome.id)
        return outcome

    def _load(self) -> None:
        found = []
        for path in self._folder.iterdir():
            if path.name.startswith("."):  # cut short by a crash
                path.unlink(missing_ok=True)
                continue
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # damaged: as if it had never been
                found.append(_read(path))
        for outcome in sorted(found, key=lambda outcome: outcome.ended or 0.0):
            self._remember(outcome)


def _read(path: Path) -> Outcome:
    header, _, answer = path.read_bytes().partition(b"\n")
    fields = json.loads(header)
    return Outcome(**{**fields, "state": ActivationState(fields["state"]), "answer": answer})
