"""`check --deploy`: does every cluster take, run and give up a function? The answer is a table, errors included.

for each chosen cluster: create -> call (cold) -> call (warm) -> delete -> NodeInfo
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedkeeper.errors import FedKeeperError, UsageError
from fedkeeper.model import Cluster, Json, Role
from fedkeeper.wiring import House


@dataclass(frozen=True)
class NodeInfo:
    """What a cluster answered. Latencies are in milliseconds, of a whole held call."""

    cluster: str
    provider: str
    ok: bool
    host: str | None = None
    platform: str | None = None
    cpus: int | None = None
    memory_mb: int | None = None
    latency_ms: float | None = None
    cold_start_ms: float | None = None
    error: str | None = None


def check_nodes(
    house: House,
    *,
    clusters: Sequence[str] = (),
    providers: Sequence[str] = (),
    function: str = "nodeinfo",
    progress: Callable[[str], None] | None = None,
) -> list[NodeInfo]:
    """One row per chosen cluster (all by default), in the spec's order."""
    if function not in list(Role):
        raise UsageError(f"there is no function {function}", hint=f"one of {', '.join(role.value for role in Role)}")
    if unknown := sorted(set(clusters) - set(house.fabric.clusters)):
        raise UsageError(f"the spec has no cluster {', '.join(unknown)}", hint=f"it has {', '.join(house.fabric.clusters)}")
    chosen = [
        cluster
        for cluster in house.fabric.clusters.values()
        if (not clusters or cluster.name in clusters) and (not providers or cluster.provider in providers)
    ]
    if not chosen:
        raise UsageError("no cluster is of these providers")
    rows = []
    for cluster in chosen:
        if progress is not None:
            progress(cluster.name)
        rows.append(_check(house, cluster, Role(function)))
    return rows


def _check(house: House, cluster: Cluster, role: Role) -> NodeInfo:
    try:
        provider = house.provider(cluster)
        wanted = house.resources.nodeinfo(cluster, role)
        try:
            provider.create(wanted.spec, wanted.package.data)
            cold, _ = _timed(house, cluster, wanted.spec.name)
            warm, answer = _timed(house, cluster, wanted.spec.name)
        finally:
            provider.delete(wanted.spec.name)
    except FedKeeperError as exc:
        return NodeInfo(cluster.name, cluster.provider, ok=False, error=str(exc))
    known = {name: answer.get(name) for name in ("host", "platform", "cpus", "memory_mb")}
    return NodeInfo(cluster.name, cluster.provider, ok=True, latency_ms=warm, cold_start_ms=cold, **known)


def _timed(house: House, cluster: Cluster, function: str) -> tuple[float, dict[str, Json]]:
    began = time.monotonic()
    reply = house.provider(cluster).call(function, {})
    return round((time.monotonic() - began) * 1000, 1), reply.result
