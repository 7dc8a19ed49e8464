"""What the MongoDB store promises beyond the contract: URLs, prefixes, large batches, leases, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from fedkeeper.errors import CorruptData, Fenced, MissingExtra, RunBusy, StoreError
from fedkeeper.stores import mongo_ledger
from fedkeeper.stores.mongo import MongoStore
from fedkeeper.stores.mongo_client import Connection
from fedkeeper.stores.mongo_lease import lease
from fedkeeper.stores.mongo_names import decoded, encoded
from fedkeeper.stores.mongo_url import parse, sign_in
from fedkeeper.stores.registry import open_store, requirements_of
from fedkeeper.testing.store_contract import HOSTILE
from fedkeeper.testing.store_fixtures import HELLO, RUN, ledger
from tests.stores.commands import Watch
from tests.stores.helpers import run_python


# --- URLs ------------------------------------------------------------------------------------------------------------
def test_what_a_url_says() -> None:
    found = parse("mongodb://me:p%40ss@a:1,b:2/models?w=0&fedkeeperPrefix=lab_1&tls=true")
    assert (found.where, found.database, found.prefix) == ("a:1,b:2", "models", "lab_1_")
    assert found.driver == "mongodb://me:p%40ss@a:1,b:2/models?w=0&tls=true"
    assert found.options == {"w", "tls"}
    assert parse("mongodb+srv://host").database == "fedkeeper"
    assert sign_in("mongodb://me:p%40ss@a/db") == ("me", "p@ss", "db")
    assert sign_in("mongodb://me:x@a/db?authSource=admin") == ("me", "x", "admin")


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://",
        "mongodb:host",
        "mongodb:///db",
        "mongodb://u:p4ss/x@h/db",
        "mongodb://u:p4ss/x@h",
        "mongodb://u:p4ss@h/a.b",
        "mongodb://u:p4ss@h/d?fedkeeperPrefix=$x",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(url)
    assert caught.value.hint
    assert "p4ss" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("url", ["mongodb://u:p4:ss@h/db", "mongodb://h:port/db", "mongodb://h/db?authSource="])
def test_urls_the_driver_refuses(url: str) -> None:
    with closing(open_store(url)) as store, pytest.raises(StoreError) as caught:
        store.has_blob(HELLO)
    assert "p4" not in f"{caught.value}{caught.value.hint}"


def test_a_prefix_keeps_stores_apart(mongo_url: str, database: Database[Any]) -> None:
    with closing(MongoStore(mongo_url + "&fedkeeperPrefix=mine")) as mine, closing(MongoStore(mongo_url)) as other:
        mine.put_blob(b"hello")
        mine.put_record("a", "b", {})
        assert (other.has_blob(HELLO), other.records("a")) == (False, {})
    assert set(database.list_collection_names()) == {"mine_blobs", "mine_chunks", "mine_puts", "mine_records"}


def test_functions_install_the_driver() -> None:
    assert requirements_of("mongodb://h") == ("pymongo>=4.6,<5",)
    assert requirements_of("mongodb+srv://h") == ("pymongo[srv]>=4.6,<5",)
    assert requirements_of("file:/x") == ()


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in ("pymongo", "bson") or "stores.mongo" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "bson", None)
    monkeypatch.setitem(sys.modules, "pymongo", None)
    with pytest.raises(MissingExtra) as caught:
        open_store("mongodb://h")
    assert "fedkeeper[mongo]" in caught.value.hint


# --- names -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [*HOSTILE, "\\ud800", "\\x00", "\U0001f642"], ids=ascii)
def test_a_name_comes_back(name: str) -> None:
    assert decoded(encoded(name)) == name


# --- the ledger --------------------------------------------------------------------------------------------------------
def test_a_batch_of_many_documents_is_one_batch(mongo: MongoStore, mongo_url: str) -> None:
    text = "x" * 100_000
    mongo.append(RUN, 0, [{"n": 0}])
    mongo.append(RUN, 1, [{"text": text}] * 200)
    mongo.append(RUN, 201, [{"n": 201}])
    with closing(MongoStore(mongo_url)) as other:
        assert [event["seq"] for event in ledger(other)] == list(range(202))
        assert [event["seq"] for event in ledger(other, from_seq=100)] == list(range(100, 202))
        with pytest.raises(Fenced):
            other.append(RUN, 150, [{"text": text}] * 200)


def test_many_batches_are_read_in_pages(mongo: MongoStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_ledger, "_PAGE", 3)
    for number in range(10):
        mongo.append(RUN, 2 * number, [{"n": 0}, {"n": 1}])
    assert [event["seq"] for event in ledger(mongo, from_seq=5)] == list(range(5, 20))


def test_appending_costs_one_command(watch: Watch, mongo: MongoStore) -> None:
    mongo.append(RUN, 0, [{"n": 0}])
    watch.seen.clear()
    mongo.append(RUN, 1, [{"n": 1}])
    assert [event.command_name for event in watch.seen] == ["insert"]


@pytest.mark.parametrize("hole", ["batch", "part"])
def test_a_ledger_with_a_hole_is_corrupt(mongo: MongoStore, database: Database[Any], hole: str) -> None:
    for number in range(3):
        mongo.append(RUN, 20 * number, [{"text": "x" * 100_000}] * 20)
    database["events"].delete_one({"_id.first": 20} if hole == "batch" else {"_id.part": {"$exists": True}})
    with pytest.raises(CorruptData, match=f"the ledger of run {RUN}"):
        ledger(mongo)


# --- the lease ---------------------------------------------------------------------------------------------------------
def test_the_holder_of_a_lease_is_named(mongo: MongoStore) -> None:
    with mongo.lease(RUN), pytest.raises(RunBusy, match=f"held by process {os.getpid()} on "), mongo.lease(RUN):
        raise AssertionError("two holders")


def test_a_lease_is_renewed_and_runs_out_by_the_servers_clock(mongo_url: str, database: Database[Any]) -> None:
    with closing(Connection(mongo_url, 0)) as first, closing(Connection(mongo_url, 0)) as second, lease(first, RUN, lease_s=1.0):
        time.sleep(1.5)
        with pytest.raises(RunBusy), lease(second, RUN):
            raise AssertionError("two holders")
        database["leases"].update_one({}, {"$set": {"holder": ObjectId(), "machine": "another"}})
        time.sleep(1.3)
        with lease(second, RUN):
            pass


def test_a_holder_on_another_machine_is_believed_to_live(mongo: MongoStore, database: Database[Any]) -> None:
    with mongo.lease(RUN):
        database["leases"].update_one({}, {"$set": {"machine": "another", "pid": 1, "started": "0", "host": "$where"}})
        with pytest.raises(RunBusy, match=r"process 1 on \$where"), mongo.lease(RUN):
            raise AssertionError("two holders")


def test_a_process_with_the_id_of_a_dead_holder_is_not_the_holder(mongo: MongoStore, database: Database[Any]) -> None:
    with mongo.lease(RUN):
        database["leases"].update_one({}, {"$set": {"started": "1"}})
        with mongo.lease(RUN):
            pass


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from fedkeeper.errors import RunBusy
from fedkeeper.stores.mongo import MongoStore
holder, other = MongoStore(sys.argv[1]), MongoStore(sys.argv[1])
ref = holder.put_blob(b"hello")
with holder.lease("r"):
    child = os.fork()
    if child == 0:
        print("child reads", holder.get_blob(ref).decode(), flush=True)
        raise SystemExit
    os.waitpid(child, 0)
    try:
        with other.lease("r"):
            print("two holders")
    except RunBusy:
        print("busy")
    print("parent reads", holder.get_blob(ref).decode())
with other.lease("r"):
    print("free")
"""


def test_a_forked_child_has_a_connection_of_its_own_and_frees_nothing(mongo_url: str) -> None:
    assert run_python(FORK, mongo_url).splitlines() == ["child reads hello", "busy", "parent reads hello", "free"]


def test_nothing_of_ours_holds_a_process_up(mongo_url: str) -> None:
    """No thread, and no complaint on stderr, when a program forgets to close."""
    script = (
        f"from fedkeeper.stores.registry import open_store; s = open_store({mongo_url!r}); s.lease('r').__enter__(); s.blobs()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert threading.active_count() < 50
