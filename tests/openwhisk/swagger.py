"""OpenWhisk's published API description, and whether an exchange keeps to it.

Exchange(method, path, query, body, status, answer) --against the description--> list of complaints
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft4Validator  # type: ignore[import-untyped, unused-ignore]

DESCRIPTION = json.loads((Path(__file__).parents[1] / "data" / "openwhisk-apiv1swagger.json").read_text())
BEYOND = {"count"}
"""Query parameters that the controller takes (Actions.scala, Activations.scala) and its description forgets."""


@dataclass(frozen=True)
class Exchange:
    method: str
    path: str  # below /api/v1
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    status: int = 200
    answer: Any = None


def complaints(exchange: Exchange) -> list[str]:
    found = _operation(exchange)
    if found is None:
        return [f"{exchange.method} {exchange.path} is not described"]
    operation, shared = found
    parameters = [_resolved(one) for one in [*shared, *operation.get("parameters", [])]]
    return [
        f"{exchange.method} {exchange.path} ({exchange.status}): {text}"
        for text in [*_query(exchange, parameters), *_request(exchange, parameters), *_answer(exchange, operation)]
    ]


def violations(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "definitions": DESCRIPTION["definitions"]}
    errors = Draft4Validator(whole).iter_errors(value)
    return [f"{'.'.join(map(str, error.absolute_path)) or 'body'}: {error.message[:300]}" for error in errors]


def _operation(exchange: Exchange) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    for template, item in DESCRIPTION["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, exchange.path.rstrip("/")) and exchange.method.lower() in item:
            return item[exchange.method.lower()], item.get("parameters", [])
    return None


def _query(exchange: Exchange, parameters: list[dict[str, Any]]) -> Iterator[str]:
    known = {one["name"]: one for one in parameters if one.get("in") == "query"}
    for name, text in exchange.query.items():
        if name in BEYOND:
            continue
        if name not in known:
            yield f"query parameter {name} is not described"
        elif known[name].get("type") == "integer" and not re.fullmatch(r"-?\d+", text) and exchange.status < 400:
            yield f"query parameter {name}={text} is no integer"
        elif "enum" in known[name] and text not in known[name]["enum"] and exchange.status < 400:
            yield f"query parameter {name}={text} is none of {known[name]['enum']}"


def _request(exchange: Exchange, parameters: list[dict[str, Any]]) -> Iterator[str]:
    schema = next((one["schema"] for one in parameters if one.get("in") == "body"), None)
    if schema is not None and exchange.body is not None and exchange.status < 400:
        yield from (f"request {text}" for text in violations(schema, exchange.body))


def _answer(exchange: Exchange, operation: dict[str, Any]) -> Iterator[str]:
    described = operation["responses"].get(str(exchange.status))
    if described is None:
        if exchange.status not in (400, 403, 405, 413, 415):  # what a framework or a throttle may say anywhere
            yield f"status {exchange.status} is not described"
    else:
        described = _resolved(described)
    if described is None or exchange.query.get("count") == "true":
        return
    if "schema" in described:
        yield from (f"answer {text}" for text in violations(described["schema"], exchange.answer))
    elif isinstance(exchange.answer, dict) and "response" in exchange.answer:
        yield from (f"answer {text}" for text in violations({"$ref": "#/definitions/Activation"}, exchange.answer))
    elif exchange.status >= 400 and exchange.status != 502:
        yield from (f"answer {text}" for text in violations({"$ref": "#/definitions/ErrorMessage"}, exchange.answer))


def _resolved(entry: dict[str, Any]) -> dict[str, Any]:
    node: Any = entry
    while "$ref" in node:
        target: Any = DESCRIPTION
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return dict(node)
