"""What a function has besides itself: tags, reserved concurrency, settings of asynchronous invocations; and the account's limits."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from fedkeeper.emulator import aws_wire as wire
from fedkeeper.emulator.aws_checks import tags_of
from fedkeeper.emulator.aws_desk import Call, Desk
from fedkeeper.emulator.aws_wire import Refused, invalid, violated

UNRESERVED = 100
"""What an account must leave to functions that reserve nothing."""
CODE_STORAGE = 75 << 30
RETRIES, AGE_S = (0, 2), (60, 21_600)


# --- tags --------------------------------------------------------------------------------------------------------
async def list_tags(desk: Desk, call: Call) -> Response:
    return wire.answer({"Tags": (await desk.found(_resource(desk, call))).meta["tags"]})


async def tag(desk: Desk, call: Call) -> Response:
    name = _resource(desk, call)
    added = tags_of(call.document().get("Tags") or {})
    await desk.amend(name, "tags", lambda tags: tags_of({**tags, **added}))
    return wire.answer(status=204)


async def untag(desk: Desk, call: Call) -> Response:
    name = _resource(desk, call)
    gone = call.request.query_params.getlist("tagKeys")
    if not gone:
        raise violated(None, "tagKeys", "Member must not be null")
    await desk.amend(name, "tags", lambda tags: {key: value for key, value in tags.items() if key not in gone})
    return wire.answer(status=204)


def _resource(desk: Desk, call: Call) -> str:
    arn = call.request.path_params["name"]
    if not arn.startswith("arn:aws:lambda:"):
        raise violated(arn, "resource", "Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*):lambda:...")
    return desk.name(call)


# --- concurrency -------------------------------------------------------------------------------------------------
async def put_concurrency(desk: Desk, call: Call) -> Response:
    name, wanted = desk.name(call), call.document().get("ReservedConcurrentExecutions")
    await desk.found(name)
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise violated(None, "reservedConcurrentExecutions", "Member must not be null")
    if wanted < 0:
        raise violated(wanted, "reservedConcurrentExecutions", "Member must have value greater than or equal to 0")
    others = sum(one.meta["concurrency"] or 0 for one in await desk.all() if one.name != name)
    least = min(UNRESERVED, desk.limits.max_concurrency)
    if wanted and desk.limits.max_concurrency - others - wanted < least:
        text = "decreases account's UnreservedConcurrentExecution below its minimum value of"
        raise invalid(f"Specified ReservedConcurrentExecutions for function {text} [{least}].")
    await desk.amend(name, "concurrency", lambda _: wanted)
    return wire.answer({"ReservedConcurrentExecutions": wanted})


async def get_concurrency(desk: Desk, call: Call) -> Response:
    reserved = (await desk.found(desk.name(call))).meta["concurrency"]
    return wire.answer({} if reserved is None else {"ReservedConcurrentExecutions": reserved})


async def delete_concurrency(desk: Desk, call: Call) -> Response:
    await desk.amend(desk.name(call), "concurrency", lambda _: None)
    return wire.answer(status=204)


# --- asynchronous invocations ------------------------------------------------------------------------------------
async def put_events(desk: Desk, call: Call) -> Response:
    """PUT replaces, POST changes."""
    name, document = desk.name(call), call.document()
    stored = await desk.found(name)
    before = stored.meta["events"] or {}
    if call.request.method == "POST" and not before:
        raise _no_events(desk, name)
    events: dict[str, Any] = dict(before) if call.request.method == "POST" else {"DestinationConfig": _nowhere()}
    for field, (least, most) in {"MaximumRetryAttempts": RETRIES, "MaximumEventAgeInSeconds": AGE_S}.items():
        if (value := document.get(field)) is not None:
            _within(value, field[0].lower() + field[1:], least, most)
            events[field] = value
    if document.get("DestinationConfig"):
        events["DestinationConfig"] = {**_nowhere(), **document["DestinationConfig"]}
    events["LastModified"] = int(desk.api.clock())
    await desk.amend(name, "events", lambda _: events)
    return wire.answer({"FunctionArn": f"{desk.arn(name)}:{wire.LATEST}", **events})


async def get_events(desk: Desk, call: Call) -> Response:
    name = desk.name(call)
    events = (await desk.found(name)).meta["events"]
    if events is None:
        raise _no_events(desk, name)
    return wire.answer({"FunctionArn": f"{desk.arn(name)}:{wire.LATEST}", **events})


async def delete_events(desk: Desk, call: Call) -> Response:
    name = desk.name(call)
    if (await desk.found(name)).meta["events"] is None:
        raise _no_events(desk, name)
    await desk.amend(name, "events", lambda _: None)
    return wire.answer(status=204)


def _nowhere() -> dict[str, Any]:
    return {"OnSuccess": {}, "OnFailure": {}}


def _no_events(desk: Desk, name: str) -> Refused:
    text = f"The function {desk.arn(name)}:{wire.LATEST} doesn't have an EventInvokeConfig"
    return Refused("ResourceNotFoundException", text)


def _within(value: Any, member: str, least: int, most: int) -> None:
    if not isinstance(value, int) or value < least:
        raise violated(value, member, f"Member must have value greater than or equal to {least}")
    if value > most:
        raise violated(value, member, f"Member must have value less than or equal to {most}")


# --- the account -------------------------------------------------------------------------------------------------
async def account(desk: Desk, _: Call) -> Response:
    functions, limits = await desk.all(), desk.limits
    reserved = sum(one.meta["concurrency"] or 0 for one in functions)
    limit = {
        "TotalCodeSize": CODE_STORAGE,
        "CodeSizeUnzipped": limits.max_unzipped,
        "CodeSizeZipped": limits.max_zip,
        "ConcurrentExecutions": limits.max_concurrency,
        "UnreservedConcurrentExecutions": limits.max_concurrency - reserved,
    }
    used = sum(one.meta["config"]["CodeSize"] for one in functions)
    return wire.answer({"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": used, "FunctionCount": len(functions)}})
