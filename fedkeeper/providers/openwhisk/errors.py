"""The border: what OpenWhisk's controller, or the road to it, says -> one of our errors. The first row that fits wins.

    status  text                          error              what to do
    401                                   AccessDenied       the key
    403     kind / anything               AccessDenied       the kind / the namespace
    404                                   FunctionNotFound   deploy (the dispatcher does it by itself)
    413     / code 400 "larger than"      PayloadTooLarge    max_request, whisk.activation.payload.max
    429     last minute / concurrent      Throttled          pace; names the setting and the namespace's limit
    400     threshold                     ProviderError      max_memory, max_timeout
    5xx     no connection, no answer      Unreachable        (retryable)
    any     not JSON, no id               ProviderError      is api_host an OpenWhisk?

Texts are those of apache/openwhisk's Messages (ErrorResponse.scala). A key never stands in a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fedkeeper.errors import (
    AccessDenied,
    FunctionNotFound,
    PayloadTooLarge,
    ProviderError,
    Throttled,
    Unreachable,
)
from fedkeeper.providers.openwhisk.config import HINT_KEY, Config

MINUTE = 60.0
_SHOWN = 300


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error. `place` is what was asked for: a function, or "" for the namespace."""

    status: int
    text: str
    place: str = ""
    server_time: float | None = None  # the controller's clock when it answered


Maker = Callable[[Config, Refusal], ProviderError]


def error_of(config: Config, refusal: Refusal) -> ProviderError:
    for statuses, pattern, make in _TABLE:
        if refusal.status in statuses and re.search(pattern, refusal.text, re.IGNORECASE):
            return make(config, refusal)
    return ProviderError(
        f"{config.api_host} answered HTTP {refusal.status}: {brief(refusal.text)}",
        where=_where(refusal),
        hint=f"is {config.where}.api_host the address of an OpenWhisk API?",
    )


