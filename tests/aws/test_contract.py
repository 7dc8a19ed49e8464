"""The adapter on the emulator: what every provider must do, and what is Lambda's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedkeeper.providers.aws.provider import AwsProvider
from fedkeeper.providers.base import Provider
from fedkeeper.testing.emulated import Emulated, emulated
from fedkeeper.testing.provider_contract import ECHO, FAIL, PRINT, MakeSpec, OpenProvider, ProviderContract
from tests.aws import bench


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path / "emulator", workers=2) as running:
        yield running


@pytest.fixture
def provider(emulator: Emulated) -> Iterator[AwsProvider]:
    provider = bench.provider_at(None, emulator.environ)
    yield provider
    provider.close()


class TestAwsProvider(ProviderContract):
    patience_s = 20.0

    @pytest.fixture
    def open_provider(self, emulator: Emulated) -> OpenProvider:
        def open_one() -> Provider:
            return bench.provider_at(None, emulator.environ, max_request=1 << 20, max_response=6 << 20)

        return open_one

    @pytest.fixture
    def make_spec(self) -> MakeSpec:
        return bench.make_spec


def test_a_call_brings_its_log(provider: AwsProvider) -> None:
    provider.create(*bench.make_spec("loud", PRINT))
    ids = [provider.call("loud", {"n": n}, timeout_s=20).activation_id or "" for n in (1, 2)]
    assert "marker 2" in provider.logs(ids[1])
    assert "marker 1" not in provider.logs(ids[1])


def test_names_that_lambda_refuses_come_back_as_they_were(provider: AwsProvider) -> None:
    name = "f-client.with.dots-" + "x" * 60
    spec, package = bench.make_spec(name, ECHO)
    provider.create(spec, package)
    assert provider.functions("f")[name].digest == spec.digest
    assert provider.call(name, {"a": 1}, timeout_s=20).result == {"echo": {"a": 1}}
    provider.delete(name)
    assert provider.functions("f") == {}


def test_the_platform_does_not_repeat_what_failed(provider: AwsProvider, emulator: Emulated) -> None:
    provider.create(*bench.make_spec("f", FAIL, options={"reserved_concurrency": 3}))
    client = provider._sessions.control()
    assert client.get_function_event_invoke_config(FunctionName="f")["MaximumRetryAttempts"] == 0
    assert client.get_function_concurrency(FunctionName="f")["ReservedConcurrentExecutions"] == 3
    spec, package = bench.make_spec("f", FAIL)
    provider.update(spec, package)
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="f")
    tags = client.get_function(FunctionName="f")["Tags"]
    assert tags == {
        "fedkeeper:fabric": "f", "fedkeeper:function": "f", "fedkeeper:role": "fl_client", "fedkeeper:digest": spec.digest,
    }  # fmt: skip


def test_an_invokers_key_replaces_the_functions_own(provider: AwsProvider) -> None:
    handler = "import os\ndef handle(params, body):\n    return {n: os.environ.get(n) for n in params['names']}, b''\n"
    spec, package = bench.make_spec("f", handler, secrets={"AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID"}, environment={"PLAIN": "p"})
    provider.create(spec, package)
    names = ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "PLAIN"]
    found = provider.call("f", {"names": names}, timeout_s=20).result
    own = provider._config.keys
    assert own is not None
    assert found == {"AWS_ACCESS_KEY_ID": own.access_key_id, "AWS_SESSION_TOKEN": None, "PLAIN": "p"}


def test_what_a_killed_deploy_left_counts_as_unfinished(provider: AwsProvider) -> None:
    spec, package = bench.make_spec("f-x", ECHO)
    provider.create(spec, package)
    client = provider._sessions.control()
    arn = client.get_function(FunctionName="f-x")["Configuration"]["FunctionArn"]
    client.untag_resource(Resource=arn, TagKeys=["fedkeeper:digest"])
    assert provider.functions("f")["f-x"].digest is None
    provider.create(spec, package)
    assert provider.functions("f")["f-x"].digest == spec.digest
