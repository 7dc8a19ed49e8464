"""Lists as the v2 API gives them: a filter (https://google.aip.dev/160, as far as terms joined by AND go) and pages. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from fedkeeper.emulator.google_wire import Refused
from fedkeeper.emulator.limits import GoogleLimits

_TERM = re.compile(r"""(labels\.[\w-]+|environment|state|name)\s*(=|:|!=)\s*(?:"([^"]*)"|'([^']*)'|(\S+))""")


def filter_of(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """AIP-160 as far as terms joined by AND go."""
    terms = []
    for part in re.split(r"\s+AND\s+", text.strip()) if text.strip() else []:
        match = _TERM.fullmatch(part.strip().strip("()"))
        if not match:
            raise Refused(400, f"Invalid list filter: {part!r}")
        terms.append((match[1], match[2], next((value for value in match.groups()[2:] if value is not None), "")))

    def keep(function: Mapping[str, Any]) -> bool:
        return all(_holds(_value(function, field), operator, value) for field, operator, value in terms)

    return keep


def _value(function: Mapping[str, Any], field: str) -> str | None:
    found = function.get("labels", {}).get(field[7:]) if field.startswith("labels.") else function.get(field)
    return None if found is None else str(found)


def _holds(found: str | None, operator: str, value: str) -> bool:
    if operator == "!=":
        return found != value
    if operator == ":":
        return found is not None and (value == "*" or value in found)
    return found == value


def page_of(items: list[dict[str, Any]], request: Request, limits: GoogleLimits) -> tuple[list[dict[str, Any]], str]:
    try:
        size = int(request.query_params.get("pageSize") or 0) or limits.page_size
        token = request.query_params.get("pageToken") or ""
        begin = int(base64.urlsafe_b64decode(token).decode()) if token else 0
    except ValueError as exc:
        raise Refused(400, "Invalid page_size or page_token.") from exc
    end = begin + min(max(size, 1), limits.max_page_size)
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else ""
    return items[begin:end], following
