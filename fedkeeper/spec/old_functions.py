"""The functions of a 0.1 file: memory, time limits, images and concurrency, by role."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fedkeeper.model import Json
from fedkeeper.spec.old import Old

_LEARNING = ("scenarios", "federated_learning", "functions")
_ROLES = {
    "fl_client": (*_LEARNING, "fl_client"),
    "fl_server_init": (*_LEARNING, "fl_server_init"),
    "fl_server_aggregator": (*_LEARNING, "fl_server_aggregator"),
    "fl_invoker": (*_LEARNING, "fl_invoker_weights_update"),
    "nodeinfo": ("scenarios", "test", "functions", "nodeinfo"),
}
_PYTHON = re.compile(r"python3(1\d)")
_OLDEST = 10
"""3.10: what FedKeeper runs on."""


def read(old: Old) -> dict[str, dict[str, Json]]:
    """Role -> what version 1 says of it. An invoker lives as long as its client; the evaluator takes after the aggregator."""
    found = {role: _function(old, path) for role, path in _ROLES.items()}
    made = {role: function for role, function in found.items() if function}
    client = made.setdefault("fl_client", {})
    invoker = made.setdefault("fl_invoker", {})
    needed = max(client.get("timeout", 300), 300)
    if invoker.get("timeout", 0) < client.get("timeout", 300):
        if "timeout" in invoker:
            old.warn(_ROLES["fl_invoker"], f"its timeout becomes {needed} s: it waits for its client")
        invoker["timeout"] = needed
    aggregator = {key: value for key, value in made.get("fl_server_aggregator", {}).items() if key in ("memory", "timeout")}
    if aggregator:
        made["fl_evaluator"] = aggregator
        old.warn(_ROLES["fl_server_aggregator"], "evaluation is a function of its own now, fl_evaluator, with the same limits")
    return {role: function for role, function in made.items() if function}


def _function(old: Old, path: tuple[str, ...]) -> dict[str, Json]:
    openwhisk, google = (*path, "openwhisk"), (*path, "google")
    old.keys(*path)
    memory = {kind: old.megabytes((*where, "memory")) for kind, where in (("openwhisk", openwhisk), ("google", google))}
    timeout = {
        "openwhisk": old.seconds((*openwhisk, "timeout"), milliseconds=True),
        "google": old.seconds((*google, "timeout"), milliseconds=False),
    }
    made: dict[str, Json] = {}
    for key, values in (("memory", memory), ("timeout", timeout)):
        known = [value for value in values.values() if value is not None]
        if known:
            made[key] = max(known)
        if len(set(known)) > 1:
            old.warn((*path, "google", key), f"now {max(known)}, the larger one: limits are the same on every platform")
    if options := dict(_openwhisk_options(old, openwhisk)):
        made["openwhisk"] = options
    if options := dict(_google_options(old, google)):
        made["google"] = options
    return made


def _openwhisk_options(old: Old, path: tuple[str, ...]) -> Iterator[tuple[str, Json]]:
    image, runtime = old.text(*path, "docker_image"), old.text(*path, "runtime")
    if image:
        yield "image", image
        old.warn(
            (*path, "docker_image"),
            "kept; it must hold Python 3.10 or newer and what the task needs, which the images of 0.1 did not",
        )
    if runtime.startswith("python:"):
        yield "kind", runtime
    elif runtime:
        old.warn((*path, "runtime"), "dropped: functions are Python")
    concurrency = old.whole((*path, "concurrency"), 1, 1, 10**6)
    if concurrency > 500:
        old.warn((*path, "concurrency"), "now 500, the most OpenWhisk takes")
    if concurrency > 1:
        yield "concurrency", min(concurrency, 500)


def _google_options(old: Old, path: tuple[str, ...]) -> Iterator[tuple[str, Json]]:
    runtime = old.text(*path, "runtime")
    match = _PYTHON.fullmatch(runtime)
    if match and int(match[1]) >= _OLDEST:
        yield "runtime", runtime
    elif runtime:
        old.warn((*path, "runtime"), "dropped: that runtime is retired")
    if path[-2] != "fl_client" and old.get(*path, "region") is not None:
        old.warn((*path, "region"), "dropped: the region belongs to the cluster")
