"""Activations: how one ended as OpenWhisk's record, and the routes that read records.

    Outcome -> Ending(statusCode, result, timeout) -> record | summary | response        ActivationResult.scala, WhiskActivation.scala

There is no record of an activation that has not ended: GET says 404, the list leaves it out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from fedkeeper.emulator import openwhisk_wire as wire
from fedkeeper.emulator.core import Outcome
from fedkeeper.emulator.openwhisk_wire import Call, Reject
from fedkeeper.states import ActivationState

SUCCESS, APPLICATION, DEVELOPER, WHISK = range(4)
STATUS = ("success", "application error", "action developer error", "whisk internal error")
_ID = re.compile(r"[0-9a-f]{32}")
_SIZE = re.compile(r"of ([\d,]+) bytes")


@dataclass(frozen=True)
class Ending:
    code: int
    result: dict[str, Any]
    timeout: bool = False


async def get(call: Call) -> Response:
    return wire.answer(record(call, await _ended(call)))


async def result(call: Call) -> Response:
    outcome = await _ended(call)
    return wire.answer(response_of(ending(call, outcome), outcome))


async def logs(call: Call) -> Response:
    return wire.answer({"logs": log_lines(await _ended(call))})


async def listed(call: Call) -> Response:
    skip, limit = wire.page(call, "activations")
    count, docs = wire.flag(call.request, "count", False), wire.flag(call.request, "docs", False)
    if count and docs:
        raise Reject(400, "The parameter 'docs' is not permitted with 'count'.")
    matching = await run_in_threadpool(_matching, call)
    if count:
        return wire.answer({"activations": max(0, len(matching) - skip)})
    chosen = matching[skip : skip + limit]
    if docs:
        return wire.answer(await run_in_threadpool(_documents, call, chosen))
    return wire.answer([_summary(call, outcome) for outcome in chosen])


def record(call: Call, outcome: Outcome) -> dict[str, Any]:
    """The whole record of an activation that has ended."""
    end = ending(call, outcome)
    return {
        **_base(call, outcome, end),
        "subject": call.namespace,
        "logs": log_lines(outcome),
        "response": response_of(end, outcome),
    }


def response_of(end: Ending, outcome: Outcome) -> dict[str, Any]:
    size = len(outcome.answer) or len(json.dumps(end.result, separators=(",", ":")))
    return {"result": end.result, "size": size, "status": STATUS[end.code], "success": end.code == SUCCESS}


def ending(call: Call, outcome: Outcome) -> Ending:
    """What the invoker makes of the container's answer."""
    if outcome.error_kind in (None, "handler"):
        return _answered(outcome)
    if outcome.state is ActivationState.CANCELLED:
        return Ending(WHISK, {"error": "The action could not be run: the platform was stopped."})
    limits: Any = call.api.limits
    texts = {
        "timeout": f"The action exceeded its time limits of {_limits(call, outcome)['timeout']} milliseconds.",
        "memory": "The action exhausted its memory and was aborted.",
        "init": f"The action failed during initialization: {outcome.error}",
        "too_large": "The action produced a response that exceeded the allowed length: "
        f"{_size(outcome)} > {limits.max_response} bytes.",
    }
    said = _said(outcome) if outcome.error_kind in ("init", "crash") else None
    unexpected = "The action did not produce a valid response and exited unexpectedly."
    error = said or texts.get(str(outcome.error_kind), unexpected)
    return Ending(DEVELOPER, {"error": error}, outcome.error_kind == "timeout")


