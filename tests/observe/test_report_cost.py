"""What a run costs: against the platforms' own examples, before the run and after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedkeeper.model import Cluster, FunctionConfig, Role, Training
from fedkeeper.observe.cost import dollars, estimate, spent
from fedkeeper.observe.prices import FREE, price_of
from fedkeeper.observe.view import view_of
from tests.observe.ledgers import Script, plain_run
from tests.observe.test_report_page import fabric


def aws(**settings: Any) -> Cluster:
    return Cluster("edge", "aws", settings)


def test_lambda_by_hand() -> None:
    """3 million requests of 120 ms with 1,536 MB: 540,000 GB-s, which is $9.00, and $0.60 for the requests."""
    price = price_of(aws(), 1536, {})
    assert price.of(0.12) * 3e6 == pytest.approx(9.60, abs=0.01)
    assert price_of(aws(), 1536, {"architecture": "arm64"}).of(0.12) * 3e6 == pytest.approx(7.80, abs=0.01)


def test_cloud_run_by_hand() -> None:
    """10 million requests of 200 ms with 1 vCPU and 512 MB: $48 for the CPU, $2.50 for the memory, $4 for the requests."""
    price = price_of(Cluster("gcf", "google"), 512, {"cpu": 1})
    assert price.of(0.2) * 1e7 == pytest.approx(54.5, abs=0.01)
    assert price.of(0.101) == price.of(0.2)  # rounded up to 100 ms
    assert price.of(0.3) < price.of(0.301)


def test_who_sends_no_bill() -> None:
    for cluster in (Cluster("a", "local"), Cluster("b", "openwhisk"), aws(endpoint="http://127.0.0.1:8080")):
        assert price_of(cluster, 2048, {}) == FREE
    assert price_of(aws(endpoint="https://vpce.example.org"), 2048, {}) != FREE
    assert estimate(fabric(kind="openwhisk")) is None


def test_an_estimate_is_activations_times_memory_times_seconds() -> None:
    """2 of 4 clients are on Lambda, half of all are chosen, 10 rounds: 10 activations of 1 GB there."""
    functions = {**fabric().functions, Role.CLIENT: FunctionConfig(memory_mb=1024, timeout_s=60)}
    found = estimate(replace(fabric(), functions=functions, training=Training("t", rounds=10, clients_per_round=2)))
    assert found is not None
    assert found.low == pytest.approx(10 * (10 * 0.0000166667 + 0.2e-6))
    assert found.high == pytest.approx(10 * (60 * 0.0000166667 + 0.2e-6))
    assert found.clusters == ("edge",)


def test_servers_functions_and_invokers_cost_too() -> None:
    house = fabric()
    clients = tuple(replace(client, weights="relay") for client in house.clients)
    paid = replace(house, server_cluster="edge", clients=clients, training=Training("t", rounds=3, evaluate_every=2))
    found = estimate(paid)
    assert found is not None
    one = price_of(aws(), 2048, {}).of(10)
    assert found.low == pytest.approx(
        (1 + 3 + 2 + 2 * 3 + 4 * 3) * one
    )  # init, aggregate, evaluate, the edge's clients, invokers


def test_spent_is_what_the_ledger_says() -> None:
    script = Script().start(2, 1).open(1, ["c0", "c2"]).client(1, "c0").client(1, "c2", cluster="edge").wait(3)
    script.done(1, "c0").done(1, "c2").close(1, 2).commit(1)
    found = spent(view_of(script.events).activations, fabric())
    by_cluster = {one.cluster: one for one in found.clusters}
    assert by_cluster["edge"].usd == pytest.approx(price_of(aws(), 2048, {}).of(2.0))
    assert (by_cluster["edge"].activations, by_cluster["edge"].seconds) == (1, pytest.approx(2.0))
    assert by_cluster["laptop"].usd == 0
    assert found.charged


def test_a_relayed_client_costs_at_its_own_place_too() -> None:
    script = Script().start(4, 1).open(1, ["c2"])
    script.requested(1, "r0001/train", "c2", 1, "fl_invoker", "laptop").wait(2).done(1, "c2")
    relay = replace(fabric(), clients=tuple(replace(client, weights="relay") for client in fabric().clients))
    found = {one.cluster: one.activations for one in spent(view_of(script.events).activations, relay).clusters}
    assert found == {"laptop": 2, "edge": 1}  # init and the invoker; the client


def test_a_cluster_the_spec_no_longer_has() -> None:
    gone = replace(fabric(), clusters={})
    assert [(one.cluster, one.usd) for one in spent(view_of(plain_run()).activations, gone).clusters] == [("laptop", None)]


@pytest.mark.parametrize(("amount", "text"), [(0, "$0"), (1e-9, "under $0.0001"), (0.0147, "$0.0147"), (1234.5, "$1,234.50")])
def test_dollars(amount: float, text: str) -> None:
    assert dollars(amount) == text
