"""An activation record -> how it ended. One table for the adapter and the caller.

    statusCode  response.status           state
    0           success                   SUCCEEDED   (only a receipt proves it)
    1           application error         FAILED      the handler raised: {"error": "ValueError: ..."}
    2           action developer error    TIMED_OUT   with the annotation timeout, else FAILED (no init, crash, memory, answer too large)
    3           whisk internal error      FAILED      the platform could not run it

Annotation initTime: the container was started for it (cold). No record: queued, running, or never heard of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from fedkeeper.errors import ActivationFailed, CorruptData, ProviderError
from fedkeeper.model import Json
from fedkeeper.providers.base import ActivationStatus, Reply
from fedkeeper.providers.envelope import unseal_json
from fedkeeper.providers.openwhisk.config import Config
from fedkeeper.providers.openwhisk.errors import brief, too_large
from fedkeeper.states import ActivationState

STATES: Mapping[str | int, ActivationState] = {
    0: ActivationState.SUCCEEDED,
    1: ActivationState.FAILED,
    2: ActivationState.FAILED,
    3: ActivationState.FAILED,
    "success": ActivationState.SUCCEEDED,
    "application error": ActivationState.FAILED,
    "action developer error": ActivationState.FAILED,
    "whisk internal error": ActivationState.FAILED,
}
_LATE = re.compile(r"exceeded its time limits? of \d+ milliseconds")
_TRUNCATED = re.compile(r"exceeded the allowed length: (\d+) > \d+ bytes")
_RESULT_KEPT = 64 * 1024


def status_of(record: Mapping[str, Json]) -> ActivationStatus:
    """From a whole record, or from a list's summary (which has no response: then neither error nor result)."""
    response = record.get("response") or {}
    annotations = _annotations(record)
    error = error_text(response)
    state = STATES.get(response.get("status") or record.get("statusCode") or 0, ActivationState.FAILED)
    if state is ActivationState.FAILED and (annotations.get("timeout") is True or _LATE.search(error or "")):
        state = ActivationState.TIMED_OUT
    return ActivationStatus(
        state=state,
        started=_seconds(record.get("start")),
        ended=_seconds(record.get("end")),
        cold_start="initTime" in annotations if annotations else None,
        error=error if state is not ActivationState.SUCCEEDED else None,
        result=_result(response) if state is ActivationState.SUCCEEDED else None,
    )


def reply_of(config: Config, function: str, record: Mapping[str, Json]) -> Reply:
    """The answer of a call that ended; a call that failed is an error."""
    status = status_of(record)
    activation_id = record.get("activationId")
    if status.state is not ActivationState.SUCCEEDED:
        raise _failure(config, function, status)
    result: Json = (record.get("response") or {}).get("result")
    if not is_envelope(result):
        return Reply(result, b"", activation_id)
    try:
        params, body = unseal_json(result)
    except CorruptData as exc:
        raise ActivationFailed(f"its answer cannot be read: {exc}", where=function) from exc
    return Reply(params, body, activation_id)


def is_envelope(value: Json) -> bool:
    """What `seal_json` makes, and nothing that a person would send."""
    return isinstance(value, dict) and "params" in value and value.keys() <= {"params", "body"}


def error_text(response: Mapping[str, Json]) -> str | None:
    """What a failed activation says, in one line."""
    result = response.get("result")
    error = result.get("error") if isinstance(result, dict) else None
    if error is None:
        return None if response.get("success", True) else str(response.get("status"))
    if isinstance(error, str):
        return brief(error)
    return brief(json.dumps(error))


def _failure(config: Config, function: str, status: ActivationStatus) -> ProviderError:
    error = status.error or "it failed, and the platform does not say why"
    if truncated := _TRUNCATED.search(error):
        failed = too_large(config, int(truncated[1]), "response")
        failed.where = function
        return failed
    return ActivationFailed(error, where=function)


def _annotations(record: Mapping[str, Json]) -> dict[str, Json]:
    listed = record.get("annotations") or []
    return {pair["key"]: pair.get("value") for pair in listed if isinstance(pair, dict) and "key" in pair}


def _result(response: Mapping[str, Json]) -> Json:
    """The handler's small result; the body of a relayed answer is nobody's business here."""
    result: Json = response.get("result")
    if response.get("size", 0) > _RESULT_KEPT:
        return None
    return result["params"] if is_envelope(result) else result


def _seconds(millis: Json) -> float | None:
    return millis / 1000 if isinstance(millis, int | float) and millis > 0 else None
