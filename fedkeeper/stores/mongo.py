"""The store in MongoDB: `mongodb://user:password@host/database`, replica sets, TLS and SRV as the driver has them.

    blobs chunks puts   MongoBlobs, MongoSweep   chunks, then a header; put and drop may meet
    receipts            {_id: {run, step, subject}, nonce, body}    inserted once
    events              MongoLedgers             one document a batch, fenced by its `_id`
    records             {_id: {kind, name}, body}                   replaced
    leases              lease                    renewed while its holder lives

Documents are kept as their JSON text: what the file store refuses is refused here, and names with dots and dollars are only names.
There is no index but `_id`, so nothing needs to be set up, and functions get by with a credential that only finds and inserts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from bson import ObjectId

from fedkeeper.errors import ReceiptConflict
from fedkeeper.model import Json, Receipt, Ref, StepKey
from fedkeeper.stores.base import BlobReader, Buffer, Store
from fedkeeper.stores.document import CONFLICT_HINT, dumps, loads, receipt_from
from fedkeeper.stores.mongo_blobs import MongoBlobs
from fedkeeper.stores.mongo_client import Connection, Document
from fedkeeper.stores.mongo_lease import lease
from fedkeeper.stores.mongo_ledger import MongoLedgers
from fedkeeper.stores.mongo_names import beginning, decoded, encoded
from fedkeeper.stores.mongo_sweep import MongoSweep


class MongoStore(Store):
    """Opening it connects to nothing. Safe to use from several threads and processes, and after a fork."""

    patience_s = 60.0
    """How long an operation waits for a server that was there before and went away."""

    def __init__(self, url: str, *, patience_s: float | None = None) -> None:
        self.url = url
        self._connection = Connection(url, self.patience_s if patience_s is None else patience_s)
        self._blobs = MongoBlobs(self._connection)
        self._ledgers = MongoLedgers(self._connection)

    # --- blobs ---------------------------------------------------------------------------------------------------
    def put_blob(self, *parts: Buffer) -> Ref:
        return self._blobs.put(parts)

    def open_blob(self, ref: Ref) -> BlobReader:
        return self._blobs.open(ref)

    def has_blob(self, ref: Ref) -> bool:
        return self._blobs.has(ref)

    def blobs(self) -> Iterable[Ref]:
        return self._blobs.all()

    def drop_blobs(self, refs: Collection[Ref], before: float) -> int:
        return MongoSweep(self._connection).drop(refs, before)

    def clock(self) -> float:
        return self._connection.clock()

    # --- receipts ------------------------------------------------------------------------------------------------
    def put_receipt(self, run: str, receipt: Receipt) -> bool:
        nonce = ObjectId()
        key, body = _receipt_id(run, receipt.key), dumps(receipt.to_json()).decode()
        if self._connection.insert("write a receipt", "receipts", {"_id": key, "nonce": nonce, "body": body}):
            return True
        kept = self._find("receipts", key)
        if kept is not None and kept["nonce"] == nonce:
            return True  # the answer to an earlier try was lost
        if kept is None or receipt_from(kept["body"].encode(), str(receipt.key)).digest != receipt.digest:
            raise ReceiptConflict(f"run {run} already has another receipt for {receipt.key}", hint=CONFLICT_HINT)
        return False

    def get_receipt(self, run: str, key: StepKey) -> Receipt | None:
        found = self._find("receipts", _receipt_id(run, key))
        return None if found is None else receipt_from(found["body"].encode(), f"the receipt {key} of run {run}")

    def receipts(self, run: str, step: str, known: Collection[str] = ()) -> Mapping[str, Receipt]:
        seen = [_receipt_id(run, StepKey(step, subject)) for subject in known]
        found = self._find_all("receipts", {"_id": {**beginning(run=encoded(run), step=encoded(step)), "$nin": seen}})
        receipts = [receipt_from(each["body"].encode(), f"a receipt of {step} in run {run}") for each in found]
        return {receipt.key.subject: receipt for receipt in receipts}

    # --- events --------------------------------------------------------------------------------------------------
    def append(self, run: str, first_seq: int, events: Sequence[Mapping[str, Json]]) -> None:
        self._ledgers.append(run, first_seq, events)

    def read_events(self, run: str, from_seq: int = 0) -> Iterable[Mapping[str, Json]]:
        return self._ledgers.read(run, from_seq)

    def runs(self) -> Sequence[str]:
        records = self.records("run")
        return sorted(records, key=lambda run: (records[run].get("created", 0), run))

    # --- records -------------------------------------------------------------------------------------------------
    def put_record(self, kind: str, name: str, record: Mapping[str, Json]) -> None:
        key, body = _record_id(kind, name), {"body": dumps(record).decode()}
        records = self._connection.collection
        self._connection.call("write a record", lambda: records("records").replace_one({"_id": key}, body, upsert=True))

    def get_record(self, kind: str, name: str) -> dict[str, Json] | None:
        found = self._find("records", _record_id(kind, name))
        return None if found is None else loads(found["body"].encode(), f"record {kind}/{name}")

    def delete_record(self, kind: str, name: str) -> None:
        key = _record_id(kind, name)
        self._connection.call("delete a record", lambda: self._connection.collection("records").delete_one({"_id": key}))

    def records(self, kind: str) -> Mapping[str, dict[str, Json]]:
        found = [(decoded(each["_id"]["name"]), each["body"]) for each in self._find_all("records", {"_id": _kind(kind)})]
        return {name: loads(body.encode(), f"record {kind}/{name}") for name, body in found}

    # --- lease ---------------------------------------------------------------------------------------------------
    def lease(self, run: str) -> AbstractContextManager[None]:
        return lease(self._connection, run)

    def close(self) -> None:
        self._connection.close()

    # --- looking -------------------------------------------------------------------------------------------------
    def _find(self, name: str, key: Document) -> Document | None:
        return self._connection.call(f"read {name}", lambda: self._connection.collection(name).find_one({"_id": key}))

    def _find_all(self, name: str, condition: Document) -> list[Document]:
        return self._connection.call(f"read {name}", lambda: list(self._connection.collection(name).find(condition)))


def _receipt_id(run: str, key: StepKey) -> Document:
    return {"run": encoded(run), "step": encoded(key.step), "subject": encoded(key.subject)}


def _record_id(kind: str, name: str) -> Document:
    return {"kind": encoded(kind), "name": encoded(name)}


def _kind(kind: str) -> Document:
    return beginning(kind=encoded(kind))
