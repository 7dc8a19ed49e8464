"""The part of the store contract about collecting garbage: what exists, what may go, and puts that meet a drop."""

from __future__ import annotations

import time

import pytest

from fedkeeper.errors import BlobMissing, CorruptData
from fedkeeper.model import Ref
from fedkeeper.refs import ref_of
from fedkeeper.stores.base import Store
from fedkeeper.testing.store_fixtures import ABSENT, EMPTY, HELLO, Reopen, StoreFixtures


class DropContract(StoreFixtures):
    def test_every_blob_is_listed(self, store: Store, reopen: Reopen) -> None:
        assert list(store.blobs()) == []
        refs = {store.put_blob(b"hello"), store.put_blob(), store.put_blob(b"hello"), store.put_blob(bytes(3_000_000))}
        assert sorted(reopen().blobs()) == sorted(refs)
        assert {HELLO, EMPTY} < refs

    def test_dropped_blobs_are_gone(self, store: Store, reopen: Reopen, url: str) -> None:
        big = store.put_blob(bytes(3_000_000))
        store.put_blob(b"hello")
        kept = store.put_blob(b"kept")
        assert reopen().drop_blobs([HELLO, big, ABSENT], self._later(store)) == 2
        assert (list(store.blobs()), self.raw_blobs(url)) == ([kept], [b"kept"])
        with pytest.raises(BlobMissing):
            store.get_blob(big)
        assert store.drop_blobs([HELLO, big, ABSENT], self._later(store)) == 0
        assert store.put_blob(b"hello") == HELLO
        assert reopen().get_blob(HELLO) == b"hello"

    def test_what_was_put_since_stays(self, store: Store, reopen: Reopen) -> None:
        old, again = store.put_blob(b"old"), store.put_blob(b"again")
        before = self._later(store)
        reopen().put_blob(b"again")
        new = store.put_blob(b"new")
        for _ in range(2):
            store.drop_blobs([old, again, new], before)
            assert sorted(store.blobs()) == sorted([again, new])
        assert store.drop_blobs([again, new], self._later(store)) == 2

    def test_only_refs_are_dropped(self, store: Store) -> None:
        store.put_blob(b"hello")
        with pytest.raises(CorruptData, match="not a ref"):
            store.drop_blobs([Ref("../blobs")], time.time() + 60)
        assert store.drop_blobs([], time.time() + 60) == 0
        assert store.has_blob(HELLO)

    def test_the_clock_is_that_of_the_world(self, store: Store) -> None:
        assert abs(store.clock() - time.time()) < 30

    def test_a_put_that_meets_a_drop_keeps_its_blob(self, store: Store, url: str) -> None:
        """Each blob is put again by two processes while two others drop it, by a time before those puts."""
        sizes = range(1, 80)
        refs = [ref_of(b"\1" * size) for size in sizes]
        for size in sizes:
            store.put_blob(b"\1" * size)
        before = self._later(store)
        puts, drops = [("blob", size, 1) for size in sizes], [("drop", [ref], before) for ref in refs]
        answers = self._race(store, url, [puts, drops, puts, drops])
        assert answers[0] == answers[2] == refs
        assert all(answer in (0, 1) for answer in (*answers[1], *answers[3]))
        assert set(store.blobs()) == set(refs)
        assert [store.get_blob(ref) for ref in refs] == [b"\1" * size for size in sizes]

    def _later(self, store: Store) -> float:
        """A time after everything so far and before everything from now on."""
        time.sleep(self.clock_step_s)
        return store.clock()
