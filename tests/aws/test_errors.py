"""What Lambda refuses, over a real connection through boto3, and what our messages then say to do."""

from __future__ import annotations

import json
import socket
import time
import traceback

import pytest

from fedkeeper.errors import (
    AccessDenied,
    ActivationFailed,
    FunctionNotFound,
    PayloadTooLarge,
    ProviderError,
    Throttled,
    Unreachable,
)
from fedkeeper.providers.aws.caller import AwsCaller
from fedkeeper.providers.aws.control import Pace
from fedkeeper.testing.provider_contract import ECHO
from tests.aws.bench import KEYS, SETTINGS, make_spec, provider_at
from tests.aws.serving import Answer, Asked, refusal, serving

MISMATCH = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
CASES = [
    ("UnrecognizedClientException", 403, "The security token included in the request is invalid.", AccessDenied, "get-caller-identity"),
    ("ExpiredTokenException", 403, "The security token included in the request is expired", AccessDenied, "aws sso login"),
    ("InvalidSignatureException", 403, MISMATCH, AccessDenied, "secret key"),
    ("InvalidSignatureException", 403, "Signature expired: 20260101T000000Z is now earlier than ...", AccessDenied, "clock"),
    ("InvalidSignatureException", 403, "Credential should be scoped to a valid region. ", AccessDenied, "providers.aws.eu.region"),
    ("AccessDeniedException", 403, "User is not authorized to perform: lambda:InvokeFunction", AccessDenied, "operator-policy.json"),
    ("ResourceNotFoundException", 404, "Function not found: arn:...", FunctionNotFound, "fedkeeper deploy"),
    ("RequestEntityTooLargeException", 413, "Request must be smaller than 6291456 bytes", PayloadTooLarge, "providers.aws.eu.max_request"),
    ("RequestTooLargeException", 413, "payload is too large for the Event invocation type", PayloadTooLarge, "max_request"),
    ("ResourceConflictException", 409, "The function is currently in the following state: Pending", Throttled, "seconds"),
    ("ResourceConflictException", 409, "The revision id is another", ProviderError, "try again"),
    ("CodeStorageExceededException", 400, "Code storage limit exceeded.", ProviderError, "Service Quotas"),
    ("ServiceQuotaExceededException", 402, "over the quota", ProviderError, "Service Quotas"),
    (
        "InvalidParameterValueException", 400, "The role defined for the function cannot be assumed by Lambda.",
        ProviderError, "providers.aws.eu.role",
    ),
    ("InvalidParameterValueException", 400, "Unzipped size must be smaller than 262144000 bytes", PayloadTooLarge, "aws.image"),
    (
        "InvalidParameterValueException", 400, "decreases account's UnreservedConcurrentExecution below its minimum value of [100].",
        ProviderError, "reserved_concurrency",
    ),
    (
        "InvalidParameterValueException", 400, "'MemorySize' value failed to satisfy constraint: Member must have value <= 3008",
        ProviderError, "functions.<role>.memory",
    ),
    ("InvalidParameterValueException", 400, "Source image 1.dkr.ecr.x/y:z does not exist.", ProviderError, "ECR"),
    ("ServiceException", 500, "internal", Unreachable, "another try"),
    ("EFSMountFailureException", 403, "unusual", ProviderError, ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "status", "text", "kind", "hint"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_each_refusal_says_what_to_do(code: str, status: int, text: str, kind: type[ProviderError], hint: str) -> None:
    with serving(lambda asked: refusal(code, status, text)) as (url, asked):
        provider = provider_at(url)
        with pytest.raises(ProviderError) as caught:
            provider.call("demo-fl_client", {}, timeout_s=5)
        provider.close()
    assert type(caught.value) is kind
    assert hint in caught.value.hint
    assert len(asked) == 1, "an invocation is never repeated by the library"
    shown = "".join(traceback.format_exception(caught.value))
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in shown


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("ConcurrentInvocationLimitExceeded", "providers.aws.eu.max_concurrency"),
        ("ReservedFunctionConcurrentInvocationLimitExceeded", "reserved_concurrency"),
        ("CallerRateLimitExceeded", "15 calls per second"),
        ("", "Service Quotas"),
    ],
)
def test_throttling_names_the_limit(reason: str, hint: str) -> None:
    answer = refusal("TooManyRequestsException", 429, "Rate Exceeded.", Reason=reason, after="2")
    with serving(lambda asked: answer) as (url, _):
        provider = provider_at(url)
        with pytest.raises(Throttled) as caught:
            provider.invoke("f", {})
        provider.close()
    assert caught.value.retry_after == 2.0
    assert hint in caught.value.hint


