"""What the parts of the store contract stand on: the fixtures a backend fills in, sample documents, races.

StoreFixtures  <- BlobContract, LedgerContract (receipts, events) <- StoreContract
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import ClassVar

import pytest

from fedkeeper.errors import StoreError
from fedkeeper.model import Json, Receipt, Ref, StepKey
from fedkeeper.stores.base import Store
from fedkeeper.stores.registry import open_store
from fedkeeper.testing.store_process import StoreProcess, perform

RUN = "mnist-7"
STEP = "r0001/train"
HELLO = Ref("sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")  # of b"hello"
EMPTY = Ref("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
ABSENT = Ref("sha256:" + "0" * 64)
Reopen = Callable[[], Store]


def receipt(subject: str = "c1", *, step: str = STEP, model: Ref = HELLO, notes: Json = None) -> Receipt:
    return Receipt(StepKey(step, subject), {"base": EMPTY}, {"model": model}, 600, {"loss": 0.25}, notes or {})


def ledger(store: Store, run: str = RUN, from_seq: int = 0) -> list[Json]:
    return [dict(event) for event in store.read_events(run, from_seq)]


class StoreFixtures(ABC):
    crosses_processes: ClassVar[bool] = True
    """False for a backend that lives inside one process."""

    clock_step_s: ClassVar[float] = 0.02
    """What is further apart than this has different times by the store's clock."""

    @pytest.fixture
    def url(self) -> str:
        """URL of a store with nothing in it. Every backend gives its own."""
        raise NotImplementedError("a backend's test class has a `url` fixture")

    @abstractmethod
    def raw_blobs(self, url: str) -> Sequence[bytes]:
        """Every blob in the backend, read past the store."""

    def tear_ledger(self, url: str, run: str) -> None:  # noqa: B027 - only where it can happen
        """Leave half of a batch behind the ledger, as a crash in mid-write would. Nothing where the backend writes batches whole."""

    @pytest.fixture
    def reopen(self, url: str) -> Iterator[Reopen]:
        """Opens the same store once more."""
        with ExitStack() as opened:

            def open_again() -> Store:
                return opened.enter_context(closing(open_store(url)))

            yield open_again

    @pytest.fixture
    def store(self, reopen: Reopen) -> Store:
        return reopen()

    def _race(self, store: Store, url: str, requests: Sequence[Sequence[Sequence[Json]]]) -> list[list[Json]]:
        """Each list of requests by a process (or thread) of its own, at the same time."""
        if not self.crosses_processes:
            with ThreadPoolExecutor(len(requests)) as pool:
                return list(pool.map(lambda mine: [self._perform(store, request) for request in mine], requests))
        with ExitStack() as running:
            racers = [running.enter_context(StoreProcess(url)) for _ in requests]
            for racer in racers:
                racer.ask("append", "warm-up of " + str(id(racer)), 0, [])
            for turn in zip(*requests, strict=True):
                for racer, request in zip(racers, turn, strict=True):
                    racer.send(*request)
            return [[racer.answer() for _ in mine] for racer, mine in zip(racers, requests, strict=True)]

    def _perform(self, store: Store, request: Sequence[Json]) -> Json:
        try:
            return perform(store, ExitStack(), *request)
        except StoreError as exc:
            return {"error": type(exc).__name__}
