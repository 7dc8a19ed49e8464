"""The random selector: golden choices, fairness, and independence of everything but seed, round and client."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.errors import UsageError
from fedkeeper.strategies.select import RandomSelector

CLIENTS = [f"c{number}" for number in range(10)]
GOLDEN = [("c1", "c0", "c5"), ("c6", "c9", "c1")]


def choose(clients: list[str] = CLIENTS, count: int = 3, seed: int = 0, round_: int = 1) -> tuple[str, ...]:
    return RandomSelector().select(clients, count, seed=seed, round_=round_)


def test_golden_choices() -> None:
    """A stored run is resumed with the same clients, by any later version. Ranks: SHA-256 of "0\\x1fselect\\x1f1\\x1fc0" and so on."""
    assert [choose(round_=round_) for round_ in (1, 2)] == GOLDEN
    assert choose(count=10)[:3] == GOLDEN[0]


@given(st.lists(st.text(), min_size=1, unique=True), st.data())
def test_distinct_clients_in_an_order_of_their_own(clients: list[str], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(clients)))
    chosen = choose(clients, count)
    assert len(set(chosen)) == len(chosen) == count
    assert set(chosen) <= set(clients)
    assert choose(data.draw(st.permutations(clients)), count) == chosen


def test_python_random_has_no_say() -> None:
    random.seed(1)
    first = choose()
    state = random.getstate()
    random.seed(2)
    assert choose() == first
    random.setstate(state)


def test_a_client_that_joins_displaces_at_most_one() -> None:
    before, after = choose(), choose([*CLIENTS, "new"])
    assert len(set(before) - set(after)) <= 1


def test_seed_and_round_matter() -> None:
    assert len({choose(seed=seed, count=5) for seed in range(20)}) > 15
    assert len({choose(round_=round_, count=5) for round_ in range(20)}) > 15


def test_everybody_gets_a_turn() -> None:
    """400 rounds of 3 of 10: 120 turns each on average, standard deviation 9."""
    turns = Counter(client for round_ in range(400) for client in choose(round_=round_))
    assert all(80 < turns[client] < 160 for client in CLIENTS)


@pytest.mark.parametrize("count", [0, -1, 11])
def test_more_than_there_are(count: int) -> None:
    with pytest.raises(UsageError, match=f"cannot choose {count} of 10 clients"):
        choose(count=count)
