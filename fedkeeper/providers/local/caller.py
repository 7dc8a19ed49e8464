"""Calls one function of the same local cluster from inside another one; goes into the invoker's zip.

    handler -> LocalCaller.call -> the worker's channel -> platform -> callee in the caller's slot -> Reply

The worker publishes its channel as the module `fedkeeper_local_channel`; outside a worker there is none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from fedkeeper.errors import AccessDenied, ActivationFailed, FunctionNotFound, PayloadTooLarge, ProviderError, Unreachable
from fedkeeper.model import Json
from fedkeeper.providers.base import Reply

CHANNEL = "fedkeeper_local_channel"
KINDS: Mapping[str, type[ProviderError]] = {
    error.__name__: error for error in (PayloadTooLarge, FunctionNotFound, AccessDenied, ProviderError)
}


class LocalCaller:
    """A `Caller` that needs no address and no credential (both arguments are unused): the platform knows who asks."""

    def __init__(self, settings: Mapping[str, Json] | None = None, environ: Mapping[str, str] | None = None) -> None:
        del settings, environ

    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float = 300.0) -> Reply:
        channel = sys.modules.get(CHANNEL)
        if channel is None:
            raise Unreachable("the local platform can only be called from a function that runs on it")
        header, frame = channel.call(function, dict(params), body, timeout_s)
        if header["state"] != "succeeded":
            raise error_of(function, header["kind"], header["error"])
        return Reply(json.loads(frame.data), bytes(frame.body), header["id"])


def error_of(function: str, kind: str, message: str) -> ProviderError:
    """The error that a failed call stands for; without a kind the function itself failed."""
    return KINDS.get(kind, ActivationFailed)(message, where=function)
