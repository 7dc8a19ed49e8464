r"""A run's ledger in one file: runs/<run>/events.jsonl, one JSON object a line.

    append:  flock -> where does it end? -> Fenced, or one write of the whole batch -> unlock
    read:    from the last known place to the end of the last whole batch, without a lock

A batch counts when its last line does. Lines followed by more of their batch end in a space (JSON ignores it), the last one ends
in "}\n": so after a crash in the middle of a write the ledger ends at the last "}\n" in the file. What lies behind was never there,
and the next append cuts it off. The end is always read from the file, never remembered: whoever else has written is seen.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from fedkeeper.errors import CorruptData, Fenced
from fedkeeper.model import Json
from fedkeeper.stores.document import loads, numbered
from fedkeeper.stores.file_disk import Disk, translated, write_all

_COMMIT = b"}\n"
_STEP = 16 * 1024  # bytes looked at from the end


class Place(NamedTuple):
    """Where the event numbered `seq` begins, or would begin."""

    seq: int
    offset: int


class Ledger:
    """One run's events. Safe to use from several threads and processes."""

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._path = path
        self._seen = Place(0, 0)

    def append(self, first_seq: int, events: Sequence[Mapping[str, Json]]) -> None:
        text = b" \n".join(numbered(first_seq, events)) + b"\n" if events else b""
        with translated(f"write {self._path}"):
            fd = self._open()
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                end = _end(fd, self._path)
                if end.seq != first_seq:
                    raise Fenced(f"the ledger {self._path} goes on at event {end.seq}, not {first_seq}: somebody else wrote")
                self._write(fd, end.offset, text)
            finally:
                os.close(fd)

    def read(self, from_seq: int) -> Iterator[dict[str, Json]]:
        with translated(f"read {self._path}"):
            if not self._path.exists():
                return
            with open(self._path, "rb") as file:
                end = _end(file.fileno(), self._path)
                place = self._seen if self._seen.seq <= from_seq and self._seen.offset <= end.offset else Place(0, 0)
                file.seek(place.offset)
                for seq in range(place.seq, end.seq):
                    event = loads(line := file.readline(), f"{self._path}, event {seq}")
                    if event.get("seq") != seq:
                        raise CorruptData(f"{self._path}: at byte {place.offset} stands event {event.get('seq')}, not {seq}")
                    self._seen = place = Place(seq + 1, place.offset + len(line))
                    if seq >= from_seq:
                        yield event

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT
        try:
            return os.open(self._path, flags, 0o666)
        except FileNotFoundError:
            self._disk.make_folder(self._path.parent)
            return os.open(self._path, flags, 0o666)

    def _write(self, fd: int, offset: int, text: bytes) -> None:
        """All or none: what a full disk let through is taken back."""
        os.ftruncate(fd, offset)
        os.lseek(fd, offset, os.SEEK_SET)
        try:
            write_all(fd, [memoryview(text)] if text else [])
        except OSError:
            os.ftruncate(fd, offset)
            raise
        if self._disk.fsync:
            os.fsync(fd)
            if not offset:
                self._disk.settle(self._path.parent)


def _end(fd: int, path: Path) -> Place:
    """Behind the last whole batch. Looks at the last lines only, however long the file is."""
    size = os.fstat(fd).st_size
    tail, start = b"", size
    while start:
        start, stop = max(0, start - max(_STEP, len(tail))), start
        tail = os.pread(fd, stop - start, start) + tail
        commit = tail.rfind(_COMMIT)
        line = tail.rfind(b"\n", 0, commit) + 1
        if commit >= 0 and (line or not start):
            seq = loads(tail[line : commit + 1], f"the last line of {path}").get("seq")
            if not isinstance(seq, int):
                raise CorruptData(f'the last line of {path} has no "seq"')
            return Place(seq + 1, start + commit + len(_COMMIT))
    return Place(0, 0)
