"""The field types of everything a person writes in YAML: durations, sizes, memory, secrets, switches.

    "10m" -> 600.0 s      "32MB" -> 33554432 bytes      "2GB" -> 2048 MB      "${env:NAME}" stays a placeholder

`Section` is the base of every model a spec is made of, the providers' settings included: unknown keys are errors, numbers are not
made from text, an empty value (`key:`) means the default. Units are powers of 1024, as the platforms count.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG])?i?B", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_PLACEHOLDER = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")

DURATION_HINT = "write seconds (30) or a text such as 30s, 10m, 1h30m"
SIZE_HINT = "write bytes or a text such as 512KB, 32MB, 1GB"
ENV_HINT = "write it as ${env:NAME}, with a variable name made of letters, digits and _"
MEMORY_HINT = "write megabytes (2048) or a text such as 512MB, 2GB"


def complaint(message: str, hint: str = "", *, secret: bool = False) -> PydanticCustomError:
    """A validation error with its own words (the braces of `${env:...}` must survive pydantic's template). `secret`: do not show the line."""
    return PydanticCustomError("fedkeeper", "{message}", {"message": message, "hint": hint, "secret": secret})  # type: ignore[misc, unused-ignore]


def parse_duration(value: object) -> float:
    """Seconds from a number or from "1h30m"."""
    if isinstance(value, str):
        text = value.replace(" ", "")
        parts = _DURATION_PART.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise complaint(f"{value!r} is not a duration", DURATION_HINT)
        return sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)
    return _plain_number(value, "a duration", DURATION_HINT)


def parse_size(value: object) -> int:
    """Bytes from a number or from "32MB"."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if not match:
            raise complaint(f"{value!r} is not a size", SIZE_HINT)
        return round(float(match[1]) * _SIZE_UNITS[(match[2] or "").upper()])
    return _whole(_plain_number(value, "a size", SIZE_HINT), "a size in bytes", SIZE_HINT)


def parse_memory(value: object) -> int:
    """Megabytes from a number or from "2GB"."""
    if isinstance(value, str):
        if not _SIZE.fullmatch(value.strip()):
            raise complaint(f"{value!r} is not an amount of memory", MEMORY_HINT)
        return _whole(parse_size(value) / 1024**2, "an amount of memory in MB", MEMORY_HINT)
    return _whole(_plain_number(value, "an amount of memory", MEMORY_HINT), "an amount of memory in MB", MEMORY_HINT)


def env_name(value: str) -> str | None:
    """NAME of a "${env:NAME}" placeholder, None for anything else."""
    match = _PLACEHOLDER.fullmatch(value)
    return match[1] if match else None


def _plain_number(value: object, what: str, hint: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise complaint(f"must be {what}, not {describe(value)}", hint)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise complaint(f"must be {what}, not {describe(value)}", hint)
    return number


def _whole(number: float, what: str, hint: str) -> int:
    if number != int(number):
        raise complaint(f"must be {what} without a fraction", hint)
    return int(number)


def describe(value: object) -> str:
    """A value as its writer knows it: YAML words, no Python types, never long."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    shown = f"{value!r}" if not isinstance(value, int) or abs(value) < 10**30 else "a very long number"
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _secret(value: object) -> object:
    if isinstance(value, str) and env_name(value):
        return value
    if isinstance(value, str) and "${" in value:
        raise complaint("this is not a placeholder", ENV_HINT, secret=True)
    raise complaint(
        "a secret must not stand here in clear text", "put it in an environment variable and write ${env:NAME}", secret=True
    )


def _open_text(value: object) -> object:
    if isinstance(value, str) and "${" in value and env_name(value) is None:
        raise complaint(f"{value!r} is not a placeholder", ENV_HINT)
    return value


def _switch(value: object) -> object:
    words = {"yes": True, "on": True, "no": False, "off": False}
    return words.get(value.lower(), value) if isinstance(value, str) else value


def _http_url(value: object) -> object:
    if not isinstance(value, str) or env_name(value):
        return value
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as exc:
        raise complaint("this is not a valid URL", "write it as https://host[:port][/path]", secret="@" in value) from exc
    if parts.password or parts.username:
        raise complaint("a URL must not hold a user name or password", "put secrets in environment variables", secret=True)
    if parts.scheme not in ("http", "https"):
        raise complaint(f"{value!r} is not an http:// or https:// URL", "write it as https://host[:port][/path]")
    if not parts.hostname or any(c.isspace() or ord(c) < 32 for c in value):
        raise complaint(f"{value!r} is not a valid URL", "write it as https://host[:port][/path]")
    return value


def _schema(kind: str, *types: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"x-kind": kind, **(types[0] if len(types) == 1 else {"anyOf": list(types)})})


_NUMBER: dict[str, Any] = {"type": "number", "minimum": 0}
_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 0}
_SIZE_TEXT: dict[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d+)? *([KMGkmg])?i?[Bb]$"}

Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    _schema("duration", _NUMBER, {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d) *)+$"}),
]
"""A duration; JSON: seconds."""

PositiveSeconds = Annotated[Seconds, Field(gt=0)]

Bytes = Annotated[int, BeforeValidator(parse_size), Field(gt=0), _schema("size", _WHOLE, _SIZE_TEXT)]
"""A size; JSON: bytes."""

Megabytes = Annotated[int, BeforeValidator(parse_memory), Field(gt=0), _schema("memory", _WHOLE, _SIZE_TEXT)]
"""An amount of memory; JSON: MB."""

_PLACEHOLDER_SCHEMA: dict[str, Any] = {"type": "string", "pattern": r"^\$\{env:[A-Za-z_][A-Za-z0-9_]*\}$"}
Secret = Annotated[str, BeforeValidator(_secret), _schema("secret", _PLACEHOLDER_SCHEMA)]
"""Only ever "${env:NAME}"."""

Text = Annotated[str, BeforeValidator(_open_text), Field(min_length=1)]
"""Plain text or "${env:NAME}"."""

HttpUrl = Annotated[str, BeforeValidator(_http_url), BeforeValidator(_open_text), _schema("URL", {"type": "string"})]
"""http(s), without credentials, or "${env:NAME}"."""

Switch = Annotated[bool, BeforeValidator(_switch)]
"""true / false, and YAML 1.1's yes / no / on / off."""


class Section(BaseModel):
    """A mapping of the spec. Strict about types, so that `rounds: "ten"` or `workers: yes` is said, not guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, value: object) -> object:
        """`key:` with everything below it commented out reads as None."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            return value
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {key: item for key, item in value.items() if item is not None or key not in optional}
