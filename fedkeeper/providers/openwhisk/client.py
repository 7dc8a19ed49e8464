"""The wire: OpenWhisk's REST API over one pool of connections. Thread-safe.

    request(method, path) -> Answer(status, data, server_time)       or one of our errors (errors.py)

Nothing is repeated in here: an invocation is at most once, and only the engine may make a second one. The key goes into a header and
nowhere else. `requests` is imported on first use.
"""

from __future__ import annotations

import base64
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from fedkeeper.errors import AccessDenied, MissingExtra
from fedkeeper.model import Json
from fedkeeper.providers.openwhisk import errors
from fedkeeper.providers.openwhisk.config import Config

if TYPE_CHECKING:
    import requests

CONNECT_S = 10.0
READ_S = 90.0  # a gateway gives up after 60 to 75 s
POOL = 64
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A good answer. `server_time` is the controller's clock, to the second."""

    status: int
    data: Json
    server_time: float | None


class Client:
    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self.config = config
        self._session = _session(config, environ)

    def request(
        self,
        method: str,
        path: str,
        *,
        place: str = "",
        query: Mapping[str, str | int] | None = None,
        body: bytes | None = None,
        read_s: float = READ_S,
    ) -> Answer:
        """`path` below the namespace; `place` names the function in errors."""
        import requests

        headers = {"Content-Type": "application/json"} if body is not None else None
        try:
            response = self._session.request(
                method,
                f"{self.config.base}/{path}",
                params=dict(query) if query else None,
                data=body,
                headers=headers,
                timeout=(CONNECT_S, read_s),
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as exc:
            raise self._tls_error(exc) from exc
        except requests.exceptions.RequestException as exc:
            raise errors.unreachable(self.config, _reason(exc)) from exc
        return self._answer(response, place)

    def close(self) -> None:
        self._session.close()

    def _answer(self, response: requests.Response, place: str) -> Answer:
        time = _server_time(response.headers.get("Date"))
        try:
            data = response.json()
        except ValueError as exc:
            if response.status_code < 300:
                raise errors.malformed(self.config, f"no JSON in {response.text[:200]!r}", place) from exc
            data = None
        if response.status_code < 300:
            return Answer(response.status_code, data, time)
        text = errors.refusal_text(response.status_code, data if isinstance(data, dict) else None, response.text)
        if response.is_redirect:
            text = response.headers.get("Location", text)
        raise errors.error_of(self.config, errors.Refusal(response.status_code, text, place, time))

    def _tls_error(self, exc: Exception) -> Exception:
        reason = _reason(exc)
        if "CERTIFICATE" in reason.upper() or "hostname" in reason.lower():
            return errors.untrusted(self.config, reason)
        return errors.unreachable(self.config, f"{reason}; does it speak https?")


def segment(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="@")


def _session(config: Config, environ: Mapping[str, str]) -> requests.Session:
    try:
        import requests
    except ImportError as exc:
        raise MissingExtra("requests", "openwhisk", "the openwhisk provider") from exc
    session = requests.Session()
    session.trust_env = False  # looked at once, in the environment that we were given: not by every request
    session.proxies.update(_proxies(config, environ))
    session.headers["Authorization"] = "Basic " + base64.b64encode(config.auth.encode()).decode()
    session.verify = environ.get("REQUESTS_CA_BUNDLE") or True if config.verify_tls else False
    session.mount("http://", _adapter(None))
    session.mount("https://", _adapter(_trust(config) if config.verify_tls and config.ca_file else None))
    if not config.verify_tls and config.api_host.startswith("https:"):
        _log.warning("%s.verify_tls is false: anybody on the way can read the key of %s", config.where, config.api_host)
        _silence_urllib3()
    return session


def _adapter(context: ssl.SSLContext | None) -> requests.adapters.HTTPAdapter:
    from requests.adapters import HTTPAdapter

    class Pool(HTTPAdapter):  # type: ignore[misc, unused-ignore]
        """As many connections as there are threads, and our own certificates besides the system's."""

        def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
            super().init_poolmanager(connections, maxsize, block, **kwargs, **({"ssl_context": context} if context else {}))

    return Pool(pool_connections=2, pool_maxsize=POOL)


def _trust(config: Config) -> ssl.SSLContext:
    path = Path(str(config.ca_file)).expanduser()
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=str(path))
    except OSError as exc:  # ssl.SSLError is one
        reason = exc.strerror or "no certificates in PEM form in it"
        hint = "name a file of certificates (-----BEGIN CERTIFICATE-----) that exists where this runs"
        raise AccessDenied(f"{config.where}.ca_file: {path} cannot be used: {reason}", hint=hint) from exc
    return context


def _proxies(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    from requests.utils import should_bypass_proxies

    scheme = urlsplit(config.api_host).scheme
    proxy = environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY")
    if not proxy or should_bypass_proxies(config.api_host, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return {}
    return {scheme: proxy}


def _silence_urllib3() -> None:
    """It would warn at every single request; we have warned once."""
    import urllib3

    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)


def _reason(exc: BaseException) -> str:
    """The innermost reason: urllib3 wraps it several times, and repeats the address."""
    inner: BaseException = exc
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"certificate verification failed: {inner.verify_message}"
    return f"{type(inner).__name__}: {inner}" if str(inner) else type(inner).__name__


def _server_time(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, TypeError):
        return None
