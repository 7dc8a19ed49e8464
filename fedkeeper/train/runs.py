"""The run record: what a run needs to be found, shown and resumed. On disk before its first invocation.

    record("run", id) = {run, fabric, created, spec_file, spec_text, overrides, deploy_digest, run_digest, keep, end: null | {...}}

The spec's text is kept as it was, so that `resume` trains what `start` began even when the file has changed. It holds no secret.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from fedkeeper.errors import RunBusy, RunNotFound, UsageError
from fedkeeper.model import Json
from fedkeeper.stores.base import Store

_KIND = "run"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class RunRecord:
    """`end` is the finished run's summary, None while it is unfinished."""

    run: str
    fabric: str
    created: float
    spec_file: str
    spec_text: str
    overrides: tuple[tuple[str, str], ...]
    deploy_digest: str
    run_digest: str
    keep: int = 0  # last rounds whose weights stay in the store; 0: all
    end: dict[str, Json] | None = None

    def save(self, store: Store) -> None:
        store.put_record(_KIND, self.run, asdict(self))


@dataclass(frozen=True)
class RunSummary:
    """One line of `fedkeeper runs`."""

    run: str
    state: Literal["running", "finished", "unfinished"]
    created: float
    rounds: int
    accuracy: float | None
    stop_reason: str | None


def new_run_id(now: float | None = None) -> str:
    """Sorts by time; the tail keeps two runs of one second apart."""
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + "-" + secrets.token_hex(2)


def checked_id(run: str) -> str:
    """A run's id names a folder: UsageError for one that cannot."""
    if not _ID.fullmatch(run):
        raise UsageError(
            f"{run!r} cannot name a run", hint="letters, digits, '.', '_' and '-', 64 at most, a letter or digit first"
        )
    return run


def load(store: Store, run: str) -> RunRecord:
    data = store.get_record(_KIND, run)
    if data is None:
        raise RunNotFound(f"there is no run {run}")
    return _from_json(data)


def every(store: Store) -> list[RunRecord]:
    """All runs of the store, whatever their fabric, oldest first."""
    records = [_from_json(data) for data in store.records(_KIND).values()]
    return sorted(records, key=lambda record: (record.created, record.run))


def of_fabric(store: Store, fabric: str) -> list[RunRecord]:
    """Oldest first."""
    return [record for record in every(store) if record.fabric == fabric]


def latest(store: Store, fabric: str | None = None, *, unfinished: bool = False) -> RunRecord:
    """The newest run (of any fabric when none is named), or the newest that has not finished."""
    known = every(store) if fabric is None else of_fabric(store, fabric)
    found = [record for record in known if record.end is None or not unfinished]
    if not found:
        message = f"{fabric or 'this store'} has no {'unfinished ' if unfinished else ''}run"
        raise RunNotFound(message, hint="`fedkeeper start` begins one")
    return found[-1]


def create(store: Store, record: RunRecord) -> None:
    """Refuses an id that is taken."""
    if store.get_record(_KIND, record.run) is not None:
        raise UsageError(f"there is already a run {record.run}", hint="`fedkeeper resume` goes on with it")
    record.save(store)


def summarise(store: Store, records: Sequence[RunRecord]) -> list[RunSummary]:
    return [_summary(store, record) for record in records]


def is_running(store: Store, run: str) -> bool:
    """Whether an orchestrator holds the run now."""
    try:
        with store.lease(run):
            return False
    except RunBusy:
        return True


def _summary(store: Store, record: RunRecord) -> RunSummary:
    if record.end is not None:
        end = record.end
        return RunSummary(record.run, "finished", record.created, end["rounds"], end["accuracy"], end["stop_reason"])
    rounds, accuracy = 0, None
    for event in store.read_events(record.run):
        if event["type"] == "committed":
            rounds = event["round"]
        elif event["type"] == "evaluated":
            accuracy = event["accuracy"]
    state: Literal["running", "unfinished"] = "running" if is_running(store, record.run) else "unfinished"
    return RunSummary(record.run, state, record.created, rounds, accuracy, None)


def _from_json(data: dict[str, Json]) -> RunRecord:
    overrides = tuple((path, value) for path, value in data["overrides"])
    return RunRecord(**{**data, "overrides": overrides})
