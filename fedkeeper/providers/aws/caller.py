"""Calls one Lambda function from inside another function, with the callee's own credential; goes into the invoker's zip.

    handler -> AwsCaller.call -> Invoke (RequestResponse) -> Reply

Nobody paces this call, so a refusal for speed is waited out as long as the time limit allows.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

from fedkeeper.errors import Throttled
from fedkeeper.model import Json
from fedkeeper.providers.aws import invoking
from fedkeeper.providers.aws.client import Sessions
from fedkeeper.providers.aws.config import Config
from fedkeeper.providers.base import Reply

WHERE = "providers.aws"
_FIRST_S, _LAST_S = 0.5, 15.0


class AwsCaller:
    """A `Caller` for one account and region. Without keys in settings or environ: the invoker's own role."""

    def __init__(
        self, settings: Mapping[str, Json], environ: Mapping[str, str], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._config = Config.of(settings, environ, WHERE)
        self._sessions = Sessions(self._config)
        self._sleep = sleep

    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float = 300.0) -> Reply:
        data = invoking.encode(self._config, function, params, body, held=True)
        until, delay = time.monotonic() + timeout_s, _FIRST_S
        while True:
            left = until - time.monotonic()
            try:
                held = invoking.call(self._config, self._sessions, function, data, max(left, 0.5))
                return invoking.answered(self._config, function, held)
            except Throttled as exc:
                pause = exc.retry_after or delay * random.uniform(0.5, 1.0)
                if time.monotonic() + pause >= until:
                    raise
            self._sleep(pause)
            delay = min(_LAST_S, delay * 2)
