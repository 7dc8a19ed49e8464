"""Google's contract: functions-framework's own application around the zip's function, asked through Flask's test client.

    {"method", "path", "headers"} \\n body -> create_app(target, main.py) -> {"status", "headers"} \\n body

`headers` of a request are a mapping or pairs, those of an answer a mapping. What the framework makes of an exception (500 and
`X-Google-Status: crash`) is the answer, and an error of kind "handler".
"""

from __future__ import annotations

import functools
import json
import os
import traceback
from typing import Any

from fedkeeper_runner import FOLDER, Answer, InitError, describe, done, failed

CRASHES = ("crash", "error")


def run(params: dict[str, Any], request: bytes) -> Answer:
    module, _, function = params["entry"].rpartition(".")
    try:
        app = _app(f"{module.replace('.', '/') or 'main'}.py", function)
    except InitError as exc:
        return failed("init", str(exc))
    head, _, body = request.partition(b"\n")
    asked = json.loads(head)
    pairs = pairs_of(asked.get("headers") or {})
    path = asked.get("path") or "/"
    response = app.test_client().open(path, method=asked.get("method") or "POST", headers=pairs, data=body)
    return answered(response.status_code, dict(response.headers), response.get_data())


def answered(status: int, headers: dict[str, str], body: bytes) -> Answer:
    answer = json.dumps({"status": status, "headers": headers}).encode() + b"\n" + body
    mark = next((value for name, value in headers.items() if name.lower() == "x-google-status"), None)
    if mark in CRASHES:
        return failed("handler", f"the function answered {status} (X-Google-Status: {mark})", answer)
    return done(answer)


def pairs_of(headers: Any) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in (headers.items() if isinstance(headers, dict) else headers)]


@functools.cache
def _app(path: str, function: str) -> Any:
    try:
        from functions_framework import create_app
    except ImportError:
        hint = "pip install 'fedkeeper[emulator]'"
        raise InitError(f"functions of Google need functions-framework, which is not installed here: {hint}") from None
    try:
        return create_app(function, os.path.join(FOLDER, path), "http")
    except BaseException as exc:  # whatever the code does while it is imported
        traceback.print_exc()
        raise InitError(describe(exc)) from exc
