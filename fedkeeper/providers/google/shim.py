"""Google's shim: stands as `main.py` at the root of every zip, beside `handler.py`; functions-framework calls `fedkeeper`.

    POST application/octet-stream, seal(params, body) -> handler.handle(params, body) -> 200 seal(result, body)
    POST JSON, or nothing (curl, the console)         -> handler.handle(params, b"")  -> 200 the result as JSON
    what the handler raises                           -> 500 {"error": "<Type>: <message>"}, the traceback in the logs

The handler is imported as the instance starts, where CPU is plenty; an import that fails is told by every call.
"""

from __future__ import annotations

import importlib
import json
import os
import traceback
from typing import Any

from fedkeeper.errors import CorruptData
from fedkeeper.providers.envelope import seal, unseal

ENTRY = "main.py"
BINARY = "application/octet-stream"
Answer = tuple[bytes, int, dict[str, str]]


def _load() -> Any:
    """The handler's module, or what its import raised."""
    try:
        return importlib.import_module("handler")
    except Exception as exc:
        traceback.print_exc()
        return exc


_handler = _load()


def fedkeeper(request: Any) -> Answer:
    """The entry point: a Flask request in, a Flask answer out."""
    try:
        params, body, binary = _read(request)
    except (CorruptData, ValueError) as exc:
        return _problem(400, f"{type(exc).__name__}: {exc}")
    try:
        if isinstance(_handler, Exception):
            raise _handler
        result, reply = _checked(_handler.handle(params, body))
        data = seal(result, reply) if binary else json.dumps(result).encode()
    except Exception as exc:
        traceback.print_exc()
        return _problem(500, f"{type(exc).__name__}: {exc}")
    return _limited(data) or (data, 200, {"Content-Type": BINARY if binary else "application/json"})


def _read(request: Any) -> tuple[Any, bytes, bool]:
    data = request.get_data(cache=False)
    if (request.mimetype or "") == BINARY:
        params, body = unseal(data)
        return params, body, True
    return (json.loads(data) if data.strip() else dict(request.args)), b"", False


def _checked(answer: Any) -> tuple[Any, Any]:
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], bytes | bytearray | memoryview)):
        raise TypeError(f"handler.handle must return (result, bytes), not {type(answer).__name__}")
    return answer


def _limited(data: bytes) -> Answer | None:
    """Google would answer a bare 500 to what is larger than it carries: say so instead."""
    limit = int(os.environ.get("FEDKEEPER_MAX_RESPONSE") or 0)
    if not limit or len(data) <= limit:
        return None
    setting = os.environ.get("FEDKEEPER_SETTING", "providers.google")
    text = f"the response of {len(data)} bytes is larger than {limit} bytes ({setting}.max_response)"
    return _problem(500, text, kind="PayloadTooLarge")


def _problem(status: int, text: str, **more: str) -> Answer:
    line = " ".join(text.split())[:2000]
    return json.dumps({"error": line, **more}).encode(), status, {"Content-Type": "application/json"}
