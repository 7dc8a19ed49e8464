"""The local platform's shim: stands as `shim.py` at the root of every zip, beside `handler.py`.

    worker --run(params, body)--> shim --handler.handle(params, body)--> (result, body)

The handler is imported by the first call, so that an import that fails is an error of the activation, with its traceback.
"""

from __future__ import annotations

from typing import Any


def run(params: dict[str, Any], body: bytes) -> tuple[Any, bytes]:
    """Call the handler. What it raises is the activation's error."""
    import handler  # type: ignore[import-not-found]  # beside this file in the zip

    answer = handler.handle(params, body)
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], bytes | bytearray | memoryview)):
        raise TypeError(f"handler.handle must return (result, bytes), not {type(answer).__name__}")
    result, reply = answer
    return result, reply
