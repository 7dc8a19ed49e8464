"""Where a run stands right now, in memory that grows with the clients of one round only.

event --feed: O(1)--> Live: phase, round, clients per cluster and state, retries, accuracies, ETA

a client's state in the open round:
queued -> running -> done
   ^         |-----> retrying -> running ...
   |         |-----> failed           (no attempt left)
   start     `-----> dropped          (the round closed without it)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from statistics import median

from fedkeeper.events import Event
from fedkeeper.model import Json

STATES = ("done", "running", "queued", "retrying", "failed", "dropped")
_RECENT = 5  # rounds that the ETA looks back on


class Live:
    """Feed it every event in order. `cluster_of` names each client's own cluster (with `relay`, functions run elsewhere)."""

    def __init__(self, cluster_of: Mapping[str, str] | None = None) -> None:
        self._cluster_of = cluster_of or {}
        self._handlers: dict[str, Callable[[Event], None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(type(self)) if name.startswith("_on_")
        }
        self.begin()

    def begin(self) -> None:
        """Forget everything: the ledger is about to be read from its start."""
        self.run = self.fabric = self.task = self.strategy = self.model = self.stop_reason = ""
        self.phase, self._paused = "starting", ""
        self.started = self.updated = self.opened = self.paused_s = 0.0  # `opened` and later moments: pauses taken out
        self.time_budget_s: float | None = None
        self.target_accuracy: float | None = None
        self.accuracy: float | None = None
        self.loss: float | None = None
        self.seconds: float | None = None  # as the finished event gives it
        self.round = self.rounds_wanted = self.committed = self.retries = self.in_round = 0
        self.accuracies: list[float] = []
        self.recent: deque[float] = deque(maxlen=_RECENT)
        self.clusters: dict[str, dict[str, int]] = {}
        self._states: dict[str, tuple[str, str]] = {}  # client -> (cluster, state)

    # --- questions -----------------------------------------------------------------------------------------------
    def total(self, state: str) -> int:
        """Clients of the open round in that state, over all clusters."""
        return sum(states.get(state, 0) for states in self.clusters.values())

    def cluster(self, client: str) -> str:
        """Where the client was last seen in this round, "" when it was not."""
        return self._states.get(client, ("", ""))[0]

    def elapsed(self, now: float) -> float:
        """Seconds an orchestrator has been at work: the gaps before each resume do not count."""
        return max(0.0, now - self.paused_s - self.started) if self.started else 0.0

    def eta(self, now: float) -> float | None:
        """Seconds left at most: the wanted rounds at the pace of the last few, never beyond the time budget."""
        if self.phase == "finished":
            return 0.0
        guesses = []
        if self.recent and self.rounds_wanted:
            pace = median(self.recent)
            spent = min(pace, max(0.0, now - self.paused_s - self.opened)) if self.round > self.committed else 0.0
            guesses.append(max(0.0, pace * (self.rounds_wanted - self.committed) - spent))
        if self.time_budget_s is not None and self.started:
            guesses.append(max(0.0, self.time_budget_s - self.elapsed(now)))
        return min(guesses) if guesses else None

    # --- events --------------------------------------------------------------------------------------------------
    def feed(self, event: Event) -> None:
        time = float(event.get("time", self.updated))
        if event["type"] == "resumed":
            self.paused_s += max(0.0, time - self.updated)
        self.updated = time
        handler = self._handlers.get(event["type"])
        if handler is not None:
            handler(event)

    def _on_run_started(self, event: Event) -> None:
        self.begin()
        self.started = self.updated = float(event.get("time", 0.0))
        self.run, self.fabric = str(event.get("run", "")), str(event.get("fabric", ""))
        self.task, self.strategy = str(event.get("task", "")), str(event.get("strategy", ""))
        self.rounds_wanted = int(event.get("rounds") or 0)
        self.target_accuracy, self.time_budget_s = event.get("target_accuracy"), event.get("time_budget_s")

    def _on_resumed(self, _event: Event) -> None:
        self.phase = self._paused or self.phase

    def _on_initialised(self, event: Event) -> None:
        self.model = str(event.get("model", ""))

    def _on_round_opened(self, event: Event) -> None:
        clients = event.get("clients", ())
        self.phase, self.round, self.opened = "training", int(event["round"]), self.updated - self.paused_s
        self.clusters, self._states, self.in_round = {}, {}, size(clients)
        for client in names(clients):
            if client in self._cluster_of:
                self._move(client, self._cluster_of[client], "queued")

    def _on_requested(self, event: Event) -> None:
        retry = int(event["attempt"]) > 1
        self.retries += retry
        if self._is_current(event):
            client = str(event["subject"])
            self._move(client, self._cluster_of.get(client, str(event.get("cluster", ""))), "retrying" if retry else "queued")

    def _on_accepted(self, event: Event) -> None:
        if self._is_current(event) and self._state(event) in ("queued", "retrying"):
            self._move(str(event["subject"]), None, "running")

    def _on_ended(self, event: Event) -> None:
        if not self._is_current(event) or self._state(event) == "done":
            return
        states = {"succeeded": "done", "cancelled": "dropped"}
        state = states.get(event["state"]) or ("failed" if event.get("retry_in") is None else "retrying")
        self._move(str(event["subject"]), None, state)

    def _on_closed(self, event: Event) -> None:
        self.phase = "aggregating"
        for client in names(event.get("dropped", ())):
            self._move(client, None, "dropped")

    def _on_committed(self, event: Event) -> None:
        self.phase, self.committed = "between rounds", int(event["round"])
        self.model = str(event.get("model", self.model))
        self.recent.append(self.updated - self.paused_s - self.opened)

    def _on_evaluated(self, event: Event) -> None:
        self.loss, self.accuracy = event.get("loss"), event.get("accuracy")
        if self.accuracy is not None:
            self.accuracies.append(float(self.accuracy))

    def _on_interrupted(self, _event: Event) -> None:
        self._paused, self.phase = self.phase, "interrupted"

    def _on_finished(self, event: Event) -> None:
        self.phase, self.stop_reason = "finished", str(event.get("stop_reason", ""))
        self.model = str(event.get("model") or self.model)
        self.accuracy, self.loss = event.get("accuracy", self.accuracy), event.get("loss", self.loss)
        self.seconds = event.get("seconds")

    # --- counting ------------------------------------------------------------------------------------------------
    def _is_current(self, event: Event) -> bool:
        return bool(event.get("round") == self.round and str(event["step"]).endswith("/train"))

    def _state(self, event: Event) -> str:
        return self._states.get(str(event["subject"]), ("", ""))[1]

    def _move(self, client: str, cluster: str | None, state: str) -> None:
        """Take the client out of its old count and into its new one; `cluster` None: it stays where it is."""
        before = self._states.get(client)
        if before is not None:
            self.clusters[before[0]][before[1]] -= 1
        home = cluster if cluster is not None else (before[0] if before else "")
        self._states[client] = (home, state)
        counts = self.clusters.setdefault(home, dict.fromkeys(STATES, 0))
        counts[state] += 1


def names(clients: Json) -> Iterable[str]:
    """The ids in a field that holds a list of clients, or only their number."""
    return (str(client) for client in clients) if isinstance(clients, (list, tuple)) else ()


def size(clients: Json) -> int:
    return len(clients) if isinstance(clients, (list, tuple)) else int(clients or 0)
