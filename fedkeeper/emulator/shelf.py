"""The deployed functions of one platform, in memory and as files: they survive the emulator.

    <home>/functions/<key>.json   Entry: the API's document, the limits, the digest of the zip
    <home>/zips/<sha256>.zip      the zips as they were given, each once

Not thread-safe: the platform holds its lock.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fedkeeper.emulator import files
from fedkeeper.emulator.stored import Stored


@dataclass(frozen=True)
class Entry:
    """All that is known of one function but its zip's bytes."""

    scope: str
    name: str
    meta: dict[str, Any]
    revision: int
    created: float
    updated: float
    zip: str  # sha256
    entry: str
    memory_mb: int
    timeout_s: float
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return files.key_of(self.scope, self.name)

    def stored(self) -> Stored:
        # the document is the caller's to change: what is kept must not follow
        meta = json.loads(json.dumps(self.meta))
        return Stored(self.scope, self.name, meta, None, self.revision, self.created, self.updated)


class Shelf:
    def __init__(self, home: Path) -> None:
        self._functions = files.folder(home / "functions")
        self._zips = files.folder(home / "zips")
        self._entries = {(entry.scope, entry.name): entry for entry in map(_read, sorted(self._functions.glob("*.json")))}

    def get(self, scope: str, name: str) -> Entry | None:
        return self._entries.get((scope, name))

    def all(self) -> list[Entry]:
        return list(self._entries.values())

    def put(self, entry: Entry, package: bytes = b"") -> None:
        """`package`: the zip, when it may be new."""
        if package and not self._zip(entry.zip).exists():
            files.write(self._zip(entry.zip), package)
        before = self._entries.get((entry.scope, entry.name))
        files.write_json(self._functions / f"{entry.key}.json", asdict(entry))
        self._entries[entry.scope, entry.name] = entry
        if before is not None and before.zip != entry.zip:
            self._collect(before.zip)

    def delete(self, scope: str, name: str) -> Entry | None:
        entry = self._entries.pop((scope, name), None)
        if entry is not None:
            (self._functions / f"{entry.key}.json").unlink(missing_ok=True)
            self._collect(entry.zip)
        return entry

    def code(self, entry: Entry) -> bytes:
        return self._zip(entry.zip).read_bytes()

    def _collect(self, digest: str) -> None:
        if not any(entry.zip == digest for entry in self._entries.values()):
            self._zip(digest).unlink(missing_ok=True)

    def _zip(self, digest: str) -> Path:
        return self._zips / f"{digest}.zip"


def zip_digest(package: bytes) -> str:
    return hashlib.sha256(package).hexdigest()


def _read(path: Path) -> Entry:
    return Entry(**json.loads(path.read_bytes()))
