"""Actions: PUT, GET, DELETE, list. The document that is kept is OpenWhisk's own; the code goes to the platform as a zip.

    PUT {exec, limits, parameters, annotations} --merged over what there was--> meta + zip -> Platform.put

A source text becomes a zip with `__main__.py`; base64 is recognised as Exec.isBinaryCode does, whatever `binary` says. Images are not
pulled: the code of a blackbox action runs like that of a Python kind.
"""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from fedkeeper.emulator import openwhisk_wire as wire
from fedkeeper.emulator.core import Stored
from fedkeeper.emulator.openwhisk_limits import checked_limits, checked_size
from fedkeeper.emulator.openwhisk_wire import Call, Reject
from fedkeeper.errors import PackageError

KINDS = ("python:3", "python:3.10", "python:3.11", "python:3.12", "blackbox")
DEFAULT_KIND = "python:3.11"
_BASE64 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)")


@dataclass(frozen=True)
class Code:
    """`zip` is what runs; `text` is what GET returns when it was no zip."""

    zip: bytes
    text: str | None


async def put(call: Call) -> Response:
    name, overwrite = call.action, wire.flag(call.request, "overwrite", False)
    content = await wire.json_object(call.request)
    checked_size(call, content)
    before = call.api.platform.get(call.namespace, name)
    if before is not None and not overwrite:
        raise Reject(409, "resource already exists")
    if before is None and content.get("exec") is None:
        raise Reject(400, "exec undefined")
    code = _code(content["exec"]) if content.get("exec") is not None else None
    meta = _merged(call, content, before.meta if before else {}, code)
    try:
        stored = await run_in_threadpool(_store, call, name, meta, code.zip if code else b"")
    except PackageError as exc:  # the controller would find out at the first activation
        raise wire.malformed(str(exc)) from exc
    return wire.answer(document(call, stored, code=await run_in_threadpool(_code_of, call, stored)))


async def get(call: Call) -> Response:
    stored = found(call)
    with_code = wire.flag(call.request, "code", True)
    return wire.answer(document(call, stored, code=await run_in_threadpool(_code_of, call, stored) if with_code else None))


async def delete(call: Call) -> Response:
    stored = found(call)
    await run_in_threadpool(call.api.platform.delete, call.namespace, stored.name)
    return wire.answer(document(call, stored))


async def listed(call: Call) -> Response:
    skip, limit = wire.page(call, "actions")
    stored = call.api.platform.list(call.namespace)
    if wire.flag(call.request, "count", False):
        return wire.answer({"actions": max(0, len(stored) - skip)})
    return wire.answer([_summary(call, one) for one in stored[skip : skip + limit]])


def found(call: Call) -> Stored:
    stored = call.api.platform.get(call.namespace, call.action)
    if stored is None:
        raise wire.not_found()
    return stored


