"""Lambda's JSON on the wire: errors by the code in a header, request ids, times, ARNs. Pure.

    Refused("ResourceNotFoundException", "...") -> 404, x-amzn-ErrorType: ResourceNotFoundException, {"Type": "User", "Message": "..."}

Codes, statuses and the spelling of `message`: botocore's service model `lambda` (2015-03-31); those of the signature come from the
services' common front: https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from starlette.responses import Response

STATUS = {
    "AccessDeniedException": 403,
    "IncompleteSignatureException": 400,
    "InvalidParameterValueException": 400,
    "InvalidRequestContentException": 400,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "PreconditionFailedException": 412,
    "RequestEntityTooLargeException": 413,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "SerializationException": 400,
    "ServiceException": 500,
    "TooManyRequestsException": 429,
    "UnknownOperationException": 404,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}
_FRONT = (
    "AccessDeniedException IncompleteSignatureException InvalidSignatureException MissingAuthenticationTokenException "
    "SerializationException UnknownOperationException UnrecognizedClientException ValidationException"
)
FRONT = frozenset(_FRONT.split())
"""Made before the request reaches Lambda itself: a body of the message alone."""
CAPITAL = ("ResourceNotFoundException", "ServiceException")
"""Their message is spelt `Message`."""
NAME = re.compile(r"[a-zA-Z0-9-_]+")
MAX_NAME = 64
PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)"
    r"(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)
LATEST = "$LATEST"


class Refused(Exception):
    """A request that Lambda would refuse."""

    def __init__(self, code: str, message: str, *, reason: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.reason, self.retry_after_s = code, message, reason, retry_after_s

    def response(self) -> Response:
        body: dict[str, Any] = {"Message" if self.code in CAPITAL else "message": self.message}
        if self.code not in FRONT:
            body["Type"] = "Service" if self.code == "ServiceException" else "User"
        if self.reason:
            body["Reason"] = self.reason
        headers = {"x-amzn-ErrorType": self.code}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        return answer(body, STATUS[self.code], headers)


def answer(document: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`None`: no body."""
    content = b"" if document is None else json.dumps(document).encode()
    return raw(content, status, headers or {})


def raw(content: bytes, status: int, headers: Mapping[str, str]) -> Response:
    known = {"x-amzn-RequestId": str(uuid.uuid4()), **headers}
    return Response(content, status, known, media_type="application/json" if status != 204 else None)


def invalid(message: str) -> Refused:
    return Refused("InvalidParameterValueException", message)


def violated(value: Any, member: str, constraint: str) -> Refused:
    """A value outside of what the service model says."""
    shown = "null" if value is None else f"'{value}'"
    text = f"1 validation error detected: Value {shown} at '{member}' failed to satisfy constraint: {constraint}"
    return Refused("ValidationException", text)


def document_of(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body) if body.strip() else {}
    except ValueError as exc:
        raise Refused("SerializationException", "Unexpected token: the body is no JSON document") from exc
    if not isinstance(found, dict):
        raise Refused("SerializationException", "Start of structure or map found where not expected.")
    return found


def function_arn(account: str, region: str, name: str) -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def modified(at: float) -> str:
    """2026-01-31T12:00:00.000+0000"""
    moment = datetime.fromtimestamp(at, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def named(given: str, qualifier: str | None, account: str, region: str) -> str:
    """The function's own name out of a name, a partial or a whole ARN. ResourceNotFoundException for any version but the latest."""
    text = given.removeprefix("arn:aws:lambda:") if given.startswith("arn:aws:lambda:") else given
    match = re.fullmatch(
        r"(?:(?P<region>[a-z]{2}(?:-gov)?-[a-z]+-\d):)?(?:(?P<account>\d{12}):)?(?:function:)?"
        r"(?P<name>[a-zA-Z0-9-_]+)(?::(?P<version>\$LATEST|[a-zA-Z0-9-_]+))?",
        text,
    )
    if match is None:
        raise violated(given, "functionName", f"Member must satisfy regular expression pattern: {PATTERN}")
    if len(match["name"]) > MAX_NAME:
        raise violated(match["name"], "functionName", f"Member must have length less than or equal to {MAX_NAME}")
    if match["region"] and match["region"] != region:
        text = f"Functions from '{match['region']}' are not reachable in this region ('{region}')"
        raise Refused("ResourceNotFoundException", text)
    if match["account"] and match["account"] != account:
        raise Refused("AccessDeniedException", f"You are not authorized to reach the functions of account {match['account']}")
    version = qualifier or match["version"] or LATEST
    if version != LATEST:
        raise missing(account, region, f"{match['name']}:{version}")
    return match["name"]


def missing(account: str, region: str, name: str) -> Refused:
    return Refused("ResourceNotFoundException", f"Function not found: {function_arn(account, region, name)}")
