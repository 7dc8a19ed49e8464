"""The limits of a namespace: of actions when they are put, of invocations per minute and at the same time, and `GET limits`.

The controller counts per minute of its clock, refused requests included (RateThrottler.scala); what is in flight is counted by the load
balancer (ActivationThrottler.scala). MemoryLimit.scala, TimeLimit.scala, LogLimit.scala have the ranges of actions.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from fedkeeper.emulator import openwhisk_wire as wire
from fedkeeper.emulator.core import Api
from fedkeeper.emulator.openwhisk_wire import Call, Reject

_MAX_PAIRS = 1 << 20  # parameters and annotations of an action: 1 MB each


class Throttle:
    """One namespace's invocations of the current minute. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = -1
        self._count = 0

    def check(self, api: Api, namespace: str) -> None:
        limits: Any = api.limits
        allowed = limits.invocations_per_minute
        count = self._one_more(int(api.clock() // 60))
        if allowed is not None and count > allowed:
            raise Reject(429, f"Too many requests in the last minute (count: {count}, allowed: {allowed}).")
        flying = api.platform.in_flight(namespace)
        if flying >= limits.max_concurrency:
            text = f"Too many concurrent requests in flight (count: {flying}, allowed: {limits.max_concurrency})."
            raise Reject(429, text)

    def _one_more(self, minute: int) -> int:
        with self._lock:
            if minute != self._minute:
                self._minute, self._count = minute, 0
            self._count += 1
            return self._count


def checked_size(call: Call, content: Mapping[str, Any]) -> None:
    """413 for code, parameters or annotations that are too large."""
    limits: Any = call.api.limits
    executed = content.get("exec")
    code = executed.get("code") if isinstance(executed, dict) else None
    sizes = {"exec": (len(code) if isinstance(code, str) else 0, limits.max_code)}
    sizes |= {field: (len(json.dumps(content.get(field) or [])), _MAX_PAIRS) for field in ("parameters", "annotations")}
    for field, (size, allowed) in sizes.items():
        if size > allowed:
            raise Reject(413, f"{field} larger than allowed: {size} > {allowed} bytes.")


def checked_payload(call: Call, size: int) -> None:
    limits: Any = call.api.limits
    if size > limits.max_request:
        raise Reject(413, f"Request larger than allowed: {size} > {limits.max_request} bytes.")


def checked_limits(call: Call, given: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, int]:
    """Of an action: what is given, else what was, else the installation's default."""
    limits: Any = call.api.limits
    wanted = {
        "timeout": int(limits.default_timeout_s * 1000),
        "memory": limits.default_memory_mb,
        "logs": limits.default_log_mb,
        "concurrency": 1,
        **before,
        **{key: value for key, value in given.items() if value is not None},
    }
    for name, value in wanted.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise wire.malformed(f"{_FIELD.get(name, name)} limit must be whole number")
    _within("memory", wanted["memory"], limits.min_memory_mb, limits.max_memory_mb, " MB")
    _within("logs", wanted["logs"], 0, limits.max_log_mb, " MB")
    _within("concurrency", wanted["concurrency"], 1, limits.max_action_concurrency, "")
    _duration(wanted["timeout"], limits)
    return wanted


_FIELD = {"timeout": "time"}


async def limits_of(call: Call) -> Response:
    limits: Any = call.api.limits
    shown = {
        "invocationsPerMinute": limits.invocations_per_minute,
        "concurrentInvocations": limits.max_concurrency,
        "maxParameterSize": f"{limits.max_request} B",
        "minActionMemory": limits.min_memory_mb,
        "maxActionMemory": limits.max_memory_mb,
        "minActionTimeout": int(limits.min_timeout_s * 1000),
        "maxActionTimeout": int(limits.max_timeout_s * 1000),
        "minActionLogs": 0,
        "maxActionLogs": limits.max_log_mb,
        "minActionConcurrency": 1,
        "maxActionConcurrency": limits.max_action_concurrency,
    }
    return wire.answer({key: value for key, value in shown.items() if value is not None})


def _within(name: str, value: int, low: int, high: int, unit: str) -> None:
    if value > high:
        raise Reject(400, f"requirement failed: {name} {value}{unit} exceeds allowed threshold of {high}{unit}")
    if value < low:
        raise Reject(400, f"requirement failed: {name} {value}{unit} below allowed threshold of {low}{unit}")


def _duration(millis: int, limits: Any) -> None:
    low, high = int(limits.min_timeout_s * 1000), int(limits.max_timeout_s * 1000)
    if millis > high:
        raise Reject(400, f"requirement failed: duration {millis} milliseconds exceeds allowed threshold of {_spelt(high)}")
    if millis < low:
        raise Reject(400, f"requirement failed: duration {millis} milliseconds below allowed threshold of {_spelt(low)}")


def _spelt(millis: int) -> str:
    """As Scala's FiniteDuration prints what an operator has written."""
    for size, unit in ((60_000, "minute"), (1000, "second"), (1, "millisecond")):
        if millis % size == 0 and millis >= size:
            count = millis // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{millis} milliseconds"
