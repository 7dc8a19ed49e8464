"""The real AWS CLI on the emulator, with the environment that `fedkeeper emulate env` prints and nothing else."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.testing.emulated import Emulated, emulated
from tests.aws.bench import ROLE
from tests.aws.test_vendor import ECHO, FAIL, zip_of

AWS = Path(sys.executable).with_name("aws")
pytestmark = pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is not installed")


class Cli:
    def __init__(self, emulator: Emulated, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_PAGER": "",
            "AWS_MAX_ATTEMPTS": "1",
            **emulator.environ,
        }

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(AWS), "lambda", *words]
        environ = {**self.environ, **variables}
        return subprocess.run(command, env=environ, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60)

    def json(self, *words: str) -> Any:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    def refused(self, *words: str, **variables: str) -> str:
        done = self.run(*words, **variables)
        assert done.returncode in (254, 255), (done.returncode, done.stdout)  # version 2, version 1
        return done.stderr

    def package(self, source: str) -> str:
        (self.folder / "function.zip").write_bytes(zip_of(source))
        return "fileb://function.zip"

    def create(self, name: str, source: str = ECHO) -> Any:
        return self.json(
            "create-function", "--function-name", name, "--runtime", "python3.12", "--handler", "lambda_function.handler",
            "--role", ROLE, "--zip-file", self.package(source), "--tags", "team=a",
        )  # fmt: skip


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    with emulated(tmp_path / "emulator", workers=1) as running:
        yield Cli(running, tmp_path)


def test_the_life_of_a_function(cli: Cli) -> None:
    assert cli.create("one")["State"] == "Pending"
    cli.run("wait", "function-active-v2", "--function-name", "one")
    assert [one["FunctionName"] for one in cli.json("list-functions")["Functions"]] == ["one"]
    words = ["invoke", "--function-name", "one", "--payload", '{"a": 1}', "--log-type", "Tail", "answer.json"]
    done = cli.json(*words)
    assert (done["StatusCode"], done["ExecutedVersion"]) == (200, "$LATEST")
    assert "heard {'a': 1}" in base64.b64decode(done["LogResult"]).decode()
    assert json.loads((cli.folder / "answer.json").read_text())["echo"] == {"a": 1}
    arn = cli.json("get-function", "--function-name", "one")["Configuration"]["FunctionArn"]
    assert cli.run("tag-resource", "--resource", arn, "--tags", "fedkeeper:fabric=x").returncode == 0
    assert cli.json("list-tags", "--resource", arn)["Tags"] == {"team": "a", "fedkeeper:fabric": "x"}
    changed = cli.json("update-function-code", "--function-name", "one", "--zip-file", cli.package(FAIL))
    assert changed["LastUpdateStatus"] == "InProgress"
    assert cli.json("invoke", "--function-name", "one", "answer.json")["FunctionError"] == "Unhandled"
    assert json.loads((cli.folder / "answer.json").read_text())["errorMessage"] == "no data"
    assert cli.run("delete-function", "--function-name", "one").returncode == 0
    assert cli.json("list-functions")["Functions"] == []


def test_what_goes_wrong(cli: Cli) -> None:
    assert "(ResourceNotFoundException)" in cli.refused("get-function", "--function-name", "absent")
    cli.create("one")
    words = ["create-function", "--function-name", "one", "--runtime", "python3.12", "--handler", "a.b", "--role", ROLE]
    assert "(ResourceConflictException)" in cli.refused(*words, "--zip-file", cli.package(ECHO))
    assert "(UnrecognizedClientException)" in cli.refused("list-functions", AWS_ACCESS_KEY_ID="AKIAUNKNOWN")
    assert "(InvalidSignatureException)" in cli.refused("list-functions", AWS_SECRET_ACCESS_KEY="wrong")
    assert "(InvalidSignatureException)" in cli.refused("list-functions", AWS_DEFAULT_REGION="eu-central-1")
