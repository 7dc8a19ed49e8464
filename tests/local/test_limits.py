"""A handler may crash, hang, devour memory, print garbage or leave processes behind: it ends alone, and the platform goes on."""

from __future__ import annotations

import os
import signal
import time

import pytest

from fedkeeper.errors import ActivationFailed, PayloadTooLarge, ProviderError
from fedkeeper.model import Json
from fedkeeper.providers.base import ActivationStatus
from fedkeeper.providers.local.provider import LocalProvider
from fedkeeper.providers.local.records import LOG_LIMIT
from fedkeeper.states import ActivationState
from tests.local.bench import Bench, is_alive, wait_until

ECHO = "import os\n\ndef handle(params, body):\n    return {'pid': os.getpid()}, body\n"


def run(provider: LocalProvider, function: str, params: dict[str, Json]) -> tuple[str, ActivationStatus]:
    activation_id = provider.invoke(function, params).activation_id
    assert activation_id is not None
    assert wait_until(lambda: provider.status([activation_id])[activation_id].state.ended)
    return activation_id, provider.status([activation_id])[activation_id]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("os._exit(7)", "exit code 7"),
        ("os.kill(os.getpid(), 11)", "signal 11, SIGSEGV"),
        ("os.killpg(0, 9)", "signal 9, SIGKILL"),
    ],
)
def test_a_worker_that_dies_fails_its_activation_alone(bench: Bench, statement: str, said: str) -> None:
    provider = bench.open(workers=1)
    bench.function(
        provider, "f", f"import os\n\ndef handle(params, body):\n    params['die'] and {statement}\n    return 1, b''\n"
    )
    _, status = run(provider, "f", {"die": True})
    assert status.state is ActivationState.FAILED
    assert said in (status.error or "")
    assert run(provider, "f", {"die": False})[1].state is ActivationState.SUCCEEDED


@pytest.mark.parametrize("statement", ["raise SystemExit(3)", "raise KeyboardInterrupt", "import nosuchmodule", "return 5"])
def test_what_a_handler_raises_is_one_line_and_the_traceback_is_in_the_log(bench: Bench, statement: str) -> None:
    provider = bench.open()
    bench.function(provider, "f", f"def handle(params, body):\n    {statement}\n")
    activation_id, status = run(provider, "f", {})
    assert status.state is ActivationState.FAILED
    assert "\n" not in (status.error or "\n")
    assert "Traceback" in provider.logs(activation_id)


def test_a_handler_that_cannot_be_imported_fails_with_its_line_in_the_log(bench: Bench) -> None:
    provider = bench.open()
    bench.function(provider, "f", "x = 1\nimport nosuchlibrary\n")
    activation_id, status = run(provider, "f", {})
    assert status.error == "ModuleNotFoundError: No module named 'nosuchlibrary'"
    assert "handler.py" in provider.logs(activation_id)


def test_an_answer_that_is_not_json_is_an_error(bench: Bench) -> None:
    provider = bench.open()
    bench.function(provider, "f", "def handle(params, body):\n    return {1j}, b''\n")
    assert "JSON" in (run(provider, "f", {})[1].error or "")


def test_memory_over_the_limit_ends_the_worker_and_names_the_setting(bench: Bench) -> None:
    provider = bench.open()
    source = """
        import time

        def handle(params, body):
            taken = b"x" * (params["mb"] << 20)
            time.sleep(params["s"])
            return len(taken), b""
    """
    bench.function(provider, "f", source, memory_mb=100)
    _, status = run(provider, "f", {"mb": 150, "s": 20})
    assert status.state is ActivationState.FAILED
    assert "limit of 100 MB (functions.fl_client.memory)" in (status.error or "")
    assert run(provider, "f", {"mb": 30, "s": 0.2})[1].state is ActivationState.SUCCEEDED


def test_a_timeout_names_the_setting_and_ends_children_too(bench: Bench) -> None:
    provider = bench.open()
    source = """
        import subprocess, time

        def handle(params, body):
            print(subprocess.Popen(["sleep", "600"]).pid)
            time.sleep(600)
    """
    bench.function(provider, "f", source, timeout_s=1)
    activation_id, status = run(provider, "f", {})
    assert status.state is ActivationState.TIMED_OUT
    assert "1 s (functions.fl_client.timeout)" in (status.error or "")
    child = int(provider.logs(activation_id))
    assert wait_until(lambda: not is_alive(child))


def test_time_in_the_queue_is_not_the_functions_time(bench: Bench) -> None:
    provider = bench.open(workers=1)
    bench.function(
        provider, "f", "import time\n\ndef handle(params, body):\n    time.sleep(0.6)\n    return 1, b''\n", timeout_s=1
    )
    ids = [provider.invoke("f", {}).activation_id or "" for _ in range(3)]
    assert wait_until(lambda: all(status.state.ended for status in provider.status(ids).values()))
    assert {status.state for status in provider.status(ids).values()} == {ActivationState.SUCCEEDED}


def test_a_caller_that_gives_up_in_the_queue_does_not_hold_it(bench: Bench) -> None:
    provider = bench.open(workers=1)
    bench.function(provider, "f", "import time\n\ndef handle(params, body):\n    time.sleep(params['s'])\n    return 1, b''\n")
    provider.invoke("f", {"s": 1})
    with pytest.raises(ActivationFailed, match="no answer within"):
        provider.call("f", {"s": 0}, timeout_s=0.2)
    assert provider.call("f", {"s": 0}, timeout_s=10).result == 1


