"""Who computes when: at most `slots` activations at once, and nested calls that can never deadlock.

Functions that mostly wait (the invokers) have slots of their own, `waiters`: a hundred open calls to a cloud cost no processor.

    submit -> queue -> slot -> worker -> done | timed out | out of memory | died -> on_ended(activation)
    a handler that calls a function lends its slot to the callee and waits; further calls of it wait in its lane.

Because a callee needs no slot of its own, the innermost activation always runs, even with one slot. What a waiting function
calls computes: it gets a computing slot, before those who have not begun, and computing functions never wait for waiting ones.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from .activation import CANCELLED, NO_WORKER, Activation, Config, Outcome, died, given_up, out_of_memory, timed_out
from .connection import Loop
from .pool import Pool, SpawnError, Worker
from .process import MIB, memory_mb
from .records import trim_output
from .wire import Frame

TICK_S = 0.05


class Scheduler:
    def __init__(
        self,
        loop: Loop,
        config: Config,
        on_ended: Callable[[Activation, Outcome], None],
        on_call: Callable[[Activation, Frame], None],
    ) -> None:
        self.pool = Pool(loop, config, self._on_worker_frame, self._on_worker_death)
        self._slots = {False: config.slots, True: config.waiters}  # by Definition.waits
        self._on_ended = on_ended
        self._on_call = on_call
        self._queues: dict[bool, deque[Activation]] = {False: deque(), True: deque()}
        self._busy = {False: 0, True: 0}  # slots in use
        self._running: dict[str, Activation] = {}
        self._impatient: dict[str, Activation] = {}  # those whose caller waits only so long
        self._starting = False

    @property
    def idle(self) -> bool:
        return not (self._running or self._impatient)

    def submit(self, activation: Activation) -> None:
        """Take it in: a nested one goes to its parent's lane, any other to the queue."""
        if activation.give_up is not None:
            self._impatient[activation.id] = activation
        if activation.parent is None:
            self._queues[activation.definition.waits].append(activation)
            self._fill_slots()
        else:
            activation.parent.lane.append(activation)
            self._advance(activation.parent)

    def tick(self, now: float) -> None:
        """Enforce limits; called every TICK_S while anything runs."""
        for activation in list(self._impatient.values()):
            if activation.give_up is not None and now > activation.give_up:
                self.finish(activation, given_up())
        for activation in list(self._running.values()):
            if activation.outcome is None:
                self._enforce(activation, now)
        self.pool.check(now)

    def finish(self, activation: Activation, outcome: Outcome) -> None:
        """End it, once, whatever state it was in, and let the next one run."""
        if activation.outcome is not None:
            return
        activation.outcome = outcome
        activation.ended = time.time()
        self._running.pop(activation.id, None)
        self._impatient.pop(activation.id, None)
        for callee in [activation.callee, *activation.lane]:
            if callee is not None:
                self.finish(callee, CANCELLED)
        self._on_ended(activation, outcome)
        self._free_worker(activation)
        if activation.slotted:
            self._busy[activation.definition.waits] -= 1
        if activation.parent is not None:
            if activation.parent.callee is activation:
                activation.parent.callee = None
            self._advance(activation.parent)
        self._fill_slots()

    # --- starting ------------------------------------------------------------------------------------------------
    def _fill_slots(self) -> None:
        if self._starting:
            return  # a start failed at once: the loop below goes on
        self._starting = True
        for waits, queue in self._queues.items():
            while queue and self._busy[waits] < self._slots[waits]:
                activation = queue.popleft()
                if activation.outcome is None:
                    self._busy[waits] += 1
                    activation.slotted = True
                    self._start(activation)
        self._starting = False

    def _advance(self, parent: Activation) -> None:
        while parent.callee is None and parent.lane and parent.outcome is None:
            activation = parent.lane.popleft()
            if activation.outcome is None:
                parent.callee = activation
                if parent.definition.waits and not activation.definition.waits:
                    self._queues[False].appendleft(activation)
                    self._fill_slots()
                else:
                    self._start(activation)

    def _start(self, activation: Activation) -> None:
        self._running[activation.id] = activation
        try:
            worker, cold = self.pool.acquire(activation.definition)
        except SpawnError as exc:
            self.finish(activation, Outcome("failed", f"no worker: {exc}", NO_WORKER))
            return
        activation.worker, activation.cold_start = worker, cold
        worker.activation = activation
        if not cold:
            _begin(activation)
        worker.connection.send({"op": "run", "id": activation.id}, activation.data, activation.body)
        activation.data = activation.body = b""  # the weights are the worker's now

    # --- ending --------------------------------------------------------------------------------------------------
    def _free_worker(self, activation: Activation) -> None:
        worker = activation.worker
        if worker is None or worker.activation is not activation:
            return
        outcome = activation.outcome
        worker.activation = None
        if outcome is not None and outcome.max_rss_mb is not None:  # the worker answered: it is whole
            self.pool.release(worker)
        else:
            self.pool.discard(worker)

    def _enforce(self, activation: Activation, now: float) -> None:
        worker = activation.worker
        if worker is None:
            return
        if activation.deadline is not None and now > activation.deadline:
            self.finish(activation, timed_out(activation))
            return
        trim_output(worker.output)
        used = memory_mb(worker.pid) if worker.pid else None
        if used is not None:
            activation.max_rss_mb = max(activation.max_rss_mb, used)
            if used > activation.definition.memory_mb:
                self.finish(activation, out_of_memory(activation))

    # --- what workers tell ---------------------------------------------------------------------------------------
    def _on_worker_frame(self, worker: Worker, frame: Frame) -> None:
        activation = worker.activation
        if activation is None:
            return
        try:
            self._obey(activation, frame)
        except (KeyError, TypeError, ValueError):  # a handler wrote into our socket
            self.finish(activation, died("it broke the platform's protocol"))

    def _obey(self, activation: Activation, frame: Frame) -> None:
        operation = frame.header["op"]
        if operation == "hello":
            _begin(activation)
        elif operation == "call":
            self._on_call(activation, frame)
        elif operation == "done" and frame.header["id"] == activation.id:
            self.finish(activation, _answer(frame))

    def _on_worker_death(self, worker: Worker, reason: str) -> None:
        if worker.activation is not None:
            self.finish(worker.activation, died(reason))


def _begin(activation: Activation) -> None:
    """The handler starts now: its time limit runs."""
    activation.started = time.time()
    activation.deadline = time.monotonic() + activation.definition.timeout_s


def _answer(frame: Frame) -> Outcome:
    header = frame.header
    rss = float(header.get("rss", 0)) / MIB
    if header.get("ok"):
        return Outcome("succeeded", data=frame.data, body=frame.body, max_rss_mb=rss)
    return Outcome("failed", str(header.get("error")), str(header.get("kind", "")), max_rss_mb=rss)
