"""Blobs in MongoDB: chunks first, the header last. A blob exists when its header does.

    puts    {_id: {ref, put}, at}                 somebody is putting this blob, or has put it once more
    chunks  {_id: {b: put, n}, d: bytes}          by the id of the put that wrote them, 1 MB each
    blobs   {_id: ref, b: put, size, chunk, at}   whose chunks to read

    put:  puts -> is there a header? --yes-> done
                        `--no--> chunks, some batches at once -> header --taken--> look again (the loser's chunks are swept)

Writers only insert and look, so that a function's credential needs no more. `at` is the server's time: it fills in empty timestamps.
Chunks are as durable as their header before it is written: a server that dies in between may not forget one and keep the other.
1 MB chunks, written three batches of 4 MB at a time, were fastest in both directions (measured against 256 KB to 15 MB and GridFS);
waiting for the journal costs next to nothing then.
"""

from __future__ import annotations

import hashlib
import mmap
import time
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import accumulate

from bson import ObjectId
from bson.timestamp import Timestamp

from fedkeeper.errors import BlobMissing, CorruptData
from fedkeeper.model import Ref
from fedkeeper.refs import parse_ref
from fedkeeper.stores.base import Buffer
from fedkeeper.stores.mongo_client import Connection, Document

CHUNK = 1 << 20
_WRITE_BATCH, _READ_BATCH = 4, 1
"""Chunks in a message: few large ones to be journaled together, small ones whose memory is used again."""
_WRITERS = 3
_LOOK_AGAIN_S = 0.02
VOID_AFTER_MS = 15_000
"""A collector's mark older than this has no effect: it died (see mongo_sweep)."""
SETTLED: Document = {
    "$or": [{"dying": None}, {"$expr": {"$lt": ["$dying.at", {"$subtract": ["$$NOW", VOID_AFTER_MS]}]}}],
}
_PUT, _READ = "write a blob", "read a blob"


class MongoBlob:
    """One blob, open. Any number of threads may read it at once; each gets on best with its own, for the chunk that is kept."""

    def __init__(self, connection: Connection, header: Document) -> None:
        self._connection = connection
        self._put: ObjectId = header["b"]
        self._chunk: int = header["chunk"]
        self._ref: Ref = header["_id"]
        self._kept = (-1, b"")  # the last chunk that was not used up: a reader in small steps comes back for the rest
        self.size: int = header["size"]

    def read_into(self, offset: int, target: memoryview) -> None:
        end = offset + len(target)
        if offset < 0 or end > self.size:
            raise CorruptData(f"blob {self._ref} has {self.size} bytes: no {len(target)} bytes at {offset}")
        while offset < end:
            number, kept = self._kept
            if number != offset // self._chunk:
                self._connection.call(_READ, lambda at=offset: self._fetch(at, end, target))  # type: ignore[misc]
                return
            offset += self._copy(number, kept, offset, end, target)

    def read(self) -> Buffer:
        data = _room(self.size)
        self.read_into(0, data)
        return data.toreadonly()

    def close(self) -> None:
        self._kept = (-1, b"")

    def _fetch(self, offset: int, end: int, target: memoryview) -> None:
        """Fills the end of `target` from the chunks that hold offset..end, as they come in."""
        first, last = offset // self._chunk, (end - 1) // self._chunk
        wanted = {"_id": {"$gte": {"b": self._put, "n": first}, "$lte": {"b": self._put, "n": last}}}
        documents = self._connection.collection("chunks").find(wanted).sort("_id", 1).batch_size(_READ_BATCH)
        with documents:
            for document in documents:
                number, data = document["_id"]["n"], document["d"]
                if number != offset // self._chunk or len(data) != min(self._chunk, self.size - number * self._chunk):
                    break
                offset += self._copy(number, data, offset, end, target)
        if offset < end:
            self._explain_gap(offset)
        if end % self._chunk and end < self.size:
            self._kept = (number, data)

    def _copy(self, number: int, chunk: bytes, offset: int, end: int, target: memoryview) -> int:
        """Copies what `chunk` has of offset..end to its place before the end of `target`; returns how much."""
        start = offset - number * self._chunk
        size = min(len(chunk) - start, end - offset)
        place = len(target) - (end - offset)
        target[place : place + size] = memoryview(chunk)[start : start + size]
        return size

    def _explain_gap(self, offset: int) -> None:
        if self._connection.collection("blobs").find_one({"_id": self._ref, "b": self._put}, {"_id": 1}) is None:
            raise BlobMissing(f"blob {self._ref} was dropped while it was read")
        raise CorruptData(f"blob {self._ref} lacks its bytes from {offset} on")


