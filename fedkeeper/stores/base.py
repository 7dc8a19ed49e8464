"""The store port: what a run needs to remember, on any backend.

    blobs     content-addressed bytes, immutable           put_blob / open_blob        (functions write and read)
                                                           blobs / drop_blobs          (who collects garbage)
    receipts  one write-once document per (run, step, subject)  put_receipt / receipts (functions write, tracker reads)
    events    the run's ledger, append-only, fenced         append / read_events       (orchestrator only)
    records   small named JSON documents                    put_record / get_record    (deployments, runs, control)
    lease     one orchestrator per run                      lease

Every backend passes `fedkeeper.testing.store_contract.StoreContract`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from fedkeeper.model import Json, Receipt, Ref, StepKey

Buffer = bytes | bytearray | memoryview


@runtime_checkable
class BlobReader(Protocol):
    """Random access to one immutable blob. Not safe for use by two threads at once unless a backend says so."""

    size: int
    """Bytes in the blob."""

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` (writable, contiguous, 1-D bytes) from `offset`. CorruptData when the blob ends before."""

    def read(self) -> Buffer:
        """The whole blob. May be a view of mapped memory that lives until `close`."""

    def close(self) -> None: ...


class Store(ABC):
    """Abstract store. Methods raise `StoreError` and its children only; a backend's own errors never leave it."""

    url: str
    shares_host_only: bool = False
    """True when only processes on this host can open it (file, memory): functions on other machines cannot use it."""

    # --- blobs ---------------------------------------------------------------------------------------------------
    @abstractmethod
    def put_blob(self, *parts: Buffer) -> Ref:
        """Store the concatenation of `parts` and return its ref. Storing the same bytes twice is one blob."""

    @abstractmethod
    def open_blob(self, ref: Ref) -> BlobReader:
        """BlobMissing when there is none."""

    @abstractmethod
    def has_blob(self, ref: Ref) -> bool: ...

    def get_blob(self, ref: Ref) -> bytes:
        """A copy of the whole blob."""
        reader = self.open_blob(ref)
        try:
            return bytes(reader.read())
        finally:
            reader.close()

    @abstractmethod
    def blobs(self) -> Iterable[Ref]:
        """Every blob that exists, in any order."""

    @abstractmethod
    def drop_blobs(self, refs: Collection[Ref], before: float) -> int:
        """Delete those that have not been put, nor put again, since `before` (by `clock`); absent is fine. Returns how many went.
        A `put_blob` that returns after `before` keeps its blob, however the two meet. In doubt, for about a second, a blob stays."""

    @abstractmethod
    def clock(self) -> float:
        """The time by which the store judges what came first: Unix seconds of whoever keeps the blobs."""

    # --- receipts ------------------------------------------------------------------------------------------------
    @abstractmethod
    def put_receipt(self, run: str, receipt: Receipt) -> bool:
        """Write once. True when this call wrote it, False for a repeat with the same body, ReceiptConflict for another body."""

    @abstractmethod
    def get_receipt(self, run: str, key: StepKey) -> Receipt | None: ...

    @abstractmethod
    def receipts(self, run: str, step: str, known: Collection[str] = ()) -> Mapping[str, Receipt]:
        """Every receipt of a step, by subject, except the `known` subjects: one batched look."""

    # --- events --------------------------------------------------------------------------------------------------
    @abstractmethod
    def append(self, run: str, first_seq: int, events: Sequence[Mapping[str, Json]]) -> None:
        """Append events numbered first_seq, first_seq+1, ... durably against process death, all or none.
        Fenced when the ledger does not end at first_seq - 1 (somebody else wrote)."""

    @abstractmethod
    def read_events(self, run: str, from_seq: int = 0) -> Iterable[Mapping[str, Json]]:
        """Events in order, from `from_seq`. A torn tail (crash in mid-write) is treated as absent. Each holds its "seq"."""

    @abstractmethod
    def runs(self) -> Sequence[str]:
        """Ids of all runs with a run record, oldest first."""

    # --- records -------------------------------------------------------------------------------------------------
    @abstractmethod
    def put_record(self, kind: str, name: str, record: Mapping[str, Json]) -> None:
        """Write or replace, atomically."""

    @abstractmethod
    def get_record(self, kind: str, name: str) -> dict[str, Json] | None: ...

    @abstractmethod
    def delete_record(self, kind: str, name: str) -> None:
        """Absent is fine."""

    @abstractmethod
    def records(self, kind: str) -> Mapping[str, dict[str, Json]]: ...

    # --- lease ---------------------------------------------------------------------------------------------------
    @abstractmethod
    def lease(self, run: str) -> AbstractContextManager[None]:
        """Hold the run for this orchestrator; RunBusy when another holds it. Freed when the holder dies."""

    def close(self) -> None:  # noqa: B027 - optional for backends without connections
        """Release connections. The store is not used afterwards."""
