"""The contract between the three APIs and what runs below them: one Platform per kind, over one local platform each.

    put(zip) -> repacked with a runner -> LocalProvider.create        functions, also on the Shelf (files)
    start(request) -> LocalProvider.begin(body=request) -> id         at once; the event loop may call it
    finished(id), outcome(id) <- History <- the runner's answer       also after a restart

A function of a remote kind sees nothing of this host: its environment is its own, its home and its folder are scratch.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fedkeeper.emulator import files, shelf
from fedkeeper.emulator.history import History
from fedkeeper.emulator.limits import Limits
from fedkeeper.emulator.outcomes import outcome_of, unreachable
from fedkeeper.emulator.packing import Packed, repack, runner_files
from fedkeeper.emulator.shelf import Entry, Shelf
from fedkeeper.emulator.stored import KINDS, Outcome, Stored
from fedkeeper.emulator.surroundings import host_environment, surroundings
from fedkeeper.errors import FedKeeperError, FunctionNotFound, PackageError
from fedkeeper.model import Cluster, FunctionSpec, Role
from fedkeeper.providers.local.provider import LocalProvider
from fedkeeper.providers.local.wire import Frame

__all__ = ["KINDS", "Api", "Credentials", "Outcome", "Platform", "Stored"]

FABRIC = "emulator"
KEPT = {"openwhisk": 20_000, "google": 1_000, "aws": 1_000}  # only OpenWhisk can be asked for an activation later
SLACK, LONGEST_S = 64 << 20, 1e6  # the local platform's own limits are never those that are met
OWN_REQUIREMENTS = {"google": ("functions-framework",)}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """Made once for an emulator's home, so that what `emulate env` printed stays true."""

    openwhisk_key: str  # "uuid:key"
    google_token: str
    google_project: str
    aws_access_key_id: str
    aws_secret_access_key: str
    aws_region: str = "us-east-1"
    aws_account: str = "000000000000"


@dataclass(frozen=True)
class Settings:
    """How a platform runs its functions."""

    runtime: str = "local"  # "real": the vendors' own runtimes
    workers: int | None = None  # functions that run at the same time; None: one a CPU, at least two


