"""`--runtime real`: zips under functions-framework, awslambdaric, and the documented /init and /run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.deploy.package import build
from fedkeeper.emulator.runners import openwhisk_proxy
from fedkeeper.model import Role
from fedkeeper.providers.envelope import seal, seal_json, unseal, unseal_json
from tests.emulator.test_runners import BINARY
from tests.emulator.zips import Bench, answer, bench, ended, http, make_zip

HANDLER = """
def handle(params, body):
    if params.get("fail"):
        raise ValueError("as asked")
    return {"got": params, "size": len(body)}, body[::-1]
"""


def real(kind: str, home: Path) -> Any:
    return bench(kind, home, runtime="real")


# --- the vendors' runtimes ---------------------------------------------------------------------------------------------
def test_functions_framework(tmp_path: Path) -> None:
    with real("google", tmp_path) as google:
        google.put("import os\ndef hello(request): return request.get_data()[::-1], 203, {'X-Pid': str(os.getpid())}")
        first, second = (answer(google.ask(http(BINARY, path="/p?q=1"))) for _ in range(2))
        assert (first[0]["status"], first[1]) == (203, BINARY[::-1])
        assert first[0]["headers"]["Server"] == "gunicorn"
        assert first[0]["headers"]["X-Pid"] == second[0]["headers"]["X-Pid"]  # warm
    assert ended(int(first[0]["headers"]["X-Pid"]))


def test_functions_framework_fails(tmp_path: Path) -> None:
    with real("google", tmp_path) as google:
        google.put("import os\ndef hello(request):\n    if request.args: os._exit(9)\n    1 / 0")
        done = google.ask(http())
        assert (answer(done)[0]["headers"]["X-Google-Status"], done.error_kind) == ("crash", "handler")
        assert "ZeroDivisionError" in done.logs
        assert google.ask(http(path="/?x=1")).error_kind == "crash"
        google.put("import nosuch")
        done = google.ask(http())
    assert (done.error_kind, "nosuch" in done.logs) == ("init", True)


def test_awslambdaric(tmp_path: Path) -> None:
    source = """
        import os, sys
        def handler(event, context):
            if event.get('exit'):
                os._exit(7)
            if event.get('fail'):
                raise ValueError('no')
            print('hello')
            left = context.get_remaining_time_in_millis()
            return {'event': event, 'id': context.aws_request_id, 'left': left, 'pid': os.getpid(), 'ric': 'awslambdaric' in sys.modules}
    """
    with real("aws", tmp_path) as aws:
        aws.put(source)
        done, again = aws.ask({"ä": 1}), aws.ask({"x": "y" * 100_000})
        result = json.loads(done.answer)
        assert (result["event"], result["id"], result["ric"]) == ({"ä": 1}, str(uuid.UUID(done.id)), True)
        assert 5_000 < result["left"] <= 10_000
        assert "hello" in done.logs
        assert json.loads(again.answer)["pid"] == result["pid"]
        failed = aws.ask({"fail": 1})
        assert (failed.error_kind, json.loads(failed.answer)["errorType"]) == ("handler", "ValueError")
        ended = aws.ask({"exit": 1})
        assert (ended.error_kind, "exit code 7" in (ended.error or "")) == ("crash", True)
        assert json.loads(aws.ask({"a": 1}).answer)["event"] == {"a": 1}  # a new process
        aws.put("import nosuch")
        assert [aws.ask().error_kind, aws.ask().error_kind] == ["init", "init"]


def test_the_proxy_of_openwhisk(tmp_path: Path) -> None:
    source = """
        import os, helper
        def main(args):
            if 'fail' in args:
                raise ValueError('no')
            return {'args': args, 'helper': helper.X, 'id': os.environ['__OW_ACTIVATION_ID'], 'pid': os.getpid()}
    """
    with real("openwhisk", tmp_path) as whisk:
        whisk.put(source, files={"helper.py": "X = 5"})
        done, again = whisk.ask({"ä": 1}), whisk.ask()
        result = json.loads(done.answer)
        assert (result["args"], result["helper"], result["id"]) == ({"ä": 1}, 5, done.id)
        assert json.loads(again.answer)["pid"] == result["pid"]
        failed = whisk.ask({"fail": 1})
        assert (failed.error_kind, json.loads(failed.answer)) == ("handler", {"error": "no"})
        whisk.put("import nosuch")
        failed = whisk.ask()
        assert (failed.error_kind, "nosuch" in (failed.error or "")) == ("init", True)
        whisk.put("import os\ndef main(args): os._exit(1)")
        assert whisk.ask().error_kind == "crash"


@pytest.mark.parametrize("kind", ["openwhisk", "google", "aws"])
def test_limits_hold_for_the_vendors_process(tmp_path: Path, kind: str) -> None:
    name = {"openwhisk": "main(args)", "google": "hello(request)", "aws": "handler(event, context)"}[kind]
    request = http() if kind == "google" else b"{}"
    note = tmp_path / "pid"
    with real(kind, tmp_path / "home") as platform:
        platform.put(
            f"import os, time\ndef {name}:\n    open({str(note)!r}, 'w').write(str(os.getpid()))\n    time.sleep(60)",
            timeout_s=1.5,
        )
        assert platform.ask(request).error_kind == "timeout"
        assert ended(int(note.read_text()))
        platform.put(f"import time\ndef {name}:\n    x = bytearray(b'x') * (500 << 20)\n    time.sleep(10)")
        assert platform.ask(request).error_kind == "memory"


# --- our own shims -----------------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "handler"
    made.mkdir()
    (made / "handler.py").write_text(HANDLER)
    return made


def shipped(kind: str, folder: Path, platform: Bench, entry: str) -> None:
    package = build(Role.CLIENT, kind, folder=folder).data
    wanted: Any = {"memory_mb": 256, "timeout_s": 20.0, "environment": {}, "entry": entry}
    platform.platform.put(platform.scope, "f", {}, package, **wanted)


@pytest.fixture(params=["local", "real"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_our_shim_for_google(tmp_path: Path, folder: Path, runtime: str) -> None:
    with bench("google", tmp_path / "home", runtime=runtime) as google:
        shipped("google", folder, google, "main.fedkeeper")
        headers = {"Content-Type": "application/octet-stream"}
        head, body = answer(google.ask(http(seal({"a": 1}, BINARY), headers=headers)))
        assert (head["status"], unseal(body)) == (200, ({"got": {"a": 1}, "size": len(BINARY)}, BINARY[::-1]))
        head, body = answer(google.ask(http(seal({"fail": 1}), headers=headers)))
    assert head["status"] == 500
    assert "ValueError: as asked" in json.loads(body)["error"]


@pytest.mark.parametrize(("kind", "entry"), [("openwhisk", "__main__.main"), ("aws", "lambda_function.handler")])
def test_our_shims_for_platforms_of_json(tmp_path: Path, folder: Path, runtime: str, kind: str, entry: str) -> None:
    with bench(kind, tmp_path / "home", runtime=runtime) as platform:
        shipped(kind, folder, platform, entry)
        done = platform.ask(seal_json({"a": 1}, BINARY))
        assert unseal_json(json.loads(done.answer)) == ({"got": {"a": 1}, "size": len(BINARY)}, BINARY[::-1])
        failed = platform.ask(seal_json({"fail": 1}))
    assert failed.error_kind == "handler"
    for word in ("ValueError", "as asked"):
        assert word in failed.answer.decode()


# --- the contract of /init and /run, by itself -------------------------------------------------------------------------
def post(port: int, path: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as exc:
        return exc.code, json.load(exc)


def test_init_and_run_as_documented(tmp_path: Path, unused_port: int) -> None:
    command = [sys.executable, openwhisk_proxy.__file__, str(unused_port)]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        try:
            end = time.monotonic() + 10
            while True:
                try:
                    early = post(unused_port, "/run", {"value": {}})
                    break
                except urllib.error.URLError:
                    assert time.monotonic() < end
                    time.sleep(0.02)
            assert early[0] == 502
            code = "import os\ndef go(args): return [] if 'list' in args else {'a': args['a'], 'env': os.environ['X']}"
            value = {"name": "f", "main": "go", "code": code, "binary": False, "env": {"X": "1"}}
            assert post(unused_port, "/init", {"value": value}) == (200, {"ok": True})
            assert post(unused_port, "/init", {"value": value})[0] == 403
            assert post(unused_port, "/run", {"value": {"a": 5}, "activation_id": "x"}) == (200, {"a": 5, "env": "1"})
            assert post(unused_port, "/run", {"value": {"list": 1}})[0] == 502
        finally:
            process.kill()


def test_a_zip_needs_no_more_than_its_own_files(tmp_path: Path) -> None:
    """The proxy's copy of the action holds the vendor's files alone."""
    with real("openwhisk", tmp_path) as whisk:
        whisk.put(
            "import os\ndef main(args): return {'files': sorted(os.listdir(os.path.dirname(__file__)))}", files={"a/b.txt": "x"}
        )
        found = set(json.loads(whisk.ask().answer)["files"]) - {"__pycache__"}
    assert found - {"handler.py"} == {"__main__.py", "a"}
    assert make_zip({"a": "b"})[:2] == b"PK"
