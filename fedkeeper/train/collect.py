"""Old weights leave the store: after each commit, the updates and the model of the rounds that `keep` no longer covers.

    committed r --> what round r - keep and those before it left --minus what any run still needs--> drop_blobs

Blobs are shared: equal work gives equal refs, so another run, also one of another fabric, may need what this one has done with. Each
run needs its last model and the weights of its last rounds (an unfinished one also those of the round that is open). Of this run its
events tell which; of the others their receipts, as their ledgers may be long. Receipts, close decisions, partitions and ledgers are
small and always stay.

A blob that is put again while it is being dropped stays: `drop_blobs` asks when it was last put, and the time it is asked about is that
of the commit, before anything of the next round was invoked. While another run is unfinished, nothing younger than `GRACE_S` goes: its
client may have put a blob whose receipt is not written yet.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from queue import SimpleQueue

from fedkeeper.errors import FedKeeperError
from fedkeeper.events import INIT_STEP, SERVER, Event, aggregate_step, train_step
from fedkeeper.model import Ref, StepKey
from fedkeeper.stores.base import Store
from fedkeeper.train.runs import RunRecord, every

GRACE_S = 600.0
_SETTLE_S = 2.0  # MongoDB knows in whole seconds when a blob was put: what is a little older goes for sure
_CLOSE_S = 10.0
_log = logging.getLogger(__name__)

Refs = frozenset[Ref]


@dataclass(frozen=True)
class Commit:
    """When, by the store's clock; the weights that only older rounds used; those of the rounds that stay; and whether the run is over."""

    now: float
    old: Refs
    kept: Refs
    last: bool = False


class Collector:
    """Observes one run and collects behind it, in a thread of its own. An error ends the collecting, never the run."""

    def __init__(self, store: Store, run: str, keep: int, grace_s: float = GRACE_S) -> None:
        self._store = store
        self._run = run
        self._keep = keep
        self._grace_s = grace_s
        self._needs = Needs(store)
        self._rounds: defaultdict[int, set[Ref]] = defaultdict(set)  # weights, by round, as they become known
        self._old: deque[tuple[float, Refs]] = deque()  # and when they stopped being needed, by the store's clock
        self._commits: SimpleQueue[Commit | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def on_events(self, events: list[Event]) -> None:
        """A resumed run's past, which comes first and whole, is left until the next commit: its open round may be at work."""
        if not self._keep:
            return
        for event in events:
            self._note(event)
        live = [event for event in events if event["type"] in ("committed", "finished")]
        if live and events[0]["type"] != "run_started":
            self._commit(live[-1])

    def on_tick(self, waiting_for: str) -> None:
        """Nothing to do between events."""

    def close(self) -> None:
        """Waits for what is under way."""
        if self._thread is not None:
            self._commits.put(None)
            self._thread.join(_CLOSE_S)

    def _note(self, event: Event) -> None:
        kind = event["type"]
        if kind == "ended" and event["state"] == "succeeded" and event["step"] == train_step(event["round"]):
            self._rounds[event["round"]].update(event["outputs"].values())
        elif kind in ("initialised", "committed"):
            self._rounds[event.get("round", 0)].add(event["model"])

    def _commit(self, event: Event) -> None:
        first = event.get("round", event.get("rounds", 0)) - self._keep + 1
        gone = [round_ for round_ in self._rounds if round_ < first]
        if not gone and self._thread is None:
            return
        old = frozenset().union(*(self._rounds.pop(round_) for round_ in gone))
        kept = frozenset().union(*self._rounds.values())
        self._commits.put(Commit(self._store.clock(), old - kept, kept, event["type"] == "finished"))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="collector", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (commit := self._commits.get()) is not None:
            self._old.append((commit.now, commit.old))
            try:
                self._collect(commit)
            except FedKeeperError as exc:
                _log.warning("old weights stay in the store from here on: %s", exc)
                return

    def _collect(self, commit: Commit) -> None:
        others = [record for record in every(self._store) if record.run != self._run]
        crowded = any(record.end is None for record in others)
        before = commit.now - self._grace_s if crowded else commit.now
        settled = before if commit.last else before - _SETTLE_S
        old: set[Ref] = set()
        while self._old and self._old[0][0] <= settled:
            old |= self._old.popleft()[1]
        drop(self._store, self._needs, old - commit.kept, others, before)


class Needs:
    """Which weights runs need, by their receipts. Those of a round that has its model do not change any more and are read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rounds: dict[tuple[str, int], Refs] = {}

    def of_run(self, record: RunRecord) -> Refs:
        """What the run still needs, by its own `keep`."""
        last = last_round(self._store, record.run)
        rounds = range(max(0, last - record.keep + 1) if record.keep else 0, last + 1)
        needed = frozenset().union(*(self.of_round(record.run, round_) for round_ in rounds))
        if record.end is not None:
            return needed | {Ref(record.end["model"])}
        return needed | weights_of(self._store, record.run, last + 1)

    def of_round(self, run: str, round_: int) -> Refs:
        """Of a round that has its model."""
        key = (run, round_)
        if key not in self._rounds:
            self._rounds[key] = weights_of(self._store, run, round_)
        return self._rounds[key]


def drop(store: Store, needs: Needs, candidates: Collection[Ref], records: Iterable[RunRecord], before: float) -> int:
    """Drop the candidates that none of these runs needs. Returns the number of blobs that went."""
    left = set(candidates)
    for record in records:
        if not left:
            return 0
        left -= needs.of_run(record)
    return store.drop_blobs(left, before) if left else 0


def collect_all(store: Store, grace_s: float = GRACE_S) -> int:
    """The rounds of every run that its own `keep` does not cover, as interrupted or crowded collections left them.
    Returns the number of blobs that went."""
    before = store.clock() - grace_s
    needs, records = Needs(store), every(store)
    gone = 0
    for record in records:
        rounds = range(last_round(store, record.run) - record.keep + 1) if record.keep else ()
        old = frozenset().union(*(weights_of(store, record.run, round_) for round_ in rounds))
        gone += drop(store, needs, old, records, before)
    return gone


def weights_of(store: Store, run: str, round_: int) -> Refs:
    """Updates of a round's clients and the model made of them; of round 0 the initial model."""
    clients = store.receipts(run, train_step(round_)).values() if round_ > 0 else ()
    updates = {ref for receipt in clients for ref in receipt.outputs.values()}
    made = store.get_receipt(run, StepKey(aggregate_step(round_) if round_ > 0 else INIT_STEP, SERVER))
    model = {ref for name, ref in made.outputs.items() if name != "partition"} if made is not None else set()
    return frozenset(updates | model)


def last_round(store: Store, run: str) -> int:
    """The last round with a model of its own, 0 when there is none. Rounds are numbered without a gap: doubling, then halving."""

    def there(round_: int) -> bool:
        return store.get_receipt(run, StepKey(aggregate_step(round_), SERVER)) is not None

    low, high = 0, 1
    while there(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if there(middle) else (low, middle)
    return low
