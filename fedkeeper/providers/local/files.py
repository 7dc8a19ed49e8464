"""The local cluster's control plane: functions are files, and no process needs to run to change them.

    <home>/functions/<name>/function.json   the FunctionSpec and its digest
    <home>/packages/<sha256>/               see packages.py
    <home>/activations/, work/              see records.py, platform.py

Changes are made under a file lock, and each is one rename; readers need no lock. With the last function goes the whole home.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from fedkeeper.errors import FunctionNotFound, ProviderError
from fedkeeper.model import FunctionSpec
from fedkeeper.providers.local import packages

FILE = "function.json"
MAX_NAME = 200
Signature = tuple[int, int]


class Stored(NamedTuple):
    """A function as it is on disk. `signature` changes whenever its file is written."""

    spec: FunctionSpec
    digest: str
    signature: Signature


class FunctionFiles:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.packages = home / "packages"
        self._functions = home / "functions"

    def load(self, name: str) -> Stored:
        """FunctionNotFound when there is none."""
        path = self._path(name)
        try:
            with path.open(encoding="utf-8") as file:
                signature = _signature(os.fstat(file.fileno()))
                data = json.load(file)
        except FileNotFoundError:
            raise self._unknown(name) from None
        except (OSError, ValueError) as exc:
            raise ProviderError(f"{path} cannot be read: {exc}", hint="run `fedkeeper deploy` to write it again") from exc
        return Stored(FunctionSpec.from_json(data["spec"]), data["digest"], signature)

    def signature(self, name: str) -> Signature:
        """Cheap: tells whether what was loaded before still holds."""
        try:
            return _signature(os.stat(self._path(name)))
        except FileNotFoundError:
            raise self._unknown(name) from None

    def all(self) -> Mapping[str, Stored]:
        found: dict[str, Stored] = {}
        for folder in sorted(self._functions.glob("*")):
            with contextlib.suppress(FunctionNotFound):  # deleted meanwhile, or left half made by a crash
                found[unquote(folder.name)] = self.load(unquote(folder.name))
        return found

    def put(self, spec: FunctionSpec, package: bytes, *, existing: bool) -> None:
        """Create or replace; `existing`: only replace."""
        path = self._path(spec.name)
        if existing:
            self.signature(spec.name)
        with self._locked(), _border(f"cannot store function {spec.name}"):
            packages.unpack(self.packages, spec.package, package)
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, json.dumps({"digest": spec.digest, "spec": asdict(spec)}, indent=1, sort_keys=True))
            self._collect()

    def delete(self, name: str) -> bool:
        """Absent is fine. True when no function is left."""
        path = self._path(name)
        if not self.home.is_dir():
            return True
        with self._locked(), _border(f"cannot delete function {name}"):
            path.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path.parent)
            return not self._collect()

    def clear(self) -> None:
        """Remove the home, unless it holds a function again."""
        if not self.home.is_dir():
            return
        with self._locked():
            if self.all():
                return
            for path in self.home.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path != self._lock:
                    path.unlink(missing_ok=True)
            self._lock.unlink(missing_ok=True)  # whoever waits for it sees that and makes a new one
            with contextlib.suppress(OSError):
                self.home.rmdir()

    # --- inside --------------------------------------------------------------------------------------------------
    @property
    def _lock(self) -> Path:
        return self.home / ".lock"

    def _path(self, name: str) -> Path:
        if not 0 < len(name) <= MAX_NAME or name in (".", ".."):
            raise ProviderError(f"{name!r} cannot be a function's name")
        return self._functions / quote(name, safe="") / FILE

    def _unknown(self, name: str) -> FunctionNotFound:
        return FunctionNotFound(f"there is no function {name} in {self.home}")

    def _collect(self) -> bool:
        """Drop packages nobody uses. True when functions are left."""
        functions = self.all()
        packages.collect(self.packages, {stored.spec.package for stored in functions.values()})
        return bool(functions)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with _border(f"cannot write to {self.home}"):
            descriptor = self._take_lock()
        try:
            yield
        finally:
            os.close(descriptor)

    def _take_lock(self) -> int:
        while True:
            self.home.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the home was removed just now
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_file(descriptor, self._lock):
                return descriptor
            os.close(descriptor)  # it was removed while we waited


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _signature(status: os.stat_result) -> Signature:
    return (status.st_ino, status.st_mtime_ns)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


@contextlib.contextmanager
def _border(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ProviderError(f"{what}: {exc.strerror or exc}") from exc
