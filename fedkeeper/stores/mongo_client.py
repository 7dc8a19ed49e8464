"""One store's connection: made on first use, by each process for itself, patient once the server has been met.

    call(doing, action) --> action() --> result
              ^                `-- the server is away: first contact -> StoreUnreachable at once
              |                                        met before    -> wait, try again, for `patience_s`
              `-- every action is safe to repeat: it inserts under an id of its own, or replaces

Writes are acknowledged by a majority of the replica set and journaled, and reads see only what is, whatever the URL says: what was
answered for survives any crash of one machine. The order of writes on the primary is the order they are replicated in.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from datetime import timezone
from typing import Any, TypeVar

from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from fedkeeper.stores.mongo_errors import away, only_duplicates, translate, unreadable
from fedkeeper.stores.mongo_url import parse

Document = dict[str, Any]
Documents = Collection[Document]
T = TypeVar("T")
_DEFAULTS: dict[str, Any] = {
    "appname": "fedkeeper",
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 60_000,  # the driver's own default waits for ever when a network loses packets
    "maxPoolSize": 8,
}
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0


class Connection:
    """Safe to use from several threads, and on both sides of a fork."""

    def __init__(self, url: str, patience_s: float) -> None:
        self._url = parse(url)
        self._patience_s = patience_s
        self._clients: dict[int, MongoClient[Document]] = {}  # by process: a forked child never touches its parent's sockets
        self._met = False

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self._url.where}/{self._url.database}"

    def client(self) -> MongoClient[Document]:
        pid = os.getpid()
        if pid not in self._clients:
            options = {key: value for key, value in _DEFAULTS.items() if key.lower() not in self._url.options}
            try:
                made: MongoClient[Document] = MongoClient(self._url.driver, connect=False, **options)
            except ValueError:
                raise unreadable(self._url.where) from None
            if self._clients.setdefault(pid, made) is not made:
                made.close()
        return self._clients[pid]

    def collection(self, name: str) -> Documents:
        return (
            self.client()
            .get_database(self._url.database)
            .get_collection(
                self._url.prefix + name,
                write_concern=WriteConcern("majority", j=True),
                read_concern=ReadConcern("majority"),
                read_preference=ReadPreference.PRIMARY,
            )
        )

    def call(self, doing: str, action: Callable[[], T], patience_s: float | None = None) -> T:
        """What `action` returns. A duplicate key is the caller's to judge and comes through as it is."""
        end, wait = time.monotonic() + (self._patience_s if patience_s is None else patience_s), _FIRST_WAIT_S
        while True:
            try:
                result = action()
            except DuplicateKeyError:
                self._met = True
                raise
            except PyMongoError as exc:
                if not away(exc) or not self._met or time.monotonic() + wait > end:
                    raise translate(exc, doing, self._url.where) from exc
            else:
                self._met = True
                return result
            time.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def insert(self, doing: str, name: str, document: Document) -> bool:
        """False when its `_id` is taken, be it by an earlier try of our own."""
        try:
            self.call(doing, lambda: self.collection(name).insert_one(document))
        except DuplicateKeyError:
            return False
        return True

    def insert_all(self, doing: str, name: str, make: Callable[[], list[Document]]) -> None:
        """All of them, in any order; what is there already is an earlier try of our own. Made again for each try, so not kept."""

        def insert() -> None:
            try:
                self.collection(name).insert_many(make(), ordered=False)
            except BulkWriteError as exc:
                if not only_duplicates(exc):
                    raise

        self.call(doing, insert)

    def clock(self) -> float:
        """The server's, in Unix seconds."""
        hello = self.call("tell the time", lambda: self.client().admin.command("hello"))
        return float(hello["localTime"].replace(tzinfo=timezone.utc).timestamp())

    def close(self) -> None:
        client = self._clients.pop(os.getpid(), None)
        if client:
            client.close()
