"""What a platform of the emulator keeps: functions and activations, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fedkeeper.states import ActivationState

KINDS = ("openwhisk", "google", "aws")

HANDLER, TIMEOUT, MEMORY, CRASH, INIT, TOO_LARGE = "handler", "timeout", "memory", "crash", "init", "too_large"
"""Why an activation failed (`Outcome.error_kind`)."""


@dataclass(frozen=True)
class Stored:
    """One deployed function. `meta` is the API's own document, kept as given."""

    scope: str  # namespace | "project/region" | "account/region"
    name: str
    meta: dict[str, Any]
    package: bytes | None = None  # never returned by list
    revision: int = 1
    created: float = 0.0
    updated: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """One activation. Times are Unix seconds.

    `answer` is what the vendor-contract runner returned: JSON text for openwhisk and aws; for google a JSON line
    {"status", "headers"}, a newline, and the body. `state` is ACCEPTED while it is queued or runs.
    """

    id: str
    scope: str
    name: str
    state: ActivationState = ActivationState.ACCEPTED
    answer: bytes = b""
    error: str | None = None
    error_kind: str | None = None
    logs: str = ""
    started: float | None = None
    ended: float | None = None
    cold_start: bool | None = None
    max_memory_mb: float | None = None
