"""The action: stands as `__main__.py` at the root of every zip, beside `handler.py`.

    runtime --main(args)--> environment --> handler.handle(params, body) --> {"params": result, "body": base64}

`args` is the request merged over the action's own parameters: `__fedkeeper_env` among them are the variables that deploy bound to the
function; they are moved into the environment before the handler is imported. Arguments that are no envelope, from a person's
`wsk action invoke`, are parameters without a body and get the plain result. An exception becomes {"error": "Type: message"}, which
OpenWhisk records as an application error; the traceback goes to the log.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from fedkeeper.providers.envelope import seal_json, unseal_json

ENTRY = "__main__.py"
ENVIRONMENT = "__fedkeeper_env"


def main(args: dict[str, Any]) -> dict[str, Any]:
    """One activation."""
    try:
        return _run(dict(args))
    except Exception as exc:
        traceback.print_exc(file=sys.stderr)
        return {"error": _one_line(exc)}


def _run(args: dict[str, Any]) -> dict[str, Any]:
    os.environ.update(args.pop(ENVIRONMENT, None) or {})
    enveloped = "params" in args and args.keys() <= {"params", "body"}
    params, body = unseal_json(args) if enveloped else (args, b"")
    result, reply = _handle(params, body)
    json.dumps(result)  # what is not JSON must be this activation's error, not the runtime's end
    if enveloped or reply:
        return seal_json(result, reply)
    return result if isinstance(result, dict) else {"result": result}


def _handle(params: Any, body: bytes) -> tuple[Any, bytes]:
    """The handler is imported by the first call, so that an import that fails is an error of the activation."""
    import handler  # type: ignore[import-not-found]  # beside this file in the zip

    answer = handler.handle(params, body)
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], bytes | bytearray | memoryview)):
        raise TypeError(f"handler.handle must return (result, bytes), not {type(answer).__name__}")
    return answer


def _one_line(exc: Exception) -> str:
    text = " ".join(f"{type(exc).__name__}: {exc}".split())
    if isinstance(exc, ModuleNotFoundError):
        return f"{text}; the action's runtime lacks it: give functions.<role>.openwhisk.image an image that has it"
    return text