def log_lines(outcome: Outcome) -> list[str]:
    moment = datetime.fromtimestamp(outcome.ended or 0.0, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return [f"{moment} stdout: {line}" for line in outcome.logs.splitlines()]


def _answered(outcome: Outcome) -> Ending:
    text = outcome.answer.decode(errors="replace")
    try:
        parsed = json.loads(text) if text else {"error": outcome.error or "unknown"}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return Ending(DEVELOPER, {"error": f"The action did not produce a valid JSON response: {text[:200]}"})
    if "error" in parsed or outcome.error_kind == "handler":
        return Ending(APPLICATION, parsed if "error" in parsed else {"error": outcome.error})
    return Ending(SUCCESS, parsed)


def _said(outcome: Outcome) -> str | None:
    """What the container itself says of its failure."""
    try:
        return str(json.loads(outcome.answer)["error"])
    except (ValueError, KeyError, TypeError):
        return None


def _base(call: Call, outcome: Outcome, end: Ending) -> dict[str, Any]:
    started, ended = _times(outcome)
    meta = _meta(call, outcome)
    return {
        "namespace": call.namespace,
        "name": outcome.name,
        "version": meta.get("version", "0.0.1"),
        "publish": False,
        "activationId": outcome.id,
        "start": started,
        "end": ended,
        "duration": ended - started,
        "statusCode": end.code,
        "annotations": _annotations(call, outcome, end),
    }


def _summary(call: Call, outcome: Outcome) -> dict[str, Any]:
    return _base(call, outcome, ending(call, outcome))


def _annotations(call: Call, outcome: Outcome, end: Ending) -> list[dict[str, Any]]:
    notes: dict[str, Any] = {
        "path": f"{call.namespace}/{outcome.name}",
        "kind": _meta(call, outcome).get("exec", {}).get("kind", "unknown"),
        "timeout": end.timeout,
        "limits": _limits(call, outcome),
    }
    if outcome.cold_start:
        notes["initTime"] = 1  # its presence says "cold"; how long it took is not measured apart from the run
    return [{"key": key, "value": value} for key, value in notes.items()]


def _matching(call: Call) -> list[Outcome]:
    """The ended ones in the range asked for, the latest start first."""
    since, upto = wire.number(call.request, "since"), wire.number(call.request, "upto")
    name = call.request.query_params.get("name") or None
    if name is not None and name.count("/") > 1:
        raise Reject(400, f"Parameter may be a 'simple' name or 'package-name/simple' name: {name}")
    ended = (outcome for outcome in call.api.platform.outcomes(call.namespace, name) if outcome.state.ended)
    timed = [(_times(outcome)[0], outcome) for outcome in ended]
    chosen = [pair for pair in timed if (since is None or pair[0] >= since) and (upto is None or pair[0] <= upto)]
    return [outcome for _, outcome in sorted(chosen, key=lambda pair: -pair[0])]


def _documents(call: Call, outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """A list leaves large answers out: each is looked up for itself."""
    whole = (call.api.platform.outcome(outcome.id) or outcome for outcome in outcomes)
    return [record(call, outcome) for outcome in whole]


async def _ended(call: Call) -> Outcome:
    activation_id = call.path("id")
    if len(activation_id) != 32:
        raise Reject(400, f"Activation id length is {len(activation_id)} but must be 32.")
    if not _ID.fullmatch(activation_id):
        raise Reject(400, "The activation id is not valid.")
    outcome = call.api.platform.outcome(activation_id)
    if outcome is None or outcome.scope != call.namespace or not outcome.state.ended:
        raise wire.not_found()
    return outcome


def _meta(call: Call, outcome: Outcome) -> Mapping[str, Any]:
    """Of the action as it is now; it may be gone."""
    stored = call.api.platform.get(outcome.scope, outcome.name)
    return stored.meta if stored is not None else {}


def _limits(call: Call, outcome: Outcome) -> dict[str, int]:
    limits: Any = call.api.limits
    default = {"timeout": int(limits.default_timeout_s * 1000), "memory": limits.default_memory_mb, "logs": limits.default_log_mb}
    return dict(_meta(call, outcome).get("limits") or {**default, "concurrency": 1})


def _times(outcome: Outcome) -> tuple[int, int]:
    ended = outcome.ended or outcome.started or 0.0
    return int((outcome.started or ended) * 1000), int(ended * 1000)


def _size(outcome: Outcome) -> int:
    found = _SIZE.search(outcome.error or "")
    return int(found[1].replace(",", "")) if found else len(outcome.answer)
