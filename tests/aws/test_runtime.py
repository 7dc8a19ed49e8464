"""The shim under AWS's own runtime client, with the events that the adapter sends."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from fedkeeper.errors import ActivationFailed
from fedkeeper.providers.aws import bootstrap, invoking
from fedkeeper.providers.aws.config import Config
from fedkeeper.providers.aws.invoking import Held
from fedkeeper.testing.provider_contract import ECHO, FAIL
from tests.aws.bench import SETTINGS, package_of
from tests.aws.runtime_api import Runtime, real_runtime

pytest.importorskip("awslambdaric")
CONFIG = Config.of({**SETTINGS, "max_request": 16 << 20}, {}, "providers.aws.eu")
ENTRY = "lambda_function.handler"


def unpacked(folder: Path, handler: str) -> Path:
    with zipfile.ZipFile(io.BytesIO(package_of(handler))) as archive:
        archive.extractall(folder)
    return folder


def held_of(runtime: Runtime, event: bytes) -> Held:
    verdict, payload = runtime.invoke(event)
    return Held("r", payload, "Unhandled" if verdict == "error" else None, "")


def test_envelopes_of_any_size_travel_both_ways(tmp_path: Path) -> None:
    with real_runtime(unpacked(tmp_path, ECHO), ENTRY) as runtime:
        for size in (0, 1, 1 << 20, 4 << 20, 6 << 20):
            body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            event = invoking.encode(CONFIG, "f", {"k": "äöü"}, body, held=True)
            reply = invoking.answered(CONFIG, "f", held_of(runtime, event))
            assert reply.result == {"echo": {"k": "äöü"}}
            assert reply.body == body[::-1]


def test_a_handlers_error_keeps_its_type_and_message(tmp_path: Path) -> None:
    with real_runtime(unpacked(tmp_path, FAIL), ENTRY) as runtime:
        for _ in range(2):  # and the function lives on
            held = held_of(runtime, invoking.encode(CONFIG, "f", {}, b"", held=True))
            with pytest.raises(ActivationFailed) as caught:
                invoking.answered(CONFIG, "f", held)
            assert caught.value.message == "ValueError: this client has no data"


def test_a_library_that_is_missing_is_named_with_the_setting(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, "import no_such_library\n\ndef handle(params, body):\n    return None, b''\n")
    with real_runtime(folder, ENTRY) as runtime:
        verdict, payload = runtime.invoke(b'{"params": {}}')
    assert verdict == "error"
    error = json.loads(payload)
    assert error["errorType"] == "ModuleNotFoundError"
    assert "no_such_library" in error["errorMessage"]
    assert "functions.<role>.aws.image" in error["errorMessage"]


@pytest.mark.parametrize(
    ("event", "answer"), [({"a": 1}, {"a": 1}), ({}, {}), ({"params": 1, "other": 2}, {"params": 1, "other": 2}), (None, {})]
)
def test_a_persons_plain_event_gets_a_plain_answer(tmp_path: Path, event: object, answer: object) -> None:
    plain = "def handle(params, body):\n    assert body == b''\n    return params, b''\n"
    with real_runtime(unpacked(tmp_path, plain), ENTRY) as runtime:
        assert runtime.invoke(json.dumps(event).encode()) == ("response", json.dumps(answer).encode())


def test_what_a_handler_must_return(tmp_path: Path) -> None:
    with real_runtime(unpacked(tmp_path, "def handle(params, body):\n    return 7\n"), ENTRY) as runtime:
        verdict, payload = runtime.invoke(b'{"params": {}}')
    assert (verdict, json.loads(payload)["errorType"]) == ("error", "TypeError")


def test_variables_under_another_name_are_put_back(tmp_path: Path) -> None:
    handler = "import os\ndef handle(params, body):\n    return [os.environ.get(n) for n in params], b''\n"
    environment = {"FEDKEEPER_SET_AWS_ACCESS_KEY_ID": "mine", "AWS_ACCESS_KEY_ID": "role", "AWS_SESSION_TOKEN": "role"}
    with real_runtime(unpacked(tmp_path, handler), ENTRY, environment) as runtime:
        answer = runtime.invoke(json.dumps({"params": ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"]}).encode())
    assert answer == ("response", b'{"params": ["mine", null]}')


def test_an_image_runs_the_zip_it_fetches(tmp_path: Path) -> None:
    import hashlib

    package = package_of(ECHO)
    digest = hashlib.sha256(package).hexdigest()
    folder = bootstrap.unpack(package, digest, tmp_path)
    assert (folder / "lambda_function.py").exists()
    with pytest.raises(RuntimeError, match="not the one that was deployed"):
        bootstrap.unpack(package + b"x", digest, tmp_path)
    with pytest.raises(RuntimeError, match="s3://bucket/key"):
        bootstrap.entry("")
