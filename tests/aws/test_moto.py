"""The adapter's control plane on moto's server: another reading of the same API. moto runs no code here."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.errors import FunctionNotFound, ProviderError
from fedkeeper.providers.aws import bootstrap
from fedkeeper.providers.aws.documents import DIRECT
from fedkeeper.providers.aws.provider import AwsProvider
from fedkeeper.testing.provider_contract import ECHO, FAIL
from tests.aws import bench
from tests.aws.runtime_api import real_runtime

boto3 = pytest.importorskip("boto3")
pytest.importorskip("moto")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MOTO_ALLOW_NONEXISTENT_REGION": "true"}
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, child)
        yield url
    finally:
        child.terminate()
        child.wait(10)


def _wait(url: str, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5).close()
            return
        except OSError:
            assert child.poll() is None, "moto's server ended"
            time.sleep(0.05)
    raise AssertionError("moto's server did not start")


def client_of(moto: str, service: str) -> Any:
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return boto3.client(service, endpoint_url=moto, region_name="us-east-1", **keys)


@pytest.fixture
def provider(moto: str) -> Iterator[AwsProvider]:
    request = urllib.request.Request(f"{moto}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=10).close()
    iam, s3 = client_of(moto, "iam"), client_of(moto, "s3")
    role = iam.create_role(RoleName="fedkeeper", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    s3.create_bucket(Bucket="code")
    iam.close()
    s3.close()
    provider = bench.provider_at(moto, role=role, control_per_second=200, bucket="code")
    yield provider
    provider.close()


def test_the_life_of_a_function(provider: AwsProvider, moto: str) -> None:
    first, package = bench.make_spec("f-one", ECHO, environment={"A": "1"})
    provider.create(first, package)
    provider.create(*bench.make_spec("f-two", ECHO))
    provider.create(*bench.make_spec("g-one", ECHO, fabric="g"))
    assert {name: found.digest for name, found in provider.functions("f").items()}["f-one"] == first.digest
    assert set(provider.functions("f")) == {"f-one", "f-two"}
    second, package = bench.make_spec("f-one", FAIL, environment={"A": "2"}, memory_mb=512)
    provider.update(second, package)
    assert provider.functions("f")["f-one"].digest == second.digest
    found = client_of(moto, "lambda").get_function(FunctionName="f-one")["Configuration"]
    assert (found["MemorySize"], found["Environment"]["Variables"], found["Timeout"]) == (512, {"A": "2"}, 20)
    for _ in range(2):
        provider.delete("f-one")
        provider.delete("f-two")
    assert provider.functions("f") == {}
    assert set(provider.functions("g")) == {"g-one"}


def test_creating_over_a_function_replaces_it(provider: AwsProvider) -> None:
    provider.create(*bench.make_spec("f-one", FAIL))
    spec, package = bench.make_spec("f-one", ECHO)
    provider.create(spec, package)
    assert provider.functions("f")["f-one"].digest == spec.digest


def test_options_arrive(provider: AwsProvider, moto: str) -> None:
    options = {"architecture": "arm64", "ephemeral_storage": 1024, "runtime": "python3.12", "reserved_concurrency": 2}
    provider.create(*bench.make_spec("f-one", ECHO, options=options))
    client = client_of(moto, "lambda")
    found = client.get_function(FunctionName="f-one")
    assert found["Configuration"]["Architectures"] == ["arm64"]
    assert found["Configuration"]["EphemeralStorage"] == {"Size": 1024}
    assert found["Concurrency"]["ReservedConcurrentExecutions"] == 2
    assert client.get_function_event_invoke_config(FunctionName="f-one")["MaximumRetryAttempts"] == 0


def test_an_image_takes_its_code_from_the_bucket(provider: AwsProvider, moto: str) -> None:
    image = {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/fedkeeper:1"}
    spec, package = bench.make_spec("f-one", ECHO, requirements=("tensorflow",), options=image)
    provider.create(spec, package)
    found = client_of(moto, "lambda").get_function(FunctionName="f-one")
    assert found["Code"]["ImageUri"] == image["image"]
    assert found["Configuration"]["PackageType"] == "Image"
    bucket, _, key = found["Configuration"]["Environment"]["Variables"]["FEDKEEPER_PACKAGE"].removeprefix("s3://").partition("/")
    assert client_of(moto, "s3").get_object(Bucket=bucket, Key=key)["Body"].read() == package


def test_the_image_runs_what_the_bucket_holds(provider: AwsProvider, moto: str, tmp_path: Path) -> None:
    pytest.importorskip("awslambdaric")
    spec, package = bench.make_spec("f-one", ECHO, options={"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/fedkeeper:1"})
    provider.create(spec, package)
    bound = client_of(moto, "lambda").get_function_configuration(FunctionName="f-one")["Environment"]["Variables"]
    (tmp_path / "bootstrap.py").write_bytes(
        Path(bootstrap.__file__).read_bytes().replace(b"/tmp/fedkeeper", str(tmp_path).encode())
    )
    environment = {**bound, **bench.KEYS, "AWS_ENDPOINT_URL_S3": moto, "AWS_DEFAULT_REGION": "us-east-1"}
    with real_runtime(tmp_path, "bootstrap.handler", environment) as runtime:
        for _ in range(2):
            verdict, payload = runtime.invoke(json.dumps({"params": {"k": 1}, "body": "YWJj"}).encode())
            assert (verdict, json.loads(payload)) == ("response", {"params": {"echo": {"k": 1}}, "body": "Y2Jh"})


def test_a_zip_becomes_an_image(provider: AwsProvider, moto: str) -> None:
    provider.create(*bench.make_spec("f-one", ECHO))
    image = {"image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/fedkeeper:1"}
    spec, package = bench.make_spec("f-one", ECHO, options=image)
    provider.update(spec, package)
    assert client_of(moto, "lambda").get_function(FunctionName="f-one")["Configuration"]["PackageType"] == "Image"
    assert provider.functions("f")["f-one"].digest == spec.digest


def test_a_zip_over_the_direct_limit_goes_through_the_bucket(provider: AwsProvider, moto: str) -> None:
    spec, package = bench.make_spec("f-one", ECHO)
    padded = package + bytes(DIRECT - len(package) + 1)
    provider.create(spec, padded)
    listed = client_of(moto, "s3").list_objects_v2(Bucket="code")["Contents"]
    assert [entry["Size"] for entry in listed] == [len(padded)]
    assert set(provider.functions("f")) == {"f-one"}


def test_more_functions_than_a_page_holds(provider: AwsProvider) -> None:
    made = {f"f-{n:03d}": bench.make_spec(f"f-{n:03d}", ECHO) for n in range(55)}
    for spec, package in made.values():
        provider.create(spec, package)
    found = provider.functions("f")
    assert {name: one.digest for name, one in found.items()} == {name: spec.digest for name, (spec, _) in made.items()}


def test_what_is_missing(provider: AwsProvider, moto: str) -> None:
    with pytest.raises(FunctionNotFound):
        provider.update(*bench.make_spec("absent", ECHO))
    no_role = bench.provider_at(moto, role="arn:aws:iam::123456789012:role/nobody")
    with pytest.raises(ProviderError) as caught:
        no_role.create(*bench.make_spec("f-one", ECHO))
    no_role.close()
    assert "providers.aws.eu.role" in caught.value.hint
    no_bucket = bench.provider_at(moto, bucket="absent")
    with pytest.raises(ProviderError) as caught:
        no_bucket.create(*bench.make_spec("f-one", ECHO, options={"image": "1.dkr.ecr/x:1"}))
    no_bucket.close()
    assert "providers.aws.eu.bucket" in caught.value.hint
