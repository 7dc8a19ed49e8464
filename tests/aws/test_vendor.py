"""The emulated API as boto3 sees it, used directly: statuses, headers, bodies, waiters, limits. Nothing of our adapter."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.emulator.limits import AwsLimits
from fedkeeper.testing.emulated import Emulated, emulated
from tests.aws.bench import ROLE

boto3 = pytest.importorskip("boto3")
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

ECHO = "def handler(event, context):\n    print('heard', event)\n    return {'echo': event, 'id': context.aws_request_id}\n"
FAIL = "def handler(event, context):\n    raise ValueError('no data')\n"
SLEEP = "import time\ndef handler(event, context):\n    time.sleep(event['s'])\n"
LARGE = "def handler(event, context):\n    return 'x' * event['n']\n"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SMALL = replace(
    AwsLimits(), max_request=200_000, max_async_request=50_000, max_response=200_000, max_zip=300_000, max_unzipped=500_000,
    control_per_second=2000, page_size=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    with emulated(tmp_path_factory.mktemp("emulator"), limits={"aws": SMALL}, workers=2) as running:
        yield running


def client_at(emulator: Emulated, **given: Any) -> Any:
    environ = emulator.environ
    fields = {
        "endpoint_url": environ["AWS_ENDPOINT_URL_LAMBDA"],
        "region_name": environ["AWS_DEFAULT_REGION"],
        "aws_access_key_id": environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environ["AWS_SECRET_ACCESS_KEY"],
        "config": Config(retries={"total_max_attempts": 1}),
        **given,
    }
    return boto3.session.Session().client("lambda", **fields)


@pytest.fixture(scope="module")
def shared(emulator: Emulated) -> Iterator[Any]:
    client = client_at(emulator)
    yield client
    client.close()


@pytest.fixture
def client(shared: Any) -> Iterator[Any]:
    yield shared
    for page in shared.get_paginator("list_functions").paginate():
        for found in page["Functions"]:
            shared.delete_function(FunctionName=found["FunctionName"])


def zip_of(source: str, name: str = "lambda_function.py", padding: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, source)
        if padding:
            archive.writestr("padding", bytes(padding), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def create(client: Any, name: str, source: str = ECHO, **given: Any) -> Any:
    fields = {"Runtime": "python3.12", "Handler": "lambda_function.handler", "Role": ROLE, "Timeout": 20, **given}
    made = client.create_function(FunctionName=name, **{"Code": {"ZipFile": zip_of(source)}, **fields})
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})
    return made


def refused(call: Any, **request: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error, meta = caught.value.response["Error"], caught.value.response["ResponseMetadata"]
    assert meta["HTTPHeaders"]["x-amzn-errortype"] == error["Code"]
    assert UUID.fullmatch(meta["RequestId"])
    return error["Code"], meta["HTTPStatusCode"], error["Message"]


# --- functions ---------------------------------------------------------------------------------------------------
def test_a_new_function_is_described_as_lambda_does(client: Any) -> None:
    package = zip_of(ECHO)
    made = client.create_function(
        FunctionName="one", Runtime="python3.12", Handler="lambda_function.handler", Role=ROLE, Code={"ZipFile": package},
        Environment={"Variables": {"AA": "1"}}, Tags={"team": "a"}, Description="d", Architectures=["arm64"],
        EphemeralStorage={"Size": 1024},
    )  # fmt: skip
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:one"
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(package).digest()).decode()
    assert (made["CodeSize"], made["MemorySize"], made["Timeout"], made["Version"]) == (len(package), 128, 3, "$LATEST")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["LastModified"])
    assert UUID.fullmatch(made["RevisionId"])
    assert (made["Architectures"], made["EphemeralStorage"], made["PackageType"]) == (["arm64"], {"Size": 1024}, "Zip")
    client.get_waiter("function_active_v2").wait(FunctionName="one", WaiterConfig={"Delay": 0.05})
    found = client.get_function(FunctionName=made["FunctionArn"])
    assert found["Configuration"]["State"] == "Active"
    assert found["Configuration"]["LastUpdateStatus"] == "Successful"
    assert found["Configuration"]["Environment"] == {"Variables": {"AA": "1"}}
    assert found["Tags"] == {"team": "a"}
    assert client.get_function_configuration(FunctionName="one")["CodeSha256"] == made["CodeSha256"]


def test_a_second_one_of_that_name_is_a_conflict(client: Any) -> None:
    create(client, "one")
    request = {"Runtime": "python3.12", "Handler": "a.b", "Role": ROLE, "Code": {"ZipFile": zip_of(ECHO)}}
    assert refused(client.create_function, FunctionName="one", **request)[:2] == ("ResourceConflictException", 409)


def test_updates(client: Any) -> None:
    first = create(client, "one")
    changed = client.update_function_code(FunctionName="one", ZipFile=zip_of(FAIL))
    assert changed["LastUpdateStatus"] == "InProgress"
    assert changed["CodeSha256"] != first["CodeSha256"]
    assert changed["RevisionId"] != first["RevisionId"]
    client.get_waiter("function_updated_v2").wait(FunctionName="one", WaiterConfig={"Delay": 0.05})
    client.update_function_configuration(FunctionName="one", MemorySize=256, Environment={"Variables": {"BB": "2"}})
    client.get_waiter("function_updated_v2").wait(FunctionName="one", WaiterConfig={"Delay": 0.05})
    found = client.get_function_configuration(FunctionName="one")
    assert (found["MemorySize"], found["Timeout"], found["Environment"]) == (256, 20, {"Variables": {"BB": "2"}})


def test_pages(client: Any) -> None:
    for n in range(12):
        client.create_function(
            FunctionName=f"f-{n:02d}", Runtime="python3.12", Handler="a.b", Role=ROLE, Code={"ZipFile": zip_of(ECHO)}
        )
    pages = list(client.get_paginator("list_functions").paginate())
    assert [len(page["Functions"]) for page in pages] == [5, 5, 2]
    assert [f["FunctionName"] for page in pages for f in page["Functions"]] == [f"f-{n:02d}" for n in range(12)]
    short = client.list_functions(MaxItems=3)
    assert len(short["Functions"]) == 3
    rest = client.list_functions(Marker=short["NextMarker"], MaxItems=2)
    assert [f["FunctionName"] for f in rest["Functions"]] == ["f-03", "f-04"]
    assert "State" not in rest["Functions"][0], "listing tells a part of the configuration only"


def test_deleting(client: Any) -> None:
    create(client, "one")
    assert client.delete_function(FunctionName="one")["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)
    for call in (client.delete_function, client.get_function, client.get_function_configuration, client.invoke):
        code, status, text = refused(call, FunctionName="one")
        assert (code, status) == ("ResourceNotFoundException", 404)
        assert text == "Function not found: arn:aws:lambda:us-east-1:000000000000:function:one"


def test_tags(client: Any) -> None:
    arn = create(client, "one", Tags={"a": "1"})["FunctionArn"]
    client.tag_resource(Resource=arn, Tags={"fedkeeper:fabric": "x", "b": "ä +/="})
    assert client.list_tags(Resource=arn)["Tags"] == {"a": "1", "fedkeeper:fabric": "x", "b": "ä +/="}
    client.untag_resource(Resource=arn, TagKeys=["fedkeeper:fabric", "a"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "ä +/="}
    assert refused(client.list_tags, Resource=arn + "x")[:2] == ("ResourceNotFoundException", 404)


def test_event_invoke_config_and_concurrency(client: Any) -> None:
    create(client, "one")
    assert refused(client.get_function_event_invoke_config, FunctionName="one")[0] == "ResourceNotFoundException"
    put = client.put_function_event_invoke_config(FunctionName="one", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60)
    assert put["FunctionArn"].endswith(":function:one:$LATEST")
    assert abs(put["LastModified"].timestamp() - time.time()) < 60
    assert client.get_function_event_invoke_config(FunctionName="one")["MaximumRetryAttempts"] == 0
    client.delete_function_event_invoke_config(FunctionName="one")
    client.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=7)
    assert client.get_function_concurrency(FunctionName="one")["ReservedConcurrentExecutions"] == 7
    assert client.get_function(FunctionName="one")["Concurrency"] == {"ReservedConcurrentExecutions": 7}
    client.delete_function_concurrency(FunctionName="one")
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="one")
    settings = client.get_account_settings()
    assert settings["AccountLimit"]["ConcurrentExecutions"] == 1000
    assert settings["AccountUsage"]["FunctionCount"] == 1


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"Timeout": 901}, "ValidationException", "900"),
        ({"MemorySize": 20_000}, "ValidationException", "10240"),
        ({"EphemeralStorage": {"Size": 20_000}}, "ValidationException", "10240"),
        ({"FunctionName": "x" * 65}, "ValidationException", "64"),
        ({"Role": "nobody"}, "InvalidParameterValueException", "cannot be assumed by Lambda"),
        ({"Environment": {"Variables": {"AA": "x" * 5000}}}, "InvalidParameterValueException", "4KB"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException", "AWS_REGION"),
        ({"Code": {"ZipFile": b"no zip"}}, "InvalidParameterValueException", "unzip"),
        ({"Code": {"ZipFile": zip_of(ECHO, padding=600_000)}}, "InvalidParameterValueException", "Unzipped size must be smaller"),
        ({"Code": {"S3Bucket": "absent", "S3Key": "k"}}, "InvalidParameterValueException", "S3 Error Code: NoSuchBucket"),
    ],
)
def test_what_lambda_would_refuse(client: Any, given: dict[str, Any], code: str, said: str) -> None:
    request = {
        "FunctionName": "one", "Runtime": "python3.12", "Handler": "a.b", "Role": ROLE, "Code": {"ZipFile": zip_of(ECHO)}, **given,
    }  # fmt: skip
    found, status, text = refused(client.create_function, **request)
    assert (found, status) == (code, 400)
    assert said in text
    assert client.list_functions()["Functions"] == []


def test_an_image_is_refused_in_plain_words(client: Any) -> None:
    request = {
        "FunctionName": "one",
        "PackageType": "Image",
        "Role": ROLE,
        "Code": {"ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/x:1"},
    }
    code, _, text = refused(client.create_function, **request)
    assert code == "InvalidParameterValueException"
    assert "emulator" in text


def test_a_zip_over_the_direct_limit(client: Any) -> None:
    request = {"FunctionName": "one", "Runtime": "python3.12", "Handler": "a.b", "Role": ROLE}
    code, status, _ = refused(client.create_function, **request, Code={"ZipFile": os.urandom(400_000)})
    assert (code, status) == ("RequestEntityTooLargeException", 413)


# --- invocations -------------------------------------------------------------------------------------------------
def test_a_synchronous_invocation(client: Any) -> None:
    create(client, "one")
    answer = client.invoke(FunctionName="one", Payload=b'{"a": "\xc3\xa4"}', LogType="Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert json.loads(answer["Payload"].read()) == {"echo": {"a": "ä"}, "id": request_id}
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "heard" in log
    assert f"START RequestId: {request_id}" in log
    assert "REPORT RequestId" in log
    assert "LogResult" not in client.invoke(FunctionName="one", Payload=b"{}")


def test_a_function_error(client: Any) -> None:
    create(client, "one", FAIL)
    answer = client.invoke(FunctionName="one")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = json.loads(answer["Payload"].read())
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "no data")
    assert error["stackTrace"]


def test_a_timeout_and_an_answer_that_is_too_large(client: Any) -> None:
    create(client, "slow", SLEEP, Timeout=1)
    answer = client.invoke(FunctionName="slow", Payload=b'{"s": 30}')
    assert answer["FunctionError"] == "Unhandled"
    assert "Task timed out after 1.00 seconds" in json.loads(answer["Payload"].read())["errorMessage"]
    create(client, "large", LARGE)
    answer = client.invoke(FunctionName="large", Payload=b'{"n": 250000}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"


def test_an_asynchronous_invocation_and_a_dry_run(client: Any, emulator: Emulated, tmp_path: Path) -> None:
    create(client, "one")
    answer = client.invoke(FunctionName="one", InvocationType="Event", Payload=b'{"k": 7}')
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert UUID.fullmatch(answer["ResponseMetadata"]["RequestId"])
    until = time.monotonic() + 20
    own = answer["ResponseMetadata"]["RequestId"].replace("-", "")  # other tests invoke a function of this name too
    while (outcome := emulator.platforms["aws"].outcome(own)) is None or not outcome.state.ended:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert "heard {'k': 7}" in outcome.logs
    assert client.invoke(FunctionName="one", InvocationType="DryRun")["StatusCode"] == 204


def test_payloads_over_the_limit(client: Any) -> None:
    create(client, "one")
    text = json.dumps("x" * 210_000).encode()
    assert refused(client.invoke, FunctionName="one", Payload=text)[1] == 413
    assert refused(client.invoke, FunctionName="one", Payload=text[:1] + text[-60_000:], InvocationType="Event")[1] == 413
    code, status, _ = refused(client.invoke, FunctionName="one", Payload=b"{no json")
    assert (code, status) == ("InvalidRequestContentException", 400)


def test_reserved_concurrency_is_a_limit(client: Any) -> None:
    create(client, "one")
    client.put_function_concurrency(FunctionName="one", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName="one")
    response = caught.value.response
    assert response["Error"]["Code"] == "TooManyRequestsException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert issubclass(client.exceptions.TooManyRequestsException, ClientError)


# --- who asks ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"aws_access_key_id": "AKIAUNKNOWN"}, "UnrecognizedClientException"),
        ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException"),
        ({"region_name": "eu-central-1"}, "InvalidSignatureException"),
        ({"aws_session_token": "of-another-time"}, "UnrecognizedClientException"),
    ],
)
def test_a_wrong_key(emulator: Emulated, given: dict[str, str], code: str) -> None:
    client = client_at(emulator, **given)
    assert refused(client.list_functions)[:2] == (code, 403)
    client.close()


def test_the_documented_rate_of_the_control_plane(tmp_path: Path) -> None:
    with emulated(tmp_path / "emulator", workers=1) as running:
        client = client_at(running)
        codes = []
        for _ in range(60):
            try:
                client.list_functions()
            except ClientError as exc:
                codes.append((exc.response["Error"]["Code"], exc.response["Reason"]))
        assert set(codes) == {("TooManyRequestsException", "CallerRateLimitExceeded")}
        patient = client_at(running, config=Config(retries={"mode": "standard", "total_max_attempts": 8}))
        assert patient.list_functions()["Functions"] == []
        client.close()
        patient.close()
