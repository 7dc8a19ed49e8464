"""Lambda's contract for Python: `handler(event, context)` of a module of the zip, in the worker itself.

    event's JSON -> handler(event, context) -> its answer as JSON
                    raises -> {"errorMessage", "errorType", "requestId", "stackTrace"}, kind "handler"

The request id is the activation's id, written as a UUID. Sources: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html,
python-exceptions.html, and the payloads of https://github.com/aws/aws-lambda-python-runtime-interface-client.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
import uuid
from decimal import Decimal
from typing import Any

import fedkeeper_runner
from fedkeeper_runner import Answer, InitError, describe, done, failed, load

os.environ["LAMBDA_TASK_ROOT"] = fedkeeper_runner.FOLDER


class Context:
    """What the handler learns of its invocation."""

    identity = None
    client_context = None

    def __init__(self, params: dict[str, Any]) -> None:
        region, account = _place(params["scope"])
        self.aws_request_id = str(uuid.UUID(os.environ["FEDKEEPER_ACTIVATION_ID"]))
        self.function_name = params["name"]
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = str(params["memory_mb"])
        self.invoked_function_arn = f"arn:aws:lambda:{region}:{account}:function:{self.function_name}"
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{os.getpid():032x}"
        self._deadline = time.monotonic() + params["timeout_s"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def run(params: dict[str, Any], request: bytes) -> Answer:
    module, _, function = params["entry"].rpartition(".")
    context = Context(params)
    try:
        handler = load(f"{module.replace('.', '/')}.py", module.replace("/", "."), function)
    except InitError as exc:
        text = f"Unable to import module '{module}': {exc}"
        return failed("init", text, _error(context, "Runtime.ImportModuleError", text, []))
    try:
        result = handler(json.loads(request or b"{}"), context)
    except SystemExit as exc:
        return failed(
            "crash", f"Runtime exited (sys.exit({exc.code!r}))", _error(context, "Runtime.ExitError", "Runtime exited", None)
        )
    except Exception as exc:
        return failed("handler", describe(exc), _raised(context, exc))
    return _answered(context, result)


def _answered(context: Context, result: Any) -> Answer:
    try:
        return done(json.dumps(result, ensure_ascii=False, default=_decimal).encode())
    except (TypeError, ValueError) as exc:
        text = f"Unable to marshal response: {exc}"
        return failed("handler", f"Runtime.MarshalError: {text}", _error(context, "Runtime.MarshalError", text, []))


def _raised(context: Context, exc: Exception) -> bytes:
    frames = traceback.extract_tb(exc.__traceback__)[1:]  # without our own
    stack = traceback.format_list(frames)
    print(f"[ERROR] {type(exc).__name__}: {exc}\nTraceback (most recent call last):\n{''.join(stack)}", file=sys.stderr)  # noqa: T201
    return _error(context, type(exc).__name__, str(exc), stack)


def _error(context: Context, kind: str, message: str, stack: list[str] | None) -> bytes:
    error: dict[str, Any] = {"errorMessage": message, "errorType": kind, "requestId": context.aws_request_id}
    if stack is not None:
        error["stackTrace"] = stack
    return json.dumps(error).encode()


def _decimal(value: Any) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _place(scope: str) -> tuple[str, str]:
    account, _, region = scope.rpartition("/")
    return region, account
