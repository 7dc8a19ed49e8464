"""The folder of a run, `logs/<run>/`, written while the run goes on.

    events --fold--> run.log, rounds.csv, activations.csv, clients.csv, events.jsonl      (plots.py adds two pictures)

Lines are appended batch by batch, so `tail -f` works. A batch that starts at seq 0 is the whole past (a resume): the files
are made anew from it, and no line stands twice. What changes after its line was written (a receipt that turns up after the
attempt was given up, a metric that a later client adds) is put right when the run ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from fedkeeper.events import Event
from fedkeeper.observe import human
from fedkeeper.observe.sheets import (
    ACTIVATION_COLUMNS,
    CLIENT_COLUMNS,
    ROUND_COLUMNS,
    Sheet,
    activation_cells,
    client_cells,
    round_cells,
)
from fedkeeper.observe.view import ActivationKey, ClientKey, RoundTimes, RunFold, client_key, key_of


class RunFolder:
    """An Observer. `close` completes the files; closing twice is harmless. `fed`: a fold that somebody else feeds, before this."""

    def __init__(self, folder: Path, fed: RunFold | None = None) -> None:
        self.folder = folder
        self._fed = fed
        self._files: _Files | None = None

    def on_events(self, events: list[Event]) -> None:
        if not events:
            return
        if self._files is None or events[0].get("seq") == 0:
            self.close()
            self._files = _Files(self.folder, self._fed)
        self._files.write(events)

    def on_tick(self, waiting_for: str) -> None:
        """Nothing is written between events."""

    def close(self) -> None:
        if self._files is not None:
            self._files.close()
            self._files = None


class _Files:
    """The five open files, and the fold they are written from."""

    def __init__(self, folder: Path, fed: RunFold | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._feeds = fed is None
        self._fold = RunFold() if fed is None else fed
        self._log = (folder / "run.log").open("w", encoding="utf-8")
        self._events = (folder / "events.jsonl").open("w", encoding="utf-8")
        fold = self._fold
        self._rounds: Sheet[int] = Sheet(folder / "rounds.csv", ROUND_COLUMNS, lambda key, _: round_cells(fold.rounds[key].row()))
        self._activations: Sheet[ActivationKey] = Sheet(
            folder / "activations.csv", ACTIVATION_COLUMNS, lambda key, _: activation_cells(fold.activations[key])
        )
        self._clients: Sheet[ClientKey] = Sheet(
            folder / "clients.csv", CLIENT_COLUMNS, lambda key, columns: client_cells(fold.clients[key], columns)
        )
        self._open_rounds: dict[int, None] = {}  # rounds without a line yet

    def write(self, events: list[Event]) -> None:
        if self._feeds:
            self._fold.feed(events)
        self._write_texts(events)
        ended = [event for event in events if event["type"] == "ended"]
        self._activations.touch(key_of(event) for event in ended)
        self._write_clients(ended)
        self._write_rounds(events)
        for file in (self._log, self._events, self._rounds, self._activations, self._clients):
            file.flush()

    def close(self) -> None:
        fold = self._fold
        self._activations.complete(fold.activations)
        self._clients.complete(fold.clients)
        self._rounds.complete(number for number, times in fold.rounds.items() if _happened(times))
        for file in (self._log, self._events, self._rounds, self._activations, self._clients):
            file.close()

    def _write_texts(self, events: list[Event]) -> None:
        for event in events:
            self._events.write(json.dumps(dict(event), separators=(",", ":"), ensure_ascii=False) + "\n")
            row = self._fold.activations.get(key_of(event)) if event["type"] == "ended" else None
            line = human.line_of(event, cluster=row.cluster if row else "", rounds=self._fold.live.rounds_wanted)
            if line is not None:
                self._log.write(human.stamped(event, line) + "\n")

    def _write_clients(self, ended: list[Event]) -> None:
        keys = [client_key(event) for event in ended if event["state"] == "succeeded"]
        fresh = [key for key in dict.fromkeys(keys) if key in self._fold.clients]
        self._clients.widen(name for key in fresh for name in self._fold.clients[key].metrics)
        self._clients.touch(fresh)

    def _write_rounds(self, events: list[Event]) -> None:
        """In order, each once nothing more is expected of it."""
        for event in events:
            if event["type"] == "round_opened":
                self._open_rounds[int(event["round"])] = None
        late = [int(event["round"]) for event in events if event["type"] == "evaluated"]
        self._rounds.touch(number for number in late if number not in self._open_rounds)
        ready = list(self._ready())
        self._rounds.touch(ready)
        for number in ready:
            del self._open_rounds[number]

    def _ready(self) -> Iterator[int]:
        """The oldest open rounds as long as they are complete: committed, and evaluated or passed over."""
        for number in self._open_rounds:
            times = self._fold.rounds[number]
            passed_over = times.evaluate_from is None and self._fold.live.committed > number
            if times.committed is None or (times.evaluated is None and not passed_over):
                return
            yield number


def _happened(times: RoundTimes) -> bool:
    return times.committed is not None or times.evaluated is not None
