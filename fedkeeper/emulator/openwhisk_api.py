"""OpenWhisk's REST API, the part that deals with actions and activations: https://github.com/apache/openwhisk/blob/master/docs/rest_api.md

    /api/v1                                            what this is (no key needed), /ping
    /api/v1/namespaces                                 the key's namespaces
    /api/v1/namespaces/{ns}/limits                     the namespace's limits
    /api/v1/namespaces/{ns}/actions[/{name}]           openwhisk_actions; POST invokes
    /api/v1/namespaces/{ns}/activations[/{id}[/...]]   openwhisk_activations

Packages, triggers and rules are not part of it: there are none, and asking for one says so.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fedkeeper.emulator import openwhisk_actions as actions
from fedkeeper.emulator import openwhisk_activations as activations
from fedkeeper.emulator import openwhisk_wire as wire
from fedkeeper.emulator.core import Api, Outcome
from fedkeeper.emulator.openwhisk_limits import Throttle, checked_payload, limits_of
from fedkeeper.emulator.openwhisk_wire import METHODS, Call, Handler, Reject, guard
from fedkeeper.version import __version__

BASE = "/api/v1"
_HTTP = {activations.SUCCESS: 200, activations.APPLICATION: 502, activations.DEVELOPER: 502, activations.WHISK: 500}


def routes(api: Api) -> list[Route]:
    throttle = Throttle()

    async def invoke(call: Call) -> Response:
        return await _invoke(call, throttle)

    namespace = BASE + "/namespaces/{namespace}"
    table: dict[str, dict[str, Handler]] = {
        BASE + "/namespaces": {"GET": _namespaces},
        namespace + "/limits": {"GET": limits_of},
        namespace + "/actions": {"GET": actions.listed},
        namespace + "/actions/{name}": {"GET": actions.get, "PUT": actions.put, "POST": invoke, "DELETE": actions.delete},
        namespace + "/actions/{package}/{name}": dict.fromkeys(("GET", "PUT", "POST", "DELETE"), _packaged),
        namespace + "/activations": {"GET": activations.listed},
        namespace + "/activations/{id}": {"GET": activations.get},
        namespace + "/activations/{id}/result": {"GET": activations.result},
        namespace + "/activations/{id}/logs": {"GET": activations.logs},
        **{namespace + f"/{collection}": {"GET": _none} for collection in ("packages", "triggers", "rules")},
        BASE + "/{rest:path}": dict.fromkeys(METHODS, _unknown),
    }
    open_routes = [Route("/ping", _ping), Route(BASE, _info), Route(BASE + "/", _info)]
    return [*open_routes, *(Route(path, guard(api, handlers), methods=METHODS) for path, handlers in table.items())]


async def _invoke(call: Call, throttle: Throttle) -> Response:
    """The throttles come first, as in the controller: a refused request counts too."""
    name = call.action
    throttle.check(call.api, call.namespace)
    checked_payload(call, int(call.request.headers.get("Content-Length") or 0))
    payload = await wire.json_object(call.request)
    stored = actions.found(call)
    own = actions.bound(stored.meta)
    if actions.is_final(stored.meta) and any(own.get(key) not in (None, "") for key in payload):
        raise Reject(400, "Request defines parameters that are not allowed (e.g., reserved properties).")
    blocking, wait_s = wire.flag(call.request, "blocking", False), _wait_s(call)
    arguments = json.dumps({**own, **payload}).encode()
    activation_id = call.api.platform.start(call.namespace, name, arguments)
    outcome = await call.api.platform.finished(activation_id, wait_s) if blocking else None
    return _started(activation_id) if outcome is None else _ended(call, outcome)


def _started(activation_id: str) -> Response:
    return wire.answer({"activationId": activation_id}, 202, {"X-OpenWhisk-Activation-Id": activation_id})


def _ended(call: Call, outcome: Outcome) -> Response:
    end = activations.ending(call, outcome)
    result_only = wire.flag(call.request, "result", False)
    body = end.result if result_only else activations.record(call, outcome)
    return wire.answer(body, _HTTP[end.code], {"X-OpenWhisk-Activation-Id": outcome.id})


def _wait_s(call: Call) -> float:
    limits: Any = call.api.limits
    text = call.request.query_params.get("timeout")
    if text is None:
        return float(limits.blocking_wait_s)
    most = int(limits.blocking_wait_s * 1000)
    if not text.isdigit() or not 0 < int(text) <= most:
        raise Reject(400, f"The query parameter 'timeout' was malformed:\nTimeout must be number of milliseconds up to {most}.")
    return int(text) / 1000


async def _namespaces(call: Call) -> Response:
    return wire.answer([call.namespace])


async def _none(_call: Call) -> Response:
    return wire.answer([])


async def _packaged(call: Call) -> Response:
    """There is no package: reading and invoking is unauthorized, changing finds nothing (Actions.scala, innerRoutes)."""
    if call.request.method in ("GET", "POST"):
        raise wire.forbidden(f"{call.namespace}/{call.path('package')}/{call.path('name')}")
    raise wire.not_found()


async def _unknown(_call: Call) -> Response:
    raise wire.not_found()


async def _info(_request: Request) -> Response:
    return wire.answer(
        {
            "description": "OpenWhisk API",
            "api_version": "1.0.0",
            "api_version_path": "v1",
            "build": __version__,
            "buildno": f"FedKeeper emulator {__version__}",
        }
    )


async def _ping(_request: Request) -> Response:
    return PlainTextResponse("pong")
