"""Carries a plan out, a few functions at a time, recording each step before and after it is done.

    Plan -> record(null) -> provider.create/update/delete -> record(what it was made from) -> progress

Also the Repairer, with which the engine makes one function again that is gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from fedkeeper.deploy.plan import Action, Plan
from fedkeeper.deploy.record import DeploymentRecord, keep, key_of
from fedkeeper.deploy.resources import Wanted
from fedkeeper.errors import DeployError, FunctionNotFound
from fedkeeper.model import Ref
from fedkeeper.providers.base import Provider
from fedkeeper.stores.base import Store

Progress = Callable[[Action, int, int], None]
"""Called after each action with (action, done, total)."""

_PARALLEL = 8
_SAVE_S = 0.2  # the record is rewritten at most this often: it grows with the number of functions


class Applier:
    """Applies plans for one fabric. Provider calls run in parallel, the record changes under a lock."""

    def __init__(self, store: Store, record: DeploymentRecord, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._record = record
        self._providers = providers
        self._lock = threading.Lock()
        self._saved = 0.0

    def apply(self, plan: Plan, wanted: Sequence[Wanted], progress: Progress | None = None) -> None:
        """Every action is tried; the first error is raised at the end: one broken cluster does not hide the others' work."""
        specs = {key_of(w.spec.cluster, w.spec.name): w for w in wanted}
        todo = [action for action in plan.actions if action.kind != "keep"]
        self._intend(todo)
        errors: list[Exception] = []
        done = 0

        def step(action: Action) -> None:
            nonlocal done
            try:
                self._one(action, specs.get(key_of(action.cluster, action.function)))
            except Exception as exc:  # collected, raised below
                errors.append(exc)
                return
            with self._lock:
                done += 1
                if progress is not None:
                    progress(action, done, len(todo))

        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            list(pool.map(step, todo))
        self._adopt(plan, specs)
        self._record.save(self._store)
        if errors:
            raise errors[0]

    def finish(self, digest: str) -> None:
        """The deploy is complete: what is recorded is what is there."""
        self._record.digest = digest
        self._record.save(self._store)

    def _intend(self, actions: Sequence[Action]) -> None:
        """Written before anything is touched, so that a crash at any point leaves nothing unknown."""
        if not actions:
            return
        self._record.digest = None
        self._record.functions |= {key_of(action.cluster, action.function): None for action in actions}
        self._record.save(self._store)

    def _adopt(self, plan: Plan, specs: Mapping[str, Wanted]) -> None:
        """Functions that are up to date, but unknown to the record (a crash after they were made)."""
        for action in plan.actions:
            key = key_of(action.cluster, action.function)
            if action.kind == "keep" and self._record.functions.get(key) is None:
                self._record.functions[key] = keep(self._store, specs[key])

    def _one(self, action: Action, wanted: Wanted | None) -> None:
        provider = self._providers[action.cluster]
        key = key_of(action.cluster, action.function)
        if action.kind == "delete":
            provider.delete(action.function)
            self._note(key, None, gone=True)
            return
        if wanted is None:
            raise DeployError(f"the plan names {key}, which the fabric does not want")
        _put(provider, wanted, update=action.kind == "update")
        self._note(key, keep(self._store, wanted))

    def _note(self, key: str, made: Ref | None, *, gone: bool = False) -> None:
        with self._lock:
            if gone:
                self._record.functions.pop(key, None)
            else:
                self._record.functions[key] = made
            if time.monotonic() - self._saved > _SAVE_S:
                self._record.save(self._store)
                self._saved = time.monotonic()


class Repairer:
    """Makes a deployed function again, from what it was made from."""

    def __init__(self, store: Store, record: DeploymentRecord, providers: Mapping[str, Provider]) -> None:
        self._store = store
        self._record = record
        self._providers = providers

    def repair(self, cluster: str, function: str) -> None:
        spec, package = self._record.made_from(self._store, cluster, function)
        self._providers[cluster].create(spec, package)


def _put(provider: Provider, wanted: Wanted, *, update: bool) -> None:
    if update:
        try:
            provider.update(wanted.spec, wanted.package.data)
            return
        except FunctionNotFound:
            pass  # it went away since the plan was made
    provider.create(wanted.spec, wanted.package.data)
