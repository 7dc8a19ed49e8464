"""A file store in a folder that does not exist yet; servers of MongoDB for the tests of one worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import settings
from pymongo import MongoClient
from pymongo.database import Database

from fedkeeper.stores import mongo_client
from fedkeeper.stores.file import FileStore
from fedkeeper.stores.mongo import MongoStore
from fedkeeper.stores.mongo_url import parse
from fedkeeper.testing.mongod import Mongod, in_database
from tests.stores.commands import Watch

OTHER_SERVER = os.environ.get("FEDKEEPER_TEST_MONGO_URL")
"""Read here, as tests see no such variable."""

# A loaded machine must not fail a property (no deadline), and a failure must come back (no random examples).
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


@pytest.fixture
def store(root: Path) -> FileStore:
    return FileStore(f"file:{root}")


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A replica set of one, for a whole worker's tests: each takes a database of its own."""
    with Mongod(tmp_path_factory.mktemp("mongod")) as server:
        yield server


@pytest.fixture(scope="session")
def locked_mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A lone server, without a replica set, that asks for a password."""
    with Mongod(tmp_path_factory.mktemp("locked"), auth=True, replica_set=False) as server:
        yield server


@pytest.fixture
def mongo_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with nothing in it, on `mongod` or on the server of FEDKEEPER_TEST_MONGO_URL, gone afterwards."""
    url = in_database(OTHER_SERVER or request.getfixturevalue("mongod").url, f"fedkeeper-test-{ObjectId()}")
    yield url
    with MongoClient[Any](url) as client:
        client.drop_database(parse(url).database)


@pytest.fixture
def mongo(mongo_url: str) -> Iterator[MongoStore]:
    with closing(MongoStore(mongo_url)) as opened:
        yield opened


@pytest.fixture
def database(mongo_url: str) -> Iterator[Database[Any]]:
    with MongoClient[Any](mongo_url) as client:
        yield client[parse(mongo_url).database]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    listener = Watch()
    monkeypatch.setitem(mongo_client._DEFAULTS, "event_listeners", [listener])
    return listener
