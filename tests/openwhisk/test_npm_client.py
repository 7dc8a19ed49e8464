"""The emulated routes under Apache OpenWhisk's own JavaScript client, every exchange held against the published description."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.deploy.package import make_zip
from fedkeeper.testing.emulated import Emulated
from tests.openwhisk.swagger import complaints
from tests.openwhisk.wiretap import Wiretap

VERSION = "3.21.9"
ACTION = """
import time

def main(args):
    print("marker", args.get("name"))
    time.sleep(args.get("sleep", 0))
    if "fail" in args:
        raise ValueError(args["fail"])
    return {"text": f"{args['greeting']}, {args.get('name')}!"}
"""


@pytest.fixture(scope="session")
def module(pytestconfig: pytest.Config) -> Path:
    """The client, installed once below .pytest_cache."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("node and npm are not installed")
    folder = pytestconfig.rootpath / ".pytest_cache" / f"openwhisk-{VERSION}"
    found = folder / "node_modules" / "openwhisk"
    if not found.exists():
        _install(npm, folder)
    return found


def _install(npm: str, folder: Path) -> None:
    """Beside its place first: another test process may be doing the same."""
    making = folder.with_name(f".{folder.name}.{os.getpid()}")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(making), f"openwhisk@{VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot install openwhisk@{VERSION}: {done.stderr[-300:]}")
        try:
            making.rename(folder)
        except OSError:
            assert folder.exists()
    finally:
        shutil.rmtree(making, ignore_errors=True)


@pytest.fixture
def seen(module: Path, emulator: Emulated, tmp_path: Path) -> tuple[dict[str, Any], list[str]]:
    package = tmp_path / "action.zip"
    package.write_bytes(make_zip({"__main__.py": ACTION.encode()}))
    with Wiretap(emulator.base_url) as tap:
        environ = {
            "PATH": os.environ["PATH"],
            "OW_API_HOST": tap.url,
            "OW_AUTH": emulator.credentials.openwhisk_key,
            "ACTION_ZIP": str(package),
            "OPENWHISK_MODULE": str(module),
        }
        script = Path(__file__).with_name("session.js")
        done = subprocess.run(["node", str(script)], env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        time.sleep(0.05)
        return json.loads(done.stdout), [text for exchange in tap.exchanges for text in complaints(exchange)]


def test_a_session(seen: tuple[dict[str, Any], list[str]]) -> None:
    told, wrong = seen
    assert wrong == []
    _check_actions(told)
    _check_invocations(told)
    _check_refusals(told)


def _check_actions(told: dict[str, Any]) -> None:
    assert told["none"] == []
    assert told["created"]["version"] == "0.0.1"
    assert told["created"]["exec"]["kind"] == "python:3.11"
    assert told["created"]["exec"]["binary"] is True  # the client does not say so
    assert told["created"]["limits"] == {"memory": 256, "timeout": 5000, "logs": 10, "concurrency": 1}
    assert {"key": "exec", "value": "python:3.11"} in told["created"]["annotations"]
    assert told["updated"]["version"] == "0.0.2"
    assert told["updated"]["limits"] == told["created"]["limits"]
    assert told["source"]["exec"]["binary"] is False
    assert told["source"]["exec"]["code"].startswith("def main")
    assert told["got"]["parameters"] == [{"key": "greeting", "value": "Hello"}]
    assert [entry["name"] for entry in told["listed"]] == ["source"]
    assert told["deleted"]["name"] == "hello"
    assert told["namespaces"] == ["guest"]


def _check_invocations(told: dict[str, Any]) -> None:
    assert told["blocking"]["response"]["result"] == {"text": "Hello, Ada!"}
    assert told["blocking"]["response"]["status"] == "success"
    assert any(note["key"] == "initTime" for note in told["blocking"]["annotations"])
    assert told["result"] == {"sum": 3}
    assert list(told["slow"]) == ["activationId"]  # a 202 after the wait
    assert told["activation"]["value"]["response"]["success"] is True
    assert told["activationResult"]["result"] == {"text": "Hello, Grace!"}
    assert any(line.endswith("stdout: marker Grace") for line in told["logs"]["logs"])
    assert len(told["activations"]) == 2
    assert told["activations"][0]["start"] >= told["activations"][1]["start"]
    assert told["counted"]["activations"] >= 4


def _check_refusals(told: dict[str, Any]) -> None:
    assert (told["again"]["statusCode"], told["again"]["error"]["error"]) == (409, "resource already exists")
    assert told["failed"]["statusCode"] == 502
    assert told["failed"]["error"]["response"] == {
        "result": {"error": "no data"},
        "size": told["failed"]["error"]["response"]["size"],
        "status": "application error",
        "success": False,
    }
    assert told["missing"]["statusCode"] == told["goneAgain"]["statusCode"] == 404
    assert told["missing"]["error"]["error"] == "The requested resource does not exist."
    assert told["stranger"]["statusCode"] == 401
    assert told["stranger"]["error"]["error"] == "The supplied authentication is invalid"
    assert told["elsewhere"]["statusCode"] == 403
    assert told["elsewhere"]["error"]["error"] == "The supplied authentication is not authorized to access 'whisk.system'."
