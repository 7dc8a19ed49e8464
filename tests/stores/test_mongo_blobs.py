"""Blobs in MongoDB: chunks, readers, rights, memory, and puts that meet a collector at every step."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from bson import ObjectId
from bson.timestamp import Timestamp
from pymongo.database import Database

from fedkeeper.errors import BlobMissing, CorruptData
from fedkeeper.stores import mongo_client
from fedkeeper.stores.mongo import MongoStore
from fedkeeper.testing.store_fixtures import HELLO, RUN, STEP, receipt
from tests.stores.commands import Meddle, Watch
from tests.stores.helpers import run_python

MB = 1 << 20


# --- blobs -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [MB - 1, MB, MB + 1, 5 * MB, 9 * MB + 7])
def test_sizes_around_chunks_and_batches(mongo: MongoStore, size: int) -> None:
    data = os.urandom(size)
    with closing(mongo.open_blob(mongo.put_blob(data[:1000], data[1000:]))) as blob:
        assert bytes(blob.read()) == data
        target = bytearray(size - 2)
        blob.read_into(1, memoryview(target))
        assert target == data[1:-1]


def test_reading_in_small_steps_fetches_each_chunk_once(watch: Watch, mongo: MongoStore) -> None:
    data = os.urandom(6 * MB + 5)
    with closing(mongo.open_blob(mongo.put_blob(data))) as blob:
        watch.seen.clear()
        target = bytearray(len(data))
        for start in range(0, len(data), 300_000):
            blob.read_into(start, memoryview(target)[start : start + 300_000])
    assert target == data
    asked = [event.command["filter"]["_id"] for event in watch.seen if event.command_name == "find"]
    fetched = [n for each in asked for n in range(each["$gte"]["n"], each["$lte"]["n"] + 1)]
    assert sorted(fetched) == list(range(7))


def test_threads_may_share_a_reader(mongo: MongoStore) -> None:
    data = os.urandom(4 * MB)
    with closing(mongo.open_blob(mongo.put_blob(data))) as blob:

        def part(start: int) -> bytes:
            target = bytearray(100_000)
            blob.read_into(start, memoryview(target))
            return bytes(target)

        with ThreadPoolExecutor(8) as pool:
            assert b"".join(pool.map(part, range(0, 4_000_000, 100_000))) == data[:4_000_000]


@pytest.mark.parametrize("damage", ["missing", "short", "dropped"])
def test_chunks_that_are_gone_are_noticed(mongo: MongoStore, database: Database[Any], damage: str) -> None:
    ref = mongo.put_blob(os.urandom(3 * MB))
    reader = mongo.open_blob(ref)
    if damage == "short":
        database["chunks"].update_one({"_id.n": 1}, {"$set": {"d": b"short"}})
    else:
        database["chunks"].delete_one({"_id.n": 1})
    if damage == "dropped":
        database["blobs"].delete_many({})
    with pytest.raises(BlobMissing if damage == "dropped" else CorruptData, match=ref):
        reader.read()


def test_writers_of_blobs_and_receipts_only_find_and_insert(watch: Watch, mongo: MongoStore) -> None:
    for _ in range(2):
        mongo.put_receipt(RUN, receipt(model=mongo.put_blob(bytes(9 * MB))))
    mongo.receipts(RUN, STEP)
    assert {event.command_name for event in watch.seen} == {"insert", "find"}
    for event in watch.seen:
        if event.command_name == "insert":
            concern = event.command["writeConcern"]
            assert (concern["w"], concern["j"]) == ("majority", True)


def test_memory_of_a_large_put(mongo_url: str) -> None:
    """300 MB in memory already: writing them takes some batches more, not a copy."""
    script = """
