"""What every OpenWhisk route shares: who asks, for which namespace, and how the controller says no.

    request -> guard(handlers by method): key -> namespace -> handler(Call) -> response
                                          |401   |403         `- Reject(status, text) -> {"error": text, "code": transaction id}

Texts and the order of checks are those of apache/openwhisk: Messages in ErrorResponse.scala, RestAPIs.scala, Entitlement.scala,
BasicAuthenticationDirective.scala; what Akka HTTP itself refuses has Akka's words.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
import re
import secrets
import string
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fedkeeper.emulator.core import Api
from fedkeeper.errors import FunctionNotFound, Unreachable

NAMESPACE = "guest"
"""The namespace that the emulator's key owns."""
METHODS = ["GET", "PUT", "POST", "DELETE", "PATCH"]
MAX_NAME = 256
_NAME = re.compile(r"\w|\w[\w@ .-]*[\w@.-]+", re.ASCII)
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="OpenWhisk secure realm",charset=UTF-8'}
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_log = logging.getLogger(__name__)


class Reject(Exception):
    """An answer other than what was hoped for."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers

    def response(self) -> Response:
        return answer({"error": self.text, "code": transaction_id()}, self.status, self.headers)


@dataclass(frozen=True)
class Call:
    """One request that has passed the gate."""

    api: Api
    request: Request
    namespace: str

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    @property
    def action(self) -> str:
        """The action that is asked for. Names are checked as EntityName does."""
        name = self.path("name")
        if len(name) > MAX_NAME:
            raise Reject(400, f"Name segement longer than allowed: {len(name)} > {MAX_NAME}.")  # the controller's spelling
        if not _NAME.fullmatch(name):
            raise Reject(400, "The name of the entity contains illegal characters.")
        return name


Handler = Callable[[Call], Awaitable[Response]]


def guard(api: Api, handlers: Mapping[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
    """One endpoint for all methods of a resource."""

    async def endpoint(request: Request) -> Response:
        try:
            return await _handled(api, handlers, request)
        except Reject as reject:
            return reject.response()
        except FunctionNotFound:  # deleted meanwhile
            return not_found().response()
        except Unreachable as exc:
            _log.warning("the platform below is out of order: %s", exc)
            return Reject(
                503, "The server is currently unavailable (because it is overloaded or down for maintenance)."
            ).response()

    return endpoint


async def _handled(api: Api, handlers: Mapping[str, Handler], request: Request) -> Response:
    authenticate(api.credentials.openwhisk_key, request.headers.get("Authorization"))
    handler = handlers.get(request.method)
    if handler is None:
        raise Reject(405, f"HTTP method not allowed, supported methods: {', '.join(handlers)}")
    asked = request.path_params.get("namespace", "_")
    if asked not in ("_", NAMESPACE):
        entity = [request.path_params[part] for part in ("package", "name") if part in request.path_params]
        raise forbidden("/".join([asked, *entity]))
    return await handler(Call(api, request, NAMESPACE))


def authenticate(key: str, header: str | None) -> None:
    if not header:
        raise Reject(401, "The resource requires authentication, which was not supplied with the request", _CHALLENGE)
    scheme, _, encoded = header.partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        given = b""
    if scheme.lower() != "basic" or not hmac.compare_digest(given, key.encode()):
        raise Reject(401, "The supplied authentication is invalid", _CHALLENGE)


def forbidden(resource: str) -> Reject:
    return Reject(403, f"The supplied authentication is not authorized to access '{resource}'.")


def not_found() -> Reject:
    return Reject(404, "The requested resource does not exist.")


def malformed(reason: str) -> Reject:
    return Reject(400, f"The request content was malformed:\n{reason}")


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(body, status, dict(headers) if headers else None)


async def json_object(request: Request) -> dict[str, Any]:
    """The body, which may be empty."""
    body = await request.body()
    if not body:
        return {}
    if "application/json" not in request.headers.get("Content-Type", ""):
        raise Reject(415, "The request's Content-Type is not supported. Expected:\napplication/json")
    try:
        value = json.loads(body)
    except ValueError as exc:
        raise malformed(f"Unexpected character in input: {exc}") from exc
    if not isinstance(value, dict):
        raise malformed("Object expected")
    return value


def flag(request: Request, name: str, default: bool) -> bool:
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.lower() not in (*_TRUE, *_FALSE):
        raise _bad_query(name, f"'{text}' is not a valid Boolean value")
    return text.lower() in _TRUE


def number(request: Request, name: str) -> int | None:
    """A query parameter in milliseconds since 1970."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise _bad_query(name, f"Parameter is not a valid value for epoch seconds: {text}") from None


def page(call: Call, collection: str) -> tuple[int, int]:
    """(skip, limit) of a list. A limit of 0 is the highest."""
    limits: Any = call.api.limits
    limit = _whole(call.request, "limit", collection, limits.list_default)
    if not 0 <= limit <= limits.list_limit:
        raise _bad_query("limit", f"The value '{limit}' is not in the range of 0 to {limits.list_limit} for {collection}.")
    skip = _whole(call.request, "skip", collection, 0)
    if skip < 0:
        raise _bad_query("skip", f"The value '{skip}' is not greater than or equal to 0 for {collection}.")
    return skip, limit or limits.list_limit


def transaction_id() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))


def _whole(request: Request, name: str, collection: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise _bad_query(name, f"The value '{text}' is not an integer for {collection}.") from None


def _bad_query(name: str, reason: str) -> Reject:
    return Reject(400, f"The query parameter '{name}' was malformed:\n{reason}")
