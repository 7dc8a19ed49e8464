"""fl_server_aggregator: makes the next model from the updates a round has counted. The work is in fedkeeper.runtime.aggregate."""

from __future__ import annotations

from typing import Any

from fedkeeper.runtime import aggregate
from fedkeeper.runtime.context import Context


def handle(params: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
    return aggregate.handle(Context.current(), params, body)