def bound(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The action's own parameters."""
    return {pair["key"]: pair.get("value") for pair in meta["parameters"]}


def is_final(meta: Mapping[str, Any]) -> bool:
    return any(pair["key"] == "final" and pair.get("value") is True for pair in meta["annotations"])


def document(call: Call, stored: Stored, *, code: str | None = None) -> dict[str, Any]:
    """The entity as GET and PUT give it."""
    meta = stored.meta
    executed = {key: value for key, value in meta["exec"].items() if key != "text"}
    if code is not None:
        executed["code"] = code
    return {**_summary(call, stored), "exec": executed, "parameters": meta["parameters"]}


def _summary(call: Call, stored: Stored) -> dict[str, Any]:
    meta = stored.meta
    return {
        "namespace": call.namespace,
        "name": stored.name,
        "version": meta["version"],
        "publish": meta["publish"],
        "exec": {"binary": meta["exec"]["binary"]},
        "annotations": meta["annotations"],
        "limits": meta["limits"],
        "updated": int(stored.updated * 1000),
    }


def _store(call: Call, name: str, meta: dict[str, Any], package: bytes) -> Stored:
    limits = meta["limits"]
    return call.api.platform.put(
        call.namespace,
        name,
        meta,
        package,
        memory_mb=limits["memory"],
        timeout_s=limits["timeout"] / 1000,
        environment={},
        entry=f"__main__.{meta['exec'].get('main') or 'main'}",
    )


def _merged(call: Call, content: Mapping[str, Any], before: Mapping[str, Any], code: Code | None) -> dict[str, Any]:
    """What the PUT says over what there was, as updateWhiskAction does."""
    executed = _exec(content["exec"], code) if code is not None else before["exec"]
    annotations = _pairs(content, "annotations", before)
    if not before and not any(pair["key"] == "provide-api-key" for pair in annotations):
        annotations.append({"key": "provide-api-key", "value": False})
    noted = [pair for pair in annotations if pair["key"] != "exec"]
    return {
        "exec": executed,
        "limits": checked_limits(call, content.get("limits") or {}, before.get("limits") or {}),
        "parameters": _pairs(content, "parameters", before),
        "annotations": [*noted, {"key": "exec", "value": executed["kind"]}],
        "version": content.get("version") or _next(before.get("version")),
        "publish": bool(content.get("publish", before.get("publish", False))),
    }


def _exec(given: Mapping[str, Any], code: Code) -> dict[str, Any]:
    kind = _kind(given)
    executed: dict[str, Any] = {"kind": kind, "binary": code.text is None}
    if kind == "blackbox":
        executed["image"] = given["image"]
    if given.get("main") is not None:
        executed["main"] = given["main"]
    return executed if code.text is None else {**executed, "text": code.text}


def _kind(given: Mapping[str, Any]) -> str:
    kind = given.get("kind")
    if not isinstance(kind, str):
        raise wire.malformed("'kind' must be a string defined in 'exec'")
    kind = kind.strip().lower()
    if kind == "python:default":
        return DEFAULT_KIND
    if kind not in KINDS:
        valid = "', '".join(KINDS)
        raise wire.malformed(f"The specified runtime '{kind}' is not supported by this platform. Valid values are: '{valid}'.")
    if kind == "blackbox" and not isinstance(given.get("image"), str):
        raise wire.malformed("'image' must be a string defined in 'exec' for 'blackbox' actions")
    if not isinstance(given.get("main", ""), str):
        raise wire.malformed(f"if defined, 'main' be a string in 'exec' for '{kind}' actions")
    return kind


def _code(given: Any) -> Code:
    if not isinstance(given, dict):
        raise wire.malformed("'kind' must be a string defined in 'exec'")
    kind, text = _kind(given), given.get("code")
    if not isinstance(text, str) or not text.strip():
        raise wire.malformed(f"'code' must be a string or attachment object defined in 'exec' for '{kind}' actions")
    if is_binary(text):
        return Code(base64.b64decode(text.strip()), None)
    return Code(_zip_of(text), text)


def is_binary(code: str) -> bool:
    stripped = code.strip()
    return len(stripped) % 4 == 0 and bool(_BASE64.fullmatch(stripped)) if stripped else False


def _zip_of(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", (1980, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def _code_of(call: Call, stored: Stored) -> str:
    text = stored.meta["exec"].get("text")
    if isinstance(text, str):
        return text
    return base64.b64encode(call.api.platform.code(stored.scope, stored.name)).decode("ascii")


def _pairs(content: Mapping[str, Any], field: str, before: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = content.get(field)
    if given is None:
        return list(before.get(field) or [])
    if not isinstance(given, list) or not all(isinstance(pair, dict) and isinstance(pair.get("key"), str) for pair in given):
        raise wire.malformed(f"{field} malformed!")
    last = {pair["key"]: pair for pair in given}
    return json.loads(json.dumps(list(last.values())))  # type: ignore[no-any-return]


def _next(version: str | None) -> str:
    if version is None:
        return "0.0.1"
    major, minor, patch = version.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"
