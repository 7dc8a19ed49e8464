"""What a run costs: a range before it, a sum after it. List prices (prices.py); an order of magnitude, never a bill.

    estimate(Fabric)            -> Estimate    every activation takes ASSUMED_S .. its time limit; nothing is retried
    spent(activations, Fabric)  -> Spent       the times in the ledger x the memory the spec gives the functions

A relayed client's own time is not in the ledger: it is counted as long as its invoker's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from fedkeeper.model import Cluster, Fabric, FunctionConfig, Json, Role
from fedkeeper.observe.prices import FREE, SHEETS, Price, price_of
from fedkeeper.observe.rows import ActivationRow

ASSUMED_S = 10.0
"""What an activation is assumed to take at least, before anything is known."""
_ROLES = frozenset(role.value for role in Role)


@dataclass(frozen=True)
class Estimate:
    """Dollars, at least and at most, on the clusters that charge."""

    low: float
    high: float
    clusters: tuple[str, ...]
    prices: tuple[str, ...]  # sources and dates
    assumed_s: float = ASSUMED_S

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "clusters": list(self.clusters), "prices": list(self.prices), "currency": "USD"}

    def line(self) -> str:
        """For people."""
        dates = ", ".join(self.prices)
        return (
            f"cost: about {dollars(self.low)} ({self.assumed_s:g} s per activation) to {dollars(self.high)} (all at their time "
            f"limits) on {', '.join(self.clusters)}; list prices ({dates}), no retries, traffic, storage or free tier"
        )


@dataclass(frozen=True)
class ClusterCost:
    """One cluster's part of what a run cost; `usd` None: the spec does not know the cluster."""

    cluster: str
    provider: str
    activations: int
    seconds: float
    usd: float | None
    prices: str = ""


@dataclass(frozen=True)
class Spent:
    clusters: tuple[ClusterCost, ...]

    @property
    def usd(self) -> float:
        return sum(one.usd or 0.0 for one in self.clusters)

    @property
    def charged(self) -> bool:
        """Whether anybody sends a bill."""
        return any(one.prices for one in self.clusters)

    def to_json(self) -> dict[str, Json]:
        return {"usd": round(self.usd, 6), "clusters": [asdict(one) for one in self.clusters]}


def dollars(amount: float) -> str:
    """As many digits as matter."""
    if amount == 0:
        return "$0"
    return f"${amount:,.2f}" if amount >= 0.1 else f"${amount:.4f}" if amount >= 0.0001 else "under $0.0001"


def estimate(fabric: Fabric) -> Estimate | None:
    """None when no cluster of the fabric charges."""
    low = high = 0.0
    charging: dict[str, str] = {}
    for role, cluster, calls in _planned(fabric):
        price, limit = _price(fabric, cluster, role), float(_function(fabric, role).timeout_s)
        if price == FREE:
            continue
        charging[cluster] = _sheet(fabric.clusters[cluster], price)
        low += calls * price.of(min(ASSUMED_S, limit))
        high += calls * price.of(limit)
    return Estimate(low, high, tuple(charging), tuple(sorted(set(charging.values())))) if charging else None


def spent(activations: Sequence[ActivationRow], fabric: Fabric) -> Spent:
    """Attempts without an end are not in it."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)  # (role, cluster) -> seconds of each activation
    homes = {client.id: client.cluster for client in fabric.clients if client.weights == "relay"}
    for row in activations:
        seconds = row.duration_s
        if seconds is None:
            continue
        found[row.role, row.cluster].append(seconds)
        if row.role == Role.INVOKER and row.client in homes:
            found[Role.CLIENT, homes[row.client]].append(seconds)
    clusters = dict.fromkeys(cluster for _, cluster in found)
    return Spent(
        tuple(_cluster_cost(fabric, name, {role: t for (role, at), t in found.items() if at == name}) for name in clusters)
    )


def _cluster_cost(fabric: Fabric, name: str, found: Mapping[str, Sequence[float]]) -> ClusterCost:
    number, seconds = sum(map(len, found.values())), sum(map(sum, found.values()))
    cluster = fabric.clusters.get(name)
    if cluster is None:
        return ClusterCost(name, "", number, seconds, None)
    usd, prices = 0.0, ""
    for role, times in found.items():
        price = _price(fabric, name, Role(role)) if role in _ROLES else FREE
        prices = prices or _sheet(cluster, price)
        usd += price.sum(times)
    return ClusterCost(name, cluster.provider, number, seconds, usd, prices)


def _planned(fabric: Fabric) -> Iterator[tuple[Role, str, float]]:
    """Every kind of activation of a whole run: role, cluster, how many (clients are chosen evenly, so a share may be a fraction)."""
    training, server = fabric.training, fabric.server_cluster
    share = (training.clients_per_round or len(fabric.clients)) / max(1, len(fabric.clients)) * training.rounds
    yield Role.INIT, server, 1
    yield Role.AGGREGATOR, server, training.rounds
    yield Role.EVALUATOR, server, -(-training.rounds // max(1, training.evaluate_every))
    for client in fabric.clients:
        yield Role.CLIENT, client.cluster, share
        if client.weights == "relay":
            yield Role.INVOKER, server, share


def _function(fabric: Fabric, role: Role) -> FunctionConfig:
    return fabric.functions.get(role, FunctionConfig())


def _price(fabric: Fabric, cluster: str, role: Role) -> Price:
    function, place = _function(fabric, role), fabric.clusters[cluster]
    return price_of(place, function.memory_mb, function.options.get(place.provider, {}))


def _sheet(cluster: Cluster, price: Price) -> str:
    sheet = SHEETS.get(cluster.provider)
    return f"{cluster.provider} {sheet.date}" if sheet is not None and price != FREE else ""
