"""fl_client: trains the model on one client's own data. The work is in fedkeeper.runtime.client."""

from __future__ import annotations

from typing import Any

from fedkeeper.runtime import client
from fedkeeper.runtime.context import Context


def handle(params: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
    return client.handle(Context.current(), params, body)