def brief(text: str) -> str:
    """One line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def too_large(config: Config, size: int, what: str = "request") -> PayloadTooLarge:
    """`size` bytes of JSON go over the limit of the cluster."""
    limit = config.max_request if what == "request" else config.max_response
    return PayloadTooLarge(
        f"a {what} of {size:,} bytes is over the limit of {limit:,} bytes ({config.where}.max_{what})",
        hint="send less, or have the operator raise whisk.activation.payload.max on controllers and invokers and the setting with it",
    )


def unreachable(config: Config, why: str) -> Unreachable:
    return Unreachable(
        f"{config.api_host} ({config.where}.api_host) cannot be reached: {brief(why)}",
        hint="is the address right, and does the installation run? `curl <api_host>/api/v1` must answer",
    )


def untrusted(config: Config, why: str) -> AccessDenied:
    return AccessDenied(
        f"the certificate of {config.api_host} is not trusted: {brief(why)}",
        hint=f"name the installation's own certificate in {config.where}.ca_file (`verify_tls: false` only for trying things out)",
    )


def malformed(config: Config, what: str, place: str = "") -> ProviderError:
    return ProviderError(
        f"{config.api_host} does not answer like OpenWhisk: {brief(what)}",
        where=place or None,
        hint=f"{config.where}.api_host must be the address of the API, without a path",
    )


def _wrong_key(config: Config, refusal: Refusal) -> ProviderError:
    return AccessDenied(
        f"{config.api_host} does not accept the key of {config.where}.auth: {brief(refusal.text)}",
        where=_where(refusal),
        hint=HINT_KEY,
    )


def _kind_denied(config: Config, refusal: Refusal) -> ProviderError:
    return AccessDenied(
        f"{config.api_host}: {brief(refusal.text)}",
        where=_where(refusal),
        hint="set functions.<role>.openwhisk.kind to a kind that the namespace may use",
    )


def _wrong_namespace(config: Config, refusal: Refusal) -> ProviderError:
    return AccessDenied(
        f"the key of {config.where}.auth has no right to namespace {config.namespace!r}: {brief(refusal.text)}",
        where=_where(refusal),
        hint=f"leave {config.where}.namespace out (the key's own namespace), or name one that `wsk namespace list` prints",
    )


def _not_found(config: Config, refusal: Refusal) -> ProviderError:
    return FunctionNotFound(
        f"there is no such action in namespace {config.namespace!r} of {config.api_host}", where=_where(refusal)
    )


def _payload(config: Config, refusal: Refusal) -> ProviderError:
    return PayloadTooLarge(
        f"{config.api_host} refused it as too large: {brief(refusal.text)} The limit in the spec is {config.max_request:,} bytes"
        f" ({config.where}.max_request)",
        where=_where(refusal),
        hint="lower the setting to what the installation takes, or have whisk.activation.payload.max raised",
    )


def _per_minute(config: Config, refusal: Refusal) -> ProviderError:
    """The controller counts per minute of its clock: the next minute is the time to come back."""
    wait = MINUTE - refusal.server_time % MINUTE if refusal.server_time is not None else None
    return Throttled(
        f"{_of(refusal)}the namespace's invocations per minute are used up: {brief(refusal.text)}",
        retry_after=wait,
        hint=f"lower {config.where}.invocations_per_minute to the namespace's limit, or have the operator raise"
        " limits.actions.invokes.perMinute (`wskadmin limits set <namespace> --invocationsPerMinute N`)",
    )


def _concurrent(config: Config, refusal: Refusal) -> ProviderError:
    return Throttled(
        f"{_of(refusal)}the namespace has as many activations under way as it may: {brief(refusal.text)}",
        hint=f"lower {config.where}.max_concurrency or clients_per_round, or have the operator raise"
        " limits.actions.invokes.concurrent (`wskadmin limits set <namespace> --concurrentInvocations N`)",
    )


def _throttled(config: Config, refusal: Refusal) -> ProviderError:
    return Throttled(f"{_of(refusal)}{config.api_host} asks to slow down: {brief(refusal.text)}")


def _over_limit(config: Config, refusal: Refusal) -> ProviderError:
    return ProviderError(
        f"{config.api_host} refuses the function's limits: {brief(refusal.text)}",
        where=_where(refusal),
        hint=f"lower functions.<role>.memory or .timeout, and {config.where}.max_memory or .max_timeout to the installation's limits;"
        " its operator raises whisk.memory.max and whisk.time-limit.max",
    )


def _bad_runtime(config: Config, refusal: Refusal) -> ProviderError:
    return ProviderError(
        f"{config.api_host}: {brief(refusal.text)}",
        where=_where(refusal),
        hint="set functions.<role>.openwhisk.kind to one of these, or give an image",
    )


def _conflict(config: Config, refusal: Refusal) -> ProviderError:
    return ProviderError(
        f"somebody else changes the same action on {config.api_host}: {brief(refusal.text)}",
        where=_where(refusal),
        hint="try again: deploy is repeatable",
    )


def _broken(config: Config, refusal: Refusal) -> ProviderError:
    return Unreachable(
        f"{config.api_host} has trouble (HTTP {refusal.status}): {brief(refusal.text)}",
        where=_where(refusal),
        hint="the installation answers but does not work; its operator finds the reason in the controller's log",
    )


def _moved(config: Config, refusal: Refusal) -> ProviderError:
    return malformed(config, f"it sends us elsewhere (HTTP {refusal.status}) {refusal.text}", refusal.place)


def _where(refusal: Refusal) -> str | None:
    return refusal.place or None


def _of(refusal: Refusal) -> str:
    return f"{refusal.place}: " if refusal.place else ""


_TABLE: tuple[tuple[range | tuple[int, ...], str, Maker], ...] = (
    ((401,), "", _wrong_key),
    ((403,), "kind", _kind_denied),
    ((403,), "", _wrong_namespace),
    ((404,), "", _not_found),
    ((409,), "", _conflict),
    ((413,), "", _payload),
    ((429,), "last minute|per minute", _per_minute),
    ((429,), "concurrent|in flight", _concurrent),
    ((429,), "", _throttled),
    ((400,), "allowed threshold", _over_limit),
    ((400,), "larger than allowed", _payload),
    ((400,), "runtime .* not supported|kind '.*' not in|no longer supported", _bad_runtime),
    (range(300, 400), "", _moved),
    (range(500, 600), "", _broken),
)


def refusal_text(status: int, body: Mapping[str, object] | None, raw: str) -> str:
    """What an error answer says: the controller's `error`, else the body as it is."""
    error = body.get("error") if body else None
    return str(error) if isinstance(error, str) and error else raw or f"HTTP {status}"
