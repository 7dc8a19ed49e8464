"""A cluster's settings with the operator's secrets put in: done once, when an adapter or a caller is made, and kept nowhere else.

{"auth": "${env:OW_AUTH}"} + environ -> {"auth": "..."}        a missing variable is AccessDenied and names both
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fedkeeper.errors import AccessDenied
from fedkeeper.model import Json

PLACEHOLDER = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def resolved(settings: Mapping[str, Json], environ: Mapping[str, str], where: str) -> dict[str, Json]:
    """A copy of `settings` without placeholders. `where` names the cluster in the error, "providers.aws.eu"."""
    return {name: _filled(value, environ, f"{where}.{name}") for name, value in settings.items()}


def variables(settings: Mapping[str, Json]) -> tuple[str, ...]:
    """The variables that the settings name, in order, once each."""
    return tuple(
        dict.fromkeys(name for value in settings.values() if isinstance(value, str) for name in PLACEHOLDER.findall(value))
    )


def _filled(value: Json, environ: Mapping[str, str], where: str) -> Json:
    if not isinstance(value, str):
        return value

    def one(match: re.Match[str]) -> str:
        name = match.group(1)
        if not environ.get(name):
            raise AccessDenied(f"{where} needs the environment variable {name}, which is not set", hint=f"export {name}=...")
        return environ[name]

    return PLACEHOLDER.sub(one, value)
