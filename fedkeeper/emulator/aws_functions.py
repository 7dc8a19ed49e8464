"""Lambda's functions: create, get, list, update, delete.

    create -> Pending, Active from then on          update -> InProgress, Successful from then on

Deploying is over when the answer goes out, but clients must wait as they do for AWS: the answer says that it is under way.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

from starlette.responses import Response

from fedkeeper.emulator import aws_checks as checks
from fedkeeper.emulator import aws_wire as wire
from fedkeeper.emulator.aws_desk import Call, Desk, revision
from fedkeeper.emulator.aws_downloads import location
from fedkeeper.emulator.aws_wire import Refused, invalid
from fedkeeper.emulator.core import Stored
from fedkeeper.errors import FedKeeperError

STATES = ("State", "StateReason", "StateReasonCode", "LastUpdateStatus", "LastUpdateStatusReason", "LastUpdateStatusReasonCode")
"""What ListFunctions leaves out."""


async def create(desk: Desk, call: Call) -> Response:
    document = call.document()
    if document.get("FunctionName") is None:
        raise wire.violated(None, "functionName", "Member must not be null")
    name = wire.named(str(document["FunctionName"]), None, desk.account, desk.region)
    config = checks.created(document, desk.limits)
    package = checks.code_of(document.get("Code") or {}, desk.limits)
    lock = desk.lock(name)
    if lock.locked() or desk.platform.get(desk.scope, name) is not None:
        raise Refused("ResourceConflictException", f"Function already exist: {name}")
    async with lock:
        meta = {"config": config, "tags": checks.tags_of(document.get("Tags") or {}), "concurrency": None, "events": None}
        stored = await _put(desk, name, meta, package)
    reason = {"StateReason": "The function is being created.", "StateReasonCode": "Creating"}
    shown = {**desk.configuration(stored), "State": "Pending", **reason}
    del shown["LastUpdateStatus"]
    return wire.answer(shown, 201)


async def update_code(desk: Desk, call: Call) -> Response:
    name, document = desk.name(call), call.document()
    stored = await desk.found(name)
    if document.get("Publish"):
        raise invalid("This emulator keeps no versions but $LATEST: leave out Publish.")
    package = checks.code_of(document, desk.limits)
    if document.get("DryRun"):
        return wire.answer({**desk.configuration(stored), **checks.code_fields(package)})
    async with desk.vacant(name):
        stored = await _current(desk, name, document)
        return _updating(desk, await _put(desk, name, stored.meta, package))


async def update_configuration(desk: Desk, call: Call) -> Response:
    name, document = desk.name(call), call.document()
    await desk.found(name)
    async with desk.vacant(name):
        stored = await _current(desk, name, document)
        config = checks.changed(stored.meta["config"], document, desk.limits)
        return _updating(desk, await _put(desk, name, {**stored.meta, "config": config}, b""))


async def get(desk: Desk, call: Call) -> Response:
    stored = await desk.found(desk.name(call))
    address = location(desk.api, desk.account, stored.name)
    shown: dict[str, Any] = {
        "Configuration": desk.configuration(stored),
        "Code": {"RepositoryType": "S3", "Location": address},
    }
    if stored.meta["tags"]:
        shown["Tags"] = stored.meta["tags"]
    if stored.meta["concurrency"] is not None:
        shown["Concurrency"] = {"ReservedConcurrentExecutions": stored.meta["concurrency"]}
    return wire.answer(shown)


async def get_configuration(desk: Desk, call: Call) -> Response:
    return wire.answer(desk.configuration(await desk.found(desk.name(call))))


async def delete(desk: Desk, call: Call) -> Response:
    name = desk.name(call)
    async with desk.vacant(name):
        if not await asyncio.to_thread(desk.platform.delete, desk.scope, name):
            raise desk.missing(name)
    return wire.answer(status=204)


async def listed(desk: Desk, call: Call) -> Response:
    """A marker is the last name of the page before: functions that come and go meanwhile do no harm."""
    size, after = _size(desk, call.query("MaxItems")), _after(call.query("Marker"))
    every = call.query("FunctionVersion") == "ALL"
    stored = [one for one in await desk.all() if one.name > after]
    shown = [_short(desk, one, every) for one in stored[:size]]
    more = {"NextMarker": base64.urlsafe_b64encode(stored[size - 1].name.encode()).decode()} if len(stored) > size else {}
    return wire.answer({"Functions": shown, **more})


async def versions(desk: Desk, call: Call) -> Response:
    return wire.answer({"Versions": [_short(desk, await desk.found(desk.name(call)), True)]})


# --- inside ------------------------------------------------------------------------------------------------------
async def _put(desk: Desk, name: str, meta: dict[str, Any], package: bytes) -> Stored:
    code = checks.code_fields(package) if package else {}
    stamp = {"LastModified": wire.modified(desk.api.clock()), "RevisionId": revision()}
    config = {**meta["config"], **code, **stamp}
    variables = config.get("Environment", {}).get("Variables", {})

    def put() -> Stored:
        return desk.platform.put(
            desk.scope,
            name,
            {**meta, "config": config},
            package,
            memory_mb=config["MemorySize"],
            timeout_s=float(config["Timeout"]),
            environment=variables,
            entry=config["Handler"],
        )

    try:
        return await asyncio.to_thread(put)
    except FedKeeperError as exc:
        raise invalid(f"Could not unzip uploaded file. {exc}") from exc


async def _current(desk: Desk, name: str, document: dict[str, Any]) -> Stored:
    """The function as it is, when it is the one the caller has read."""
    stored = await desk.found(name)
    wanted = document.get("RevisionId")
    if wanted and wanted != stored.meta["config"]["RevisionId"]:
        text = "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
        raise Refused("PreconditionFailedException", f"The Revision Id provided does not match the latest Revision Id. {text}")
    return stored


def _updating(desk: Desk, stored: Stored) -> Response:
    reason = {"LastUpdateStatusReason": "The function is being created.", "LastUpdateStatusReasonCode": "Creating"}
    return wire.answer({**desk.configuration(stored), "LastUpdateStatus": "InProgress", **reason})


def _short(desk: Desk, stored: Stored, every: bool) -> dict[str, Any]:
    shown = {key: value for key, value in desk.configuration(stored).items() if key not in STATES}
    return {**shown, "FunctionArn": f"{shown['FunctionArn']}:{wire.LATEST}"} if every else shown


def _size(desk: Desk, text: str | None) -> int:
    if text is None:
        return desk.limits.page_size
    if not text.isdigit():
        raise Refused("SerializationException", f"{text!r} is no number")
    if not 1 <= int(text) <= desk.limits.max_page_size:
        least = int(text) < 1
        bound = f"greater than or equal to {1}" if least else f"less than or equal to {desk.limits.max_page_size}"
        raise wire.violated(text, "maxItems", f"Member must have value {bound}")
    return min(int(text), desk.limits.page_size)


def _after(marker: str | None) -> str:
    try:
        return base64.urlsafe_b64decode(marker or "").decode()
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise invalid("Invalid Marker") from exc