def _room(size: int) -> memoryview:
    """Fresh memory, in large pages where the system has them: getting it page by page took as long as the network (measured)."""
    if size < CHUNK:
        return memoryview(bytearray(size))
    room = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            room.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(room)


class MongoBlobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, parts: Sequence[Buffer]) -> Ref:
        content = Content(parts)
        ref = content.ref()
        put = ObjectId()
        self._connection.insert(_PUT, "puts", {"_id": {"ref": ref, "put": put}, "at": Timestamp(0, 0)})
        written = False
        while not self._settled(ref):
            if self.has(ref):  # a collector is deciding about it
                time.sleep(_LOOK_AGAIN_S)
                continue
            if not written:
                self._write(put, content)
                written = True
            header = {"_id": ref, "b": put, "size": content.size, "chunk": CHUNK, "at": Timestamp(0, 0)}
            if self._connection.insert(_PUT, "blobs", header):
                break
        return ref

    def open(self, ref: Ref) -> MongoBlob:
        parse_ref(ref)
        header = self._connection.call(_READ, lambda: self._connection.collection("blobs").find_one({"_id": ref}))
        if header is None:
            raise BlobMissing(f"no blob {ref} in MongoDB at {self._connection.where}")
        return MongoBlob(self._connection, header)

    def has(self, ref: Ref) -> bool:
        return self._find({"_id": parse_ref(ref)})

    def all(self) -> list[Ref]:
        names = self._connection.call(_READ, lambda: list(self._connection.collection("blobs").find({}, {"_id": 1})))
        return [Ref(name["_id"]) for name in names]

    def _settled(self, ref: Ref) -> bool:
        """It is there, and whoever wants to drop it will see our put."""
        return self._find({"_id": ref, **SETTLED})

    def _find(self, condition: Document) -> bool:
        found = self._connection.call(_READ, lambda: self._connection.collection("blobs").find_one(condition, {"_id": 1}))
        return found is not None

    def _write(self, put: ObjectId, content: Content) -> None:
        batches = [range(start, min(start + _WRITE_BATCH, content.chunks)) for start in range(0, content.chunks, _WRITE_BATCH)]
        if len(batches) <= 1:
            for batch in batches:
                self._write_batch(put, content, batch)
            return
        with ThreadPoolExecutor(min(_WRITERS, len(batches)), thread_name_prefix="blob") as pool:
            for _ in pool.map(lambda batch: self._write_batch(put, content, batch), batches):
                pass

    def _write_batch(self, put: ObjectId, content: Content, numbers: range) -> None:
        def documents() -> list[Document]:
            return [{"_id": {"b": put, "n": number}, "d": content.piece(number)} for number in numbers]

        self._connection.insert_all(_PUT, "chunks", documents)


class Content:
    """The concatenation of buffers, cut into chunks without ever being put together."""

    def __init__(self, parts: Sequence[Buffer]) -> None:
        views = [memoryview(part) for part in parts]
        self._views = [view.cast("B") for view in views if view.nbytes]
        self._starts = [0, *accumulate(len(view) for view in self._views)]
        self.size = self._starts[-1]
        self.chunks = -(-self.size // CHUNK)

    def ref(self) -> Ref:
        digest = hashlib.sha256()
        for view in self._views:
            digest.update(view)
        return Ref("sha256:" + digest.hexdigest())

    def piece(self, number: int) -> bytes:
        """The bytes of one chunk: the only copy."""
        position, end = number * CHUNK, min((number + 1) * CHUNK, self.size)
        pieces = []
        part = bisect_right(self._starts, position) - 1
        while position < end:
            start = position - self._starts[part]
            pieces.append(self._views[part][start : start + end - position])
            position += len(pieces[-1])
            part += 1
        return b"".join(pieces)
