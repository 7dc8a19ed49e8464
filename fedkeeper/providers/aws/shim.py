"""The function: stands as `lambda_function.py` at the root of every zip, beside `handler.py`.

    runtime --handler(event, context)--> handler.handle(params, body) --> {"params": result, "body": base64}

An event that is no envelope, from a person's `aws lambda invoke`, is parameters without a body and gets the plain result. What the
handler raises goes to the runtime, which reports its type and message as the call's function error.
"""

from __future__ import annotations

import os
from typing import Any

from fedkeeper.providers.envelope import seal_json, unseal_json

ENTRY = "lambda_function.py"
RESERVED = "FEDKEEPER_SET_"
"""Lambda takes no variables with its own names (AWS_ACCESS_KEY_ID); an invoker's travel under this prefix."""


def handler(event: Any, context: Any) -> Any:  # noqa: ARG001 - Lambda's signature
    """One activation."""
    enveloped = isinstance(event, dict) and "params" in event and event.keys() <= {"params", "body"}
    params, body = unseal_json(event) if enveloped else (event or {}, b"")
    result, reply = _handle(params, body)
    return seal_json(result, reply) if enveloped or reply else result


def _environment() -> None:
    """A key of the operator's own replaces the whole credential of the function's role, its token included."""
    moved = {name.removeprefix(RESERVED): os.environ.pop(name) for name in list(os.environ) if name.startswith(RESERVED)}
    if "AWS_ACCESS_KEY_ID" in moved:
        os.environ.pop("AWS_SESSION_TOKEN", None)
    os.environ.update(moved)


def _handle(params: Any, body: bytes) -> tuple[Any, bytes]:
    """The handler is imported by the first call, so that an import that fails is an error of the activation."""
    _environment()
    try:
        import handler as role  # type: ignore[import-not-found]  # beside this file in the zip
    except ModuleNotFoundError as exc:
        advice = "name an image in functions.<role>.aws.image, or a layer in functions.<role>.aws.layers, that has it"
        raise ModuleNotFoundError(f"{exc}: {advice}", name=exc.name) from exc
    answer = role.handle(params, body)
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], bytes | bytearray | memoryview)):
        raise TypeError(f"handler.handle must return (result, bytes), not {type(answer).__name__}")
    return answer