def test_nobody_at_the_address(unused_port: int) -> None:
    provider = provider_at(f"http://127.0.0.1:{unused_port}")
    with pytest.raises(Unreachable, match="cannot be reached") as caught:
        provider.call("f", {}, timeout_s=5)
    assert "providers.aws.eu.region" in caught.value.hint


@pytest.mark.parametrize("status", [200, 404])
def test_another_service_at_the_address(status: int) -> None:
    with serving(lambda asked: Answer(status, b"<html>nginx</html>", {"Content-Type": "text/html"})) as (url, _):
        provider = provider_at(url)
        with pytest.raises(ProviderError, match="does not answer like Lambda") as caught:
            provider.functions("f")
        provider.close()
    assert "providers.aws.eu.endpoint" in caught.value.hint


def test_no_credentials_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with serving(lambda asked: Answer()) as (url, asked):
        with pytest.raises(AccessDenied, match=r"providers\.aws\.eu: no complete AWS credentials") as caught:
            provider_at(url, environ={}).invoke("f", {})
        assert not asked
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_an_unknown_profile() -> None:
    with pytest.raises(AccessDenied, match=r"providers\.aws\.eu\.profile"):
        provider_at("http://127.0.0.1:1", profile="nobody").functions("f")


def test_a_function_that_fails_says_how_in_one_line() -> None:
    error = {"errorMessage": "no data\nhere", "errorType": "ValueError", "stackTrace": ["..."]}
    headers = {"X-Amz-Function-Error": "Unhandled", "X-Amz-Log-Result": "bWFya2VyIDEK", "x-amzn-RequestId": "r-1"}
    with serving(lambda asked: Answer(200, json.dumps(error).encode(), headers)) as (url, _):
        provider = provider_at(url)
        with pytest.raises(ActivationFailed) as caught:
            provider.call("f", {}, timeout_s=5)
        provider.close()
    assert caught.value.message == "ValueError: no data here"
    assert provider.logs("r-1") == "marker 1\n"
    assert provider.logs("r-2") == ""


@pytest.mark.parametrize(
    ("kind", "text", "error", "said"),
    [
        (
            "Sandbox.Timedout",
            "RequestId: 1 Error: Task timed out after 3.00 seconds",
            ActivationFailed,
            "functions.<role>.timeout",
        ),
        ("Runtime.ExitError", "Runtime exited with error: signal: killed", ActivationFailed, "functions.<role>.memory"),
        ("Runtime.ImportModuleError", "No module named 'numpy'", ActivationFailed, "lacks a library"),
        ("Function.ResponseSizeTooLarge", "Response payload size exceeded", PayloadTooLarge, "providers.aws.eu.max_response"),
    ],
)
def test_a_platforms_own_verdict_names_the_setting(kind: str, text: str, error: type[ProviderError], said: str) -> None:
    body = json.dumps({"errorType": kind, "errorMessage": text}).encode()
    with serving(lambda asked: Answer(200, body, {"X-Amz-Function-Error": "Unhandled"})) as (url, _):
        provider = provider_at(url)
        with pytest.raises(error) as caught:
            provider.call("f", {}, timeout_s=5)
        provider.close()
    assert said in caught.value.hint + caught.value.message


def test_silence_is_a_failed_call_and_a_lost_platform() -> None:
    def slow(asked: Asked) -> Answer:
        time.sleep(1.2)
        return Answer()

    with serving(slow) as (url, asked):
        provider = provider_at(url)
        begun = time.monotonic()
        with pytest.raises(ActivationFailed, match=r"no answer within 0\.5 s"):
            provider.call("f", {}, timeout_s=0.5)
        assert time.monotonic() - begun < 1.1
        provider.close()
    assert len(asked) == 1


@pytest.mark.parametrize("held", [True, False])
def test_what_is_too_large_is_not_sent(held: bool) -> None:
    with serving(lambda asked: Answer()) as (url, asked):
        provider = provider_at(url, max_request=10_000, max_async_request=5_000)
        setting = "max_request" if held else "max_async_request"
        refused = pytest.raises(PayloadTooLarge, match=rf"providers\.aws\.eu\.{setting}")
        with refused:
            _ = provider.call("f", {}, bytes(7_600), timeout_s=5) if held else provider.invoke("f", {"text": "x" * 5_000})
        provider.close()
    assert asked == []


