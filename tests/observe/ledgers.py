"""A small generator of truthful ledgers: the events an orchestrator would write, with a clock of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fedkeeper.events import aggregate_step, evaluate_step, train_step

START = 1_700_000_000.0


@dataclass
class Script:
    """Writes events; `time` moves only by `wait`."""

    fabric: str = "demo"
    time: float = START
    events: list[dict[str, Any]] = field(default_factory=list)

    def wait(self, seconds: float) -> Script:
        self.time += seconds
        return self

    def add(self, type_: str, **fields: Any) -> Script:
        self.events.append({"seq": len(self.events), "time": round(self.time, 3), "type": type_, **fields})
        return self

    def start(self, clients: int = 4, rounds: int = 3, target: float | None = 0.9, run: str = "demo-1") -> Script:
        self.add(
            "run_started", run=run, fabric=self.fabric, seed=7, clients=clients, clients_per_round=clients, quorum=clients,
            rounds=rounds, target_accuracy=target, time_budget_s=None, task="mnist_mlp", strategy="fedavg",
            deploy_digest="sha256:d", run_digest="sha256:r",
        )  # fmt: skip
        self.requested(0, "init", "server", 1, "fl_server_init", "laptop").wait(1)
        self.ended(0, "init", "server", 1, "succeeded", outputs={"model": "sha256:m0"}).add(
            "initialised", model="sha256:m0", partition="sha256:p"
        )
        return self

    def requested(self, round_: int, step: str, subject: str, attempt: int, role: str, cluster: str) -> Script:
        place = {"role": role, "cluster": cluster, "function": f"{self.fabric}-{role}"}
        return self.add("requested", round=round_, step=step, subject=subject, attempt=attempt, **place)

    def accepted(self, round_: int, step: str, subject: str, attempt: int) -> Script:
        name = f"act-{step}-{subject}-{attempt}"
        return self.add("accepted", round=round_, step=step, subject=subject, attempt=attempt, activation_id=name)

    def ended(self, round_: int, step: str, subject: str, attempt: int, state: str, **fields: Any) -> Script:
        return self.add("ended", round=round_, step=step, subject=subject, attempt=attempt, state=state, **fields)

    def client(self, round_: int, client: str, attempt: int = 1, cluster: str = "laptop") -> Script:
        """Request and acceptance of a training activation."""
        step = train_step(round_)
        return self.requested(round_, step, client, attempt, "fl_client", cluster).accepted(round_, step, client, attempt)

    def done(self, round_: int, client: str, attempt: int = 1, **fields: Any) -> Script:
        metrics = {"loss": 0.5 / round_, "accuracy": 1 - 0.5 / round_}
        facts = {"started": self.time - 2.0, "finished": self.time, "cold_start": attempt == 1 and round_ == 1}
        body = {"examples": 600, "metrics": metrics, "receipt": "sha256:c", "outputs": {"update": "sha256:u"}, "notes": {}}
        return self.ended(round_, train_step(round_), client, attempt, "succeeded", **{**body, **facts, **fields})

    def failed(
        self,
        round_: int,
        client: str,
        attempt: int = 1,
        *,
        state: str = "failed",
        error: str = "boom",
        retry_in: float | None = 0.5,
    ) -> Script:
        retry = {} if retry_in is None else {"retry_in": retry_in}
        return self.ended(round_, train_step(round_), client, attempt, state, error=error, **retry)

    def open(self, round_: int, clients: Sequence[str]) -> Script:
        return self.add("round_opened", round=round_, clients=list(clients), model=f"sha256:m{round_ - 1}")

    def close(self, round_: int, counted: int, dropped: Iterable[str] = (), reason: str = "all") -> Script:
        return self.add("closed", round=round_, decision="sha256:d", reason=reason, counted=counted, dropped=list(dropped))

    def commit(self, round_: int) -> Script:
        step = aggregate_step(round_)
        self.requested(round_, step, "server", 1, "fl_server_aggregator", "laptop").wait(0.4)
        self.ended(round_, step, "server", 1, "succeeded", outputs={"model": f"sha256:m{round_}"})
        return self.add("committed", round=round_, model=f"sha256:m{round_}", state=None)

    def evaluate(self, round_: int, accuracy: float, loss: float) -> Script:
        step = evaluate_step(round_)
        self.requested(round_, step, "server", 1, "fl_evaluator", "laptop").wait(0.6)
        self.ended(round_, step, "server", 1, "succeeded", metrics={"loss": loss, "accuracy": accuracy}, examples=1000)
        return self.add("evaluated", round=round_, loss=loss, accuracy=accuracy, examples=1000, metrics={})

    def whole_round(self, round_: int, clients: Sequence[str], accuracy: float) -> Script:
        self.open(round_, clients)
        for client in clients:
            self.client(round_, client).wait(0.1)
        self.wait(2)
        for client in clients:
            self.done(round_, client)
        return self.close(round_, len(clients)).commit(round_).evaluate(round_, accuracy, round(1 - accuracy, 3))

    def finish(self, rounds: int, accuracy: float, reason: str = "rounds") -> Script:
        facts = {"model": f"sha256:m{rounds}", "loss": round(1 - accuracy, 3), "accuracy": accuracy, "seconds": self.time - START}
        return self.add("finished", stop_reason=reason, rounds=rounds, **facts)


def names(count: int) -> list[str]:
    return [f"c{index}" for index in range(count)]


def plain_run(rounds: int = 3, clients: int = 4) -> list[dict[str, Any]]:
    """Nothing goes wrong."""
    script = Script().start(clients, rounds)
    for round_ in range(1, rounds + 1):
        script.whole_round(round_, names(clients), round(1 - 0.5 / round_, 3))
    return script.finish(rounds, round(1 - 0.5 / rounds, 3)).events


def rough_run() -> list[dict[str, Any]]:
    """A retry, a lost activation that comes back late, a straggler dropped at the quorum, a crash and a resume."""
    script = Script().start(4, 2)
    script.open(1, names(4))
    for client in names(4):
        script.client(1, client, cluster="laptop" if client < "c2" else "edge").wait(0.1)
    script.wait(1).done(1, "c0").failed(1, "c1", error="out of memory\nat line 3")
    script.wait(0.5).client(1, "c1", 2).wait(1).failed(1, "c2", state="lost", error="unknown id")
    script.wait(60).add("resumed").done(1, "c1", 2)  # killed; a minute later a new orchestrator goes on
    script.done(1, "c2")  # the receipt of the attempt that was given up
    script.ended(1, train_step(1), "c3", 1, "cancelled", error="its result is no longer needed")
    script.close(1, 3, ["c3"], "quorum").commit(1).evaluate(1, 0.5, 0.5)
    script.add("warning", message="client c3 is slow")
    script.whole_round(2, names(4), 0.95)
    return script.finish(2, 0.95, "target_accuracy").events
