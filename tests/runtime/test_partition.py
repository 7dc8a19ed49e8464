"""Both ways of dealing out data: nobody gets what another has, and the same seed deals the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.errors import UsageError
from fedkeeper.runtime.partition import iid, part_of, partition, shards, to_arrays

LABELS = np.repeat(np.arange(10), 60)


@given(clients=st.integers(1, 60), per_client=st.integers(1, 4), seed=st.integers(0, 99))
def test_shards_deal_out_everything_once(clients: int, per_client: int, seed: int) -> None:
    parts = shards(LABELS, clients, per_client=per_client, examples=None, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(600))
    assert max(map(len, parts)) - min(map(len, parts)) <= per_client


def test_two_shards_hold_few_classes_as_in_the_reference_experiment() -> None:
    labels = np.repeat(np.arange(10), 6000)
    parts = shards(labels, 100, per_client=2, examples=None, seed=1)
    assert {len(part) for part in parts} == {600}
    assert max(len(set(labels[part])) for part in parts) <= 4
    assert np.mean([len(set(labels[part])) for part in parts]) < 2.1


def test_examples_per_client_limits_and_leaves_the_rest() -> None:
    parts = shards(LABELS, 3, per_client=2, examples=20, seed=1)
    assert [len(part) for part in parts] == [20, 20, 20]
    assert len(set(np.concatenate(parts))) == 60
    assert [len(part) for part in iid(LABELS, 3, examples=20, seed=1)] == [20, 20, 20]


@given(clients=st.integers(1, 100), seed=st.integers(0, 99))
def test_iid_deals_out_everything_once(clients: int, seed: int) -> None:
    parts = iid(LABELS, clients, examples=None, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(600))


def test_seeds_matter_and_repeat() -> None:
    one, again, other = (partition(LABELS, 5, {"partition": "shards"}, seed) for seed in (1, 1, 2))
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    assert not all((a == b).all() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", ["shards", "iid"])
def test_too_few_examples_are_said(kind: str) -> None:
    with pytest.raises(UsageError, match="too few"):
        partition(LABELS[:5], 6, {"partition": kind}, 1)
    with pytest.raises(UsageError, match="too few"):
        partition(LABELS, 60, {"partition": kind, "examples_per_client": 20}, 1)


def test_one_blob_holds_all_parts() -> None:
    parts = shards(LABELS, 7, per_client=2, examples=None, seed=3)
    arrays = to_arrays(parts)
    assert all((part_of(arrays, index) == part).all() for index, part in enumerate(parts))
