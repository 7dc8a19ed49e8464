"""Digests, seeds and receipts: golden values, because stored runs depend on them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.model import (
    Client,
    Cluster,
    Data,
    Fabric,
    FunctionSpec,
    Receipt,
    Ref,
    Role,
    StepKey,
    StrategyConfig,
    Training,
    canonical_json,
    digest_of,
    seeded,
)

RECEIPT = Receipt(
    StepKey("r0001/train", "c1"), {"model": "sha256:00"}, {"update": Ref("sha256:11")}, 600, {"loss": 0.5}, {"host": "a"}
)


@pytest.mark.parametrize(
    ("args", "value"),
    [
        ((0, "select", 1, "client-0"), 2739789245876042531),
        ((42, "init"), 4374459373769745988),
        ((7, "shuffle", 3, "c-é", "x"), 2003805944621700919),
    ],
)
def test_seeds_never_change(args: tuple[Any, ...], value: int) -> None:
    assert seeded(*args) == value


@given(st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=3))
def test_seeds_are_63_bits(seed: int, purpose: str, parts: list[int]) -> None:
    assert 0 <= seeded(seed, purpose, *parts) < 2**63


def test_seeds_differ_by_every_argument() -> None:
    all_parts: list[tuple[object, ...]] = [(), (1,), (1, 1), (11,), ("", 1), (1, "")]
    values = [seeded(0, "a", *parts) for parts in all_parts] + [seeded(1, "a"), seeded(0, "b")]
    assert len(set(values)) == len(values)


def test_canonical_json_golden() -> None:
    value = MappingProxyType({"b": "☃", "a": (1, 2.5, None, True)})
    assert canonical_json(value) == b'{"a":[1,2.5,null,true],"b":"\\u2603"}'
    assert digest_of(value) == "sha256:1deb8f80442c3932a5b7c97d4919357ab05af3c7cf26dafef800ba677c4f7c1a"


def test_canonical_json_of_our_own_types() -> None:
    assert canonical_json([Role.CLIENT, Path("/a/b"), {"x": Role.INIT}]) == b'["fl_client","/a/b",{"x":"fl_server_init"}]'


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_canonical_json_refuses_what_json_does_not_have(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
def test_canonical_json_refuses_foreign_objects(value: Any) -> None:
    with pytest.raises(TypeError, match="no canonical JSON form"):
        canonical_json({"x": value})


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_the_digest_ignores_the_order_of_keys(value: dict[str, Any]) -> None:
    assert digest_of(value) == digest_of(dict(reversed(value.items())))


def test_a_receipt_survives_json() -> None:
    assert Receipt.from_json(RECEIPT.to_json()) == RECEIPT


def test_notes_are_not_part_of_a_receipts_identity() -> None:
    assert replace(RECEIPT, notes={"host": "b"}).digest == RECEIPT.digest
    assert "notes" not in RECEIPT.body()


@pytest.mark.parametrize(
    "change",
    [
        {"key": StepKey("r0001/train", "c2")},
        {"inputs": {}},
        {"outputs": {}},
        {"examples": 601},
        {"metrics": {"loss": 0.25}},
    ],
)
def test_everything_else_is(change: dict[str, Any]) -> None:
    assert replace(RECEIPT, **change).digest != RECEIPT.digest


def test_a_function_with_another_limit_has_another_digest() -> None:
    spec = FunctionSpec("f", "fabric", "edge", Role.CLIENT, "sha256:00", 512, 60, {"A": "1"})
    assert spec.digest == replace(spec, environment={"A": "1"}).digest
    for change in (
        {"memory_mb": 513},
        {"timeout_s": 61},
        {"environment": {"A": "2"}},
        {"package": "sha256:01"},
        {"secrets": {"X": "Y"}},
    ):
        assert replace(spec, **change).digest != spec.digest


def fabric(**changes: Any) -> Fabric:
    given: dict[str, Any] = {
        "name": "f", "root": Path("/spec"), "store": "memory:", "clusters": {"edge": Cluster("edge", "local")}, "server_cluster": "edge",
        "clients": (Client("c1", 0, "edge", "g"), Client("c2", 1, "edge", "g")), "functions": {}, "data": Data("mnist"),
        "training": Training("mnist_cnn"),
    }  # fmt: skip
    return Fabric(**{**given, **changes})


def test_the_run_digest_is_about_training_not_places() -> None:
    assert fabric().run_digest() == fabric(store="file:/elsewhere", name="other", root=Path("/moved")).run_digest()
    others: list[dict[str, Any]] = [
        {"training": Training("mnist_cnn", seed=1)},
        {"data": Data("mnist", shards_per_client=3)},
        {"strategy": StrategyConfig("x")},
    ]
    assert len({fabric(**change).run_digest() for change in [{}, *others]}) == 4


def test_clients_are_found_by_id() -> None:
    found = fabric()
    assert (found.client("c2").index, found.client("c1").index) == (1, 0)
    with pytest.raises(KeyError):
        found.client("c3")
