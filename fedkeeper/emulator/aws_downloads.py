"""GetFunction's Code.Location: an address for the zip that holds for ten minutes, as a presigned one of S3.

location(api, account, name) -> http://.../snapshots/<account>/<name>?X-Amz-Expires=...&X-Amz-Signature=...
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fedkeeper.emulator.core import Api
from fedkeeper.errors import FunctionNotFound

PATH = "/snapshots/{account}/{name}"
VALID_S = 600


def location(api: Api, account: str, name: str) -> str:
    path, until = PATH.format(account=account, name=name), str(int(api.clock()) + VALID_S)
    query = urlencode({"X-Amz-Expires": until, "X-Amz-Signature": _signature(api, path, until)})
    return f"{api.base_url}{path}?{query}"


def download(api: Api) -> Callable[[Request], Awaitable[Response]]:
    scope = f"{api.credentials.aws_account}/{api.credentials.aws_region}"

    async def send(request: Request) -> Response:
        until, given = (request.query_params.get(name, "") for name in ("X-Amz-Expires", "X-Amz-Signature"))
        right = _signature(api, request.url.path, until)
        if not hmac.compare_digest(right.encode(), given.encode()) or api.clock() > int(until):
            return PlainTextResponse("AccessDenied", 403)
        try:
            package = await asyncio.to_thread(api.platform.code, scope, request.path_params["name"])
        except FunctionNotFound:
            return PlainTextResponse("NoSuchKey", 404)
        return Response(package, media_type="application/zip")

    return send


def _signature(api: Api, path: str, until: str) -> str:
    key = api.credentials.aws_secret_access_key.encode()
    return hmac.new(key, f"{path}\n{until}".encode(), hashlib.sha256).hexdigest()
