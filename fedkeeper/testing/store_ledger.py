"""The receipt and event part of the store contract: written once, in order, by one writer at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from fedkeeper.errors import Fenced, ReceiptConflict, StoreError
from fedkeeper.model import Json, StepKey
from fedkeeper.stores.base import Store
from fedkeeper.testing.store_fixtures import EMPTY, HELLO, RUN, STEP, Reopen, StoreFixtures, ledger, receipt


class LedgerContract(StoreFixtures):
    # --- receipts ------------------------------------------------------------------------------------------------
    def test_a_receipt_is_written_once(self, store: Store, reopen: Reopen) -> None:
        assert store.get_receipt(RUN, receipt().key) is None
        assert store.put_receipt(RUN, receipt(notes={"host": "a"})) is True
        assert reopen().put_receipt(RUN, receipt(notes={"host": "b", "seconds": 2.5})) is False
        assert reopen().get_receipt(RUN, receipt().key) == receipt(notes={"host": "a"})

    @pytest.mark.parametrize(
        "other", [{"outputs": {"model": EMPTY}}, {"inputs": {}}, {"examples": 601}, {"metrics": {"loss": 0.26}}, {"outputs": {}}]
    )
    def test_another_body_is_a_conflict(self, store: Store, reopen: Reopen, other: dict[str, Json]) -> None:
        store.put_receipt(RUN, receipt())
        with pytest.raises(ReceiptConflict, match="r0001/train/c1"):
            reopen().put_receipt(RUN, replace(receipt(), **other))
        assert reopen().get_receipt(RUN, receipt().key) == receipt()

    def test_of_two_writers_with_different_bodies_one_wins(self, store: Store, url: str) -> None:
        keys = [f"c{number}" for number in range(40)]
        answers = self._race(store, url, [[("receipt", RUN, STEP, key, model) for key in keys] for model in (HELLO, EMPTY)])
        for key, pair in zip(keys, zip(*answers, strict=True), strict=True):
            kept = store.get_receipt(RUN, StepKey(STEP, key))
            assert sorted(pair, key=str) == [True, {"error": "ReceiptConflict"}]
            assert kept is not None
            assert kept.outputs["model"] == (HELLO, EMPTY)[pair.index(True)]

    def test_of_two_writers_with_the_same_body_one_wrote_it(self, store: Store, url: str) -> None:
        requests = [("receipt", RUN, STEP, f"c{number}", HELLO) for number in range(40)]
        for pair in zip(*self._race(store, url, [requests, requests]), strict=True):
            assert sorted(pair) == [False, True]

    def test_one_look_gives_the_new_receipts_of_a_step(self, store: Store, reopen: Reopen) -> None:
        watcher = reopen()
        assert watcher.receipts(RUN, STEP) == {}
        for subject in ("c1", "c2", "c3"):
            store.put_receipt(RUN, receipt(subject))
        store.put_receipt(RUN, receipt("c4", step="r0002/train"))
        store.put_receipt("another run", receipt("c5"))
        assert watcher.receipts(RUN, STEP) == {subject: receipt(subject) for subject in ("c1", "c2", "c3")}
        for known in (["c1", "c9"], {"c1"}, {"c1": 1}.keys()):
            assert set(watcher.receipts(RUN, STEP, known)) == {"c2", "c3"}
        assert watcher.receipts(RUN, STEP, ("c1", "c2", "c3")) == {}

    def test_a_receipt_json_cannot_hold_is_refused(self, store: Store, reopen: Reopen) -> None:
        for bad in ({"metrics": {"loss": math.nan}}, {"metrics": {"loss": math.inf}}, {"notes": {"host": object()}}):
            with pytest.raises(StoreError, match="JSON"):
                store.put_receipt(RUN, replace(receipt(), **bad))
        assert reopen().get_receipt(RUN, receipt().key) is None
        assert reopen().receipts(RUN, STEP) == {}

    # --- events --------------------------------------------------------------------------------------------------
    def test_events_keep_their_order_and_get_their_number(self, store: Store, reopen: Reopen) -> None:
        store.append(RUN, 0, [{"type": "run_started", "time": 1.5}, {"type": "requested", "note": "}\n{ ☃"}])
        reopen().append(RUN, 2, [{"type": "finished", "seq": 2}])
        expected = [
            {"seq": 0, "type": "run_started", "time": 1.5},
            {"seq": 1, "type": "requested", "note": "}\n{ ☃"},
            {"seq": 2, "type": "finished"},
        ]
        for reader in (store, reopen()):
            assert [ledger(reader, from_seq=seq) for seq in (0, 1, 2, 3, 99, 0)] == [
                expected, expected[1:], expected[2:], [], [], expected,
            ]  # fmt: skip

    def test_a_reader_sees_what_others_append(self, store: Store, reopen: Reopen) -> None:
        reader = reopen()
        for number in range(5):
            store.append(RUN, 2 * number, [{"n": 2 * number}, {"n": 2 * number + 1}])
            assert [event["n"] for event in ledger(reader, from_seq=2 * number)] == [2 * number, 2 * number + 1]
        assert [event["seq"] for event in ledger(reader)] == list(range(10))

    def test_runs_have_ledgers_of_their_own(self, store: Store) -> None:
        store.append("a", 0, [{"of": "a"}])
        store.append("b", 0, [{"of": "b"}])
        assert [ledger(store, run)[0]["of"] for run in "ab"] == ["a", "b"]
        assert ledger(store, "c") == []

    @pytest.mark.parametrize("first_seq", [0, 1, 3, 100])
    def test_who_lost_the_ledger_is_fenced(self, store: Store, reopen: Reopen, first_seq: int) -> None:
        store.append(RUN, 0, [{"n": 0}, {"n": 1}])
        with pytest.raises(Fenced):
            reopen().append(RUN, first_seq, [{"n": "intruder"}])
        assert [event["n"] for event in ledger(reopen())] == [0, 1]

    def test_a_second_orchestrator_fences_the_first(self, store: Store, reopen: Reopen) -> None:
        store.append(RUN, 0, [{"n": 0}])
        reopen().append(RUN, 1, [{"n": 1}])
        with pytest.raises(Fenced):
            store.append(RUN, 1, [{"n": "late"}])
        store.append(RUN, 2, [{"n": 2}])
        assert [event["n"] for event in ledger(reopen())] == [0, 1, 2]

    def test_of_two_appenders_one_gets_each_number(self, store: Store, url: str) -> None:
        requests = [("append", RUN, 3 * turn, [{"n": 1}, {"n": 2}, {"n": 3}]) for turn in range(40)]
        answers = self._race(store, url, [requests, requests])
        events = ledger(store)
        assert [event["seq"] for event in events] == list(range(len(events)))
        assert [event["n"] for event in events] == [1, 2, 3] * (len(events) // 3)
        written = sum(answer is None for half in answers for answer in half)
        assert 3 * written == len(events) > 0

    def test_an_empty_batch_only_checks_the_fence(self, store: Store) -> None:
        store.append(RUN, 0, [])
        store.append(RUN, 0, [{"n": 0}])
        with pytest.raises(Fenced):
            store.append(RUN, 0, [])
        assert len(ledger(store)) == 1

    def test_a_batch_json_cannot_hold_is_refused_whole(self, store: Store, reopen: Reopen) -> None:
        with pytest.raises(StoreError, match="JSON"):
            store.append(RUN, 0, [{"n": 0}, {"loss": math.nan}])
        assert ledger(reopen()) == []
        store.append(RUN, 0, [{"n": 0}])
        assert len(ledger(reopen())) == 1

    def test_a_torn_batch_never_was(self, store: Store, reopen: Reopen, url: str) -> None:
        store.append(RUN, 0, [{"n": 0}, {"n": 1}])
        self.tear_ledger(url, RUN)
        assert [event["n"] for event in ledger(store)] == [0, 1]
        reopen().append(RUN, 2, [{"n": 2}])
        assert [event["n"] for event in ledger(reopen())] == [0, 1, 2]
