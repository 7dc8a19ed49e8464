"""A run's figures in Prometheus' text format, for node_exporter's textfile collector or a push gateway.

RunView, Spent --text--> # HELP, # TYPE, name{labels} value
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from fedkeeper.observe.cost import Spent
from fedkeeper.observe.rows import RunView

Sample = tuple[Mapping[str, str], float | None]
_PHASES = ("invoke", "train", "aggregate", "evaluate")


def text(view: RunView, spent: Spent | None = None) -> str:
    """Everything is a gauge: a run's file is written once, and a resumed run may take a figure back."""
    lines: list[str] = []
    for name, meaning, samples in _metrics(view, spent):
        found = [
            f"fedkeeper_{name}{_labels({'run': view.run, **labels})} {value:.12g}"
            for labels, value in samples
            if value is not None
        ]
        if found:
            lines += [f"# HELP fedkeeper_{name} {meaning}", f"# TYPE fedkeeper_{name} gauge", *found]
    return "\n".join(lines) + "\n"


def _metrics(view: RunView, spent: Spent | None) -> Iterator[tuple[str, str, Iterable[Sample]]]:
    names = {
        "fabric": view.fabric,
        "task": view.task,
        "strategy": view.strategy,
        "model": view.model,
        "stop_reason": view.stop_reason,
    }
    yield "run_info", "What the run is.", [(names, 1)]
    yield "run_finished", "1 when the run has ended by itself.", [({}, float(view.finished))]
    yield "run_started_timestamp_seconds", "When it began.", [({}, view.started)]
    yield "run_seconds", "How long an orchestrator was at work.", [({}, view.seconds)]
    yield "rounds", "Rounds with a committed model.", [({}, float(sum(row.total_s is not None for row in view.rounds)))]
    yield "accuracy", "The last evaluation's.", [({}, view.accuracy)]
    yield "loss", "The last evaluation's.", [({}, view.loss)]
    yield "retries", "Attempts after a first one.", [({}, float(view.counts.retried))]
    sums = [({"phase": phase}, sum(getattr(row, f"{phase}_s") or 0.0 for row in view.rounds)) for phase in _PHASES]
    yield "phase_seconds", "Seconds of all rounds by phase.", sums
    yield from _activations(view)
    if spent is not None:
        costs = [({"cluster": one.cluster, "platform": one.provider}, one.usd) for one in spent.clusters]
        yield "cost_dollars", "At list prices, by cluster.", costs


def _activations(view: RunView) -> Iterator[tuple[str, str, Iterable[Sample]]]:
    states: Counter[tuple[str, str, str]] = Counter()
    cold: Counter[str] = Counter()
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for row in view.activations:
        states[row.cluster, row.role, row.state] += 1
        cold[row.cluster] += bool(row.cold_start)
        seconds[row.cluster, row.role] += row.duration_s or 0.0
    yield (
        "activations",
        "Attempts by cluster, role and state.",
        [({"cluster": at, "role": role, "state": state}, float(number)) for (at, role, state), number in states.items()],
    )
    yield "cold_starts", "Attempts that found no warm worker.", [({"cluster": at}, float(number)) for at, number in cold.items()]
    yield (
        "activation_seconds",
        "Seconds in activations, by cluster and role.",
        [({"cluster": at, "role": role}, total) for (at, role), total in seconds.items()],
    )


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
