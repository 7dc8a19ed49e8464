"""The embedded store: a folder on this machine, no server. `file:/abs/path`, or `file:/abs/path?durability=fsync`.

    blobs/ab/cdef...                          BlobFolder   content-addressed, renamed into place when whole
    runs/<run>/receipts/<step>/<subject>.json write once through a hard link: of two writers exactly one wins
    runs/<run>/events.jsonl                   Ledger       one write a batch, under flock, fenced by the sequence
    runs/<run>/lease                          flock        freed by its holder's death
    records/<kind>/<name>.json                replaced atomically
    tmp/                                      files being written; a crash leaves something only here

Killing a process at any moment loses nothing that was answered for; with `durability=fsync`, which waits for the hardware,
neither does a power cut.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.parse import parse_qsl

from fedkeeper.errors import CorruptData, ReceiptConflict, StoreError
from fedkeeper.model import Json, Receipt, Ref, StepKey
from fedkeeper.stores.base import BlobReader, Buffer, Store
from fedkeeper.stores.document import CONFLICT_HINT, dumps, loads, receipt_from
from fedkeeper.stores.file_blobs import BlobFolder
from fedkeeper.stores.file_disk import Disk, read_file, safe_name, translated, write_all
from fedkeeper.stores.file_lease import lease
from fedkeeper.stores.file_ledger import Ledger


class FileStore(Store):
    """Opening it touches nothing: folders appear with the first write. Safe to use from several threads and processes."""

    shares_host_only = True

    def __init__(self, url: str) -> None:
        root, fsync = parse_url(url)
        self.url = url
        self._disk = Disk(root, fsync=fsync)
        self._blobs = BlobFolder(self._disk)
        self._ledgers: dict[str, Ledger] = {}

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
        return self._blobs.drop(refs, before)

    def clock(self) -> float:
        return time.time()

    # --- receipts ------------------------------------------------------------------------------------------------
    def put_receipt(self, run: str, receipt: Receipt) -> bool:
        path = self._receipt_path(run, receipt.key)
        if self._write_once(dumps(receipt.to_json()), path):
            return True
        earlier = self.get_receipt(run, receipt.key)
        if earlier is None or earlier.digest != receipt.digest:
            raise ReceiptConflict(
                f"run {run} already has another receipt for {receipt.key}",
                hint=CONFLICT_HINT,
            )
        return False

    def get_receipt(self, run: str, key: StepKey) -> Receipt | None:
        path = self._receipt_path(run, key)
        with translated(f"read {path}"):
            text = read_file(path)
        return None if text is None else receipt_from(text, str(path))

    def receipts(self, run: str, step: str, known: Collection[str] = ()) -> Mapping[str, Receipt]:
        folder = self._receipt_folder(run, step)
        seen = {f"{safe_name(subject)}.json" for subject in known}
        with translated(f"read {folder}"):
            found = [folder / name for name in list_folder(folder) if name not in seen]
            texts = [(path, text) for path in found if (text := read_file(path)) is not None]
        receipts = [receipt_from(text, str(path)) for path, text in texts]
        return {receipt.key.subject: receipt for receipt in receipts}

    # --- events --------------------------------------------------------------------------------------------------
    def append(self, run: str, first_seq: int, events: Sequence[Mapping[str, Json]]) -> None:
        self._ledger(run).append(first_seq, events)

    def read_events(self, run: str, from_seq: int = 0) -> Iterable[Mapping[str, Json]]:
        return self._ledger(run).read(from_seq)

    def runs(self) -> Sequence[str]:
        records = self.records("run")
        return sorted(records, key=lambda run: (records[run].get("created", 0), run))

    # --- records -------------------------------------------------------------------------------------------------
    def put_record(self, kind: str, name: str, record: Mapping[str, Json]) -> None:
        text = dumps({"name": name, "record": record})
        with translated(f"write record {kind}/{name}"), self._disk.temporary(0o666) as (fd, path):
            write_all(fd, [memoryview(text)])
            self._disk.replace(fd, path, self._record_path(kind, name))

    def get_record(self, kind: str, name: str) -> dict[str, Json] | None:
        path = self._record_path(kind, name)
        with translated(f"read {path}"):
            text = read_file(path)
        return None if text is None else unwrap(text, path)[1]

    def delete_record(self, kind: str, name: str) -> None:
        path = self._record_path(kind, name)
        with translated(f"delete {path}"), suppress(FileNotFoundError):
            path.unlink()
            self._disk.settle(path.parent)

    def records(self, kind: str) -> Mapping[str, dict[str, Json]]:
        folder = self._disk.root / "records" / safe_name(kind)
        with translated(f"read {folder}"):
            paths = [folder / name for name in sorted(list_folder(folder))]
            texts = [(path, text) for path in paths if (text := read_file(path)) is not None]
        return dict(unwrap(text, path) for path, text in texts)

    # --- lease ---------------------------------------------------------------------------------------------------
    def lease(self, run: str) -> AbstractContextManager[None]:
        return lease(self._disk, self._run_folder(run) / "lease", run)

    # --- where things lie ----------------------------------------------------------------------------------------
    def _run_folder(self, run: str) -> Path:
        return self._disk.root / "runs" / safe_name(run)

    def _receipt_folder(self, run: str, step: str) -> Path:
        return self._run_folder(run) / "receipts" / safe_name(step)

    def _receipt_path(self, run: str, key: StepKey) -> Path:
        return self._receipt_folder(run, key.step) / f"{safe_name(key.subject)}.json"

    def _record_path(self, kind: str, name: str) -> Path:
        return self._disk.root / "records" / safe_name(kind) / f"{safe_name(name)}.json"

    def _ledger(self, run: str) -> Ledger:
        return self._ledgers.setdefault(run, Ledger(self._disk, self._run_folder(run) / "events.jsonl"))

    def _write_once(self, text: bytes, path: Path) -> bool:
        with translated(f"write {path}"), self._disk.temporary() as (fd, temporary):
            write_all(fd, [memoryview(text)])
            return self._disk.publish(fd, temporary, path)


def parse_url(url: str) -> tuple[Path, bool]:
    """The folder, and whether to fsync."""
    path, _, query = url.removeprefix("file:").partition("?")
    if not url.startswith("file:") or not path.startswith("/") or (path.startswith("//") and not path.startswith("///")):
        raise StoreError(f"not a file store: {url}", hint="write file:/absolute/path")
    options = dict(parse_qsl(query, keep_blank_values=True))
    durability = options.pop("durability", "process")
    if options or durability not in ("process", "fsync"):
        raise StoreError(f"unknown option in {url}", hint="the only option is ?durability=fsync (or process, the default)")
    return Path("/" + path.lstrip("/")), durability == "fsync"


def list_folder(folder: Path) -> list[str]:
    """Names in it, [] when it is not there."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def unwrap(text: bytes, path: Path) -> tuple[str, dict[str, Json]]:
    """A record file is {"name": ..., "record": {...}}: file names cannot hold every name."""
    match loads(text, str(path)):
        case {"name": str(name), "record": dict(record)}:
            return name, record
    raise CorruptData(f"{path} is not a record")
