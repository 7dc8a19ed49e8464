"""One invocation on the wire, the same for the orchestrator's adapter and an invoker's caller.

encode(params, body) -> event's JSON --Invoke--> payload, function error, log tail --answered--> Reply | ActivationFailed
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedkeeper.errors import ActivationFailed, CorruptData, PayloadTooLarge, ProviderError
from fedkeeper.model import Json
from fedkeeper.providers.aws.client import Sessions
from fedkeeper.providers.aws.config import Config
from fedkeeper.providers.aws.errors import NoAnswer, border, brief, too_large
from fedkeeper.providers.aws.naming import platform_name
from fedkeeper.providers.base import Reply
from fedkeeper.providers.envelope import seal_json, unseal_json

SLACK_S = 5.0  # beyond the longest time a function may take
QUICK_S = 30.0  # to take an asynchronous invocation


@dataclass(frozen=True)
class Held:
    """What a synchronous invocation gave, whether the function failed or not."""

    request_id: str
    payload: bytes
    error: str | None  # "Handled" | "Unhandled"
    log: str


def encode(config: Config, function: str, params: Mapping[str, Json], body: bytes, *, held: bool) -> bytes:
    """Checked against the limit before a byte is sent."""
    setting = "max_request" if held else "max_async_request"
    limit = getattr(config, setting)
    if len(body) * 4 / 3 > limit:
        raise too_large(config, function, len(body) * 4 // 3, limit, setting)
    try:
        data = json.dumps(seal_json(dict(params), body), separators=(",", ":")).encode()
    except (TypeError, ValueError) as exc:
        raise ProviderError(f"the parameters of {function} are not JSON: {exc}") from exc
    if len(data) > limit:
        raise too_large(config, function, len(data), limit, setting)
    return data


def call(config: Config, sessions: Sessions, function: str, data: bytes, timeout_s: float | None) -> Held:
    """Wait for the answer."""
    patience = timeout_s if timeout_s is not None else config.max_timeout + SLACK_S
    try:
        with border(config, function):
            response = sessions.calling(patience).invoke(
                FunctionName=platform_name(function), InvocationType="RequestResponse", LogType="Tail", Payload=data
            )
            payload = response["Payload"].read()
    except NoAnswer:
        raise ActivationFailed(f"no answer within {patience:g} s", where=function) from None
    tail = base64.b64decode(response.get("LogResult", "")).decode(errors="replace")
    return Held(request_id(response), payload, response.get("FunctionError"), tail)


def answered(config: Config, function: str, held: Held) -> Reply:
    if held.error is not None:
        raise _failure(config, function, held.payload)
    try:
        answer = json.loads(held.payload or b"null")
        result, body = unseal_json(answer)
    except (ValueError, CorruptData) as exc:
        raise ActivationFailed(f"the answer is not FedKeeper's: {brief(str(exc))}", where=function) from exc
    return Reply(result, body, held.request_id)


def request_id(response: Mapping[str, Any]) -> str:
    return str(response["ResponseMetadata"].get("RequestId", ""))


def _failure(config: Config, function: str, payload: bytes) -> ProviderError:
    """{"errorMessage", "errorType", "stackTrace"} as the runtime writes it."""
    try:
        error = json.loads(payload)
        kind, message = str(error.get("errorType") or ""), str(error.get("errorMessage") or "")
    except (ValueError, AttributeError):
        kind, message = "", payload.decode(errors="replace")
    text = brief(f"{kind}: {message}" if kind else message)
    if kind == "Function.ResponseSizeTooLarge":
        limit = f"{config.max_response:,} bytes ({config.where}.max_response)"
        return PayloadTooLarge(f"the answer is over the limit of {limit}: {text}", where=function)
    return ActivationFailed(text, where=function, hint=_hint(kind, message))


def _hint(kind: str, message: str) -> str:
    if "timed out" in message:
        return "raise functions.<role>.timeout (Lambda's limit is 15 minutes)"
    if "signal: killed" in message or kind == "Runtime.OutOfMemory":
        return "raise functions.<role>.memory: the function was killed, most likely for want of it"
    if kind == "Runtime.ImportModuleError":
        return "the function's zip or image lacks a library: docs/aws.md, `Libraries`"
    return ""
