"""From the end of a local activation to an Outcome. Pure.

header {state, kind, error, ...}, data {"error", "kind"}, body (the vendor's answer)  ->  Outcome
"""

from __future__ import annotations

import json
from dataclasses import replace

from fedkeeper.emulator.shelf import Entry
from fedkeeper.emulator.stored import CRASH, MEMORY, TIMEOUT, TOO_LARGE, Outcome
from fedkeeper.errors import FedKeeperError
from fedkeeper.providers.local.activation import DIED, NO_WORKER, OUT_OF_MEMORY
from fedkeeper.providers.local.wire import Frame
from fedkeeper.states import ActivationState

_KINDS = {OUT_OF_MEMORY: MEMORY, DIED: CRASH, NO_WORKER: CRASH, "PayloadTooLarge": TOO_LARGE}


def outcome_of(begun: Outcome, entry: Entry, frame: Frame, logs: str, kind: str, max_response: int) -> Outcome:
    header = frame.header
    ended = replace(
        begun,
        logs=logs,
        started=header["started"],
        ended=header["ended"],
        cold_start=header["cold_start"],
        max_memory_mb=header["max_rss_mb"],
    )
    if header["state"] == "timed_out":
        return _failed(ended, TIMEOUT, f"ran longer than its limit of {entry.timeout_s:g} s", ActivationState.TIMED_OUT)
    if header["state"] == "cancelled":
        return _failed(ended, CRASH, header["error"], ActivationState.CANCELLED)
    if header["state"] != "succeeded":
        return _failed(ended, _KINDS.get(header["kind"], CRASH), _without_setting(header["error"]))
    return _answered(ended, entry, json.loads(frame.data), bytes(frame.body), kind, max_response)


def unreachable(begun: Outcome, error: FedKeeperError) -> Outcome:
    """The local platform's process ended under it, or was closed."""
    return _failed(begun, CRASH, error.message)


def _answered(ended: Outcome, entry: Entry, told: dict[str, str | None], answer: bytes, kind: str, limit: int) -> Outcome:
    size = len(answer) - (answer.find(b"\n") + 1 if kind == "google" else 0)
    if size > limit:
        return _failed(ended, TOO_LARGE, f"the response of {size:,} bytes is larger than the limit of {limit:,} bytes")
    if told["kind"] is None:
        return replace(ended, state=ActivationState.SUCCEEDED, answer=answer)
    if told["kind"] == MEMORY:
        return _failed(ended, MEMORY, f"used more memory than its limit of {entry.memory_mb} MB")
    state = ActivationState.TIMED_OUT if told["kind"] == TIMEOUT else ActivationState.FAILED
    return replace(ended, state=state, answer=answer, error=told["error"], error_kind=told["kind"])


def _failed(ended: Outcome, kind: str, error: str, state: ActivationState = ActivationState.FAILED) -> Outcome:
    return replace(ended, state=state, error=error, error_kind=kind)


def _without_setting(error: str) -> str:
    """The local platform's messages end with the setting of a spec, which is not the one that holds here."""
    return error.partition(" (functions.")[0].partition(" (providers.local.")[0]
