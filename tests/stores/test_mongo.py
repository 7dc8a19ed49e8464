"""The MongoDB store keeps the contract: on a replica set, and on a lone server that asks for a password."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from bson import ObjectId
from pymongo import MongoClient

from fedkeeper.stores.mongo_url import parse
from fedkeeper.testing.mongod import Mongod
from fedkeeper.testing.store_contract import StoreContract


class TestMongoStore(StoreContract):
    clock_step_s = 1.05

    @pytest.fixture
    def url(self, mongo_url: str) -> str:
        return mongo_url

    def raw_blobs(self, url: str) -> Sequence[bytes]:
        where = parse(url)
        with MongoClient[Any](where.driver) as client:
            database = client[where.database]
            headers = database[where.prefix + "blobs"].find()
            chunks = database[where.prefix + "chunks"]
            return [b"".join(each["d"] for each in chunks.find({"_id.b": header["b"]}).sort("_id")) for header in headers]

    def tear_ledger(self, url: str, run: str) -> None:
        """The parts of a large batch are there, the batch is not."""
        where = parse(url)
        with MongoClient[Any](where.driver) as client:
            events = client[where.database][where.prefix + "events"]
            events.insert_one({"_id": {"part": ObjectId(), "n": 0}, "lines": ['{"seq":2,"n":"torn"}']})


class TestWithSignIn(TestMongoStore):
    @pytest.fixture
    def url(self, locked_mongod: Mongod) -> str:
        return locked_mongod.url_of(f"t{ObjectId()}")
