"""The star program: calm runs, quorum, deadlines, stops; and wild runs that must end like calm ones."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.errors import CorruptData
from fedkeeper.events import train_step
from fedkeeper.model import StepKey, Training
from fedkeeper.states import ActivationState
from tests.train.simulation import World, make_plan, replayed

S = ActivationState


def types(world: World) -> list[str]:
    return [event["type"] for event in world.events]


def test_a_calm_run_opens_closes_and_commits_every_round_once() -> None:
    world = World(make_plan(rounds=3)).run_calmly()
    counted = Counter(types(world))
    assert counted["round_opened"] == counted["closed"] == counted["committed"] == counted["evaluated"] == 3
    assert world.state.finished is not None
    assert world.state.finished["stop_reason"] == "rounds"
    assert world.state.finished["rounds"] == 3
    assert not world.state.in_flight


def test_in_flight_never_exceeds_what_the_clusters_take() -> None:
    world = World(make_plan(clients=9, capacity={"edge": 2, "core": 1}))
    for _ in range(200):
        world.settle()
        assert world.state.busy["edge"] <= 2
        assert world.state.busy["core"] <= 1
        if world.state.finished:
            return
        key, step = next(iter(world.state.in_flight.items()))
        world.end(key, step.attempt, S.SUCCEEDED)
    raise AssertionError("the run does not end")


def test_selection_is_without_replacement_and_the_decision_keeps_its_order() -> None:
    world = World(make_plan(clients=20, per_round=6, quorum=6)).run_calmly()
    opened = [event["clients"] for event in world.events if event["type"] == "round_opened"]
    assert all(len(set(clients)) == 6 for clients in opened)
    assert opened[0] != opened[1]
    decisions = [world.decisions[event["decision"]] for event in world.events if event["type"] == "closed"]
    assert [[entry[0] for entry in decision] for decision in decisions] == opened


def test_the_target_ends_the_run_at_the_round_that_met_it_whatever_the_next_one_did() -> None:
    world = World(make_plan(rounds=9, target_accuracy=0.2)).run_calmly()
    assert world.state.finished is not None
    assert (world.state.finished["stop_reason"], world.state.finished["rounds"]) == ("target_accuracy", 2)
    committed = [event["model"] for event in world.events if event["type"] == "committed"]
    assert world.state.finished["model"] == committed[1]
    assert len(committed) == 2


def test_a_round_is_not_closed_before_the_evaluation_that_may_end_the_run() -> None:
    world = World(make_plan(rounds=5))
    evaluation = None
    for _ in range(100):
        world.settle()
        for key, step in list(world.state.in_flight.items()):
            if key.kind == "evaluate":
                evaluation = key
            else:
                world.end(key, step.attempt, S.SUCCEEDED)
    assert evaluation == StepKey("r0001/evaluate", "server")
    assert types(world).count("closed") == 1
    assert world.state.succeeded == 5


def test_time_budget_stops_after_the_round_it_runs_out_in() -> None:
    world = World(make_plan(rounds=100, time_budget_s=30.0))
    while not world.state.finished:
        world.settle()
        world.now += 5
        for key, step in list(world.state.in_flight.items()):
            world.end(key, step.attempt, S.SUCCEEDED)
    assert world.state.finished["stop_reason"] == "time_budget"
    assert 1 < world.state.finished["rounds"] < 10


def test_draining_finishes_the_open_round_and_evaluates_it() -> None:
    world = World(make_plan(rounds=100, evaluate_every=50))
    world.settle()
    world.end(StepKey("init", "server"), 1, S.SUCCEEDED)
    world.settle()
    for _ in range(30):
        for key, step in list(world.state.in_flight.items()):
            world.end(key, step.attempt, S.SUCCEEDED)
        world.settle(draining=True)
    assert world.state.finished is not None
    assert world.state.finished["stop_reason"] == "stopped"
    assert (world.state.finished["rounds"], world.state.finished["accuracy"]) == (1, 0.1)


def fail_all(world: World, subjects: set[str], rounds: int = 40) -> None:
    for _ in range(rounds):
        world.settle()
        world.now += 60
        for key, step in list(world.state.in_flight.items()):
            world.end(key, step.attempt, S.FAILED if key.subject in subjects else S.SUCCEEDED)
        if world.state.finished or world.failure:
            return


def test_a_client_beyond_its_retries_does_not_stop_a_round_with_quorum() -> None:
    world = World(make_plan(clients=5, quorum=4, rounds=2))
    fail_all(world, {"c3"})
    assert world.failure is None
    assert world.state.finished is not None
    closed = [event for event in world.events if event["type"] == "closed"]
    assert [(event["reason"], event["counted"]) for event in closed] == [("quorum", 4)] * 2
    attempts = [
        e["attempt"] for e in world.events if e["type"] == "requested" and e["subject"] == "c3" and e["step"] == train_step(1)
    ]
    assert attempts == [1, 2, 3]


def test_without_quorum_the_failure_names_client_attempts_and_cause() -> None:
    world = World(make_plan(clients=5, quorum=5))
    fail_all(world, {"c3"})
    assert world.failure == ("round 1 needs 5 of 5 updates, and 1 clients were given up; c3 failed 3 times, last: failed")


def test_a_failed_run_gets_fresh_attempts_when_resumed() -> None:
    world = World(make_plan(clients=5))
    fail_all(world, {"c3"})
    assert world.failure
    world.failure = None
    world.crash()
    world.run_calmly()
    assert world.state.finished is not None
    assert world.state.finished["model"] == World(make_plan(clients=5)).run_calmly().state.finished["model"]  # type: ignore[index]


def test_the_deadline_closes_only_with_a_quorum() -> None:
    world = World(make_plan(clients=5, quorum=3, round_deadline_s=100.0, rounds=1))
    world.settle()
    world.end(StepKey("init", "server"), 1, S.SUCCEEDED)
    world.settle()
    flying = [key for key in world.state.in_flight if key.kind == "train"]
    world.now += 500
    world.settle()
    assert "closed" not in types(world)
    for key in flying[:3]:
        world.end(key, 1, S.SUCCEEDED)
    world.settle()
    assert world.state.decision is not None
    assert [event["reason"] for event in world.events if event["type"] == "closed"] == ["deadline"]


def test_a_late_receipt_takes_a_client_back_in() -> None:
    world = World(make_plan(clients=2, capacity={"edge": 2, "core": 2}), training=Training(task="t", retries=0, seed=7))
    world.settle()
    world.end(StepKey("init", "server"), 1, S.SUCCEEDED)
    world.settle()
    key = StepKey(train_step(1), "c1")
    assert world.end(key, 1, S.LOST)
    assert world.state.given_up == 1
    assert world.end(key, 1, S.SUCCEEDED)
    assert (world.state.given_up, world.state.succeeded) == (0, 1)
    assert not world.end(key, 1, S.FAILED)


def test_an_unknown_ledger_is_refused() -> None:
    world = World(make_plan()).run_calmly()
    with pytest.raises(CorruptData, match="event 1 where 0 was due"):
        replayed(world.events[1:])
    with pytest.raises(CorruptData, match="which was not open"):
        replayed([world.events[0], {"seq": 1, "time": 1.0, "type": "accepted", "step": "x", "subject": "y", "attempt": 1}])


@given(seed=st.integers(0, 2**32), clients=st.integers(1, 6), rounds=st.integers(1, 3))
def test_wild_runs_with_full_quorum_end_with_the_calm_model(seed: int, clients: int, rounds: int) -> None:
    plan = make_plan(clients=clients, quorum=clients, rounds=rounds)
    calm = World(plan).run_calmly()
    wild = World(plan, training=Training(task="t", retries=10**6, backoff_s=0.1, seed=7)).run_wildly(random.Random(seed))
    assert wild.state.finished is not None
    assert wild.state.finished["model"] == calm.state.finished["model"]  # type: ignore[index]


@given(seed=st.integers(0, 2**32), quorum=st.integers(1, 5))
def test_wild_runs_count_each_client_once_and_replay_to_the_same_state(seed: int, quorum: int) -> None:
    world = World(make_plan(clients=5, quorum=quorum, round_deadline_s=3.0)).run_wildly(random.Random(seed))
    for entries in world.decisions.values():
        clients = [entry[0] for entry in entries]
        assert len(set(clients)) == len(clients) >= quorum
    again = replayed(world.events)
    assert (again.model, again.committed, again.finished, again.elapsed) == (
        world.state.model, world.state.committed, world.state.finished, world.state.elapsed,
    )  # fmt: skip
    assert set(again.in_flight) == set(world.state.in_flight)
    assert all(count >= 0 for count in world.state.busy.values())
