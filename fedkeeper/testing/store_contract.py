"""The contract every store keeps, as a pytest suite. A backend's own test file is a few lines:

    class TestFileStore(StoreContract):
        @pytest.fixture
        def url(self, tmp_path): return f"file:{tmp_path}/store"

        def raw_blobs(self, url): ...      the blobs as they lie in the backend, read past the store

What one store object wrote is read back through another one opened from the same URL, or past the store: a method is not tested
with its own counterpart's cache. Races use real processes where the backend is shared between processes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedkeeper.errors import RunBusy
from fedkeeper.model import StepKey
from fedkeeper.stores.base import Store
from fedkeeper.testing.store_blobs import BlobContract
from fedkeeper.testing.store_drop import DropContract
from fedkeeper.testing.store_fixtures import RUN, STEP, Reopen, ledger, receipt
from fedkeeper.testing.store_ledger import LedgerContract
from fedkeeper.testing.store_process import StoreProcess

HOSTILE = (
    "../../escape", "..", ".", "", "a/b", "/etc/passwd", ".hidden", "con\\nul", "x" * 1000, "x" * 999 + "y", "naïve ☃", "NUL\0byte",
    "new\nline", "%2E%2E", "a%2Fb", "~", "lone \ud800 surrogate", "dollar$where.key",
)  # fmt: skip


class StoreContract(BlobContract, DropContract, LedgerContract):
    # --- records -------------------------------------------------------------------------------------------------
    def test_records_are_replaced(self, store: Store, reopen: Reopen) -> None:
        assert store.get_record("deployment", "mnist") is None
        store.put_record("deployment", "mnist", {"digest": "a", "parts": [1, None, {"x": True}]})
        assert reopen().get_record("deployment", "mnist") == {"digest": "a", "parts": [1, None, {"x": True}]}
        store.put_record("deployment", "mnist", {"digest": "b"})
        assert reopen().get_record("deployment", "mnist") == {"digest": "b"}
        assert reopen().records("deployment") == {"mnist": {"digest": "b"}}

    def test_kinds_are_apart(self, store: Store) -> None:
        store.put_record("a", "x", {"kind": "a"})
        store.put_record("b", "x", {"kind": "b"})
        store.delete_record("a", "x")
        assert (store.records("a"), store.records("b"), store.records("c")) == ({}, {"x": {"kind": "b"}}, {})

    def test_deleting_is_repeatable(self, store: Store, reopen: Reopen) -> None:
        store.delete_record("control", "stop")
        store.put_record("control", "stop", {})
        for _ in range(2):
            store.delete_record("control", "stop")
            assert reopen().get_record("control", "stop") is None

    def test_what_was_read_is_a_copy(self, store: Store) -> None:
        record = {"parts": [1]}
        store.put_record("a", "x", record)
        record["parts"].append(2)
        read = store.get_record("a", "x")
        assert read == {"parts": [1]}
        read["parts"].append(3)
        assert store.get_record("a", "x") == {"parts": [1]}

    def test_runs_come_oldest_first(self, store: Store, reopen: Reopen) -> None:
        assert store.runs() == []
        for run, created in (("b", 30.5), ("c", 10), ("z", 20), ("a", 20)):
            store.put_record("run", run, {"created": created})
        store.put_record("deployment", "not a run", {"created": 1})
        assert list(reopen().runs()) == ["c", "a", "z", "b"]

    # --- lease ---------------------------------------------------------------------------------------------------
    def test_a_run_has_one_holder(self, store: Store, reopen: Reopen) -> None:
        with store.lease(RUN):
            for other in (store, reopen()):
                with pytest.raises(RunBusy, match=RUN), other.lease(RUN):
                    raise AssertionError("two holders")
            with reopen().lease("another run"):
                pass
        with reopen().lease(RUN):
            pass

    def test_an_error_gives_the_lease_back(self, store: Store, reopen: Reopen) -> None:
        with pytest.raises(ZeroDivisionError), store.lease(RUN):
            raise ZeroDivisionError
        with reopen().lease(RUN):
            pass

    def test_death_gives_the_lease_back(self, store: Store, url: str) -> None:
        if not self.crosses_processes:
            return  # the store dies with its process
        with StoreProcess(url) as holder:
            assert holder.ask("lease", RUN) == "held"
            with pytest.raises(RunBusy), store.lease(RUN):
                raise AssertionError("two holders")
            holder.kill()
            with store.lease(RUN):
                pass

    # --- death and hostile names ---------------------------------------------------------------------------------
    def test_killing_a_writer_leaves_whole_things_only(self, store: Store, reopen: Reopen, url: str) -> None:
        if not self.crosses_processes:
            return  # the store dies with its process
        size = 8_000_000
        for byte in range(3):
            with StoreProcess(url) as writer:
                writer.ask("append", RUN, len(ledger(store)), [{"n": byte}])
                writer.send("blob", size, byte)
                writer.send("append", RUN, len(ledger(store)), [{"n": -1}] * 20_000)
                writer.kill()
        assert all(len(blob) == size for blob in self.raw_blobs(url))
        other = reopen()
        events = ledger(other)
        assert [event["seq"] for event in events] == list(range(len(events)))
        assert sum(event["n"] == -1 for event in events) % 20_000 == 0
        other.append(RUN, len(events), [{"n": 99}])

    @pytest.mark.parametrize("name", HOSTILE, ids=ascii)
    def test_hostile_names_are_only_names(self, store: Store, reopen: Reopen, name: str) -> None:
        store.put_receipt(name, receipt(name, step=name))
        store.append(name, 0, [{"n": 0}])
        store.put_record(name, name, {"n": 1})
        with store.lease(name):
            pass
        other = reopen()
        assert other.get_receipt(name, StepKey(name, name)) == receipt(name, step=name)
        assert set(other.receipts(name, name)) == {name}
        assert other.receipts(name, name, known=[name]) == {}
        assert len(ledger(other, name)) == 1
        assert other.records(name) == {name: {"n": 1}}

    def test_hostile_names_do_not_meet(self, store: Store, reopen: Reopen) -> None:
        for number, name in enumerate(HOSTILE):
            store.put_record("names", name, {"n": number})
            store.put_receipt(RUN, replace(receipt(name), examples=number))
        other = reopen()
        assert other.records("names") == {name: {"n": number} for number, name in enumerate(HOSTILE)}
        assert {name: found.examples for name, found in other.receipts(RUN, STEP).items()} == {
            n: i for i, n in enumerate(HOSTILE)
        }
