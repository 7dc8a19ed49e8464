"""Whole runs on a real mongod with authentication: the functions' own credential, another machine, a server that dies."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.testing.mongod import Mongod, free_port
from tests.flow.projects import begin_command, ledger_of, make_project, result_of, run_command, slow_task, spec
from tests.flow.test_resume import trained, wait_for

PASSWORD = "fUnct10ns-0nly"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with Mongod(tmp_path_factory.mktemp("mongod"), auth=True) as running:
        yield running


@pytest.fixture
def variables(server: Mongod, tmp_path: Path) -> dict[str, str]:
    """What the operator's shell has set. Each test has a database of its own."""
    database = f"t{abs(hash(tmp_path)) % 10**9}"
    theirs = server.url_of(database, "functions", PASSWORD)
    return {"MONGO_URL": server.url_of(database), "MONGO_FUNCTIONS_URL": theirs}


def on_mongo(**changes: Any) -> dict[str, Any]:
    return {**spec(**changes), "store": "${env:MONGO_URL}", "functions_store": "${env:MONGO_FUNCTIONS_URL}"}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model of the same run on the file store."""
    folder = tmp_path_factory.mktemp("calm")
    make_project(folder, task=slow_task(0))
    run_command(folder, "deploy")
    return str(result_of(run_command(folder, "start", "--json"))["model"])


def test_a_run_with_least_rights_ends_as_on_the_file_store(
    tmp_path: Path, server: Mongod, variables: dict[str, str], calm: str
) -> None:
    make_project(tmp_path, on_mongo(), task=slow_task(0))
    run_command(tmp_path, "store", "grant", extra=variables)
    run_command(tmp_path, "deploy", extra=variables)
    assert result_of(run_command(tmp_path, "start", "--json", extra=variables))["model"] == calm
    run_command(tmp_path, "remove", extra=variables)
    secrets = (server.password, PASSWORD)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in path.read_bytes() for secret in secrets), path


def test_without_the_grant_the_functions_may_do_nothing(tmp_path: Path, variables: dict[str, str]) -> None:
    nobody = {**variables, "MONGO_FUNCTIONS_URL": variables["MONGO_FUNCTIONS_URL"].replace("functions:", "nobody:")}
    make_project(tmp_path, on_mongo(retries=0), task=slow_task(0))
    run_command(tmp_path, "deploy", extra=nobody)
    failed = run_command(tmp_path, "start", check=False, extra=nobody)
    assert failed.returncode == 7
    assert "does not accept the user or the password" in failed.stderr
    assert PASSWORD not in failed.stderr


def test_another_folder_needs_only_the_url(tmp_path: Path, variables: dict[str, str], calm: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    make_project(here, on_mongo(), task=slow_task(1.0))
    run_command(here, "store", "grant", extra=variables)
    run_command(here, "deploy", extra=variables)
    process = begin_command(here, "start", "--run-id", "one", extra=variables)
    wait_for(lambda: trained(here, 2) >= 2)
    at = ("--store", "${env:MONGO_URL}")
    assert json.loads(run_command(there, "status", *at, "--json", extra=variables).stdout)["run"] == "one"
    assert run_command(there, "resume", *at, check=False, extra=variables).returncode == 9
    process.send_signal(signal.SIGKILL)
    process.wait()
    for path in (here / "config.yaml", here / "tasks" / "softmax.py"):
        path.unlink()
    assert result_of(run_command(there, "resume", *at, "--json", extra=variables))["model"] == calm
    listed = json.loads(run_command(there, "runs", *at, "--json", extra=variables).stdout)["runs"]
    assert [(one["run"], one["state"]) for one in listed] == [("one", "finished")]
    assert "round 3" in run_command(there, "logs", "one", *at, extra=variables).stdout
    run_command(there, "export", *at, "--to", "model.safetensors", extra=variables)
    assert (there / "model.safetensors").stat().st_size > 1000


def test_mongod_is_killed_in_the_middle_of_a_round(tmp_path: Path, calm: str) -> None:
    project = tmp_path / "project"
    with Mongod(tmp_path / "mongod", auth=True) as server:
        variables = {"MONGO_URL": server.url_of("db"), "MONGO_FUNCTIONS_URL": server.url_of("db", "functions", PASSWORD)}
        make_project(project, on_mongo(), task=slow_task(0.2))
        run_command(project, "store", "grant", extra=variables)
        run_command(project, "deploy", extra=variables)
        process = begin_command(project, "start", "--json", extra=variables)
        wait_for(lambda: trained(project, 2) >= 1)
        server.kill()
        time.sleep(3.0)
        server.start()
        assert process.wait(timeout=120) == 0, (project / "err.txt").read_text()
    done = json.loads((project / "out.txt").read_text())
    assert (done["model"], done["rounds"]) == (calm, 3)
    ended = [e for e in ledger_of(project) if e["type"] == "ended" and e["state"] == "succeeded" and "/train" in e["step"]]
    assert len({(e["step"], e["subject"]) for e in ended}) == len(ended) == 18


def test_an_absent_server_is_one_line(tmp_path: Path) -> None:
    url = f"mongodb://operator:{PASSWORD}@127.0.0.1:{free_port()}/db?serverSelectionTimeoutMS=1500"
    make_project(tmp_path, {**spec(), "store": "${env:MONGO_URL}"})
    began = time.monotonic()
    failed = run_command(tmp_path, "deploy", check=False, extra={"MONGO_URL": url})
    assert time.monotonic() - began < 10
    assert failed.returncode == 6
    errors = [line for line in failed.stderr.splitlines() if not line.startswith("hint:")]
    assert len(errors) == 1
    assert "127.0.0.1" in errors[0]
    assert PASSWORD not in failed.stderr
    assert "MONGO_URL" not in os.environ


def test_old_weights_are_collected(tmp_path: Path, server: Mongod, variables: dict[str, str]) -> None:
    make_project(tmp_path, {**on_mongo(rounds=5), "keep": "last 1"}, task=slow_task(0.5))  # rounds of more than a second
    run_command(tmp_path, "store", "grant", extra=variables)
    run_command(tmp_path, "deploy", extra=variables)
    run_command(tmp_path, "start", extra=variables)
    database = variables["MONGO_URL"].split("/")[3].split("?")[0]
    updates = [
        (e["round"], e["outputs"]["update"]) for e in ledger_of(tmp_path) if e["type"] == "ended" and "/train" in e["step"]
    ]
    with server.client() as client:
        there = {header["_id"] for header in client[database]["blobs"].find({}, {"_id": 1})}
        with_chunks = client[database]["chunks"].distinct("_id.b")
    assert len(updates) == 30
    assert {round_ for round_, ref in updates if ref in there} == {5}
    assert len(with_chunks) == len(there)
