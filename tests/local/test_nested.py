"""Functions that call functions: the caller lends its slot, so one slot is always enough."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from fedkeeper.deploy.closure import closure
from fedkeeper.errors import ActivationFailed, Unreachable
from fedkeeper.model import Json
from fedkeeper.providers.base import Reply
from fedkeeper.providers.local.caller import LocalCaller
from fedkeeper.providers.local.provider import LocalProvider
from tests.local.bench import Bench, is_alive, make_zip, spec_of, wait_until

INVOKER = """
import os
from fedkeeper.providers.local.caller import LocalCaller

def handle(params, body):
    try:
        reply = LocalCaller({}, os.environ).call(params["function"], params["params"], body, params.get("timeout_s", 30.0))
    except Exception as exc:
        return {"error": type(exc).__name__, "text": str(exc)}, b""
    return {"result": reply.result, "id": reply.activation_id}, reply.body
"""
ECHO = "import os\n\ndef handle(params, body):\n    return {'pid': os.getpid(), **params}, body[::-1]\n"
SLEEP = """
import os, pathlib, time

def handle(params, body):
    pathlib.Path(params["mark"]).write_text(str(os.getpid()))
    time.sleep(600)
"""


def install_invoker(provider: LocalProvider, name: str = "invoker", source: str = INVOKER, **limits: Json) -> None:
    """Its zip holds what the packager would put there."""
    package = make_zip(dedent(source), closure([dedent(source)]))
    provider.create(spec_of(name, package, **limits), package)


def relay(provider: LocalProvider, function: str, body: bytes = b"", **params: Json) -> Reply:
    return provider.call("invoker", {"function": function, "params": params}, body, timeout_s=20)


def test_a_relay_works_with_one_worker_and_both_activations_are_recorded(bench: Bench) -> None:
    provider = bench.open(workers=1)
    install_invoker(provider)
    bench.function(provider, "echo", ECHO)
    reply = relay(provider, "echo", b"abc", n=1)
    assert reply.result["result"]["n"] == 1
    assert reply.body == b"cba"
    ids = [reply.activation_id or "", reply.result["id"]]
    assert len(set(ids)) == 2
    assert [provider.status(ids)[i].error for i in ids] == [None, None]
    assert [str(provider.status(ids)[i].state) for i in ids] == ["succeeded", "succeeded"]


def test_many_relays_at_once_never_deadlock(bench: Bench) -> None:
    provider = bench.open(workers=1)
    install_invoker(provider)
    bench.function(provider, "echo", ECHO)
    ids = [provider.invoke("invoker", {"function": "echo", "params": {"n": n}}).activation_id or "" for n in range(50)]
    assert wait_until(lambda: all(status.state.ended for status in provider.status(ids).values()), 20)
    results = [provider.status([i])[i].result for i in ids]
    assert [result["result"]["n"] for result in results] == list(range(50))
    assert len({result["result"]["pid"] for result in results}) == 1  # one warm callee


@pytest.mark.parametrize(
    ("function", "size", "error", "text"),
    [
        ("absent", 0, "FunctionNotFound", "absent"),
        ("fails", 0, "ActivationFailed", "no data here"),
        ("fails", 1 << 20, "PayloadTooLarge", "providers.local.here.max_request"),
    ],
)
def test_errors_of_a_nested_call_are_the_callers_to_handle(bench: Bench, function: str, size: int, error: str, text: str) -> None:
    provider = bench.open(workers=1)
    install_invoker(provider, source=INVOKER.replace("body, params", "body + bytes(params['params']['size']), params"))
    bench.function(provider, "fails", "def handle(params, body):\n    raise ValueError('no data here')\n")
    result = relay(provider, function, size=size).result
    assert result["error"] == error
    assert text in result["text"]


def test_a_nested_call_waits_only_so_long(bench: Bench, tmp_path: Path) -> None:
    provider = bench.open(workers=1)
    install_invoker(provider)
    bench.function(provider, "sleep", SLEEP)
    params = {"function": "sleep", "params": {"mark": str(tmp_path / "pid")}, "timeout_s": 0.5}
    result = provider.call("invoker", params, timeout_s=20).result
    assert (result["error"], "no answer within" in result["text"]) == ("ActivationFailed", True)
    callee = int((tmp_path / "pid").read_text())
    assert wait_until(lambda: not is_alive(callee))


def test_when_the_caller_times_out_its_callee_ends_too(bench: Bench, tmp_path: Path) -> None:
    provider = bench.open(workers=1)
    install_invoker(provider, timeout_s=1)
    bench.function(provider, "sleep", SLEEP)
    with pytest.raises(ActivationFailed, match=r"functions\.fl_client\.timeout"):
        relay(provider, "sleep", mark=str(tmp_path / "pid"))
    callee = int((tmp_path / "pid").read_text())
    assert wait_until(lambda: not is_alive(callee))
    bench.function(provider, "echo", ECHO)
    assert relay(provider, "echo", n=3).result["result"]["n"] == 3


def test_a_function_that_calls_itself_without_end_is_stopped(bench: Bench) -> None:
    provider = bench.open(workers=1)
    source = """
        from fedkeeper.providers.local.caller import LocalCaller

        def handle(params, body):
            try:
                return LocalCaller().call("self", {}).result, b""
            except Exception as exc:
                return str(exc), b""
    """
    install_invoker(provider, "self", source)
    assert "more than 8 deep" in provider.call("self", {}, timeout_s=20).result


def test_threads_of_one_handler_may_call_at_once(bench: Bench) -> None:
    provider = bench.open(workers=1)
    source = """
        from concurrent.futures import ThreadPoolExecutor
        from fedkeeper.providers.local.caller import LocalCaller

        def call(n):
            return LocalCaller().call("echo", {"n": n}).result["n"]

        def handle(params, body):
            with ThreadPoolExecutor(4) as pool:
                return list(pool.map(call, range(12))), b""
    """
    install_invoker(provider, "many", source)
    bench.function(provider, "echo", ECHO)
    assert provider.call("many", {}, timeout_s=20).result == list(range(12))


def test_a_call_left_behind_by_a_thread_does_not_wedge_its_worker(bench: Bench, tmp_path: Path) -> None:
    provider = bench.open(workers=1)
    source = """
        import os, pathlib, threading, time
        from fedkeeper.providers.local.caller import LocalCaller

        def handle(params, body):
            mark = pathlib.Path(params["mark"])
            if not mark.exists():
                threading.Thread(target=LocalCaller().call, args=("sleep", params)).start()
                while not mark.exists():
                    time.sleep(0.01)
            return os.getpid(), b""
    """
    install_invoker(provider, "leaves", source)
    bench.function(provider, "sleep", SLEEP)
    params = {"mark": str(tmp_path / "pid")}
    first = provider.call("leaves", params, timeout_s=20).result
    assert provider.call("leaves", params, timeout_s=20).result == first


def test_outside_a_function_there_is_no_channel() -> None:
    with pytest.raises(Unreachable):
        LocalCaller().call("f", {})
