"""Lambda's Invoke.

    RequestResponse -> 200, the answer; X-Amz-Function-Error when the function failed, X-Amz-Log-Result when asked for
    Event -> 202 at once            DryRun -> 204

An Event that fails is not tried again, as with MaximumRetryAttempts 0, and goes to no destination.
"""

from __future__ import annotations

import base64
import json
import uuid
from datetime import datetime, timezone
from math import ceil
from typing import Any

from starlette.responses import Response

from fedkeeper.emulator import aws_wire as wire
from fedkeeper.emulator.aws_desk import Call, Desk
from fedkeeper.emulator.aws_quota import throttled
from fedkeeper.emulator.aws_wire import LATEST, Refused, violated
from fedkeeper.emulator.core import Outcome, Stored
from fedkeeper.emulator.stored import MEMORY, TIMEOUT, TOO_LARGE
from fedkeeper.errors import FedKeeperError, FunctionNotFound
from fedkeeper.states import ActivationState

TYPES = ("RequestResponse", "Event", "DryRun")


async def invoke(desk: Desk, call: Call) -> Response:
    name, headers = desk.name(call), call.request.headers
    kind = headers.get("x-amz-invocation-type") or "RequestResponse"
    if kind not in TYPES:
        raise violated(kind, "invocationType", f"Member must satisfy enum value set: [{', '.join(TYPES)}]")
    stored = await desk.found(name)
    _checked(desk, kind, call.body)
    if kind == "DryRun":
        return wire.answer(status=204, headers={"X-Amz-Executed-Version": LATEST})
    if kind == "RequestResponse" or stored.meta["concurrency"] == 0:
        _room(desk, stored)
    activation = _start(desk, name, call.body)
    if kind == "Event":
        return wire.raw(b"", 202, {"x-amzn-RequestId": _request_id(activation)})
    outcome = await desk.platform.finished(activation)
    if outcome is None:
        raise Refused("ServiceException", "The activation was lost.")
    return _ended(desk, stored, outcome, (headers.get("x-amz-log-type") or "None") == "Tail")


def _start(desk: Desk, name: str, event: bytes) -> str:
    try:
        return desk.platform.start(desk.scope, name, event or b"{}")
    except FunctionNotFound as exc:
        raise desk.missing(name) from exc
    except FedKeeperError as exc:
        raise Refused("ServiceException", f"The function cannot be run: {exc}") from exc


def _checked(desk: Desk, kind: str, event: bytes) -> None:
    if kind == "Event" and len(event) > desk.limits.max_async_request:
        limit = f"(limit {desk.limits.max_async_request} bytes)"
        text = f"{len(event)} byte payload is too large for the Event invocation type {limit}"
        raise Refused("RequestEntityTooLargeException", text)
    if not event:
        return
    try:
        json.loads(event)
    except (ValueError, RecursionError) as exc:
        text = f"Could not parse request body into json: Could not parse payload into json: {exc}"
        raise Refused("InvalidRequestContentException", text) from exc


def _room(desk: Desk, stored: Stored) -> None:
    """Events wait for room in Lambda's own queue; only those of a function that reserves none are refused."""
    reserved = stored.meta["concurrency"]
    if reserved is not None and _running(desk, stored.name) >= reserved:
        raise throttled("Rate Exceeded.", "ReservedFunctionConcurrentInvocationLimitExceeded")
    if desk.platform.in_flight(desk.scope) >= desk.limits.max_concurrency:
        raise throttled("Rate Exceeded.", "ConcurrentInvocationLimitExceeded")


def _running(desk: Desk, name: str) -> int:
    return sum(outcome.state is ActivationState.ACCEPTED for outcome in desk.platform.outcomes(desk.scope, name))


def _ended(desk: Desk, stored: Stored, outcome: Outcome, tail: bool) -> Response:
    headers = {"x-amzn-RequestId": _request_id(outcome.id), "X-Amz-Executed-Version": LATEST}
    config = stored.meta["config"]
    if tail:
        log = _log(outcome, config).encode()[-desk.limits.log_tail :]
        headers["X-Amz-Log-Result"] = base64.b64encode(log).decode()
    if outcome.error_kind is None:
        return wire.raw(outcome.answer, 200, headers)
    headers["X-Amz-Function-Error"] = "Unhandled"
    content = outcome.answer or json.dumps(_error(outcome, config, desk.limits.max_response)).encode()
    return wire.raw(content, 200, headers)


def _error(outcome: Outcome, config: dict[str, Any], max_response: int) -> dict[str, str]:
    """What Lambda itself says of an end that the runtime could not report."""
    start = f"RequestId: {_request_id(outcome.id)} Error:"
    if outcome.error_kind == TIMEOUT:
        text = f"{start} Task timed out after {config['Timeout']:.2f} seconds"
        return {"errorType": "Sandbox.Timedout", "errorMessage": text}
    if outcome.error_kind == TOO_LARGE:
        text = f"Response payload size exceeded maximum allowed payload size ({max_response} bytes)."
        return {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": text}
    if outcome.error_kind == MEMORY:
        return {"errorType": "Runtime.OutOfMemory", "errorMessage": f"{start} Runtime exited with error: signal: killed"}
    return {"errorType": "Runtime.ExitError", "errorMessage": f"{start} Runtime exited with error: {outcome.error}"}


def _log(outcome: Outcome, config: dict[str, Any]) -> str:
    request_id, logs = _request_id(outcome.id), outcome.logs
    duration = ((outcome.ended or 0.0) - (outcome.started or outcome.ended or 0.0)) * 1000
    lines = [f"START RequestId: {request_id} Version: {LATEST}\n", logs, "" if not logs or logs.endswith("\n") else "\n"]
    if outcome.error_kind == TIMEOUT:
        at = datetime.fromtimestamp(outcome.ended or 0.0, timezone.utc)
        stamp = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
        lines.append(f"{stamp} {request_id} Task timed out after {config['Timeout']:.2f} seconds\n\n")
    report = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration:.2f} ms",
        f"Billed Duration: {ceil(duration)} ms",
        f"Memory Size: {config['MemorySize']} MB",
        f"Max Memory Used: {ceil(outcome.max_memory_mb or 0)} MB",
        "\n",
    ]
    return "".join([*lines, f"END RequestId: {request_id}\n", "\t".join(report)])


def _request_id(activation: str) -> str:
    """The activation's id as the function sees it in its context."""
    return str(uuid.UUID(activation))
