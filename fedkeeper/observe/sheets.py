"""CSV files that grow line by line while somebody watches them, and how rows become cells.

touch(keys) per batch: a new key gets its line, a key that has one already makes the file stale
complete(keys) at the end: a stale file is written again, keys without a line get one
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from fedkeeper.model import Json
from fedkeeper.observe.rows import ActivationRow, ClientRow, RoundRow
from fedkeeper.observe.text import iso

ROUND_COLUMNS = (
    "round", "clients", "succeeded", "invoke_s", "train_s", "aggregate_s", "evaluate_s", "total_s", "loss", "accuracy",
)  # fmt: skip
ACTIVATION_COLUMNS = (
    "round", "client", "cluster", "function", "attempt", "activation_id", "state", "start", "end", "cold_start",
    "duration_s", "error",
)  # fmt: skip
CLIENT_COLUMNS = ("round", "client", "examples")  # and then the metrics the clients report

K = TypeVar("K", bound=Hashable)
Cells = list[Json]


class Sheet(Generic[K]):
    """One CSV file. It is rewritten in place, so a `tail -f` on it stays attached."""

    def __init__(self, path: Path, columns: Sequence[str], cells: Callable[[K, Sequence[str]], Cells]) -> None:
        self._columns, self._cells = tuple(columns), cells
        self._header = self._columns  # what the file's first line says
        self._lines: dict[K, None] = {}  # keys with a line, in the order of their lines
        self._stale = False
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(self._header)

    def widen(self, columns: Iterable[str]) -> None:
        """Add the columns that are not there yet: at once while the file has no line, at the end otherwise."""
        fresh = tuple(name for name in dict.fromkeys(columns) if name not in self._columns)
        self._columns += fresh
        if fresh and not self._lines:
            self._rewrite()
        self._stale |= bool(fresh and self._lines)

    def touch(self, keys: Iterable[K]) -> None:
        for key in dict.fromkeys(keys):
            if key in self._lines:
                self._stale = True
            else:
                self._lines[key] = None
                self._writer.writerow(self._cells(key, self._header))

    def complete(self, keys: Iterable[K]) -> None:
        self.touch(key for key in keys if key not in self._lines)
        if self._stale:
            self._rewrite()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _rewrite(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._header, self._stale = self._columns, False
        self._writer.writerow(self._header)
        self._writer.writerows(self._cells(key, self._header) for key in self._lines)


def round_cells(row: RoundRow) -> Cells:
    return [_cell(getattr(row, name)) for name in ROUND_COLUMNS]


def activation_cells(row: ActivationRow) -> Cells:
    times = {"start": iso(row.start), "end": iso(row.end)}
    return [times[name] if name in times else _cell(getattr(row, name)) for name in ACTIVATION_COLUMNS]


def client_cells(row: ClientRow, columns: Sequence[str]) -> Cells:
    metrics = columns[len(CLIENT_COLUMNS) :]
    return [row.round, row.client, row.examples, *(_cell(row.metrics.get(name)) for name in metrics)]


def _cell(value: Json) -> Json:
    """Six digits tell durations and scores apart without float noise; "" means "not known"."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1000 else f"{value:.3f}"
    return value
