"""docs/spec.md, made from the JSON Schema: every key, its type, default and meaning.

settings models -> json_schema -> sections -> Markdown          python -m fedkeeper.spec.docs > docs/spec.md
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import TextIO

from pydantic import BaseModel

from fedkeeper.model import Json
from fedkeeper.spec import builtin
from fedkeeper.spec.schema import json_schema
from fedkeeper.spec.sections import ALL

_INTRO = """\
# The spec, version 1

<!-- Made by `python -m fedkeeper.spec.docs > docs/spec.md`: change the descriptions in the code, not this page. -->

One YAML file describes a fabric and what is trained on it. `config-sample.yaml` is one that runs as it is; `fedkeeper init` writes a
copy, `fedkeeper check` finds every mistake at once, with its line. `fedkeeper upgrade` turns a file of version 0.1 into this format.

| written | means |
|---|---|
| duration | seconds (`30`, `0.5`), or a text such as `500ms`, `30s`, `10m`, `1h30m`, `2d` |
| size | bytes (`1024`), or a text such as `512KB`, `32MB`, `1GB` (powers of 1024) |
| memory | megabytes (`2048`), or a text such as `512MB`, `2GB` |
| secret | `${env:NAME}`: the environment variable NAME, read where it is needed. A secret in clear text is refused |
| path | relative to the folder of the spec; `~` is your home |
| *empty* | a key with nothing after it has its default |

Unknown keys, keys given twice and values of the wrong type are errors. For one `start`, the keys under `training` (except `task`,
`requirements` and `files`), those under `data`, and `clients.per_round` can be set on the command line: `--set training.rounds=5`.
"""

_SCALARS = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text", "object": "mapping"}


def render(providers: Mapping[str, type[BaseModel]]) -> str:
    """The whole page."""
    schema = json_schema(providers)
    blocks = [_INTRO]
    for title, node in _sections(schema, schema, ""):
        blocks.append(_section(schema, title, node))
        if title.endswith("functions"):
            blocks.append(_role_defaults())
    return "\n".join(blocks)


def _sections(schema: Json, node: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Every mapping with fixed keys, parents first. The six functions are alike: one stands for all."""
    if node["properties"]:
        yield path, node
    children = list(node["properties"].items())
    if path.endswith(".functions"):
        children = [("<function>", children[0][1])]
    for key, child in children:
        where = f"{path}.{key}".removeprefix(".")
        forms = list(_below(schema, child))
        for suffix, form in forms:
            which = f" = {{{', '.join(form['properties'])}}}" if len(forms) > 1 else ""
            yield from _sections(schema, form, where + suffix + which)


def _below(schema: Json, node: Json) -> Iterator[tuple[str, Json]]:
    """The mappings with fixed keys that a value may hold, and how their paths go on."""
    node = _resolve(schema, node)
    if "properties" in node:
        yield "", node
    for pattern in node.get("patternProperties", {}).values():
        yield ".<cluster>", _resolve(schema, pattern)
    if "properties" in (item := _resolve(schema, node.get("items", {}))):
        yield "[]", item
    for form in _forms(node):
        yield from _below(schema, form)


def _section(schema: Json, title: str, node: Json) -> str:
    rows = [_row(schema, key, child, key in node.get("required", ())) for key, child in node["properties"].items()]
    heading = f"## `{title}`" if title else "## Top level"
    table = "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])
    about = " ".join((node.get("about") or node.get("description", "")).split())
    return f"{heading}\n\n{about}\n\n{table}\n"


def _row(schema: Json, key: str, node: Json, required: bool) -> str:
    kind = _type(schema, node)
    default = "**required**" if required else _default(kind, node.get("default"))
    meaning = " ".join((node.get("description") or _resolve(schema, node).get("description", "")).split())
    return f"| `{key}` | {kind} | {default} | {meaning} |".replace("{client}", "`{client}`").replace("``", "`")


def _type(schema: Json, node: Json) -> str:
    node = _resolve(schema, node)
    if "x-kind" in node:
        return str(node["x-kind"])
    if forms := [form for form in _forms(node) if form.get("type") != "null"]:
        names = [_type(schema, form) for form in forms]
        return names[0] if len(names) == 1 else " or ".join(dict.fromkeys(names))
    if "enum" in node:
        return " or ".join(f"`{choice}`" for choice in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if node.get("type") == "array":
        return f"list of {_plural(_type(schema, node['items']))}"
    return _SCALARS[node["type"]] + _bounds(node)


def _plural(name: str) -> str:
    return name if name == "text" else f"{name}s"


def _bounds(node: Json) -> str:
    low, high, above = node.get("minimum"), node.get("maximum"), node.get("exclusiveMinimum")
    if high is not None and (low is not None or above is not None):
        return f", {low:,} to {high:,}" if low is not None else f", over {above:g} up to {high:g}"
    if low:
        return f", {low:,} or more"
    return f", over {above:g}" if above is not None else ""


def _default(kind: str, value: Json) -> str:
    if value is None or value in ({}, []):
        return "–"
    if kind in _UNITS:
        return f"`{_with_unit(kind, value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value == ALL and '"all"' in kind:
        return "`all`"
    return "–" if isinstance(value, dict) else f"`{value}`"


_UNITS: Mapping[str, tuple[tuple[float, str], ...]] = {
    "duration": ((3600, "h"), (60, "m"), (1, "s"), (0.001, "ms")),
    "size": ((1024**3, "GB"), (1024**2, "MB"), (1024, "KB"), (1, "B")),
    "memory": ((1024, "GB"), (1, "MB")),
}


def _with_unit(kind: str, value: float) -> str:
    """In the largest unit that leaves a whole number."""
    return next(f"{value / size:g}{unit}" for size, unit in _UNITS[kind] if value >= size and (value / size).is_integer())


def _role_defaults() -> str:
    rows = [
        f"| `{role}` | `{_with_unit('memory', config.memory_mb)}` | "
        + (
            f"the client's and `{_with_unit('duration', builtin.INVOKER_MARGIN_S)}` |"
            if role == "fl_invoker"
            else f"`{_with_unit('duration', config.timeout_s)}` |"
        )
        for role, config in builtin.FUNCTIONS.items()
    ]
    return "\n".join(
        ["Limits of a function that says nothing:", "", "| function | memory | timeout |", "|---|---|---|", *rows, ""]
    )


def _resolve(schema: Json, node: Json) -> Json:
    """Follow a reference; what stands beside it wins."""
    if "$ref" not in node:
        return node
    target = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return {**target, "about": target.get("description"), **{key: value for key, value in node.items() if key != "$ref"}}


def _forms(node: Json) -> list[Json]:
    forms: list[Json] = node.get("anyOf", node.get("oneOf", [])) if "x-kind" not in node else []
    return forms


def main(output: TextIO) -> None:
    """A composition root of its own: the rest of this room knows no provider."""
    registry = importlib.import_module("fedkeeper.providers.registry")
    output.write(render(registry.settings_models()))


if __name__ == "__main__":
    main(sys.stdout)
