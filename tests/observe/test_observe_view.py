"""The fold of a ledger into rows."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper.observe.rows import Counts
from fedkeeper.observe.view import RunFold, view_of
from tests.observe.ledgers import START, Script, names, plain_run, rough_run


def test_a_plain_run_gives_every_number_of_a_round() -> None:
    view = view_of(plain_run(rounds=3, clients=4))

    first = view.rounds[0]
    assert (first.round, first.clients, first.succeeded, first.closed_by) == (1, 4, 4, "all")
    assert first.invoke_s == pytest.approx(0.3)  # the fourth client was accepted 3 x 0.1 s after the opening
    assert first.train_s == pytest.approx(0.1 + 2)
    assert first.aggregate_s == pytest.approx(0.4)
    assert first.total_s == pytest.approx(0.4 + 2 + 0.4)
    assert first.evaluate_s == pytest.approx(0.6)
    assert (first.accuracy, first.loss, first.model) == (0.5, 0.5, "sha256:m1")
    assert [row.round for row in view.rounds] == [1, 2, 3]
    assert (view.finished, view.stop_reason, view.model, view.phase) == (True, "rounds", "sha256:m3", "finished")
    assert (view.run, view.fabric, view.eta_s) == ("demo-1", "demo", 0.0)
    assert view.counts == Counts(requested=1 + 3 * 6, succeeded=1 + 3 * 6)


def test_retries_late_receipts_and_drops_are_told_apart() -> None:
    view = view_of(rough_run())
    by_key = {(row.round, row.client, row.attempt): row for row in view.activations}

    assert view.counts.retried == 1
    assert view.counts.failed == 1  # c1's first attempt; c2's came back
    assert by_key[1, "c1", 1].error == "out of memory at line 3"
    assert by_key[1, "c2", 1].state == "succeeded"
    assert by_key[1, "c3", 1].state == "cancelled"
    assert by_key[1, "c2", 1].cluster == "edge"
    assert by_key[1, "c0", 1].cold_start is True
    assert by_key[1, "c0", 1].duration_s == pytest.approx(2.0)
    assert {row.client for row in view.clients if row.round == 1} == {"c0", "c1", "c2"}
    assert view.warnings == ("client c3 is slow",)
    assert view.rounds[0].succeeded == 3


def test_the_gap_before_a_resume_belongs_to_no_round() -> None:
    total = view_of(rough_run()).rounds[0].total_s
    assert total == pytest.approx(0.4 + 1 + 0.5 + 1 + 0.4)


def test_invoking_ends_with_the_last_first_attempt_whether_it_was_accepted_or_died() -> None:
    script = Script().start(2, 1).open(1, names(2)).client(1, "c0").wait(3)
    script.requested(1, "r0001/train", "c1", 1, "fl_client", "laptop").wait(1).failed(1, "c1").wait(5)
    script.client(1, "c1", 2).wait(2).done(1, "c0").done(1, "c1", 2).close(1, 2)
    row = view_of(script.events).rounds[0]
    assert (row.invoke_s, row.train_s) == (pytest.approx(4), pytest.approx(7))


def test_evaluation_may_overlap_the_next_round() -> None:
    script = Script().start(1, 2).open(1, ["c0"]).client(1, "c0").wait(1).done(1, "c0").close(1, 1).commit(1)
    script.requested(1, "r0001/evaluate", "server", 1, "fl_evaluator", "laptop").wait(0.5).open(2, ["c0"]).wait(2)
    script.add("evaluated", round=1, loss=0.2, accuracy=0.8, examples=10, metrics={})
    view = view_of(script.events)
    assert view.rounds[0].evaluate_s == pytest.approx(2.5)
    assert view.rounds[0].total_s == pytest.approx(1.4)
    assert (view.rounds[1].accuracy, view.round, view.accuracy) == (None, 2, 0.8)


def test_relay_keeps_both_activation_ids() -> None:
    script = Script().start(1, 1).open(1, ["c0"]).client(1, "c0").done(1, "c0", client_activation_id="far-away")
    row = view_of(script.events).activations[-1]
    assert (row.activation_id, row.client_activation_id) == ("act-r0001/train-c0-1", "far-away")


def test_an_open_round_shows_clients_per_cluster_and_state() -> None:
    events = rough_run()
    cut = next(index for index, event in enumerate(events) if event["type"] == "resumed")
    clusters = view_of(events[:cut]).clusters
    shown = {name: {state: n for state, n in states.items() if n} for name, states in clusters.items()}
    assert shown == {"laptop": {"done": 1, "running": 1}, "edge": {"retrying": 1, "running": 1}}


def test_eta_is_the_recent_pace_times_the_rounds_left() -> None:
    script = Script().start(1, 5)
    for round_ in (1, 2):
        script.open(round_, ["c0"]).client(round_, "c0").wait(9.6).done(round_, "c0").close(round_, 1).commit(round_)
    assert view_of(script.events).eta_s == pytest.approx(30)
    assert view_of(script.open(3, ["c0"]).events, now=script.time + 4).eta_s == pytest.approx(26)
    assert view_of(Script().start().events).eta_s is None


def test_a_time_budget_bounds_the_eta() -> None:
    events = Script().start(1, 100).events
    events[0]["time_budget_s"] = 50.0
    assert view_of(events, now=START + 20).eta_s == pytest.approx(30)


def test_interrupted_and_resumed() -> None:
    script = Script().start(1, 1).open(1, ["c0"]).add("interrupted", reason="signal", error=None)
    assert view_of(script.events).phase == "interrupted"
    assert view_of(script.wait(9).add("resumed").events).phase == "training"


def test_events_of_a_later_version_are_passed_over() -> None:
    events = plain_run(1, 1)
    strange = [*events[:3], {"seq": 99, "time": START, "type": "from_the_future", "x": 1}, *events[3:]]
    assert view_of(strange).rounds == view_of(events).rounds


def test_the_view_is_json() -> None:
    data = json.loads(json.dumps(view_of(rough_run()).to_json(), allow_nan=False))
    assert data["rounds"][1]["accuracy"] == 0.95
    assert data["counts"] == {"requested": 14, "succeeded": 12, "failed": 1, "retried": 1}
    assert "activations" not in data


@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_batches_do_not_matter(cuts: list[int]) -> None:
    events = rough_run()
    fold = RunFold()
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    for begin, end in pairwise(edges):
        fold.feed(events[begin:end])
    assert fold.view() == view_of(events)


@given(upto=st.integers(0, 60))
def test_counts_always_agree_with_the_rows(upto: int) -> None:
    view = view_of(rough_run()[:upto])
    states = [row.state for row in view.activations]
    assert view.counts.requested == len(states)
    assert view.counts.succeeded == states.count("succeeded")
    assert view.counts.failed == sum(states.count(state) for state in ("failed", "lost", "timed_out"))
    assert all(number >= 0 for counts in view.clusters.values() for number in counts.values())