def test_what_is_not_json_is_our_callers_error() -> None:
    with pytest.raises(ProviderError, match="not JSON"):
        provider_at("http://127.0.0.1:1").invoke("f", {"x": b"bytes"})


def test_an_invokers_caller_waits_until_it_is_let_in() -> None:
    slept: list[float] = []
    answers = [refusal("TooManyRequestsException", 429, "Rate Exceeded.", after="1")] * 2 + [Answer(200, b'{"params": {"n": 1}}')]
    with serving(lambda asked: answers.pop(0)) as (url, _):
        caller = AwsCaller({**SETTINGS, "endpoint": url}, KEYS, sleep=slept.append)
        assert caller.call("f", {}, b"abc", 30).result == {"n": 1}
    assert slept == [1.0, 1.0]


def test_an_invokers_caller_gives_up_in_time() -> None:
    answer = refusal("TooManyRequestsException", 429, "Rate Exceeded.", after="60")
    with serving(lambda asked: answer) as (url, _):
        caller = AwsCaller({**SETTINGS, "endpoint": url}, KEYS, sleep=lambda _: pytest.fail("there is no time to wait"))
        with pytest.raises(Throttled):
            caller.call("f", {}, b"", 10)


def test_invocations_are_signed_and_asynchronous_ones_give_their_id() -> None:
    with serving(lambda asked: Answer(202, b"", {"x-amzn-RequestId": "r-7"})) as (url, asked):
        provider = provider_at(url)
        assert provider.invoke("a.b", {"k": 1}).activation_id == "r-7"
        assert provider.status(["r-7"]) == {}
        provider.close()
    assert asked[0].path.startswith("/2015-03-31/functions/a-b-")
    assert asked[0].headers["x-amz-invocation-type"] == "Event"
    assert "us-east-1/lambda/aws4_request" in asked[0].headers["authorization"]
    assert json.loads(asked[0].body) == {"params": {"k": 1}}


def test_pace_lets_so_many_start_in_a_second() -> None:
    now = 100.0
    slept: list[float] = []
    pace = Pace(10, clock=lambda: now, sleep=slept.append)
    for _ in range(4):
        pace.wait()
    assert slept == pytest.approx([0.1, 0.2, 0.3])


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def test_a_function_that_is_being_updated_is_waited_for() -> None:
    """Lambda refuses a second change while the first is under way."""
    busy = [refusal("ResourceConflictException", 409, "An update is in progress for resource: arn")] * 2
    ready = {
        "Configuration": {
            "FunctionArn": "arn:aws:lambda:us-east-1:0:function:f",
            "State": "Active",
            "LastUpdateStatus": "Successful",
        }
    }

    def script(asked: Asked) -> Answer:
        if asked.path.endswith("/code") and busy:
            return busy.pop()
        return Answer(200, json.dumps(ready).encode()) if asked.method == "GET" else Answer(200, b"{}")

    with serving(script) as (url, asked):
        provider = provider_at(url, control_per_second=1000)
        provider.update(*make_spec("f", ECHO))
        provider.close()
    changes = [f"{one.method} {one.path.rpartition('/')[2]}" for one in asked if one.method != "GET"]
    assert changes[:4] == ["PUT code", "PUT code", "PUT code", "PUT configuration"]
    assert changes[-1].startswith("POST arn"), "the digest comes last"


def test_a_function_that_lambda_cannot_make_ready_says_why() -> None:
    failed = {"Configuration": {"State": "Failed", "StateReason": "The image is gone", "LastUpdateStatus": "Successful"}}
    with serving(lambda asked: Answer(200 if asked.method == "GET" else 201, json.dumps(failed).encode())) as (url, _):
        provider = provider_at(url, control_per_second=1000)
        with pytest.raises(ProviderError, match="The image is gone"):
            provider.create(*make_spec("f", ECHO))
        provider.close()


def test_the_control_plane_is_asked_again_when_it_is_throttled() -> None:
    answers = [
        refusal("TooManyRequestsException", 429, "Rate exceeded", Reason="CallerRateLimitExceeded"),
        Answer(200, b'{"Functions": []}'),
    ]
    with serving(lambda asked: answers.pop(0)) as (url, asked):
        provider = provider_at(url)
        assert provider.functions("f") == {}
        provider.close()
    assert len(asked) == 2
