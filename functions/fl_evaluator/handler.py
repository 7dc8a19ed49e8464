"""fl_evaluator: measures loss and accuracy of a model on the test data. The work is in fedkeeper.runtime.evaluate."""

from __future__ import annotations

from typing import Any

from fedkeeper.runtime import evaluate
from fedkeeper.runtime.context import Context


def handle(params: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
    return evaluate.handle(Context.current(), params, body)
