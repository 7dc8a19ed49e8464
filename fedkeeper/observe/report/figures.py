"""The report's numbers: rows grouped by cause, by cluster, by client, and honest samples of what is too much to show. Pure.

RunView, Story -> [Cause], [Group]
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from fedkeeper.events import SERVER
from fedkeeper.observe.rows import ActivationRow, RunView

T = TypeVar("T")
Cluster = Callable[[ActivationRow], str]
"""Which cluster an attempt counts for: a relayed client's own, not its invoker's."""
GAVE_UP = frozenset({"failed", "timed_out", "lost"})
_VARYING = re.compile(r"[0-9a-f]{8,}|\d+(\.\d+)?")
_HEAD = 120  # characters of an error that tell causes apart


@dataclass(frozen=True)
class Cause:
    """Attempts that ended alike."""

    state: str
    example: str
    attempts: int
    clients: int
    rounds: tuple[int, ...]
    clusters: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The attempts of one cluster or one client."""

    name: str
    clusters: tuple[str, ...]
    attempts: int
    failed: int
    cancelled: int
    cold: int
    retries: int
    median_s: float | None
    p95_s: float | None
    examples: int


def causes(rows: Iterable[ActivationRow]) -> list[Cause]:
    """Most frequent first. Errors that differ in numbers and ids only are one cause."""
    found: dict[tuple[str, str], list[ActivationRow]] = defaultdict(list)
    for row in rows:
        if row.state in GAVE_UP:
            text = row.error.replace(row.client, "#") if len(row.client) > 2 else row.error
            found[row.state, _VARYING.sub("#", text)[:_HEAD]].append(row)
    made = [_cause(state, same) for (state, _), same in found.items()]
    return sorted(made, key=lambda cause: -cause.attempts)


def _cause(state: str, rows: Sequence[ActivationRow]) -> Cause:
    clusters = tuple(dict.fromkeys(row.cluster for row in rows if row.cluster))
    rounds = tuple(sorted({row.round for row in rows}))
    return Cause(state, rows[0].error, len(rows), len({row.client for row in rows}), rounds, clusters)


def by_cluster(view: RunView, cluster_of: Cluster) -> list[Group]:
    return _groups(view, view.activations, cluster_of)


def by_client(view: RunView, cluster_of: Cluster) -> list[Group]:
    """Those with most trouble first."""
    rows = [row for row in view.activations if row.client != SERVER]
    groups = _groups(view, rows, lambda row: row.client, cluster_of)
    return sorted(groups, key=lambda group: -(group.failed + group.retries))


def _groups(
    view: RunView,
    rows: Iterable[ActivationRow],
    name_of: Callable[[ActivationRow], str],
    cluster_of: Cluster | None = None,
) -> list[Group]:
    found: dict[str, list[ActivationRow]] = defaultdict(list)
    name_by_client: dict[str, str] = {}
    for row in rows:
        found[name_of(row)].append(row)
        name_by_client[row.client] = name_of(row)
    examples: dict[str, int] = defaultdict(int)
    for client in view.clients:
        examples[name_by_client.get(client.client, "")] += client.examples
    return [_group(name, same, examples[name], cluster_of) for name, same in found.items()]


def _group(name: str, rows: Sequence[ActivationRow], examples: int, cluster_of: Cluster | None) -> Group:
    times = sorted(row.duration_s for row in rows if row.state == "succeeded" and row.duration_s is not None)
    return Group(
        name=name,
        clusters=tuple(dict.fromkeys(map(cluster_of, rows))) if cluster_of is not None else (),
        attempts=len(rows),
        failed=sum(row.state in GAVE_UP for row in rows),
        cancelled=sum(row.state == "cancelled" for row in rows),
        cold=sum(bool(row.cold_start) for row in rows),
        retries=sum(row.attempt > 1 for row in rows),
        median_s=median(times) if times else None,
        p95_s=times[min(len(times) - 1, int(0.95 * len(times)))] if times else None,
        examples=examples,
    )


def sample(items: Sequence[T], limit: int, important: Callable[[T], float] | None = None) -> list[T]:
    """At most `limit` of them in their order: the most important, then an even spread of the rest."""
    if len(items) <= limit:
        return list(items)
    weights = [(important(item) if important is not None else 0.0) for item in items]
    ranked = sorted((index for index, weight in enumerate(weights) if weight > 0), key=lambda index: -weights[index])
    chosen = set(ranked[: limit - limit // 4])
    rest = [index for index in range(len(items)) if index not in chosen]
    wanted = limit - len(chosen)
    chosen.update(rest[round(step * (len(rest) - 1) / max(1, wanted - 1))] for step in range(wanted))
    return [items[index] for index in sorted(chosen)]


def ticks(low: float, high: float, wanted: int = 3) -> list[float]:
    """Round numbers between two values, at least `wanted` of them."""
    span = high - low
    if span <= 0:
        return [low]
    decade = 10.0 ** math.ceil(math.log10(span))
    step = next(decade * part for part in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01) if span / (decade * part) >= wanted)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]
