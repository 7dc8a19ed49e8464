"""Calls one action from inside another function, with the callee's own key; goes into the invoker's zip.

    handler -> OpenWhiskCaller.call -> POST (non-blocking) -> id -> poll -> record -> Reply

Nobody paces this call, so a refusal for speed (429) is waited out as long as the time limit allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from fedkeeper.errors import Throttled
from fedkeeper.model import Json
from fedkeeper.providers.base import Reply
from fedkeeper.providers.openwhisk import activations
from fedkeeper.providers.openwhisk.activations import Started
from fedkeeper.providers.openwhisk.client import Client
from fedkeeper.providers.openwhisk.config import Config
from fedkeeper.providers.openwhisk.outcome import reply_of

WHERE = "providers.openwhisk"
_FIRST_S, _LAST_S = 0.5, 15.0


class OpenWhiskCaller:
    """A `Caller` for one namespace. `environ` holds the key, under the name that the settings give."""

    def __init__(
        self, settings: Mapping[str, Json], environ: Mapping[str, str], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = Client(Config.of(settings, environ, WHERE), environ)
        self._sleep = sleep

    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float = 300.0) -> Reply:
        until = time.monotonic() + timeout_s
        data = activations.payload(self._client, function, params, body)
        started = self._start(function, data, until)
        record = activations.wait(self._client, function, started.activation_id, until, self._sleep)
        return reply_of(self._client.config, function, record)

    def _start(self, function: str, data: bytes, until: float) -> Started:
        delay = _FIRST_S
        while True:
            try:
                return activations.start(self._client, function, data)
            except Throttled as exc:
                pause = exc.retry_after or delay
                if time.monotonic() + pause >= until:
                    raise
            self._sleep(pause)
            delay = min(_LAST_S, delay * 2)
