"""The border: what Google answers -> our errors. Most specific first; every message says where and what to do.

API:       google.api_core / google.auth exception -> translated(exc, ...)       (operations included)
functions: HTTP status, headers, body              -> answer_error(...)          (standard library only: travels in zips)
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from fedkeeper.errors import (
    AccessDenied,
    ActivationFailed,
    FunctionNotFound,
    PayloadTooLarge,
    ProviderError,
    Throttled,
    Unreachable,
)
from fedkeeper.providers.google.config import TOKEN, Config

GUIDE = "see docs/google.md"
QUOTA = "this is the API's write quota of the project: wait a minute, or ask for more in the console (IAM & Admin, Quotas)"
BUILD = "the build's log says which step: look at requirements (training.requirements) and functions.*.options.google.runtime"
INVOKER = "give the account the role roles/run.invoker on the function's service (or on the project); " + GUIDE
NO_INSTANCE = "no instance was free: raise functions.*.options.google.max_instances, or lower max_concurrency of the cluster"
DIED = "the instance died or could not start: too little memory? "
_PERMISSION = re.compile(r"[Pp]ermission '([\w.]+)' denied")


# --- the API -----------------------------------------------------------------------------------------------------
def translated(exc: Exception, config: Config, doing: str, function: str | None = None) -> ProviderError:
    """The error that `exc`, raised while `doing` something to `function`, stands for."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(exc, api.GoogleAPICallError):
        return _api_error(exc, config, doing, function)
    if isinstance(exc, auth.TransportError):
        return Unreachable(_line(config, doing, f"Google does not answer: {_short(str(exc))}"), hint=_reach(config))
    if isinstance(exc, auth.GoogleAuthError):
        return AccessDenied(_line(config, doing, f"the credentials are refused: {_short(str(exc))}"), hint=_renew(config))
    if isinstance(exc, api.RetryError | TimeoutError) or type(exc).__name__ == "TimeoutError":
        return Unreachable(_line(config, doing, f"no end in time: {_short(str(exc))}"), hint=_reach(config))
    return _network_error(exc, config, doing)


def _api_error(exc: Any, config: Config, doing: str, function: str | None) -> ProviderError:
    status, said = int(exc.code or 500), _said(exc)
    line = _line(config, doing, said)
    if status == 404:
        return _not_found(said, line, config, function)
    if status == 429:
        return Throttled(line, retry_after=_retry_after(exc), hint=QUOTA)
    if "build failed" in said.lower():
        return ProviderError(line, hint=BUILD)
    kinds: dict[int, tuple[type[ProviderError], str]] = {
        401: (AccessDenied, _renew(config)),
        403: (AccessDenied, _forbidden(said, exc, config)),
        413: (PayloadTooLarge, "the zip is larger than Google takes: keep data out of the package"),
        500: (Unreachable, "Google had an internal error: run the command again"),
    }
    kind, hint = kinds.get(status, (Unreachable, _reach(config)) if status > 500 else (ProviderError, GUIDE))
    return kind(line, hint=hint)


def _not_found(said: str, line: str, config: Config, function: str | None) -> ProviderError:
    if "/functions/" in said or (function and f"function {function} " in f"{said} "):
        return FunctionNotFound(line)
    if "locations/" in said:
        return ProviderError(line, hint=_region_hint(config))
    return ProviderError(line, hint=f"is {config.setting}.project right? `gcloud projects list` lists yours")


def _forbidden(said: str, exc: Any, config: Config) -> str:
    reason = str(getattr(exc, "reason", "") or "")
    if reason == "SERVICE_DISABLED" or "has not been used in project" in said:
        return f"gcloud services enable cloudfunctions.googleapis.com --project {config.project}"
    if "it may not exist" in said and "'locations/" in said:
        return _region_hint(config)
    if found := _PERMISSION.search(said):
        return f"give the account a role with {found[1]} in project {config.project} (providers/google/roles.yaml lists them)"
    return f"is {config.setting}.project right, and has the account a role in it? providers/google/roles.yaml lists the roles"


def _region_hint(config: Config) -> str:
    return f"is {config.setting}.region right? `gcloud functions regions list --project {config.project}` lists them"


def _renew(config: Config) -> str:
    if config.endpoint:
        return f"{TOKEN} is wrong or has expired: set it again; it is what {config.endpoint} asks for"
    return "the token is wrong or has expired: `gcloud auth application-default login`, or a new service-account key"


