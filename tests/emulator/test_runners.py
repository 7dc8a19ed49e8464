"""The vendors' contracts for Python functions, as the runners keep them; real=True: the same zips under the vendors' own runtimes."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from fedkeeper.emulator.packing import repack, runner_files
from fedkeeper.errors import PackageError
from tests.emulator.zips import answer, bench, http, make_zip

BINARY = bytes(range(256)) * 10 + b"\n\n"


# --- OpenWhisk ---------------------------------------------------------------------------------------------------------
def test_openwhisk_passes_and_returns_dictionaries(tmp_path: Path) -> None:
    source = """
        import os, helper
        def main(args):
            print('said')
            names = ('ACTIVATION_ID', 'ACTION_NAME', 'NAMESPACE', 'DEADLINE')
            return {'args': args, 'helper': helper.X, **{name: os.environ['__OW_' + name] for name in names}}
    """
    with bench("openwhisk", tmp_path) as whisk:
        whisk.put(source, files={"helper.py": "X = 5"})
        done = whisk.ask({"ä": [1, None]})
    result = json.loads(done.answer)
    assert (result["args"], result["helper"], done.logs) == ({"ä": [1, None]}, 5, "said\n")
    assert (result["ACTIVATION_ID"], result["ACTION_NAME"], result["NAMESPACE"]) == (done.id, "/guest/f", "guest")
    assert int(result["DEADLINE"]) == pytest.approx((done.started or 0) * 1000 + 10_000, abs=2000)


@pytest.mark.parametrize(
    ("body", "kind", "result"),
    [
        ("return {'error': 'no such thing'}", "handler", {"error": "no such thing"}),
        ("raise KeyError('k')", "handler", {"error": "'k'"}),
        ("return [1]", "crash", {"error": "The action did not return a dictionary."}),
        ("return {'x': object()}", "crash", None),
        ("return {}", None, {}),
    ],
)
def test_openwhisk_tells_errors_apart(tmp_path: Path, body: str, kind: str | None, result: object) -> None:
    with bench("openwhisk", tmp_path) as whisk:
        whisk.put(f"def main(args):\n    {body}")
        done = whisk.ask()
    assert done.error_kind == kind
    said = json.loads(done.answer)
    assert said == result if result is not None else "JSON" in said["error"]


def test_openwhisk_calls_the_function_of_that_name(tmp_path: Path) -> None:
    with bench("openwhisk", tmp_path) as whisk:
        whisk.put("def hi(args): return {'hi': 1}", entry="__main__.hi")
        assert json.loads(whisk.ask().answer) == {"hi": 1}
        whisk.put("def hi(args): return {'hi': 1}")
        done = whisk.ask()
    assert (done.error_kind, "no function main" in (done.error or "")) == ("init", True)


# --- Google ------------------------------------------------------------------------------------------------------------
def test_google_hands_over_a_request_and_takes_a_response(tmp_path: Path) -> None:
    source = """
        def hello(request):
            told = {'method': request.method, 'path': request.path, 'q': request.args['q'], 'x': request.headers['X-Y']}
            return told, 201, {'X-Back': 'b'}
    """
    with bench("google", tmp_path) as google:
        google.put(source)
        head, body = answer(google.ask(http(b"", method="PUT", path="/a/b?q=1", headers={"X-Y": "z"})))
    assert (head["status"], head["headers"]["X-Back"], head["headers"]["Content-Type"]) == (201, "b", "application/json")
    assert json.loads(body) == {"method": "PUT", "path": "/a/b", "q": "1", "x": "z"}


def test_google_carries_binary_bodies_both_ways(tmp_path: Path) -> None:
    with bench("google", tmp_path) as google:
        google.put("def hello(request): return request.get_data()[::-1], 200, {'Content-Type': 'application/octet-stream'}")
        head, body = answer(google.ask(http(BINARY, headers=[["Content-Type", "application/octet-stream"]])))
    assert (head["status"], body) == (200, BINARY[::-1])


def test_google_marks_crashes(tmp_path: Path) -> None:
    with bench("google", tmp_path) as google:
        google.put("def hello(request): raise ValueError('no')")
        done = google.ask(http())
        head, _ = answer(done)
        assert (head["status"], head["headers"]["X-Google-Status"], done.error_kind) == (500, "crash", "handler")
        assert "ValueError: no" in done.logs
        google.put("import nosuch")
        assert google.ask(http()).error_kind == "init"
        google.put("def hullo(request): return ''")
        done = google.ask(http())
    assert (done.error_kind, "hello" in (done.error or "")) == ("init", True)


def test_google_sets_the_variables_of_the_platform(tmp_path: Path) -> None:
    with bench("google", tmp_path) as google:
        google.put("import os\ndef hello(request): return dict(os.environ)", "my-function")
        _, body = answer(google.ask(http(), "my-function"))
    seen = json.loads(body)
    assert (seen["K_SERVICE"], seen["FUNCTION_TARGET"], seen["FUNCTION_SIGNATURE_TYPE"]) == ("my-function", "hello", "http")


# --- Lambda ------------------------------------------------------------------------------------------------------------
def test_lambda_hands_over_event_and_context(tmp_path: Path) -> None:
    source = """
        import os
        def handler(event, context):
            names = ('aws_request_id', 'function_name', 'function_version', 'memory_limit_in_mb', 'invoked_function_arn')
            told = {name: getattr(context, name) for name in names}
            env = {name: os.environ[name] for name in ('AWS_REGION', 'AWS_LAMBDA_FUNCTION_NAME', 'LAMBDA_TASK_ROOT')}
            return {'event': event, 'left': context.get_remaining_time_in_millis(), **told, **env}
    """
    with bench("aws", tmp_path) as aws:
        aws.put(source)
        done = aws.ask([1, {"ä": None}])
    result = json.loads(done.answer)
    assert result["event"] == [1, {"ä": None}]
    assert 5_000 < result["left"] <= 10_000
    assert result["aws_request_id"] == str(uuid.UUID(done.id))
    assert (result["function_name"], result["memory_limit_in_mb"], result["function_version"]) == ("f", "256", "$LATEST")
    assert result["invoked_function_arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert (result["AWS_REGION"], result["AWS_LAMBDA_FUNCTION_NAME"]) == ("us-east-1", "f")


@pytest.mark.parametrize(
    ("source", "kind", "error_type", "message"),
    [
        ("def handler(e, c): raise ValueError('no')", "handler", "ValueError", "no"),
        ("def handler(e, c): return object()", "handler", "Runtime.MarshalError", "Unable to marshal response: "),
        ("import nosuch", "init", "Runtime.ImportModuleError", "Unable to import module 'lambda_function': "),
        ("import sys\ndef handler(e, c): sys.exit(1)", "crash", "Runtime.ExitError", "Runtime exited"),
    ],
)
def test_lambda_describes_errors(tmp_path: Path, source: str, kind: str, error_type: str, message: str) -> None:
    with bench("aws", tmp_path) as aws:
        aws.put(source)
        done = aws.ask()
    said = json.loads(done.answer)
    assert (done.error_kind, said["errorType"]) == (kind, error_type)
    assert said["errorMessage"].startswith(message)
    if error_type == "ValueError":
        assert "lambda_function.py" in said["stackTrace"][0]
        assert "[ERROR] ValueError: no" in done.logs


def test_lambda_finds_handlers_in_folders(tmp_path: Path) -> None:
    with bench("aws", tmp_path) as aws:
        aws.put("", files={"src/app.py": "def go(e, c): return 'ok'"}, entry="src.app.go")
        assert json.loads(aws.ask().answer) == "ok"


# --- packing -----------------------------------------------------------------------------------------------------------
def test_packing_is_reproducible_and_complete() -> None:
    package = make_zip({"__main__.py": "x = 1", "lib/a.txt": b"\x00"})
    first, second = (repack(package, runner_files("openwhisk", "local")) for _ in range(2))
    assert (first.digest, first.data) == (second.digest, second.data)
    assert repack(package, runner_files("openwhisk", "real")).digest != first.digest


def test_packing_reads_the_requirements_that_are_installed() -> None:
    text = "numpy>=1\n# a comment\nnosuchpackage-xyz==1\n-r other.txt\nfoo @ https://x/y.whl\n!!!\nclick  # why\n"
    packed = repack(make_zip({"main.py": "", "requirements.txt": text}), {}, ["pytest"])
    assert packed.requirements == ("numpy>=1", "click", "pytest")


def test_packing_knows_an_invoker() -> None:
    manifests = {'{"role": "fl_invoker"}': True, '{"role": "fl_client"}': False, "[]": False, "no json": False}
    assert {text: repack(make_zip({"fedkeeper_function.json": text}), {}).waits for text in manifests} == manifests


def test_packing_refuses_what_is_no_zip() -> None:
    whole = make_zip({"a.py": "x" * 1000})
    for damaged in (b"", b"PK\x03\x04", whole[: len(whole) // 2], whole[:30] + b"\xff" * 20 + whole[50:]):
        with pytest.raises(PackageError, match="not a zip"):
            repack(damaged, {})


def test_a_handler_module_that_the_zip_lacks_is_missed(tmp_path: Path) -> None:
    with bench("aws", tmp_path) as aws:
        aws.put("import handler")
        assert "No module named 'handler'" in (aws.ask().error or "")
