"""Blobs in a folder: blobs/ab/cdef... is the file whose SHA-256 starts with abcdef.

    parts --512 KiB--> sha256 + writev into tmp/ --rename--> blobs/ab/cd...      one pass; equal bytes are one file

A blob gets its name only when it is whole, and then never changes: readers need no lock, and may map it. Its time is that of its last
put, taken and given under a shared flock on its folder; who drops blobs holds that lock alone, so a put comes before it or after it.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import mmap
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fedkeeper.errors import BlobMissing, CorruptData
from fedkeeper.model import Ref
from fedkeeper.refs import parse_ref
from fedkeeper.stores.base import Buffer
from fedkeeper.stores.file_disk import Disk, translated, write_all

_CHUNK = 512 * 1024  # hashed, then written while still in the processor's cache
_BUFFERS = 256  # per writev; systems take 1024
_MAP_FROM = 256 * 1024  # below, reading is cheaper than mapping


class FileBlob:
    """One blob, open. Any number of threads may read it at once. What `read` returned stays valid after `close`."""

    def __init__(self, file: io.FileIO, ref: Ref) -> None:
        self._file = file
        self._ref = ref
        self.size = os.fstat(file.fileno()).st_size

    def read_into(self, offset: int, target: memoryview) -> None:
        missing = max(offset, 0) + len(target) - self.size
        if offset < 0 or missing > 0:
            raise CorruptData(f"blob {self._ref} has {self.size} bytes: no {len(target)} bytes at {offset}")
        with translated(f"read blob {self._ref}"):
            done = 0
            while done < len(target):
                got = os.preadv(self._file.fileno(), [target[done:]], offset + done)
                if not got:
                    raise CorruptData(f"blob {self._ref} was cut short while it was read")
                done += got

    def read(self) -> Buffer:
        if self.size >= _MAP_FROM:
            with translated(f"map blob {self._ref}"):
                return memoryview(mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ))
        data = bytearray(self.size)
        self.read_into(0, memoryview(data))
        return memoryview(data).toreadonly()

    def close(self) -> None:
        self._file.close()


class BlobFolder:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._folder = disk.root / "blobs"

    def put(self, parts: Sequence[Buffer]) -> Ref:
        digest = hashlib.sha256()
        with translated("write a blob"), self._disk.temporary() as (fd, path):
            pending: list[memoryview] = []
            size = 0
            for piece in _pieces(parts):
                digest.update(piece)
                pending.append(piece)
                size += len(piece)
                if size >= _CHUNK or len(pending) == _BUFFERS:
                    write_all(fd, pending)
                    size = 0
            write_all(fd, pending)
            ref = Ref("sha256:" + digest.hexdigest())
            target = self._path(ref)
            with self._locked(target.parent, fcntl.LOCK_SH):
                now = time.time_ns()
                os.utime(fd, ns=(now, now))
                self._disk.replace(fd, path, target)
        return ref

    def open(self, ref: Ref) -> FileBlob:
        with translated(f"open blob {ref}"):
            try:
                return FileBlob(open(self._path(ref), "rb", buffering=0), ref)
            except FileNotFoundError as exc:
                raise BlobMissing(f"no blob {ref} in {self._disk.root}") from exc

    def has(self, ref: Ref) -> bool:
        with translated(f"look for blob {ref}"):
            return self._path(ref).exists()

    def all(self) -> Iterator[Ref]:
        with translated(f"list {self._folder}"):
            for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
                yield Ref(f"sha256:{path.parent.name}{path.name}")

    def drop(self, refs: Collection[Ref], before: float) -> int:
        """Those whose time is before `before`."""
        folders: dict[Path, list[Path]] = defaultdict(list)
        for path in map(self._path, refs):
            folders[path.parent].append(path)
        with translated("drop blobs"):
            return sum(self._drop(folder, paths, before) for folder, paths in folders.items() if folder.is_dir())

    def _drop(self, folder: Path, paths: Sequence[Path], before: float) -> int:
        gone = 0
        with self._locked(folder, fcntl.LOCK_EX):
            for path in paths:
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < before:
                        path.unlink()
                        gone += 1
            self._disk.settle(folder)
        return gone

    @contextmanager
    def _locked(self, folder: Path, how: int) -> Iterator[None]:
        """Each holder with a descriptor of its own: threads exclude each other like processes."""
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            self._disk.make_folder(folder)
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def _path(self, ref: Ref) -> Path:
        digest = parse_ref(ref).removeprefix("sha256:")
        return self._folder / digest[:2] / digest[2:]


def _pieces(parts: Sequence[Buffer]) -> Iterator[memoryview]:
    """Bytes of `parts` in order, at most `_CHUNK` at a time, never empty."""
    for part in parts:
        view = memoryview(part)
        if not view.nbytes:
            continue
        flat = view.cast("B")
        for start in range(0, len(flat), _CHUNK):
            yield flat[start : start + _CHUNK]
