"""What the file store asks of a file system: safe names, whole files or none, one kind of error.

    bytes --> tmp/<random>  --link--->  target      written once: the second writer learns that it came second
                            --rename->  target      replaced: readers see the old file or the new one, never a mixture

A crash leaves files in tmp/ only; those untouched for a day are swept by the next writer. Names that come from outside (runs,
subjects, record names) are percent-encoded, so that none of them can leave its folder, hide, or clash with another.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from fedkeeper.errors import StoreError

STALE_S = 86_400.0
"""Age after which a temporary file must be a dead writer's."""
_LONGEST = 200  # bytes of an encoded name; file systems allow 255
_HINTS = {
    errno.ENOSPC: "the disk is full: free some space, then `fedkeeper resume`",
    errno.EDQUOT: "your disk quota is used up: free some space, then `fedkeeper resume`",
    errno.EFBIG: "a file became larger than the file system or `ulimit -f` allows",
    errno.EACCES: "check who owns the store's folder and its permissions",
    errno.EPERM: "check who owns the store's folder and its permissions",
    errno.EROFS: "the store's folder is on a read-only file system: choose another in the spec",
    errno.EMFILE: "too many open files: raise `ulimit -n`",
    errno.ENFILE: "the machine has too many open files",
    errno.ENOTDIR: "the store's path runs through a file: choose another folder in the spec",
    errno.ENAMETOOLONG: "the store's path is too long: choose a shorter one in the spec",
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """The border: an OSError inside becomes a StoreError that says what we were doing and what may help."""
    try:
        yield
    except OSError as exc:
        raise StoreError(f"cannot {doing}: {exc.strerror or exc}", hint=_HINTS.get(exc.errno or 0, "")) from exc


@lru_cache(maxsize=1 << 16)
def safe_name(name: str) -> str:
    """A file name for any string: readable, different for different strings, never hidden, at most 200 bytes."""
    encoded = quote(name.encode("utf-8", "surrogatepass"), safe="").replace("~", "%7E")
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    if len(encoded) > _LONGEST:
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        encoded = f"{encoded[: _LONGEST - 65]}~{digest}"
    return encoded or "%"


class Disk:
    """A root folder, and whether to wait for the hardware. Folders are made when something is first written to them."""

    def __init__(self, root: Path, *, fsync: bool = False) -> None:
        self.root = root
        self.fsync = fsync
        self._tmp = root / "tmp"
        self._swept = False

    @contextmanager
    def temporary(self, mode: int = 0o444) -> Iterator[tuple[int, str]]:
        """A new file to fill, as (descriptor, path). Gone at the end unless `publish` or `replace` has taken it."""
        path = str(self._tmp / os.urandom(12).hex())
        fd = self._create(path, mode)
        try:
            yield fd, path
        finally:
            os.close(fd)
            with suppress(FileNotFoundError):
                os.unlink(path)

    def publish(self, fd: int, path: str, target: Path) -> bool:
        """Give the filled file its name; False when the name is taken."""
        try:
            self._name(os.link, fd, path, target)
        except FileExistsError:
            return False
        return True

    def replace(self, fd: int, path: str, target: Path) -> None:
        """Give the filled file its name, whoever had it before."""
        self._name(os.rename, fd, path, target)

    def make_folder(self, folder: Path) -> None:
        """With its parents; new entries are durable when asked for."""
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        with suppress(FileExistsError):
            os.mkdir(folder)
        self.settle(folder.parent)

    def settle(self, folder: Path) -> None:
        """Wait until the entries of `folder` are on the hardware, when asked for."""
        if self.fsync:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def _create(self, path: str, mode: int) -> int:
        if not self._swept:
            self.make_folder(self._tmp)
            sweep(self._tmp)
            self._swept = True
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        except FileNotFoundError:
            self.make_folder(self._tmp)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def _name(self, verb: Callable[[str, Path], None], fd: int, path: str, target: Path) -> None:
        if self.fsync:
            os.fsync(fd)
        try:
            verb(path, target)
        except FileNotFoundError:
            self.make_folder(target.parent)
            verb(path, target)
        self.settle(target.parent)


def sweep(folder: Path, older_than_s: float = STALE_S) -> None:
    """Remove files that nobody has touched for long. Housekeeping: what cannot be removed now stays for the next sweeper."""
    limit = time.time() - older_than_s
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < limit:
                    os.unlink(entry.path)


def write_all(fd: int, buffers: list[memoryview]) -> None:
    """Every byte, in as few calls as the system takes."""
    while buffers:
        written = os.writev(fd, buffers)
        while buffers and written >= len(buffers[0]):
            written -= len(buffers.pop(0))
        if buffers and written:
            buffers[0] = buffers[0][written:]


def read_file(path: Path) -> bytes | None:
    """None when there is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except FileNotFoundError:
        return None
