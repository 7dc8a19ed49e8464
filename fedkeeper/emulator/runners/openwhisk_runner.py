"""OpenWhisk's contract for Python actions: `main(dict) -> dict` of the zip's `__main__.py`, in the worker itself.

    {"name": "x"} -> main(args) -> {"greeting": "..."}        {"error": ...}: an application error

As the platform's own launcher does, an exception becomes {"error": str(exception)}, with the traceback in the log.
An answer that is no dictionary, and one that is not JSON, are the developer's error (kind "crash").
Sources: https://github.com/apache/openwhisk-runtime-python (launcher.py), https://github.com/apache/openwhisk/blob/master/docs/actions-python.md
"""

from __future__ import annotations

import json
import os
import time
import traceback
from typing import Any

from fedkeeper_runner import Answer, InitError, describe, done, failed, load

NOT_A_DICTIONARY = "The action did not return a dictionary."


def run(params: dict[str, Any], request: bytes) -> Answer:
    _, _, function = params["entry"].rpartition(".")
    try:
        main = load("__main__.py", "main__", function)
    except InitError as exc:
        error = f"Initialization has failed due to: {exc}"
        return failed("init", error, _text({"error": error}))
    os.environ["__OW_ACTIVATION_ID"] = os.environ.get("FEDKEEPER_ACTIVATION_ID", "")
    os.environ["__OW_DEADLINE"] = str(int((time.time() + params["timeout_s"]) * 1000))
    try:
        result = main(json.loads(request or b"{}"))
    except Exception as exc:
        traceback.print_exc()
        return failed("handler", describe(exc), _text({"error": str(exc) or type(exc).__name__}))
    return answered(result)


def answered(result: Any) -> Answer:
    if not isinstance(result, dict):
        return failed("crash", NOT_A_DICTIONARY, _text({"error": NOT_A_DICTIONARY}))
    try:
        answer = _text(result)
    except (TypeError, ValueError) as exc:
        error = f"The action's answer is not JSON: {exc}"
        return failed("crash", error, _text({"error": error}))
    if result.get("error"):
        return failed("handler", str(result["error"]), answer)
    return done(answer)


def _text(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()