def test_garbage_on_every_stream_and_stray_threads_and_children_do_not_wedge(bench: Bench) -> None:
    provider = bench.open(workers=1)
    source = """
        import os, sys, threading, time

        def handle(params, body):
            os.write(1, b"\\xff\\x00" * 1000)
            os.write(2, b'{"op":"done"}')
            threading.Thread(target=time.sleep, args=(60,)).start()
            if os.fork() == 0 and params["child"] == "sleeps":
                time.sleep(60)
            sys.stdout = None
            return os.getpid(), b""
    """
    bench.function(provider, "f", source)
    pids = {provider.call("f", {"child": kind}, timeout_s=10).result for kind in ("sleeps", "returns", "sleeps")}
    assert len(pids) == 1  # the worker stayed warm, and no child answered in its place


def test_a_handler_that_writes_into_the_platforms_socket_ends_alone(bench: Bench) -> None:
    provider = bench.open(workers=1)
    source = """
        import contextlib, os

        def handle(params, body):
            for descriptor in range(3, 64):
                with contextlib.suppress(OSError):
                    os.write(descriptor, b"\\xff" * 64)
            return 1, b""
    """
    bench.function(provider, "bad", source)
    bench.function(provider, "good", ECHO)
    assert run(provider, "bad", {})[1].state is ActivationState.FAILED
    assert run(provider, "good", {})[1].state is ActivationState.SUCCEEDED


def test_the_log_is_a_bounded_tail(bench: Bench) -> None:
    provider = bench.open()
    bench.function(
        provider, "f", "def handle(params, body):\n    for n in range(30000):\n        print(n, 'y' * 90)\n    return 1, b''\n"
    )
    activation_id, _ = run(provider, "f", {})
    log = provider.logs(activation_id)
    assert len(log) <= LOG_LIMIT + 100
    assert log.startswith("[earlier output dropped]\n")
    assert log.splitlines()[-1].startswith("29999 ")


def test_limits_of_the_cluster_are_checked_when_creating(bench: Bench) -> None:
    provider = bench.open(max_memory=1000, max_timeout=60)
    with pytest.raises(ProviderError, match=r"providers\.local\.here\.max_memory"):
        bench.function(provider, "f", ECHO, memory_mb=2000)
    with pytest.raises(ProviderError, match=r"providers\.local\.here\.max_timeout"):
        bench.function(provider, "f", ECHO, timeout_s=61)


def test_payload_errors_name_the_setting(bench: Bench) -> None:
    provider = bench.open(max_request=1000, max_response=1000)
    bench.function(provider, "f", "def handle(params, body):\n    return None, bytes(params['n'])\n")
    with pytest.raises(PayloadTooLarge, match=r"providers\.local\.here\.max_request"):
        provider.call("f", {}, bytes(1000), 5)
    with pytest.raises(PayloadTooLarge, match=r"providers\.local\.here\.max_response"):
        provider.call("f", {"n": 1000}, b"", 5)


PARENT = "import os, time\n\ndef handle(params, body):\n    time.sleep(params['s'])\n    return os.getppid(), b''\n"


def test_a_platform_that_is_killed_loses_its_activations_and_a_new_one_starts(bench: Bench) -> None:
    provider = bench.open()
    told: list[str] = []
    provider.subscribe(told.append)
    bench.function(provider, "f", PARENT)
    done, _ = run(provider, "f", {"s": 0})
    running = provider.invoke("f", {"s": 60}).activation_id or ""
    platform = provider.platform_pid
    assert platform is not None
    time.sleep(0.1)
    os.kill(platform, signal.SIGKILL)
    assert wait_until(lambda: running in told)
    assert provider.status([running])[running].state is ActivationState.LOST
    assert provider.status([done])[done].state is ActivationState.SUCCEEDED
    assert run(provider, "f", {"s": 0})[1].state is ActivationState.SUCCEEDED
    assert provider.platform_pid != platform


def test_a_zygote_that_is_killed_fails_its_activations_and_a_new_one_starts(bench: Bench) -> None:
    provider = bench.open()
    bench.function(provider, "f", PARENT)
    zygote = provider.call("f", {"s": 0}, timeout_s=10).result
    running = provider.invoke("f", {"s": 60}).activation_id or ""
    time.sleep(0.1)
    os.kill(zygote, signal.SIGKILL)
    assert wait_until(lambda: provider.status([running])[running].state is ActivationState.FAILED)
    assert provider.call("f", {"s": 0}, timeout_s=10).result != zygote


def test_closing_cancels_what_runs_and_is_quick(bench: Bench) -> None:
    provider = bench.open()
    bench.function(provider, "f", "import time\n\ndef handle(params, body):\n    time.sleep(60)\n")
    running = provider.invoke("f", {}).activation_id or ""
    time.sleep(0.2)
    provider.close()
    assert provider.status([running])[running].state is ActivationState.CANCELLED
    assert provider.platform_pid is None
    again = bench.open()
    assert again.status([running])[running].state is ActivationState.LOST
