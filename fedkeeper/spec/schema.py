"""The whole schema: the static sections plus one entry per provider kind, whose settings models are injected.

    settings models --kinds()--> Kind --build()--> Spec model --json_schema()--> what editors complete and docs/spec.md is made of

A settings model may carry class attributes the checks use: `shares_host` (its functions see this machine's files), `body_factor`
(bytes on the wire per byte of weights) and `function_options` (the model of a function's options for this provider).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, create_model

from fedkeeper.fields import Section
from fedkeeper.model import Json, Role
from fedkeeper.spec.document import Path
from fedkeeper.spec.sections import ClusterName, FederatedLearning, Functions, FunctionSection, Scenarios, Spec


@dataclass(frozen=True)
class Kind:
    """One kind of provider, as far as a spec is concerned."""

    settings: type[BaseModel]
    shares_host: bool
    body_factor: float
    function_options: type[BaseModel]


def kinds(providers: Mapping[str, type[BaseModel]]) -> dict[str, Kind]:
    return {
        name: Kind(
            settings=model,
            shares_host=bool(getattr(model, "shares_host", False)),
            body_factor=float(getattr(model, "body_factor", 1.0)),
            function_options=getattr(model, "function_options", Section),
        )
        for name, model in providers.items()
    }


def build(providers: Mapping[str, type[BaseModel]]) -> type[Spec]:
    """The model a spec is validated against."""
    known = kinds(providers)
    clusters: dict[str, Any] = {
        name: (dict[ClusterName, kind.settings], Field({}, description=_first_line(kind.settings)))  # type: ignore[name-defined]
        for name, kind in known.items()
    }
    options: dict[str, Any] = {
        name: (kind.function_options, Field(kind.function_options(), description=f"Options on {name} clusters"))
        for name, kind in known.items()
    }
    function = create_model("Function", __base__=FunctionSection, __doc__=FunctionSection.__doc__, **options)
    roles: dict[str, Any] = {
        role.value: (function, Field(function(), description=Functions.model_fields[role.value].description)) for role in Role
    }
    functions = create_model("Functions", __base__=Functions, __doc__=Functions.__doc__, **roles)
    learning = _replace(FederatedLearning, "functions", functions, default=functions())
    scenarios = _replace(Scenarios, "federated_learning", learning)
    clustered = create_model("Providers", __base__=Section, __doc__="The clusters, by kind of platform.", **clusters)
    return _replace(_replace(Spec, "providers", clustered), "scenarios", scenarios)


def json_schema(providers: Mapping[str, type[BaseModel]]) -> dict[str, Json]:
    """JSON Schema (draft 2020-12) of a spec, for editors: complete keys, types, defaults, meanings."""
    schema = build(providers).model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "FedKeeper fabric spec, version 1",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def schemas_at(schema: Mapping[str, Json], path: Path) -> list[Mapping[str, Json]]:
    """The sub-schemas that describe what stands at `path`: one for every way it may be written."""
    found = list(_forms(schema, schema))
    for part in path:
        found = [form for node in found for child in _children(node, part) for form in _forms(schema, child)]
    return found


def _children(node: Mapping[str, Json], part: str | int) -> Iterator[Mapping[str, Json]]:
    if isinstance(part, int):
        if isinstance(node.get("items"), dict):
            yield node["items"]
        return
    if part in node.get("properties", {}):
        yield node["properties"][part]
    else:
        yield from node.get("patternProperties", {}).values()


def _forms(schema: Mapping[str, Json], node: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """`node` with references followed and alternatives spread out."""
    if "$ref" in node:
        yield from _forms(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]])
    elif "x-kind" not in node and ("anyOf" in node or "oneOf" in node):
        for form in node.get("anyOf", node.get("oneOf", ())):
            yield from _forms(schema, form)
    else:
        yield node


def _replace(model: type[Any], name: str, type_: type[Any], **default: Any) -> type[Any]:
    """`model` with another type for one of its fields."""
    description = model.model_fields[name].description
    fields: dict[str, Any] = {name: (type_, Field(default.get("default", ...), description=description))}
    made: type[Any] = create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)
    return made


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n")[0]
