"""The store in memory, for tests and experiments inside one process: `memory:` is private, `memory:name` is shared by name.

Documents are kept as text, like everywhere: what was put in cannot be changed from outside, and comes back as
JSON brings it.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fedkeeper.errors import BlobMissing, CorruptData, Fenced, ReceiptConflict, RunBusy
from fedkeeper.model import Json, Receipt, Ref, StepKey
from fedkeeper.refs import parse_ref, ref_of
from fedkeeper.stores.base import BlobReader, Buffer, Store
from fedkeeper.stores.document import CONFLICT_HINT, dumps, loads, numbered, receipt_from


@dataclass
class Memory:
    """What a memory store holds. `lock` makes each change whole."""

    blobs: dict[Ref, bytes] = field(default_factory=dict)
    put_at: dict[Ref, float] = field(default_factory=dict)
    receipts: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))  # (run, step) -> subject
    events: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    records: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    leases: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


_named: dict[str, Memory] = {}


class MemoryBlob:
    """Any number of threads may read it at once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_into(self, offset: int, target: memoryview) -> None:
        if offset < 0 or offset + len(target) > self.size:
            raise CorruptData(f"blob of {self.size} bytes: no {len(target)} bytes at {offset}")
        target[:] = memoryview(self._data)[offset : offset + len(target)]

    def read(self) -> Buffer:
        return self._data

    def close(self) -> None:
        """Nothing is held."""


class MemoryStore(Store):
    shares_host_only = True

    def __init__(self, url: str = "memory:") -> None:
        self.url = url
        name = url.removeprefix("memory:")
        self._memory = _named.setdefault(name, Memory()) if name else Memory()

    # --- blobs ---------------------------------------------------------------------------------------------------
    def put_blob(self, *parts: Buffer) -> Ref:
        data = b"".join(parts)
        ref = ref_of(data)
        with self._memory.lock:
            self._memory.blobs.setdefault(ref, data)
            self._memory.put_at[ref] = self.clock()
        return ref

    def open_blob(self, ref: Ref) -> BlobReader:
        data = self._memory.blobs.get(parse_ref(ref))
        if data is None:
            raise BlobMissing(f"no blob {ref} in {self.url}")
        return MemoryBlob(data)

    def has_blob(self, ref: Ref) -> bool:
        return parse_ref(ref) in self._memory.blobs

    def blobs(self) -> Iterable[Ref]:
        return list(self._memory.blobs)

    def drop_blobs(self, refs: Collection[Ref], before: float) -> int:
        with self._memory.lock:
            gone = {ref for ref in map(parse_ref, refs) if self._memory.put_at.get(ref, before) < before}
            for ref in gone:
                del self._memory.blobs[ref], self._memory.put_at[ref]
        return len(gone)

    def clock(self) -> float:
        return time.time()

    # --- receipts ------------------------------------------------------------------------------------------------
    def put_receipt(self, run: str, receipt: Receipt) -> bool:
        text = dumps(receipt.to_json())
        with self._memory.lock:
            kept = self._memory.receipts[run, receipt.key.step].setdefault(receipt.key.subject, text)
        if kept is text:
            return True
        if receipt_from(kept, str(receipt.key)).digest != receipt.digest:
            raise ReceiptConflict(f"run {run} already has another receipt for {receipt.key}", hint=CONFLICT_HINT)
        return False

    def get_receipt(self, run: str, key: StepKey) -> Receipt | None:
        with self._memory.lock:
            text = self._memory.receipts[run, key.step].get(key.subject)
        return None if text is None else receipt_from(text, str(key))

    def receipts(self, run: str, step: str, known: Collection[str] = ()) -> Mapping[str, Receipt]:
        seen = frozenset(known)
        with self._memory.lock:
            texts = [(subject, text) for subject, text in self._memory.receipts[run, step].items() if subject not in seen]
        return {subject: receipt_from(text, subject) for subject, text in texts}

    # --- events --------------------------------------------------------------------------------------------------
    def append(self, run: str, first_seq: int, events: Sequence[Mapping[str, Json]]) -> None:
        texts = numbered(first_seq, events)
        with self._memory.lock:
            ledger = self._memory.events[run]
            if len(ledger) != first_seq:
                raise Fenced(f"the ledger of run {run} goes on at event {len(ledger)}, not {first_seq}: somebody else wrote")
            ledger.extend(texts)

    def read_events(self, run: str, from_seq: int = 0) -> Iterable[Mapping[str, Json]]:
        with self._memory.lock:
            texts = self._memory.events[run][from_seq:]
        return [loads(text, f"an event of run {run}") for text in texts]

    def runs(self) -> Sequence[str]:
        records = self.records("run")
        return sorted(records, key=lambda run: (records[run].get("created", 0), run))

    # --- records -------------------------------------------------------------------------------------------------
    def put_record(self, kind: str, name: str, record: Mapping[str, Json]) -> None:
        text = dumps(record)
        with self._memory.lock:
            self._memory.records[kind][name] = text

    def get_record(self, kind: str, name: str) -> dict[str, Json] | None:
        with self._memory.lock:
            text = self._memory.records[kind].get(name)
        return None if text is None else loads(text, name)

    def delete_record(self, kind: str, name: str) -> None:
        with self._memory.lock:
            self._memory.records[kind].pop(name, None)

    def records(self, kind: str) -> Mapping[str, dict[str, Json]]:
        with self._memory.lock:
            texts = dict(self._memory.records[kind])
        return {name: loads(text, name) for name, text in texts.items()}

    # --- lease ---------------------------------------------------------------------------------------------------
    @contextmanager
    def lease(self, run: str) -> Iterator[None]:
        with self._memory.lock:
            if run in self._memory.leases:
                raise RunBusy(f"run {run} is held by this process")
            self._memory.leases.add(run)
        try:
            yield
        finally:
            with self._memory.lock:
                self._memory.leases.discard(run)
