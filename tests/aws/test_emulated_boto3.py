"""The emulated Lambda, asked by boto3 and by plain HTTP: nothing of FedKeeper on the client's side."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from fedkeeper.emulator.limits import AwsLimits
from fedkeeper.testing.emulated import Emulated, emulated
from tests.emulator.zips import make_zip

LIMITS = replace(
    AwsLimits(), control_per_second=500, max_request=20_000, max_response=20_000, max_async_request=5_000, max_concurrency=3
)
SOURCE = """
import os, time
def handler(event, context):
    print("asked for", sorted(event))
    if "raise" in event: raise ValueError(event["raise"])
    if "exit" in event: os._exit(3)
    if "large" in event: return "x" * event["large"]
    if "print" in event: print("y" * event["print"])
    time.sleep(event.get("sleep", 0))
    if "touch" in event: open(event["touch"], "w").close()
    return {"event": event, "id": context.aws_request_id, "arn": context.invoked_function_arn, "value": os.environ.get("VALUE")}
"""
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
FUNCTIONS = "/2015-03-31/functions"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path / "emulator", limits={"aws": LIMITS}, workers=2) as running:
        yield running


def client(emulator: Emulated, **other: Any) -> Any:
    env = emulator.environ
    keys = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
    options = {"endpoint_url": emulator.base_url, "region_name": "us-east-1", **keys, **other}
    return boto3.client("lambda", config=Config(retries={"total_max_attempts": 1}), **options)


@pytest.fixture
def aws(emulator: Emulated) -> Any:
    return client(emulator)


def create(aws: Any, name: str = "f", source: str = SOURCE, **other: Any) -> Any:
    wanted = {
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::000000000000:role/any",
        "Handler": "lambda_function.handler",
        "Code": {"ZipFile": make_zip({"lambda_function.py": source})},
        **other,
    }
    return aws.create_function(FunctionName=name, **wanted)


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    response = caught.value.response
    assert re.fullmatch(r"[0-9a-f-]{36}", response["ResponseMetadata"]["RequestId"])
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def send(
    emulator: Emulated, method: str, path: str, body: bytes = b"", *, service: str = "lambda", **headers: str
) -> requests.Response:
    """A request signed by botocore, sent by requests."""
    keys, url = emulator.credentials, emulator.base_url + path
    request = AWSRequest(method, url, data=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
    SigV4Auth(Credentials(keys.aws_access_key_id, keys.aws_secret_access_key), service, "us-east-1").add_auth(request)
    return requests.request(method, url, data=body, headers=dict(request.headers), timeout=30)


# --- functions ---------------------------------------------------------------------------------------------------
def test_a_function_is_pending_then_active(aws: Any) -> None:
    package = make_zip({"lambda_function.py": SOURCE})
    made = create(aws, Code={"ZipFile": package}, Environment={"Variables": {"VALUE": "one"}})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["State"], made["StateReasonCode"], made["FunctionArn"]) == ("Pending", "Creating", ARN)
    assert (made["Timeout"], made["MemorySize"], made["Version"]) == (3, 128, "$LATEST")
    assert made["CodeSize"] == len(package)
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(package).digest()).decode()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made["LastModified"])
    aws.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0.01})
    shown = aws.get_function_configuration(FunctionName="f")
    assert (shown["State"], shown["LastUpdateStatus"], shown["RevisionId"]) == ("Active", "Successful", made["RevisionId"])
    assert shown["Environment"] == {"Variables": {"VALUE": "one"}}


def test_get_function_gives_tags_and_an_address_of_the_code(aws: Any) -> None:
    package = make_zip({"lambda_function.py": SOURCE})
    create(aws, Code={"ZipFile": package}, Tags={"a": "b"})
    for name in ("f", ARN, "000000000000:function:f", "f:$LATEST"):
        assert aws.get_function(FunctionName=name)["Configuration"]["FunctionArn"] == ARN
    found = aws.get_function(FunctionName="f")
    assert found["Tags"] == {"a": "b"}
    address = found["Code"]["Location"]
    assert requests.get(address, timeout=10).content == package
    assert requests.get(address[:-1] + ("0" if address[-1] != "0" else "1"), timeout=10).status_code == 403


def test_functions_are_listed_in_pages(aws: Any) -> None:
    for name in ("c", "a", "b"):
        create(aws, name)
    first = aws.list_functions(MaxItems=2)
    assert [one["FunctionName"] for one in first["Functions"]] == ["a", "b"]
    assert "State" not in first["Functions"][0]
    last = aws.list_functions(MaxItems=2, Marker=first["NextMarker"])
    assert [one["FunctionName"] for one in last["Functions"]] == ["c"]
    assert "NextMarker" not in last
    pages = aws.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    assert [one["FunctionName"] for page in pages for one in page["Functions"]] == ["a", "b", "c"]


def test_code_and_configuration_are_updated(aws: Any) -> None:
    before = create(aws)
    changed = aws.update_function_code(
        FunctionName="f", ZipFile=make_zip({"lambda_function.py": "def handler(e, c): return 'new'"})
    )
    assert changed["LastUpdateStatus"] == "InProgress"
    aws.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0.01})
    assert changed["CodeSha256"] != before["CodeSha256"]
    assert json.load(aws.invoke(FunctionName="f")["Payload"]) == "new"
    aws.update_function_configuration(FunctionName="f", Timeout=7, Environment={"Variables": {"VALUE": "x"}})
    shown = aws.get_function_configuration(FunctionName="f")
    assert (shown["Timeout"], shown["MemorySize"], shown["CodeSha256"]) == (7, 128, changed["CodeSha256"])
    stale = {"FunctionName": "f", "Timeout": 8, "RevisionId": before["RevisionId"]}
    assert refused(aws.update_function_configuration, **stale)[:2] == (412, "PreconditionFailedException")


def test_a_deleted_function_is_not_found(aws: Any) -> None:
    create(aws)
    aws.delete_function(FunctionName="f")
    expected = (404, "ResourceNotFoundException", f"Function not found: {ARN}")
    for call in (aws.get_function, aws.delete_function, aws.invoke, aws.get_function_concurrency):
        assert refused(call, FunctionName="f") == expected
    assert refused(aws.list_tags, Resource=ARN) == expected
    assert refused(aws.get_function, FunctionName="f", Qualifier="2")[2] == f"Function not found: {ARN}:2"


def test_tags_concurrency_event_settings_and_the_account(aws: Any) -> None:
    create(aws, Tags={"a": "1", "b c": "2"})
    aws.tag_resource(Resource=ARN, Tags={"d:e": "3"})
    aws.untag_resource(Resource=ARN, TagKeys=["a", "b c"])
    assert aws.list_tags(Resource=ARN)["Tags"] == {"d:e": "3"}
    assert "ReservedConcurrentExecutions" not in aws.get_function_concurrency(FunctionName="f")
    aws.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    assert aws.get_function_concurrency(FunctionName="f")["ReservedConcurrentExecutions"] == 0
    status, code, _ = refused(aws.invoke, FunctionName="f")
    assert (status, code) == (429, "TooManyRequestsException")
    aws.delete_function_concurrency(FunctionName="f")
    assert aws.invoke(FunctionName="f", Payload=b"{}")["StatusCode"] == 200
    too_many = refused(aws.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=1)
    assert too_many[:2] == (400, "InvalidParameterValueException")
    assert refused(aws.get_function_event_invoke_config, FunctionName="f")[:2] == (404, "ResourceNotFoundException")
    aws.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60)
    events = aws.get_function_event_invoke_config(FunctionName="f")
    assert (events["MaximumRetryAttempts"], events["MaximumEventAgeInSeconds"]) == (0, 60)
    aws.delete_function_event_invoke_config(FunctionName="f")
    assert aws.get_account_settings()["AccountUsage"]["FunctionCount"] == 1
    assert aws.get_account_settings()["AccountLimit"]["ConcurrentExecutions"] == 3


# --- invocations -------------------------------------------------------------------------------------------------
def test_invoke_answers_with_the_request_id_the_function_saw(aws: Any) -> None:
    create(aws, Environment={"Variables": {"VALUE": "value"}})
    response = aws.invoke(FunctionName="f", Payload=b'{"n": 1}', LogType="Tail")
    seen = json.load(response["Payload"])
    assert seen == {"event": {"n": 1}, "id": response["ResponseMetadata"]["RequestId"], "arn": ARN, "value": "value"}
    assert (response["StatusCode"], response["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in response
    log = base64.b64decode(response["LogResult"]).decode()
    assert re.match(rf"START RequestId: {seen['id']} Version: \$LATEST\nasked for \['n'\]\nEND RequestId", log)
    assert "Memory Size: 128 MB" in log


def test_the_log_tail_is_the_last_4_kb(aws: Any) -> None:
    create(aws)
    response = aws.invoke(FunctionName="f", Payload=b'{"print": 9000}', LogType="Tail")
    log = base64.b64decode(response["LogResult"])
    assert len(log) == 4096
    assert b"REPORT RequestId" in log
    assert "LogResult" not in aws.invoke(FunctionName="f", Payload=b"{}")


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ({"raise": "bad"}, "ValueError", "bad"),
        ({"sleep": 30}, "Sandbox.Timedout", r"RequestId: [0-9a-f-]{36} Error: Task timed out after 1\.00 seconds"),
        ({"exit": 1}, "Runtime.ExitError", r"RequestId: [0-9a-f-]{36} Error: Runtime exited with error: .+"),
        ({"large": 30_000}, "Function.ResponseSizeTooLarge", r"Response payload size exceeded .* \(20000 bytes\)\."),
    ],
)
def test_a_failure_is_a_200_with_a_function_error(aws: Any, event: dict[str, Any], kind: str, message: str) -> None:
    create(aws, Timeout=1)
    response = aws.invoke(FunctionName="f", Payload=json.dumps(event))
    error = json.load(response["Payload"])
    assert (response["StatusCode"], response["FunctionError"], error["errorType"]) == (200, "Unhandled", kind)
    assert re.fullmatch(message, error["errorMessage"])


def test_an_event_is_accepted_and_runs(aws: Any, tmp_path: Path) -> None:
    create(aws)
    mark = tmp_path / "mark"
    response = aws.invoke(FunctionName="f", InvocationType="Event", Payload=json.dumps({"touch": str(mark)}))
    assert (response["StatusCode"], response["Payload"].read()) == (202, b"")
    end = time.monotonic() + 20
    while not mark.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert mark.exists()
    assert aws.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204


def test_what_is_too_large_or_no_json_is_refused(aws: Any) -> None:
    create(aws)
    text = "Request must be smaller than 20000 bytes for the InvokeFunction operation"
    large = json.dumps({"x": "y" * 20_000})
    assert refused(aws.invoke, FunctionName="f", Payload=large) == (413, "RequestEntityTooLargeException", text)
    status, code, text = refused(aws.invoke, FunctionName="f", InvocationType="Event", Payload=json.dumps("y" * 4999))
    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert text == "5001 byte payload is too large for the Event invocation type (limit 5000 bytes)"
    assert refused(aws.invoke, FunctionName="f", Payload=b"{no")[:2] == (400, "InvalidRequestContentException")


def test_more_than_the_account_may_run_are_throttled(aws: Any, emulator: Emulated) -> None:
    create(aws, Timeout=20)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        held = [pool.submit(aws.invoke, FunctionName="f", Payload=b'{"sleep": 2}') for _ in range(3)]
        end = time.monotonic() + 20
        while emulator.platforms["aws"].in_flight("000000000000/us-east-1") < 3 and time.monotonic() < end:
            threading.Event().wait(0.005)
        response = send(emulator, "POST", f"{FUNCTIONS}/f/invocations", b"{}")
        assert [one.result()["StatusCode"] for one in held] == [200] * 3
    assert (response.status_code, response.headers["x-amzn-ErrorType"]) == (429, "TooManyRequestsException")
    assert response.headers["Retry-After"] == "1"
    assert response.json() == {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."}


def test_the_control_plane_has_a_rate(tmp_path: Path) -> None:
    with emulated(tmp_path / "e", limits={"aws": replace(AwsLimits(), control_per_second=2)}) as slow:
        answers = [send(slow, "GET", FUNCTIONS) for _ in range(6)]
    assert [one.status_code for one in answers[:2]] == [200, 200]
    assert 429 in {one.status_code for one in answers[2:]}
    throttled = next(one for one in answers if one.status_code == 429)
    assert throttled.json() == {"Reason": "CallerRateLimitExceeded", "Type": "User", "message": "Rate exceeded"}


# --- what is refused ---------------------------------------------------------------------------------------------
ROLE = "The role defined for the function cannot be assumed by Lambda."
INVALID, VIOLATED = "InvalidParameterValueException", "ValidationException"


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({"Role": "arn:aws:iam::1:user/x"}, INVALID, ROLE),
        ({"Runtime": "nodejs22.x"}, INVALID, "Value nodejs22.x at 'runtime' failed to satisfy constraint"),
        ({"Code": {"S3Bucket": "bucket", "S3Key": "key"}}, INVALID, "S3 Error Code: NoSuchBucket"),
        ({"Code": {"ImageUri": "image"}, "PackageType": "Image"}, INVALID, "PackageType Zip only"),
        ({"Code": {"ZipFile": b"no zip"}}, INVALID, "Could not unzip uploaded file."),
        ({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:a:1"]}, INVALID, "layer:a:1 does not exist"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, INVALID, "Reserved keys used in this request: AWS_REGION"),
        ({"Environment": {"Variables": {"BIG": "secret" * 1000}}}, INVALID, "exceeded the 4KB limit."),
        ({"MemorySize": 10_241}, VIOLATED, "'memorySize' failed to satisfy constraint: Member must have value less than"),
        ({"MemorySize": 127}, VIOLATED, "Member must have value greater than or equal to 128"),
        ({"Timeout": 901}, VIOLATED, "Member must have value less than or equal to 900"),
        ({"Tags": {"aws:x": "y"}}, INVALID, "aws: prefixed tag key names are not allowed for external use."),
    ],
)
def test_a_function_that_lambda_would_not_take(emulator: Emulated, wrong: dict[str, Any], code: str, message: str) -> None:
    lenient = Config(parameter_validation=False)
    env = emulator.environ
    keys = {"aws_access_key_id": env["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": env["AWS_SECRET_ACCESS_KEY"]}
    aws = boto3.client("lambda", endpoint_url=emulator.base_url, region_name="us-east-1", config=lenient, **keys)
    status, found, text = refused(create, aws, **wrong)
    assert (status, found) == (400, code)
    assert message in text
    assert "secret" not in text


def test_sizes_of_the_code(tmp_path: Path) -> None:
    small = replace(AwsLimits(), max_zip=2_000, max_unzipped=50_000)
    with emulated(tmp_path / "e", limits={"aws": small}) as running:
        aws = client(running)
        bomb = make_zip({"lambda_function.py": SOURCE, "zeros": b"\0" * 60_000})
        status, code, text = refused(create, aws, Code={"ZipFile": bomb})
        assert (status, code, text) == (400, INVALID, "Unzipped size must be smaller than 50000 bytes")
        assert refused(create, aws, Code={"ZipFile": b"PK" * 1001})[:2] == (413, "RequestEntityTooLargeException")
        status, code, text = refused(create, aws, Code={"ZipFile": b"PK" * 200_000})
        assert (status, code) == (413, "RequestEntityTooLargeException")
        assert text == "Request must be smaller than 264811 bytes for the CreateFunction operation"


def test_the_same_name_twice(aws: Any) -> None:
    create(aws)
    assert refused(create, aws) == (409, "ResourceConflictException", "Function already exist: f")


def test_bodies_and_headers_of_errors(emulator: Emulated) -> None:
    missing = send(emulator, "GET", f"{FUNCTIONS}/none")
    assert missing.status_code == 404
    assert missing.headers["x-amzn-ErrorType"] == "ResourceNotFoundException"
    assert missing.headers["Content-Type"] == "application/json"
    assert missing.json() == {"Type": "User", "Message": f"Function not found: {ARN[:-1]}none"}
    wrong = send(emulator, "POST", FUNCTIONS, b"{no", Content_Type="application/json")
    assert (wrong.status_code, wrong.headers["x-amzn-ErrorType"]) == (400, "SerializationException")
    unknown = send(emulator, "GET", "/2015-03-31/event-source-mappings")
    assert (unknown.status_code, unknown.headers["x-amzn-ErrorType"]) == (404, "UnknownOperationException")
    assert re.fullmatch(r"[0-9a-f-]{36}", unknown.headers["x-amzn-RequestId"])


# --- signatures --------------------------------------------------------------------------------------------------
def test_wrong_keys_and_regions(emulator: Emulated) -> None:
    other = client(emulator, aws_access_key_id="AKIAAAAAAAAAAAAAAAAA")
    text = "The security token included in the request is invalid."
    assert refused(other.list_functions) == (403, "UnrecognizedClientException", text)
    session = client(emulator, aws_session_token="token")
    assert refused(session.list_functions)[:2] == (403, "UnrecognizedClientException")
    status, code, text = refused(client(emulator, aws_secret_access_key="0" * 40).list_functions)
    assert (status, code) == (403, "InvalidSignatureException")
    assert text.startswith("The request signature we calculated does not match the signature you provided.")
    status, code, text = refused(client(emulator, region_name="eu-west-1").list_functions)
    assert (status, code) == (403, "InvalidSignatureException")
    assert text.startswith("Credential should be scoped to a valid region, not 'eu-west-1'.")
    response = send(emulator, "GET", FUNCTIONS, service="s3")
    assert (response.status_code, response.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
    assert response.json() == {"message": "Credential should be scoped to correct service: 'lambda'. "}


def test_no_signature_and_half_of_one(emulator: Emulated) -> None:
    url = emulator.base_url + FUNCTIONS
    bare = requests.get(url, timeout=10)
    assert (bare.status_code, bare.headers["x-amzn-ErrorType"]) == (403, "MissingAuthenticationTokenException")
    assert bare.json() == {"message": "Missing Authentication Token"}
    headers = {"Authorization": "AWS4-HMAC-SHA256 Signature=0", "X-Amz-Date": "20260101T000000Z"}
    half = requests.get(url, headers=headers, timeout=10)
    assert (half.status_code, half.headers["x-amzn-ErrorType"]) == (400, "IncompleteSignatureException")


@pytest.mark.parametrize(("hours", "text"), [(-1, "Signature expired: "), (1, "Signature not yet current: ")])
def test_old_and_early_signatures(emulator: Emulated, hours: int, text: str) -> None:
    keys, url = emulator.credentials, emulator.base_url + FUNCTIONS
    signer = SigV4Auth(Credentials(keys.aws_access_key_id, keys.aws_secret_access_key), "lambda", "us-east-1")
    stamp = (datetime.now(timezone.utc) + timedelta(hours=hours)).strftime("%Y%m%dT%H%M%SZ")
    request = AWSRequest("GET", url, headers={"X-Amz-Date": stamp})
    request.context["timestamp"] = stamp
    signed = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    value = f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders=host;x-amz-date, Signature={signed}"
    response = requests.get(url, headers={"X-Amz-Date": stamp, "Authorization": value}, timeout=10)
    assert (response.status_code, response.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
    assert response.json()["message"].startswith(text + stamp)


def test_a_changed_body_is_noticed(emulator: Emulated, aws: Any) -> None:
    create(aws)
    keys, url = emulator.credentials, f"{emulator.base_url}{FUNCTIONS}/f/invocations"
    request = AWSRequest("POST", url, data=b'{"a": 1}')
    SigV4Auth(Credentials(keys.aws_access_key_id, keys.aws_secret_access_key), "lambda", "us-east-1").add_auth(request)
    assert requests.post(url, data=b'{"a": 1}', headers=dict(request.headers), timeout=10).status_code == 200
    changed = requests.post(url, data=b'{"a": 2}', headers=dict(request.headers), timeout=10)
    assert (changed.status_code, changed.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
