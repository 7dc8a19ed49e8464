"""The shim under the real functions-framework, as Google runs it: gunicorn, one process, HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import requests

from fedkeeper.deploy.package import constant
from fedkeeper.providers import google
from fedkeeper.providers.envelope import seal, unseal
from tests.google.bench import files_of

HANDLER = """
    def handle(params, body):
        if params.get("fail"):
            raise ValueError("this client has no\\ndata")
        if params.get("wrong"):
            return "not a pair"
        return {"size": len(body), "params": params}, body[::-1]
"""
BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("function"), HANDLER, {"FEDKEEPER_MAX_RESPONSE": str(31 << 20)})


def serve(folder: Path, handler: str, variables: dict[str, str]) -> Generator[str, None, None]:
    for name, content in files_of(handler).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    program = str(Path(sys.executable).parent / "functions-framework")
    command = [program, "--target", "fedkeeper", "--source", "main.py", "--host", "127.0.0.1", "--port", str(port)]
    environ = {"PATH": os.environ["PATH"], "THREADS": "1", "WORKERS": "1", **variables}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            wait(f"http://127.0.0.1:{port}/robots.txt", process)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(20)


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        try:
            requests.get(url, timeout=1)
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError("functions-framework did not start")


@pytest.mark.parametrize("size", [0, 1 << 20, 30 << 20])
def test_bytes_travel_both_ways(url: str, size: int) -> None:
    body = os.urandom(size)
    answer = requests.post(url, data=seal({"a": "ä"}, body), headers=BINARY, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    result, reply = unseal(answer.content)
    assert result == {"size": size, "params": {"a": "ä"}}
    assert reply == body[::-1]


def test_what_the_handler_raises_is_one_line(url: str) -> None:
    answer = requests.post(url, data=seal({"fail": True}), headers=BINARY, timeout=20)
    assert answer.status_code == 500
    assert answer.json() == {"error": "ValueError: this client has no data"}


def test_a_handler_that_returns_something_else_is_told(url: str) -> None:
    answer = requests.post(url, data=seal({"wrong": True}), headers=BINARY, timeout=20)
    assert "must return (result, bytes), not str" in answer.json()["error"]


def test_people_may_call_with_json(url: str) -> None:
    answer = requests.post(url, json={"a": 1}, timeout=20)
    assert answer.json() == {"size": 0, "params": {"a": 1}}
    assert requests.get(url, params={"b": "2"}, timeout=20).json() == {"size": 0, "params": {"b": "2"}}


def test_a_broken_envelope_is_the_callers_fault(url: str) -> None:
    for data, headers in ((b"\xff" * 9, BINARY), (b"{", {"Content-Type": "application/json"})):
        answer = requests.post(url, data=data, headers=headers, timeout=20)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]


def test_a_response_over_the_limit_names_the_setting(url: str) -> None:
    answer = requests.post(url, data=seal({}, bytes(31 << 20)), headers=BINARY, timeout=60)
    assert answer.status_code == 500
    assert answer.json()["kind"] == "PayloadTooLarge"
    assert "providers.google.max_response" in answer.json()["error"]


def test_an_import_that_fails_is_told_by_every_call(tmp_path: Path) -> None:
    serving = serve(tmp_path, "import no_such_library\n", {})
    address = next(serving)
    for _ in range(2):
        answer = requests.post(address, data=seal({}), headers=BINARY, timeout=20)
        assert answer.status_code == 500
        assert "No module named 'no_such_library'" in answer.json()["error"]
    serving.close()
    assert "Traceback" in (tmp_path / "log").read_text()


def test_the_shim_stands_as_main() -> None:
    assert constant(Path(google.__file__).parent / "shim.py", "ENTRY") == "main.py"
