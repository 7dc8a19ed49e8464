"""Dropping blobs while others put them: of a put and a drop that meet, the put wins.

    drop:  mark the header -> was it put since `before`? --yes-> unmark
                                      `--no--> delete the header, if the mark is still ours and fresh -> its chunks
    put:   note the put    -> is there a header without a mark? --yes-> done         `--no--> wait, or write it anew

Each side writes first and looks then, on the same primary: one of them sees the other. A collector that dies leaves a mark; it has
no effect after a while. Chunks without a header (their writer died, or came second) are found by the put that announced them, a day
later. A blob that is kept takes over the time of the puts that are forgotten then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from bson import ObjectId
from bson.timestamp import Timestamp

from fedkeeper.model import Ref
from fedkeeper.refs import parse_ref
from fedkeeper.stores.mongo_blobs import VOID_AFTER_MS
from fedkeeper.stores.mongo_client import Connection, Document
from fedkeeper.stores.mongo_names import beginning

_DAY_S = 86_400
_DROP = "drop blobs"
_AT_ONCE = 100
_LONG_AGO = Timestamp(1, 0)
_MARGIN_MS = 5_000


class MongoSweep:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def drop(self, refs: Collection[Ref], before: float) -> int:
        names = [parse_ref(ref) for ref in refs]
        gone = sum(self._drop(group, before) for group in _groups(names))
        self._sweep_puts()
        return gone

    def _drop(self, refs: Sequence[Ref], before: float) -> int:
        collector = ObjectId()
        since = Timestamp(max(0, int(before)), 0)  # the server's time has whole seconds here: in doubt a blob is kept
        mark = [{"$set": {"dying": {"by": collector, "at": "$$NOW"}}}]
        self._update("blobs", {"_id": {"$in": list(refs)}, "at": {"$lt": since}}, mark)
        marked = {
            header["_id"]: header["b"] for header in self._all("blobs", {"dying.by": collector, "_id": {"$in": list(refs)}})
        }
        if not marked:
            return 0
        put = self._all("puts", {"$or": [{"_id": beginning(ref=ref)} for ref in marked], "at": {"$gte": since}})
        kept = {each["_id"]["ref"] for each in put}
        self._update("blobs", {"_id": {"$in": list(kept)}, "dying.by": collector}, [{"$unset": "dying"}])
        fresh = {"$gt": ["$dying.at", {"$subtract": ["$$NOW", VOID_AFTER_MS - _MARGIN_MS]}]}
        going = {ref: writer for ref, writer in marked.items() if ref not in kept}
        self._announce(going)
        self._delete("blobs", {"_id": {"$in": list(going)}, "dying.by": collector, "$expr": fresh})
        left = {header["b"] for header in self._all("blobs", {"_id": {"$in": list(going)}})}
        gone = [writer for writer in going.values() if writer not in left]
        for writer in gone:
            self._delete("chunks", {"_id": beginning(b=writer)})
        return len(gone)

    def _announce(self, going: dict[Ref, ObjectId]) -> None:
        """So that the chunks are found should we die before they are deleted."""
        puts = [{"_id": {"ref": ref, "put": writer}, "at": _LONG_AGO} for ref, writer in going.items()]
        if puts:
            self._connection.insert_all(_DROP, "puts", lambda: puts)

    def _sweep_puts(self) -> None:
        """Puts of more than a day ago: whose header stands is folded into it, whose does not left nothing but garbage."""
        limit = Timestamp(int(self._connection.clock()) - _DAY_S, 0)
        for group in _groups(self._all("puts", {"at": {"$lt": limit}})):
            refs = [each["_id"]["ref"] for each in group]
            writers = {header["_id"]: header["b"] for header in self._all("blobs", {"_id": {"$in": refs}})}
            for each in group:
                ref, put = each["_id"]["ref"], each["_id"]["put"]
                if writers.get(ref) != put:
                    self._delete("chunks", {"_id": beginning(b=put)})
                if ref in writers:
                    self._update("blobs", {"_id": ref}, {"$max": {"at": each["at"]}})
            self._delete("puts", {"_id": {"$in": [each["_id"] for each in group]}})

    def _all(self, name: str, condition: Document) -> list[Document]:
        return self._connection.call(_DROP, lambda: list(self._connection.collection(name).find(condition)))

    def _update(self, name: str, condition: Document, change: Document | list[Document]) -> None:
        self._connection.call(_DROP, lambda: self._connection.collection(name).update_many(condition, change))

    def _delete(self, name: str, condition: Document) -> None:
        self._connection.call(_DROP, lambda: self._connection.collection(name).delete_many(condition))


def _groups(items: list[Ref] | list[Document]) -> Iterator[list]:  # type: ignore[type-arg]
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