import resource, sys
from fedkeeper.stores.registry import open_store
store, data = open_store(sys.argv[1]), b"\\1" * 300_000_000
store.put_blob(b"warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.put_blob(data)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    assert int(run_python(script, mongo_url)) < 120


# --- garbage -----------------------------------------------------------------------------------------------------------
def test_chunks_of_dead_writers_go_after_a_day(mongo: MongoStore, database: Database[Any]) -> None:
    mongo.put_blob(b"kept")
    dead, recent, now = ObjectId(), ObjectId(), int(mongo.clock())
    for put, age_s in ((dead, 90_000), (recent, 80_000)):
        database["puts"].insert_one({"_id": {"ref": HELLO, "put": put}, "at": Timestamp(now - age_s, 1)})
        database["chunks"].insert_many([{"_id": {"b": put, "n": n}, "d": b"x"} for n in range(3)])
    mongo.drop_blobs([], now)
    assert database["chunks"].count_documents({"_id.b": dead}) == 0
    assert database["chunks"].count_documents({"_id.b": recent}) == 3
    assert list(mongo.blobs()) != []


def test_a_put_that_was_forgotten_still_counts(mongo: MongoStore, database: Database[Any]) -> None:
    ref, now = mongo.put_blob(b"hello"), int(mongo.clock())
    database["blobs"].update_one({"_id": ref}, {"$set": {"at": Timestamp(now - 900_000, 1)}})
    database["puts"].update_many({}, {"$set": {"at": Timestamp(now - 200_000, 1)}})
    mongo.drop_blobs([], now)
    assert database["puts"].count_documents({}) == 0
    assert mongo.drop_blobs([ref], now - 300_000) == 0
    assert mongo.drop_blobs([ref], now - 100_000) == 1
    assert database["chunks"].count_documents({}) == 0


def test_a_put_waits_for_a_collector_and_survives_a_dead_one(mongo: MongoStore, database: Database[Any]) -> None:
    mongo.put_blob(b"hello")
    fresh = [{"$set": {"dying": {"by": ObjectId(), "at": "$$NOW"}}}]
    database["blobs"].update_one({}, fresh)
    with ThreadPoolExecutor(1) as pool:
        put = pool.submit(mongo.put_blob, b"hello")
        time.sleep(0.3)
        assert not put.done()
        database["blobs"].delete_one({})
        assert put.result(5) == HELLO
    assert mongo.get_blob(HELLO) == b"hello"
    database["blobs"].update_one({}, [{"$set": {"dying": {"by": ObjectId(), "at": {"$subtract": ["$$NOW", 20_000]}}}}])
    assert mongo.put_blob(b"hello") == HELLO


@pytest.mark.parametrize(("command", "collection"), [("update", "blobs"), ("find", "puts")])
def test_a_put_noted_before_the_last_look_is_seen(
    mongo_url: str, database: Database[Any], monkeypatch: pytest.MonkeyPatch, command: str, collection: str
) -> None:
    def note() -> None:
        database["puts"].insert_one({"_id": {"ref": HELLO, "put": ObjectId()}, "at": Timestamp(0, 0)})

    meddle = Meddle(command, collection, note)
    monkeypatch.setitem(mongo_client._DEFAULTS, "event_listeners", [meddle])
    with closing(MongoStore(mongo_url)) as store:
        store.put_blob(b"hello")
        time.sleep(1.05)
        assert store.drop_blobs([HELLO], store.clock()) == 0
        assert meddle.wanted == ("", "")
        assert store.put_blob(b"hello") == HELLO
        assert store.get_blob(HELLO) == b"hello"


@pytest.mark.parametrize("by_now", ["unmarked", "marked by another", "marked long ago"])
def test_a_collector_deletes_by_its_own_fresh_mark_only(
    mongo_url: str, database: Database[Any], monkeypatch: pytest.MonkeyPatch, by_now: str
) -> None:
    changes = {
        "unmarked": [{"$unset": "dying"}],
        "marked by another": [{"$set": {"dying.by": ObjectId()}}],
        "marked long ago": [{"$set": {"dying.at": {"$subtract": ["$$NOW", 12_000]}}}],
    }
    meddle = Meddle("delete", "blobs", lambda: database["blobs"].update_many({}, changes[by_now]))
    monkeypatch.setitem(mongo_client._DEFAULTS, "event_listeners", [meddle])
    with closing(MongoStore(mongo_url)) as store:
        store.put_blob(b"hello")
        assert store.drop_blobs([HELLO], store.clock() + 60) == 0
        assert store.get_blob(HELLO) == b"hello"
