"""fl_server_init: makes the initial model and deals out the data. The work is in fedkeeper.runtime.initialise."""

from __future__ import annotations

from typing import Any

from fedkeeper.runtime import initialise
from fedkeeper.runtime.context import Context


def handle(params: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
    return initialise.handle(Context.current(), params, body)
