"""Starting an action and looking at what became of it: the part of the API that the adapter and the caller share.

    start -> Started(id, server time)                              POST actions/NAME?blocking=false       202
    record(id) -> the activation record, None while there is none  GET activations/ID                      200, 404
    wait(id) -> record                                             the same, again and again (0.05 s, doubling to 1 s)

A record appears when the activation has ended: 404 means queued, running or never heard of. Since nothing is invoked with
blocking=true, the controller's limit of 60 s for blocking calls (it then answers 202 after all) touches no call, however long.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fedkeeper.errors import ActivationFailed, FunctionNotFound, ProviderError
from fedkeeper.model import Json
from fedkeeper.providers.envelope import seal_json
from fedkeeper.providers.openwhisk.client import Client, segment
from fedkeeper.providers.openwhisk.errors import malformed, too_large
from fedkeeper.providers.openwhisk.naming import platform_name

FIRST_POLL_S, LAST_POLL_S = 0.05, 1.0
PAGE = 200  # the most that one list may return


@dataclass(frozen=True)
class Started:
    activation_id: str
    server_time: float | None


def payload(client: Client, function: str, params: Mapping[str, Json], body: bytes = b"") -> bytes:
    """The arguments of one activation, refused here when the installation would refuse them."""
    try:
        data = json.dumps(seal_json(dict(params), body), separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as exc:
        raise ProviderError(f"the parameters are not JSON: {exc}", where=function) from exc
    if len(data) > client.config.max_request:
        refused = too_large(client.config, len(data))
        refused.where = function
        raise refused
    return data


def start(client: Client, function: str, data: bytes) -> Started:
    path = f"actions/{segment(platform_name(function))}"
    answer = client.request("POST", path, place=function, query={"blocking": "false"}, body=data)
    activation_id = answer.data.get("activationId") if isinstance(answer.data, dict) else None
    if not isinstance(activation_id, str) or not activation_id:
        raise malformed(client.config, f"no activationId in {json.dumps(answer.data)[:200]}", function)
    return Started(activation_id, answer.server_time)


def record(client: Client, activation_id: str, place: str = "") -> dict[str, Json] | None:
    try:
        answer = client.request("GET", f"activations/{segment(activation_id)}", place=place)
    except FunctionNotFound:
        return None
    return checked(client, answer.data, place)


def since(client: Client, moment: float, skip: int = 0) -> list[dict[str, Json]]:
    """One page of summaries of activations that started at `moment` (the server's clock) or later, newest first."""
    query = {"since": int(moment * 1000), "limit": PAGE, "skip": skip}
    answer = client.request("GET", "activations", query=query)
    if not isinstance(answer.data, list):
        raise malformed(client.config, "the list of activations is none")
    return [checked(client, entry) for entry in answer.data]


def wait(
    client: Client, function: str, activation_id: str, until: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Json]:
    """The record of an activation, which must end before `until` (monotonic)."""
    delay = FIRST_POLL_S
    while (found := record(client, activation_id, function)) is None:
        left = until - time.monotonic()
        if left <= 0:
            raise ActivationFailed(f"no answer in time (activation {activation_id} may still run)", where=function)
        sleep(min(delay, max(left, 0.001)))
        delay = min(LAST_POLL_S, delay * 2)
    return found


def checked(client: Client, data: Json, place: str = "") -> dict[str, Json]:
    """An activation record, or a summary of one, as far as we rely on it."""
    if not isinstance(data, dict) or not isinstance(data.get("activationId"), str):
        raise malformed(client.config, f"no activation record: {json.dumps(data)[:200]}", place)
    if not isinstance(data.get("response", {}), dict) or not isinstance(data.get("annotations", []), list):
        raise malformed(client.config, "an activation record of another form", place)
    return data
