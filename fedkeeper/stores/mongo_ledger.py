"""A run's ledger in MongoDB: one document a batch, and its place in the `_id`, so that of two writers one is refused.

    events  {_id: {run, first}, next, nonce, lines: [...]}           a batch: there or not there
            {_id: {part: nonce, n}, lines: [...]}                    what does not fit into it, written before it

A batch continues the ledger where it is known to have ended once, and that place can be taken once only: so an append costs one
insert. The nonce tells an insert of our own, whose answer was lost, from somebody else's. Parts without their batch (a crash before
it) are not part of any ledger: readers come to them through the batch alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bson import ObjectId

from fedkeeper.errors import CorruptData, Fenced
from fedkeeper.model import Json
from fedkeeper.stores.document import loads, numbered
from fedkeeper.stores.mongo_client import Connection, Document
from fedkeeper.stores.mongo_names import beginning, encoded

INLINE = 1 << 20
"""Bytes of a batch that stay in its one document; MongoDB takes 16 MB."""
_PART = 8 << 20
_PAGE = 64
_WRITE, _READ = "append to the ledger", "read the ledger"


class MongoLedgers:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ends: dict[str, int] = {}  # where a run's ledger was once seen to end: it can only have grown

    def append(self, run: str, first_seq: int, events: Sequence[Mapping[str, Json]]) -> None:
        lines = [line.decode() for line in numbered(first_seq, events)]
        if not lines or self._ends.get(run) != first_seq:
            self._check_end(run, first_seq)
        if lines:
            self._write(run, first_seq, lines)
            self._ends[run] = first_seq + len(lines)

    def read(self, run: str, from_seq: int) -> Iterator[dict[str, Json]]:
        seq = self._batch_start(run, from_seq)
        while page := self._page(run, seq):
            for batch in page:
                if batch["_id"]["first"] != seq:
                    raise CorruptData(f"the ledger of run {run} has no batch at event {seq}")
                for line in self._lines(batch):
                    if seq >= from_seq:
                        yield _event(line, run, seq)
                    seq += 1
                if seq != batch["next"]:
                    raise CorruptData(f"the ledger of run {run} lacks events {seq} to {batch['next'] - 1}")

    def _write(self, run: str, first_seq: int, lines: list[str]) -> None:
        nonce = ObjectId()
        batch: Document = {"_id": _id(run, first_seq), "next": first_seq + len(lines), "nonce": nonce, "lines": lines}
        if sum(map(len, lines)) > INLINE:
            batch |= {"lines": [], "parts": self._write_parts(nonce, lines)}
        if self._connection.insert(_WRITE, "events", batch):
            return
        found = self._find(_id(run, first_seq))
        if found is None or found["nonce"] != nonce:
            raise self._fenced(run, first_seq)

    def _write_parts(self, nonce: ObjectId, lines: list[str]) -> int:
        """How many they are. A line is never cut: a single one has to fit."""
        groups: list[list[str]] = [[]]
        room = _PART
        for line in lines:
            if len(line) > room and groups[-1]:
                groups.append([])
                room = _PART
            groups[-1].append(line)
            room -= len(line) + 16  # BSON's own bytes for each
        for number, group in enumerate(groups):
            self._connection.insert(_WRITE, "events", {"_id": {"part": nonce, "n": number}, "lines": group})
        return len(groups)

    def _lines(self, batch: Document) -> Iterator[str]:
        yield from batch["lines"]
        for number in range(batch.get("parts", 0)):
            part = self._find({"part": batch["nonce"], "n": number})
            yield from part["lines"] if part else ()

    def _check_end(self, run: str, first_seq: int) -> None:
        if self._end(run) != first_seq:
            raise self._fenced(run, first_seq)

    def _fenced(self, run: str, first_seq: int) -> Fenced:
        return Fenced(f"the ledger of run {run} goes on at event {self._end(run)}, not {first_seq}: somebody else wrote")

    def _end(self, run: str) -> int:
        last = self._last({"_id": beginning(run=encoded(run))}, {"next": 1})
        return last["next"] if last else 0

    def _batch_start(self, run: str, seq: int) -> int:
        """Of the batch that holds `seq`, or would."""
        upto = {"$gte": beginning(run=encoded(run))["$gte"], "$lte": _id(run, seq)}
        found = self._last({"_id": upto}, {"_id": 1})
        return found["_id"]["first"] if found else 0

    def _page(self, run: str, seq: int) -> list[Document]:
        onwards = {"_id": {"$gte": _id(run, seq), "$lte": beginning(run=encoded(run))["$lte"]}}
        return self._connection.call(
            _READ, lambda: list(self._connection.collection("events").find(onwards).sort("_id", 1).limit(_PAGE))
        )

    def _last(self, condition: Document, fields: Document) -> Any:
        return self._connection.call(
            _READ, lambda: self._connection.collection("events").find_one(condition, fields, sort=[("_id", -1)])
        )

    def _find(self, key: Document) -> Any:
        return self._connection.call(_READ, lambda: self._connection.collection("events").find_one({"_id": key}))


def _id(run: str, seq: int) -> Document:
    return {"run": encoded(run), "first": seq}


def _event(line: str, run: str, seq: int) -> dict[str, Json]:
    event = loads(line.encode(), f"event {seq} of run {run}")
    if event.get("seq") != seq:
        raise CorruptData(f"in the ledger of run {run}, event {event.get('seq')} stands in the place of {seq}")
    return event
