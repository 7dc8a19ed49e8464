"""Threads that nobody waits for, and the orchestrator's exit while calls are held."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

from fedkeeper.train.threads import Threads

_EXIT = """
import time
from fedkeeper.model import StepKey
from fedkeeper.providers.base import Capabilities, InvocationMode
from fedkeeper.train.dispatcher import Dispatcher, Order

class Held:
    capabilities = Capabilities(
        modes=(InvocationMode.HELD,), max_request=1, max_response=1, max_timeout_s=900, max_memory_mb=1, max_concurrency=9
    )
    def call(self, function, params):
        print("called", flush=True)
        time.sleep(60)

dispatcher = Dispatcher({"cloud": Held()}, None, lambda: None)
dispatcher.submit(Order(StepKey("r0001/train", "c-0"), 1, "cloud", "f", {}))
input()
dispatcher.close()
"""


def test_a_held_call_does_not_hold_the_process() -> None:
    """An interrupted run used to wait for the function's time limit here."""
    with subprocess.Popen([sys.executable, "-c", _EXIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "called\n"
        began = time.monotonic()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 2


def test_at_most_the_limit_at_once_and_everything_in_the_end() -> None:
    threads, gate, lock = Threads(3, "test"), threading.Semaphore(0), threading.Lock()
    running = most = done = 0

    def work() -> None:
        nonlocal running, most, done
        with lock:
            running += 1
            most = max(most, running)
        gate.acquire()
        with lock:
            running -= 1
            done += 1

    for _ in range(20):
        threads.submit(work)
    until(lambda: running == 3)
    for _ in range(20):
        gate.release()
    until(lambda: done == 20)
    assert most == 3
    threads.close()


def test_an_idle_thread_is_used_again() -> None:
    threads, names = Threads(8, "test"), []
    for count in range(1, 6):
        threads.submit(lambda: names.append(threading.current_thread().name))
        until(lambda count=count: len(names) == count)  # type: ignore[misc]
        time.sleep(0.01)
    assert len(set(names)) < 5
    threads.close()


def test_what_has_not_begun_never_will() -> None:
    threads, gate, begun = Threads(1, "test"), threading.Event(), []
    threads.submit(gate.wait)  # type: ignore[arg-type]
    threads.submit(lambda: begun.append(1))
    threads.close()
    gate.set()
    time.sleep(0.05)
    assert begun == []


def until(condition: object, limit_s: float = 5.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.001)
