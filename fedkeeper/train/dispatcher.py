"""Hands activations to the platforms, off the engine's thread, within each platform's rate.

submit(Order) -> pool thread -> provider.invoke | call -> Outcome -> take() on the engine's thread
                    |-- FunctionNotFound -> Repairer once -> invoke again
                    `-- Throttled -> the same attempt again later: slow down, do not fail
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

from fedkeeper.errors import FedKeeperError, FunctionNotFound, Throttled
from fedkeeper.model import Json, StepKey
from fedkeeper.providers.base import InvocationMode, Provider
from fedkeeper.train.threads import Threads

_THROTTLE_FIRST_S, _THROTTLE_MAX_S = 0.5, 30.0


class Repairer(Protocol):
    def repair(self, cluster: str, function: str) -> None: ...


@dataclass(frozen=True)
class Order:
    """One attempt to be made."""

    key: StepKey
    attempt: int
    cluster: str
    function: str
    params: Mapping[str, Json]
    throttled: int = 0  # how often the platform has asked us to come back later
    missing: tuple[str, str] | None = None  # (cluster, function) that the last attempt did not find: made again first


@dataclass(frozen=True)
class Taken:
    """The platform accepted. `held` calls say so before they wait for the answer."""

    order: Order
    activation_id: str | None


@dataclass(frozen=True)
class Refused:
    """The platform said no, or the held call failed."""

    order: Order
    error: FedKeeperError


@dataclass(frozen=True)
class Answered:
    """A held call returned: the receipt should be there."""

    order: Order
    activation_id: str | None


@dataclass(frozen=True)
class Recreated:
    """A function was gone and has been made again."""

    order: Order
    cluster: str
    function: str


Outcome = Taken | Refused | Answered | Recreated


class Dispatcher:
    """Thread-safe towards the providers; `submit`, `take` and `next_due` belong to the engine's thread."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        repairer: Repairer,
        wake: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._providers = providers
        self._repairer = repairer
        self._wake = wake
        self._clock = clock
        self._outcomes: SimpleQueue[Outcome | tuple[float, Order]] = SimpleQueue()
        self._later: list[tuple[float, int, Order]] = []
        self._pacers = {name: Pacer(provider.capabilities.rate_per_s) for name, provider in providers.items()}
        self._repair_locks: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._repaired: dict[tuple[str, str], float] = {}
        self._threads = Threads(_threads(providers), "dispatch")

    def submit(self, order: Order) -> None:
        """In order and at once where invoking costs nothing; else in a thread."""
        if self._providers[order.cluster].capabilities.instant_invoke:
            self._work(order)
        else:
            self._threads.submit(partial(self._work, order))

    def take(self) -> list[Outcome]:
        """What has come back since the last call; resubmits throttled orders whose time has come."""
        taken: list[Outcome] = []
        while True:
            try:
                item = self._outcomes.get_nowait()
            except Empty:
                break
            if isinstance(item, tuple):
                heapq.heappush(self._later, (item[0], id(item[1]), item[1]))
            else:
                taken.append(item)
        while self._later and self._later[0][0] <= self._clock():
            self.submit(heapq.heappop(self._later)[2])
        return taken

    def next_due(self) -> float | None:
        """Seconds until a throttled order is tried again."""
        return max(0.0, self._later[0][0] - self._clock()) if self._later else None

    @property
    def throttled(self) -> int:
        return len(self._later)

    def close(self) -> None:
        """At once: calls that are held now end with the process."""
        self._threads.close()

    def _work(self, order: Order) -> None:
        try:
            self._invoke(order)
        except Throttled as exc:
            delay = exc.retry_after or min(_THROTTLE_MAX_S, _THROTTLE_FIRST_S * 2**order.throttled)
            self._outcomes.put((self._clock() + delay, replace(order, throttled=order.throttled + 1)))
        except FedKeeperError as exc:
            self._outcomes.put(Refused(order, exc))
        except Exception as exc:  # a defect in an adapter must not hang the round
            self._outcomes.put(Refused(order, FedKeeperError(f"{type(exc).__name__}: {exc}")))
        self._wake()

    def _invoke(self, order: Order) -> None:
        if order.missing is not None:
            self._repair(order, order.missing)
        try:
            self._once(order)
        except FunctionNotFound:
            self._repair(order, (order.cluster, order.function))
            self._once(order)

    def _once(self, order: Order) -> None:
        provider = self._providers[order.cluster]
        self._pacers[order.cluster].wait()
        if _held(provider):
            self._outcomes.put(Taken(order, None))
            reply = provider.call(order.function, order.params)
            self._outcomes.put(Answered(order, reply.activation_id))
        else:
            self._outcomes.put(Taken(order, provider.invoke(order.function, order.params).activation_id))

    def _repair(self, order: Order, place: tuple[str, str]) -> None:
        """Once for all orders that found the same function missing at about the same time."""
        began = self._clock()
        with self._repair_locks[place]:
            if self._repaired.get(place, -1.0) >= began:
                return
            self._repairer.repair(*place)
            self._repaired[place] = self._clock()
            self._outcomes.put(Recreated(order, *place))


class Pacer:
    """Spaces calls 1/rate apart, whichever threads make them."""

    def __init__(self, rate_per_s: float | None) -> None:
        self._gap = 1.0 / rate_per_s if rate_per_s else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        if not self._gap:
            return
        with self._lock:
            slot = max(time.monotonic(), self._next)
            self._next = slot + self._gap
        time.sleep(max(0.0, slot - time.monotonic()))


def _held(provider: Provider) -> bool:
    return not {InvocationMode.ASYNC, InvocationMode.ASYNC_STATUS} & set(provider.capabilities.modes)


def _threads(providers: Mapping[str, Provider]) -> int:
    """A few for calls that return at once; one per call in flight where calls are held."""
    return 8 + sum(min(256, p.capabilities.max_concurrency) for p in providers.values() if _held(p))