def _reach(config: Config) -> str:
    if config.endpoint:
        return f"does {config.endpoint} run? for the emulator: `fedkeeper emulate status`"
    return "look at the network and at https://status.cloud.google.com, then run the command again: it goes on where it stopped"


def _said(exc: Any) -> str:
    """Google's own sentence, without the request's line that the SDK puts before it."""
    text = re.sub(r"^(GET|POST|PATCH|DELETE|PUT) https?://\S+?: ", "", str(exc.message or exc))
    return _short(text)


def _retry_after(exc: Any) -> float | None:
    response = getattr(exc, "response", None)
    return _seconds(getattr(response, "headers", {}) or {})


def _line(config: Config, doing: str, said: str) -> str:
    return f"{doing} ({config.setting}: {config.place}): {said}"


# --- the network, for both ---------------------------------------------------------------------------------------
def _network_error(exc: Exception, config: Config, doing: str) -> ProviderError:
    said = _short(str(exc)) or type(exc).__name__
    if "SSL" in type(exc).__name__ or "CERTIFICATE_VERIFY_FAILED" in said:
        hint = "behind a proxy with a CA of its own, set REQUESTS_CA_BUNDLE to its certificate"
        return Unreachable(_line(config, doing, f"the TLS certificate is not accepted: {said}"), hint=hint)
    return Unreachable(_line(config, doing, f"no connection: {said}"), hint=_reach(config))


def unreachable(exc: Exception, config: Config, function: str) -> ProviderError:
    return _network_error(exc, config, f"calling {function}")


# --- functions ---------------------------------------------------------------------------------------------------
def answer_error(status: int, headers: Mapping[str, str], body: bytes, config: Config, function: str) -> ProviderError:
    """The error that a function's answer (not 200) stands for."""
    if (own := _own(body, headers)) is not None:
        kind = PayloadTooLarge if own.get("kind") == "PayloadTooLarge" else ActivationFailed
        return kind(str(own["error"]), where=function)
    said = _short(_text_of(body))
    line = _line(config, f"calling {function}", f"HTTP {status}" + (f", {said}" if said else ""))
    if status == 404:
        return FunctionNotFound(f"there is no function {function} in {config.place} ({config.setting})")
    if status == 429:
        return Throttled(line, retry_after=_seconds(headers), hint=NO_INSTANCE)
    logs = _logs(config, function)
    crashed = headers.get("X-Google-Status") or headers.get("x-google-status")
    kinds: dict[int, tuple[type[ProviderError], str, str]] = {
        401: (AccessDenied, line, _renew(config)),
        403: (AccessDenied, line, INVOKER),
        408: (ActivationFailed, f"timed out: {line}", "raise functions.*.timeout"),
        413: (PayloadTooLarge, f"{line} ({config.setting}.max_request is {config.max_request} bytes)", ""),
        502: (Unreachable, line, DIED + logs),
        503: (Unreachable, line, DIED + logs),
        504: (ActivationFailed, f"timed out: {line}", "raise functions.*.timeout"),
    }
    found, text, hint = kinds.get(status, (ActivationFailed, f"{crashed}: {line}" if crashed else line, logs))
    return found(text, hint=hint)


def too_large(config: Config, function: str, what: str, size: int) -> PayloadTooLarge:
    """`what` is "request" or "response"."""
    limit = config.max_request if what == "request" else config.max_response
    text = f"the {what} of {size} bytes is larger than {limit} bytes ({config.setting}.max_{what})"
    return PayloadTooLarge(text, where=function, hint="Google carries 32 MB; larger models need `weights: store`")


def _logs(config: Config, function: str) -> str:
    return f"`gcloud functions logs read --gen2 --region {config.region} ...` has what {function} printed; {GUIDE}"


def _own(body: bytes, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """The shim's own words, when it could still say something."""
    kind = headers.get("Content-Type") or headers.get("content-type") or ""
    if not kind.startswith("application/json"):
        return None
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) and isinstance(found.get("error"), str) else None


def _seconds(headers: Mapping[str, str]) -> float | None:
    given = headers.get("Retry-After") or headers.get("retry-after") or ""
    return float(given) if given.isdigit() else None


def _text_of(body: bytes) -> str:
    """What a page says, without its tags."""
    text = re.sub(r"(?is)<(style|script|title).*?</\1>|<[^>]+>", " ", body[:20_000].decode(errors="replace"))
    return html.unescape(text)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 500 else line[:497] + "..."
