"""Batched looks at activations: as few requests as the API allows.

    few ids ---------------------> one GET each (with error and result)
    many: list since the oldest -> summaries, as many pages as there are ids; the failed ones are fetched for their error
    not on these pages ----------> some GETs a look, in turn (a short last page proves: no record yet)
    no record and late ----------> one GET before it is given up as LOST
    an id we did not start ------> one GET: its record, or LOST

OpenWhisk has no record of an activation that has not ended, so we remember what was started here, and when by the server's clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fedkeeper.model import Json
from fedkeeper.providers.base import ActivationStatus
from fedkeeper.providers.openwhisk import activations
from fedkeeper.providers.openwhisk.activations import PAGE, Started
from fedkeeper.providers.openwhisk.client import Client
from fedkeeper.providers.openwhisk.outcome import status_of
from fedkeeper.states import ActivationState

FEW = 4
SINGLES = 32  # single looks in one batched look
SLACK_S = 2.0  # the Date header has whole seconds, and controllers of one installation differ a little
FAR_S = 300.0  # how far our clock may be from a server that does not tell its own
GRACE_S = 120.0  # in a queue, and until the record is in the database
REMEMBERED = 50_000
ACCEPTED = ActivationStatus(ActivationState.ACCEPTED)
LOST = ActivationStatus(ActivationState.LOST)


@dataclass(frozen=True)
class _Open:
    since: float  # not later than its start, on the server's clock
    late: float  # monotonic


class Looks:
    """Knows which activations this process has started. Thread-safe."""

    def __init__(self, client: Client, max_timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._patience = 2 * max_timeout_s + GRACE_S  # init and run may take the whole limit each
        self._clock = clock
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()
        self._turn = 0

    def begin(self, started: Started) -> None:
        since = time.time() - FAR_S if started.server_time is None else started.server_time - SLACK_S
        with self._lock:
            self._open[started.activation_id] = _Open(since, self._clock() + self._patience)
            if len(self._open) > REMEMBERED:
                del self._open[next(iter(self._open))]

    def status(self, activation_ids: Sequence[str]) -> dict[str, ActivationStatus]:
        with self._lock:
            ours = {name: self._open[name] for name in activation_ids if name in self._open}
        if len(activation_ids) <= FEW:
            found = self._single(activation_ids, ours)
        else:
            found, failed, covered = self._listed(ours) if ours else ({}, [], True)
            open_ = [name for name in activation_ids if name not in found]
            strange = [name for name in open_ if self._strange(name, ours)]
            found |= self._single([*failed, *strange, *([] if covered else self._some(open_))][:SINGLES], ours)
        self._forget(name for name, status in found.items() if status.state.ended)
        return {name: found.get(name, ACCEPTED) for name in activation_ids}

    def _listed(self, ours: dict[str, _Open]) -> tuple[dict[str, ActivationStatus], list[str], bool]:
        """Those that succeeded; the names of those that did not (a summary does not say why); whether the list was read to its end."""
        oldest = min(entry.since for entry in ours.values())
        ended: dict[str, ActivationStatus] = {}
        covered = False
        for page in range(len(ours) // PAGE + 2):
            entries = activations.since(self._client, oldest, page * PAGE)
            ended |= {entry["activationId"]: status_of(entry) for entry in entries if _ours_and_ended(entry, ours)}
            covered = len(entries) < PAGE or len(ended) == len(ours)
            if covered:
                break
        good = {name: status for name, status in ended.items() if status.state is ActivationState.SUCCEEDED}
        return good, [name for name in ended if name not in good], covered

    def _some(self, names: Sequence[str]) -> list[str]:
        """Others at every look, so that each has its turn."""
        first = self._turn % len(names) if names else 0
        self._turn = first + SINGLES
        return [*names[first:], *names[:first]]

    def _strange(self, name: str, ours: dict[str, _Open]) -> bool:
        return name not in ours or ours[name].late <= self._clock()

    def _single(self, names: Iterable[str], ours: dict[str, _Open]) -> dict[str, ActivationStatus]:
        found = {}
        for name in names:
            record = activations.record(self._client, name)
            if record is not None:
                found[name] = status_of(record)
            elif self._strange(name, ours):
                found[name] = LOST
        return found

    def _forget(self, names: Iterable[str]) -> None:
        with self._lock:
            for name in names:
                self._open.pop(name, None)


def _ours_and_ended(entry: dict[str, Json], ours: dict[str, _Open]) -> bool:
    return entry["activationId"] in ours and ("end" in entry or "statusCode" in entry)
