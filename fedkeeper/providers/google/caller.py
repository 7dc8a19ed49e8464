"""Calls one private function over HTTPS; the provider uses it, and it goes into an invoker's zip.

params, body -> seal -> size checked -> POST <function's URL> with an ID token -> unseal -> Reply
                                         401: once more with a fresh token
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from fedkeeper.errors import ActivationFailed, CorruptData, MissingExtra, ProviderError
from fedkeeper.model import Json
from fedkeeper.providers.base import Reply
from fedkeeper.providers.envelope import seal, unseal
from fedkeeper.providers.google.config import Config
from fedkeeper.providers.google.errors import answer_error, too_large, unreachable
from fedkeeper.providers.google.identity import Identity

CONNECT_S = 10.0
BINARY = "application/octet-stream"
CHUNK = 1 << 20


class GoogleCaller:
    """A `Caller`. The provider gives its `config`; an invoker has the settings and what was bound to it."""

    def __init__(self, settings: Mapping[str, Json], environ: Mapping[str, str], config: Config | None = None) -> None:
        self.config = config or Config.of(settings, environ, invoker=True)
        self.identity = Identity(self.config)
        self._requests = _library()
        self._local = threading.local()
        self._sessions: list[Any] = []

    def call(self, function: str, params: Mapping[str, Json], body: bytes = b"", timeout_s: float = 300.0) -> Reply:
        data = self._sealed(function, params, body)
        url = self.config.url(function)
        status, headers, answer = self._post(function, url, data, timeout_s)
        if status == 401 and self.identity.forget(url):
            status, headers, answer = self._post(function, url, data, timeout_s)
        if status != 200:
            raise answer_error(status, headers, answer, self.config, function)
        try:
            result, reply = unseal(answer)
        except CorruptData as exc:
            raise ActivationFailed(f"the answer is not FedKeeper's: {exc}", where=function) from exc
        return Reply(result, reply, _activation_id(headers))

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    def _sealed(self, function: str, params: Mapping[str, Json], body: bytes) -> bytes:
        try:
            data = seal(dict(params), body)
        except (TypeError, ValueError) as exc:
            raise ProviderError(f"the parameters of {function} are not JSON: {exc}") from exc
        if len(data) > self.config.max_request:
            raise too_large(self.config, function, "request", len(data))
        return data

    def _post(self, function: str, url: str, data: bytes, timeout_s: float) -> tuple[int, Mapping[str, str], bytes]:
        token = self.identity.bearer(url)
        errors = self._requests.exceptions
        try:
            with self._session().post(
                url,
                data=data,
                headers={"Content-Type": BINARY},
                auth=_Bearer(token),
                timeout=(CONNECT_S, timeout_s),
                stream=True,
                allow_redirects=False,
            ) as response:
                return response.status_code, response.headers, self._read(function, response)
        except errors.ConnectTimeout as exc:
            raise unreachable(exc, self.config, function) from exc
        except errors.ReadTimeout as exc:
            raise ActivationFailed(f"no answer within {timeout_s:g} s", where=function) from exc
        except errors.RequestException as exc:
            if "timed out" in str(exc) and isinstance(exc, errors.ConnectionError):
                raise ActivationFailed(f"no answer within {timeout_s:g} s", where=function) from exc
            raise unreachable(exc, self.config, function) from exc

    def _read(self, function: str, response: Any) -> bytes:
        """The body, given up as soon as it is known to be too large."""
        limit, size, parts = self.config.max_response, 0, []
        for part in response.iter_content(CHUNK):
            size += len(part)
            if size > limit and response.status_code == 200:
                raise too_large(self.config, function, "response", size)
            if size <= limit:
                parts.append(part)
        return b"".join(parts)

    def _session(self) -> Any:
        """One per thread: connections are kept, and nothing is shared."""
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self._requests.Session()
            self._sessions.append(session)
        return session


class _Bearer:
    """Given as `auth`, so that a .netrc file cannot put something else in its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _activation_id(headers: Mapping[str, str]) -> str | None:
    """The id under which Google's logs have this request."""
    return headers.get("Function-Execution-Id") or (headers.get("X-Cloud-Trace-Context") or "").split("/")[0] or None


def _library() -> Any:
    try:
        import requests
    except ImportError as exc:
        raise MissingExtra("requests", "google", "calling Google's functions") from exc
    return requests
