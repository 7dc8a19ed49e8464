"""Signed upload addresses, as Cloud Storage keeps them: PUT application/zip, no credentials, once, within half an hour.

generateUploadUrl -> (uploadUrl, storageSource) ; PUT uploadUrl -> kept ; create/patch with storageSource -> the zip
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

LIFETIME_S = 1800
KEPT_BYTES = 1 << 30
XML = "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


class Uploads:
    """Objects that no function was made of yet; the oldest go when there are too many bytes of them."""

    def __init__(self, secret: str, base_url: str, max_source: int, clock: Callable[[], float]) -> None:
        self._secret, self._base_url, self._max_source, self._clock = secret, base_url, max_source, clock
        self._objects: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, project: str, region: str) -> dict[str, object]:
        bucket, name = f"gcf-v2-uploads-{project}-{region}", f"{uuid.uuid4()}.zip"
        expires = str(int(self._clock()) + LIFETIME_S)
        query = {
            "X-Goog-Algorithm": "GOOG4-HMAC-SHA256",
            "X-Goog-Expires": expires,
            "X-Goog-SignedHeaders": "content-type;host",
            "X-Goog-Signature": self._signature(bucket, name, expires),
        }
        url = f"{self._base_url}/upload/{bucket}/{name}?{urlencode(query)}"
        return {"uploadUrl": url, "storageSource": {"bucket": bucket, "object": name}}

    def get(self, bucket: str, name: str) -> bytes | None:
        with self._lock:
            return self._objects.get(f"{bucket}/{name}")

    def drop(self, bucket: str, name: str) -> None:
        with self._lock:
            self._objects.pop(f"{bucket}/{name}", None)

    async def put(self, request: Request) -> Response:
        bucket, name = request.path_params["bucket"], request.path_params["object"]
        expires = request.query_params.get("X-Goog-Expires", "")
        signature = request.query_params.get("X-Goog-Signature", "")
        if "authorization" in request.headers:
            return _xml(403, "AccessDenied", "Access denied. The credentials sent have no access to this bucket.")
        same = hmac.compare_digest(signature.encode(), self._signature(bucket, name, expires).encode())
        if not same or request.headers.get("content-type") != "application/zip":
            return _xml(403, "SignatureDoesNotMatch", "Access denied. Signed headers: content-type (application/zip), host.")
        if int(expires) <= self._clock():
            return _xml(400, "ExpiredToken", "The provided token has expired.")
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self._max_source:
                return _xml(400, "EntityTooLarge", f"The upload is larger than {self._max_source} bytes.")
            parts.append(part)
        self._keep(f"{bucket}/{name}", b"".join(parts))
        return Response(status_code=200)

    def _keep(self, key: str, data: bytes) -> None:
        with self._lock:
            self._objects[key] = data
            while len(self._objects) > 1 and sum(map(len, self._objects.values())) > KEPT_BYTES:
                self._objects.popitem(last=False)

    def _signature(self, *parts: str) -> str:
        return hmac.new(self._secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def _xml(status: int, code: str, message: str) -> Response:
    return Response(XML.format(code=code, message=message), status, media_type="application/xml; charset=UTF-8")
