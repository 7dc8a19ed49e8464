"""The mixed fabric on MongoDB: functions of every platform use the store themselves, over the network, or have weights carried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedkeeper.testing.emulated import emulated
from fedkeeper.testing.mongod import Mongod
from tests.fabric.mixed import RAISED, all_local, mixed_spec, project

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with Mongod(tmp_path_factory.mktemp("mongod"), auth=True) as running:
        yield running


def test_the_model_is_that_of_the_local_run_on_the_file_store(tmp_path: Path, server: Mongod) -> None:
    local = project(tmp_path / "local", all_local(mixed_spec(rounds=2)))
    local.deploy()
    expected = local.start().model

    spec = {**mixed_spec(rounds=2), "store": "${env:MONGO_URL}", "functions_store": "${env:MONGO_FUNCTIONS_URL}"}
    for group in spec["scenarios"]["federated_learning"]["clients"]["groups"]:
        group["weights"] = "relay" if group["name"] == "aws" else "store"
    with emulated(tmp_path / "emulator", limits=RAISED) as emulator:
        urls = {"MONGO_URL": server.url_of("mixed"), "MONGO_FUNCTIONS_URL": server.url_of("mixed", "functions", "pass-w0rd")}
        made = project(tmp_path / "project", spec, {**emulator.environ, **urls})
        made.grant()
        made.deploy()
        run = made.start()
        made.remove()
    assert run.model == expected
    assert run.activations["failed"] == 0
