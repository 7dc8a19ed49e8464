"""Functions that mostly wait have slots of their own: many calls stay open while few functions compute."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from fedkeeper.model import Json
from fedkeeper.providers.local.provider import LocalProvider
from tests.local.bench import Bench
from tests.local.test_nested import install_invoker

COUNTING = """
import pathlib, time

def handle(params, body):
    folder = pathlib.Path(params["folder"])
    mark = folder / params["name"]
    mark.touch()
    time.sleep(0.3)
    together = len(list(folder.iterdir()))
    mark.unlink()
    return together, b""
"""


def most_at_once(provider: LocalProvider, folder: str, times: int, function: str, relayed: bool = False) -> int:
    """How many ran at the same time, as they saw it themselves."""

    def one(number: int) -> int:
        params: Json = {"folder": folder, "name": str(number)}
        if not relayed:
            return int(provider.call(function, params, timeout_s=30).result)
        reply = provider.call("invoker", {"function": function, "params": params}, timeout_s=30)
        return int(reply.result["result"])

    with ThreadPoolExecutor(times) as pool:
        return max(pool.map(one, range(times)))


def test_many_wait_at_once_and_few_compute(bench: Bench) -> None:
    provider = bench.open(workers=1, waiters=6)
    bench.function(provider, "waiter", COUNTING, options={"waits": True})
    bench.function(provider, "worker", COUNTING)
    for name, expected in (("waiter", 6), ("worker", 1)):
        folder = bench.home.parent / name
        folder.mkdir()
        assert most_at_once(provider, str(folder), 8, name) == expected


def test_what_waiting_functions_call_takes_computing_slots(bench: Bench) -> None:
    provider = bench.open(workers=2, waiters=6)
    install_invoker(provider, options={"waits": True})
    bench.function(provider, "worker", COUNTING)
    folder = bench.home.parent / "marks"
    folder.mkdir()
    assert most_at_once(provider, str(folder), 6, "worker", relayed=True) == 2


def test_a_called_function_goes_before_those_that_have_not_begun(bench: Bench) -> None:
    provider = bench.open(workers=1, waiters=2)
    install_invoker(provider, options={"waits": True})
    bench.function(provider, "quick", "def handle(params, body):\n    return params['n'], b''\n")
    bench.function(provider, "slow", "import time\n\ndef handle(params, body):\n    time.sleep(0.4)\n    return 1, b''\n")
    queued = [provider.invoke("slow", {}).activation_id or "" for _ in range(6)]
    ended: list[float] = []

    def relay() -> None:
        provider.call("invoker", {"function": "quick", "params": {"n": 1}}, timeout_s=30)
        ended.append(time.time())

    thread = threading.Thread(target=relay)
    thread.start()
    thread.join()
    still = [provider.status([id_])[id_].ended for id_ in queued]
    assert still[-1] is None