class Platform:
    """Functions and activations of one kind. Thread-safe."""

    def __init__(self, kind: str, home: Path, limits: Limits, settings: Settings = Settings()) -> None:
        self.kind = kind
        self.limits = limits
        self._lock = threading.Lock()
        self._shelf = Shelf(files.folder(home))
        self._history = History(home, KEPT[kind])
        self._settings = settings
        self._runner = runner_files(kind, settings.runtime)
        self._scratch = files.folder(home / "scratch")
        self._packed: tuple[str, Packed] | None = None
        cluster = Cluster(kind, "local", _local_settings(limits, settings))
        self._local = LocalProvider(cluster, home=home / "local", environ=host_environment(self._scratch))
        self._restore()

    # --- functions -----------------------------------------------------------------------------------------------
    def put(
        self,
        scope: str,
        name: str,
        meta: Mapping[str, Any],
        package: bytes,
        *,
        memory_mb: int,
        timeout_s: float,
        environment: Mapping[str, str],
        entry: str,
    ) -> Stored:
        """Create or replace; an empty `package` keeps the code there is. PackageError when the zip cannot be used."""
        with self._lock:
            before = self._shelf.get(scope, name)
            if not package and before is None:
                raise PackageError(f"{name} has no code")
            now = time.time()
            made = Entry(
                scope=scope,
                name=name,
                meta=dict(meta),
                revision=before.revision + 1 if before else 1,
                created=before.created if before else now,
                updated=now,
                zip=shelf.zip_digest(package) if package else before.zip if before else "",
                entry=entry,
                memory_mb=memory_mb,
                timeout_s=timeout_s,
                environment=dict(environment),
            )
            self._deploy(made, package or self._shelf.code(made))
            self._shelf.put(made, package)
            return made.stored()

    def set_meta(self, scope: str, name: str, meta: Mapping[str, Any]) -> Stored:
        """Another document for the same function. FunctionNotFound."""
        with self._lock:
            entry = self._found(scope, name)
            changed = replace(entry, meta=dict(meta), revision=entry.revision + 1, updated=time.time())
            self._shelf.put(changed)
            return changed.stored()

    def get(self, scope: str, name: str) -> Stored | None:
        with self._lock:
            entry = self._shelf.get(scope, name)
        return None if entry is None else entry.stored()

    def code(self, scope: str, name: str) -> bytes:
        """The zip as it was given. FunctionNotFound."""
        with self._lock:
            return self._shelf.code(self._found(scope, name))

    def list(self, scope: str) -> list[Stored]:
        with self._lock:
            entries = [entry for entry in self._shelf.all() if entry.scope == scope]
        return [entry.stored() for entry in sorted(entries, key=lambda entry: entry.name)]

    def delete(self, scope: str, name: str) -> bool:
        with self._lock:
            entry = self._shelf.delete(scope, name)
            if entry is not None:
                self._local.delete(entry.key)
            return entry is not None

    def count(self) -> int:
        with self._lock:
            return len(self._shelf.all())

    # --- activations ---------------------------------------------------------------------------------------------
    def start(self, scope: str, name: str, request: bytes) -> str:
        """The id of a new activation, at once. FunctionNotFound; Unreachable when the local platform cannot be started."""
        entry = self._shelf.get(scope, name)
        if entry is None:
            raise FunctionNotFound(f"there is no function {name} in {scope}")
        params = {"entry": entry.entry, "scope": scope, "name": name, "memory_mb": entry.memory_mb, "timeout_s": entry.timeout_s}
        activation_id, answer = self._local.begin(entry.key, params, request)
        self._history.begin(activation_id, scope, name)
        answer.add_done_callback(functools.partial(self._ended, activation_id, entry))
        return activation_id

    async def finished(self, activation_id: str, timeout_s: float | None = None) -> Outcome | None:
        """Its end; None when it still runs after `timeout_s`, or when there is no such activation."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()

        def settle(outcome: Outcome) -> None:
            if not ended.done():
                ended.set_result(outcome)

        def tell(outcome: Outcome) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, outcome)

        if self._history.get(activation_id) is None:
            return None
        forget = self._history.when_ended(activation_id, tell)
        try:
            return await asyncio.wait_for(ended, timeout_s)
        except asyncio.TimeoutError:
            return None
        finally:
            forget()

    def outcome(self, activation_id: str) -> Outcome | None:
        return self._history.get(activation_id)

    def outcomes(self, scope: str, name: str | None = None) -> builtins.list[Outcome]:
        """Newest first, bounded. Answers and logs of more than some KB are left out: `outcome` has them."""
        return self._history.newest(scope, name)

    def in_flight(self, scope: str) -> int:
        return self._history.in_flight(scope)

    def close(self) -> None:
        """End every process of the platform; what runs ends as lost."""
        self._local.close()
        self._history.close()

    # --- inside --------------------------------------------------------------------------------------------------
    def _deploy(self, entry: Entry, package: bytes) -> None:
        packed = self._pack(entry.zip, package)
        spec = FunctionSpec(
            name=entry.key,
            fabric=FABRIC,
            cluster=self.kind,
            role=Role.CLIENT,
            package=packed.digest,
            memory_mb=entry.memory_mb,
            timeout_s=entry.timeout_s,  # type: ignore[arg-type] # the local platform takes fractions too
            environment={**surroundings(self.kind, entry), **entry.environment},
            options={"waits": True} if packed.waits else {},
            requirements=packed.requirements
            if self._settings.runtime == "local"
            else (),  # else the vendor's process imports them
        )
        self._local.create(spec, packed.data)

    def _pack(self, digest: str, package: bytes) -> Packed:
        """A fabric deploys the same zip many times over: the last one is remembered."""
        if self._packed is None or self._packed[0] != digest:
            self._packed = (digest, repack(package, self._runner, OWN_REQUIREMENTS.get(self.kind, ())))
        return self._packed[1]

    def _restore(self) -> None:
        """After a restart, perhaps with another runtime, the local platform's functions are made anew from ours."""
        wanted = {entry.key for entry in self._shelf.all()}
        for orphan in set(self._local.functions(FABRIC)) - wanted:
            self._local.delete(orphan)
        for entry in sorted(self._shelf.all(), key=lambda entry: entry.zip):
            try:
                self._deploy(entry, self._shelf.code(entry))
            except (FedKeeperError, OSError) as exc:  # one damaged function keeps nobody from the others
                _log.warning("%s function %s cannot be restored: %s", self.kind, entry.name, exc)
        self._packed = None

    def _found(self, scope: str, name: str) -> Entry:
        entry = self._shelf.get(scope, name)
        if entry is None:
            raise FunctionNotFound(f"there is no function {name} in {scope}")
        return entry

    def _ended(self, activation_id: str, entry: Entry, answer: Future[Frame]) -> None:
        """Called by the local platform's reader thread."""
        begun = Outcome(activation_id, entry.scope, entry.name)
        try:
            frame = answer.result()
        except FedKeeperError as exc:
            self._history.end(unreachable(begun, exc))
            return
        logs = self._local.logs(activation_id)
        self._history.end(outcome_of(begun, entry, frame, logs, self.kind, self.limits.max_response))


@dataclass(frozen=True)
class Api:
    """What an API module gets: `routes(api) -> list[Route]`."""

    platform: Platform
    limits: Limits
    credentials: Credentials
    base_url: str  # http://127.0.0.1:PORT
    clock: Callable[[], float] = time.time


def _local_settings(limits: Limits, settings: Settings) -> dict[str, Any]:
    return {
        "workers": settings.workers or max(2, os.cpu_count() or 1),
        "waiters": 1024,
        "max_request": limits.max_request + SLACK,
        "max_response": 2 * limits.max_response + SLACK,
        "max_memory": 1 << 20,
        "max_timeout": LONGEST_S,
        "keep_activations": 1000,
    }
