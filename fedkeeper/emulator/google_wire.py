"""Google's JSON on the wire: errors as google.rpc.Status, enums by name or number, times. Pure.

Refused(403, "PERMISSION_DENIED", "...") -> {"error": {"code", "message", "status", "details"}}
{"state": "ACTIVE"} --$alt=json;enum-encoding=int--> {"state": 1}           {"environment": 2} --> {"environment": "GEN_2"}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

SERVICE = "cloudfunctions.googleapis.com"
ENUMS: Mapping[str, tuple[str, ...]] = {
    "environment": ("ENVIRONMENT_UNSPECIFIED", "GEN_1", "GEN_2"),
    "state": ("STATE_UNSPECIFIED", "ACTIVE", "FAILED", "DEPLOYING", "DELETING", "UNKNOWN"),
    "ingressSettings": ("INGRESS_SETTINGS_UNSPECIFIED", "ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB"),
    "dockerRegistry": ("DOCKER_REGISTRY_UNSPECIFIED", "CONTAINER_REGISTRY", "ARTIFACT_REGISTRY"),
    "vpcConnectorEgressSettings": ("VPC_CONNECTOR_EGRESS_SETTINGS_UNSPECIFIED", "PRIVATE_RANGES_ONLY", "ALL_TRAFFIC"),
    "securityLevel": ("SECURITY_LEVEL_UNSPECIFIED", "SECURE_ALWAYS", "SECURE_OPTIONAL"),
    "operationType": ("OPERATIONTYPE_UNSPECIFIED", "CREATE_FUNCTION", "UPDATE_FUNCTION", "DELETE_FUNCTION"),
    "stage": ("RUNTIME_STAGE_UNSPECIFIED", "DEVELOPMENT", "ALPHA", "BETA", "GA", "DEPRECATED", "DECOMMISSIONED"),
}
"""Field -> names by number: google/cloud/functions/v2/functions.proto"""
MAPS = ("labels", "environmentVariables")
"""Fields whose keys are the user's."""
CODES = {
    400: ("INVALID_ARGUMENT", 3),
    401: ("UNAUTHENTICATED", 16),
    403: ("PERMISSION_DENIED", 7),
    404: ("NOT_FOUND", 5),
    409: ("ALREADY_EXISTS", 6),
    429: ("RESOURCE_EXHAUSTED", 8),
    500: ("INTERNAL", 13),
}


class Refused(Exception):
    """A request that Google would refuse."""

    def __init__(
        self, code: int, message: str, *, status: str = "", reason: str = "", metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status = status or CODES[code][0]
        self.reason, self.metadata = reason, dict(metadata or {})

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message, "status": self.status}
        if self.reason:
            error["details"] = [self._info()]
        return {"error": error}

    def rpc_status(self) -> dict[str, Any]:
        """The same as an operation's error."""
        details = [self._info()] if self.reason else []
        return {"code": CODES[self.code][1], "message": self.message, "details": details}

    def response(self) -> Response:
        headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'} if self.code == 401 else {}
        return JSONResponse(self.body(), self.code, headers)

    def _info(self) -> dict[str, Any]:
        kind, domain = "type.googleapis.com/google.rpc.ErrorInfo", "googleapis.com"
        return {"@type": kind, "reason": self.reason, "domain": domain, "metadata": self.metadata}


def answer(request: Request, document: Mapping[str, Any]) -> Response:
    numbers = "enum-encoding=int" in (request.query_params.get("$alt") or "")
    return JSONResponse(_numbered(document) if numbers else document)


def _numbered(value: Any, field: str = "") -> Any:
    if isinstance(value, Mapping):
        return dict(value) if field in MAPS else {name: _numbered(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, field) for item in value]
    return ENUMS[field].index(value) if field in ENUMS and value in ENUMS[field] else value


def named(value: Any, field: str = "") -> Any:
    """Enums by name, whichever way the client wrote them; `_` names in camel case."""
    if isinstance(value, Mapping):
        return dict(value) if field in MAPS else {camel(name): named(item, camel(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [named(item, field) for item in value]
    if field in ENUMS and isinstance(value, int) and 0 <= value < len(ENUMS[field]):
        return ENUMS[field][value]
    return value


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
