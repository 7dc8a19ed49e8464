"""Tables for people: a run's result, where a run stands, and all runs. Data -> rich renderables, nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fedkeeper.model import Json
from fedkeeper.observe.live import STATES
from fedkeeper.observe.rows import RunView
from fedkeeper.observe.text import clock, count, one_line, score, task_name, took

_SHOWN = 20  # rounds in a table; rounds.csv has them all
_ROUND_COLUMNS = ("round", "clients", "counted", "invoke", "train", "aggregate", "evaluate", "total", "loss", "accuracy")
_SECONDS = ("invoke_s", "train_s", "aggregate_s", "evaluate_s", "total_s")
_STOPS = {
    "target_accuracy": "target accuracy reached", "rounds": "all rounds done", "time_budget": "time budget used up",
    "stopped": "stopped on request",
}  # fmt: skip


class Summary(Protocol):
    """One line of the list of runs."""

    @property
    def run(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def created(self) -> float: ...
    @property
    def rounds(self) -> int: ...
    @property
    def accuracy(self) -> float | None: ...
    @property
    def stop_reason(self) -> str | None: ...


def rounds_table(rows: Sequence[Mapping[str, Json]]) -> RenderableType:
    """The last rounds. `rows` are RoundRow.to_json()'s."""
    table = _plain_table(*_ROUND_COLUMNS, left=0)
    for row in rows[-_SHOWN:]:
        seconds = [_seconds(row.get(name)) for name in _SECONDS]
        scores = [score(row.get("loss")), score(row.get("accuracy"))]
        table.add_row(*map(_whole, (row.get("round"), row.get("clients"), row.get("succeeded"))), *seconds, *scores)
    if len(rows) <= _SHOWN:
        return table
    return Group(Text(f"({count(len(rows) - _SHOWN, 'earlier round')} not shown; rounds.csv has them all)", style="dim"), table)


def result(
    *,
    run: str,
    stop_reason: str,
    rounds: int,
    seconds: float,
    accuracy: float | None,
    loss: float | None,
    model: str,
    activations: Mapping[str, int],
    table: Sequence[Mapping[str, Json]],
    folder: str = "",
) -> RenderableType:
    """How a run ended."""
    facts = {
        "run": run,
        "result": f"{_STOPS.get(stop_reason, stop_reason)}: {count(rounds, 'round')} in {took(seconds)}",
        "accuracy": f"{score(accuracy)} (loss {score(loss)})",
        "activations": _counts(activations),
        "model": model,
        "files": folder,
    }
    return Group(rounds_table(table), Text(), _facts(facts))


def status(view: RunView, state: str) -> RenderableType:
    """Where a run stands. `state` is "running", "unfinished" or "finished", as the list of runs says."""
    facts = {
        "run": f"{view.run} of fabric {view.fabric}",
        "state": _state(view, state),
        "task": f"{task_name(view.task)} with {view.strategy}",
        "elapsed": clock(view.seconds) + (f", at most {clock(view.eta_s)} left" if view.eta_s and state == "running" else ""),
        "accuracy": f"{score(view.accuracy)} (loss {score(view.loss)})"
        + (f", target {view.target_accuracy:g}" if view.target_accuracy is not None else ""),
        "activations": _counts(view.counts.to_json()),
        "model": view.model,
    }
    parts: list[RenderableType] = [_facts(facts)]
    if not view.finished and view.phase != "between rounds" and view.clusters:
        parts += [Text(), _clusters(view.clusters)]
    if view.rounds:
        parts += [Text(), rounds_table([row.to_json() for row in view.rounds])]
    parts += [Text(f"warning: {message}", style="yellow") for message in view.warnings[-_SHOWN:]]
    return Group(*parts)


def runs(summaries: Iterable[Summary]) -> RenderableType:
    """All runs, in the order given."""
    table = _plain_table("run", "state", "created (UTC)", "rounds", "accuracy", left=3)
    table.add_column("ended because")
    for one in summaries:
        created = datetime.fromtimestamp(one.created, tz=timezone.utc)
        reason = _STOPS.get(one.stop_reason or "", one.stop_reason or "")
        table.add_row(Text(one.run), one.state, f"{created:%Y-%m-%d %H:%M:%S}", str(one.rounds), score(one.accuracy), reason)
    return table


def _state(view: RunView, state: str) -> str:
    if state == "finished":
        return f"finished: {_STOPS.get(view.stop_reason, view.stop_reason)}"
    turn = f"round {view.round} of {view.rounds_wanted}, {view.phase}" if view.round else view.phase
    return f"{state} ({turn})" + ("; `fedkeeper resume` goes on" if state == "unfinished" else "")


def _clusters(clusters: Mapping[str, Mapping[str, int]]) -> RenderableType:
    table = _plain_table("cluster", *STATES, left=1)
    for name, counts in clusters.items():
        table.add_row(Text(one_line(name)), *(f"{counts.get(state, 0):,}" for state in STATES))
    return table


def _plain_table(*columns: str, left: int) -> Table:
    """Aligned columns without lines; the first `left` are text, the rest numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index < left else "right", no_wrap=True)
    return table


def _facts(facts: Mapping[str, str]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value:
            grid.add_row(Text(name, style="bold"), Text(one_line(value)))
    return grid


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items())


def _seconds(value: Json) -> str:
    return "-" if value is None else f"{float(value):.2f} s" if value < 10 else f"{float(value):.1f} s"


def _whole(value: Json) -> str:
    return "-" if value is None else f"{int(value):,}"
