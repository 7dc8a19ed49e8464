"""The functions' own URLs: a private function behind Google's front end.

POST /run/PROJECT/REGION/NAME + ID token --> an instance (or a place in the queue) --> the function's answer as it is
   404 no such function   403 no token   401 a wrong one   413 too large   429 no instance   504 its time is over   503 it died
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import defaultdict
from html import escape

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fedkeeper.emulator.core import Api
from fedkeeper.emulator.google_checks import checked
from fedkeeper.emulator.google_tokens import Tokens
from fedkeeper.emulator.limits import GoogleLimits
from fedkeeper.emulator.stored import TIMEOUT, TOO_LARGE, Outcome
from fedkeeper.errors import FunctionNotFound, ProviderError

QUEUE_S = 10.0  # https://cloud.google.com/run/docs/about-instance-autoscaling: pending requests wait up to 10 s
DROPPED = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server", "authorization", "host")
NOT_FOUND = "The requested URL <code>{path}</code> was not found on this server."
FORBIDDEN = "Your client does not have permission to get URL <code>{path}</code> from this server."
UNAUTHORIZED = "Your client does not have permission to the requested URL <code>{path}</code>."
NO_INSTANCE = "Rate exceeded."
DIED = (
    "The request failed because either the HTTP response was malformed or connection to the instance had an error. "
    "Additional troubleshooting documentation can be found at: https://cloud.google.com/run/docs/troubleshooting#malformed-response"
)


class Door:
    """Lives on the event loop. Counts what is under way, function by function."""

    def __init__(self, api: Api, tokens: Tokens, queue_s: float = QUEUE_S) -> None:
        self._api, self._tokens, self._queue_s = api, tokens, queue_s
        limits = api.limits
        assert isinstance(limits, GoogleLimits)
        self._limits = limits
        self._under_way: dict[tuple[str, str], int] = defaultdict(int)

    async def enter(self, request: Request) -> Response:
        scope, name = f"{request.path_params['project']}/{request.path_params['region']}", request.path_params["name"]
        stored = await asyncio.to_thread(self._api.platform.get, scope, name)
        if stored is None:
            return _page(404, "Page not found", NOT_FOUND, request)
        audience = f"{self._api.base_url}/run/{scope}/{name}"
        if wrong := self._tokens.accepts(request.headers.get("authorization"), audience, self._api.clock()):
            return _refused(wrong, request)
        body = await self._body(request)
        if body is None:
            return _page(413, "Request Entity Too Large", "Your client issued a request that was too large.", request)
        capacity = checked(stored.meta, self._limits).capacity
        if not await self._admitted((scope, name), capacity):
            return Response(NO_INSTANCE, 429, media_type="text/plain")
        try:
            return await self._run(request, scope, name, body)
        finally:
            self._under_way[(scope, name)] -= 1

    async def _admitted(self, function: tuple[str, str], capacity: int) -> bool:
        until = asyncio.get_running_loop().time() + self._queue_s
        while self._under_way[function] >= capacity:
            if asyncio.get_running_loop().time() >= until:
                return False
            await asyncio.sleep(0.02)
        self._under_way[function] += 1
        return True

    async def _run(self, request: Request, scope: str, name: str, body: bytes) -> Response:
        trace = uuid.uuid4().hex
        headers = {key: value for key, value in request.headers.items() if key not in DROPPED}
        headers |= {"host": request.url.netloc, "function-execution-id": trace[:12], "x-cloud-trace-context": f"{trace}/1;o=1"}
        path = request.path_params["path"] or "/"
        line = {
            "method": request.method,
            "path": path + (f"?{request.url.query}" if request.url.query else ""),
            "headers": headers,
        }
        try:
            activation = self._api.platform.start(scope, name, json.dumps(line).encode() + b"\n" + body)
        except FunctionNotFound:
            return _page(404, "Page not found", NOT_FOUND, request)
        except ProviderError as exc:
            return Response(f"upstream connect error: {exc}", 503, media_type="text/plain")
        outcome = await self._api.platform.finished(activation)
        if outcome is None:
            return Response(DIED, 503, media_type="text/plain")
        response = _response(outcome)
        response.headers["Function-Execution-Id"] = trace[:12]
        response.headers["X-Cloud-Trace-Context"] = trace
        return response

    async def _body(self, request: Request) -> bytes | None:
        """None when it is larger than Google takes."""
        parts, size = [], 0
        try:
            async for part in request.stream():
                size += len(part)
                if size <= self._limits.max_request:
                    parts.append(part)
        except ClientDisconnect:
            return b""
        return b"".join(parts) if size <= self._limits.max_request else None


def _response(outcome: Outcome) -> Response:
    if outcome.error_kind == TIMEOUT:
        return Response("upstream request timeout", 504, media_type="text/plain")
    if outcome.error_kind == TOO_LARGE:
        return Response("Response size was too large. Please consider reducing response size.", 500, media_type="text/plain")
    line, _, body = outcome.answer.partition(b"\n")
    if not line:
        return Response(DIED, 503, media_type="text/plain")
    head = json.loads(line)
    pairs = head["headers"].items() if isinstance(head["headers"], dict) else head["headers"]
    return Response(body, head["status"], {key: value for key, value in pairs if key.lower() not in DROPPED})


def _refused(wrong: str, request: Request) -> Response:
    if wrong == "missing":
        return _page(403, "Forbidden", FORBIDDEN, request)
    page = _page(401, "Unauthorized", UNAUTHORIZED, request)
    page.headers["WWW-Authenticate"] = 'Bearer error="invalid_token" error_description="The access token could not be verified"'
    return page


def _page(status: int, title: str, text: str, request: Request) -> Response:
    said = text.format(path=escape(request.path_params.get("path") or "/"))
    page = f"<html><head>\n<title>{status} {title}</title>\n</head>\n<body>\n<h1>Error: {title}</h1>\n<h2>{said}</h2>\n</body></html>\n"
    return Response(page, status, media_type="text/html; charset=UTF-8")
