"""What is left of an activation after it ended: one JSON record and, when it printed something, one log.

    platform: Recorder.write(...)  ->  activations/<id>.json, <id>.log   (rename, no fsync; the oldest are pruned)
    provider: read(...), read_log(...)                                   (also after a restart, also from another process)

Standard library only: it runs in the platform process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import deque
from pathlib import Path
from typing import Any

from .wire import dump

LOG_LIMIT = 1 << 20
RESULT_LIMIT = 1 << 18
_ID = re.compile(r"[0-9a-f]{32}")


class Recorder:
    """Writes records into `folder`, of which the newest `keep` stay. A folder that vanished (remove) is not made again."""

    def __init__(self, folder: str, keep: int) -> None:
        self._folder = folder
        self._keep = keep
        self._known = deque(_ids_by_age(folder))

    def write(self, activation_id: str, record: dict[str, Any], result: bytes, log: bytes) -> None:
        kept = result if 0 < len(result) <= RESULT_LIMIT else b"null"
        text = dump(record)[:-1] + b',"result":' + kept + b"}"
        with contextlib.suppress(OSError):  # a full disk or a removed home must not stop the platform; status says LOST then
            if log:
                _replace(f"{self._folder}/{activation_id}.log", log)
            _replace(f"{self._folder}/{activation_id}.json", text)
        self._known.append(activation_id)
        while len(self._known) > self._keep:
            _forget(self._folder, self._known.popleft())


def read(folder: Path, activation_id: str) -> dict[str, Any] | None:
    """The record of an ended activation, None when there is none."""
    text = _read(folder, activation_id, "json")
    if text is None:
        return None
    try:
        record: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return record


def read_log(folder: Path, activation_id: str) -> str:
    return (_read(folder, activation_id, "log") or b"").decode(errors="replace")


def take_output(descriptor: int) -> bytes:
    """The tail of what was printed into a worker's output file, which is emptied."""
    size = os.fstat(descriptor).st_size
    if not size:
        return b""
    text = os.pread(descriptor, LOG_LIMIT, max(0, size - LOG_LIMIT))
    os.ftruncate(descriptor, 0)
    return text if size <= LOG_LIMIT else b"[earlier output dropped]\n" + text.partition(b"\n")[2]


def trim_output(descriptor: int) -> None:
    """Keep a handler that prints without end from filling the disk."""
    if os.fstat(descriptor).st_size > 8 * LOG_LIMIT:
        os.write(descriptor, take_output(descriptor))


def _read(folder: Path, activation_id: str, kind: str) -> bytes | None:
    if not _ID.fullmatch(activation_id):
        return None
    try:
        return (folder / f"{activation_id}.{kind}").read_bytes()
    except OSError:
        return None


def _replace(path: str, text: bytes) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)


def _forget(folder: str, activation_id: str) -> None:
    for kind in ("json", "log"):
        with contextlib.suppress(OSError):
            os.unlink(f"{folder}/{activation_id}.{kind}")


def _ids_by_age(folder: str) -> list[str]:
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                with contextlib.suppress(FileNotFoundError):  # another process prunes too
                    found.append((entry.stat().st_mtime_ns, entry.name[:-5]))
    return [activation_id for _, activation_id in sorted(found)]
