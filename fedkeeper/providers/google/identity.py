"""Who we are to Google: an access token for the API, an ID token for each function.

service-account file or JSON ---+--> control()      credentials for the API (google-auth renews them)
application default credentials +--> bearer(url)    ID token, audience = the function's URL, kept until shortly before it expires
endpoint override: its token ---+    (the token itself, for both)
"""

from __future__ import annotations

import importlib
import json
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from fedkeeper.errors import AccessDenied, MissingExtra, Unreachable
from fedkeeper.providers.google.config import CREDENTIALS, Config

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
EARLY = timedelta(minutes=5)  # an ID token lives an hour; a call must not outlive it
HOW_TO = f"point {CREDENTIALS} to a service-account file, or run `gcloud auth application-default login`; see docs/google.md"
HOW_TO_CALL = (
    "a person's own login cannot make ID tokens: use a service-account file, or "
    "`gcloud auth application-default login --impersonate-service-account=ACCOUNT`"
)


class Identity:
    """One per cluster. Thread-safe. Google's own errors leave it as AccessDenied or Unreachable."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._tokens: dict[str, Any] = {}  # audience -> google-auth's ID-token credentials

    def control(self) -> Any:
        """Credentials for the API."""
        auth = self._library()
        if self._config.token:
            return self._made("google.oauth2.credentials").Credentials(token=self._config.token)
        if info := self._account():
            return self._made("google.oauth2.service_account").Credentials.from_service_account_info(info, scopes=SCOPES)
        try:
            return auth.default(scopes=SCOPES)[0]
        except auth.exceptions.DefaultCredentialsError as exc:
            raise AccessDenied(f"{self._config.setting}: no Google credentials found", hint=HOW_TO) from exc

    def bearer(self, audience: str) -> str:
        """The token to show to a function."""
        if self._config.token:
            return self._config.token
        auth = self._library()
        with self._lock:
            held = self._tokens.get(audience)
        if held is None or _expiring(held.expiry):
            try:
                held = self._fetch(audience)
            except auth.exceptions.TransportError as exc:
                raise Unreachable(f"{self._config.setting}: Google's token service does not answer: {exc}") from exc
            except (auth.exceptions.GoogleAuthError, ValueError) as exc:
                raise AccessDenied(f"{self._config.setting}: no ID token for {audience}: {exc}", hint=HOW_TO_CALL) from exc
            with self._lock:
                self._tokens[audience] = held
        return str(held.token)

    def forget(self, audience: str) -> bool:
        """Drop a token that was refused. False when a new one would be the same."""
        with self._lock:
            return self._tokens.pop(audience, None) is not None

    def _fetch(self, audience: str) -> Any:
        made = self._for_audience(audience)
        made.refresh(self._made("google.auth.transport.requests").Request())
        return made

    def _for_audience(self, audience: str) -> Any:
        if info := self._account():
            account = self._made("google.oauth2.service_account")
            return account.IDTokenCredentials.from_service_account_info(info, target_audience=audience)
        auth, impersonated = self._library(), self._made("google.auth.impersonated_credentials")
        try:
            return self._made("google.oauth2.id_token").fetch_id_token_credentials(audience)  # the metadata server
        except auth.exceptions.DefaultCredentialsError:
            found, _ = auth.default(scopes=SCOPES)
            if not isinstance(found, impersonated.Credentials):
                raise
            return impersonated.IDTokenCredentials(found, target_audience=audience, include_email=True)

    def _account(self) -> dict[str, Any] | None:
        """The service account's key, from a file or from JSON in the setting itself (where a function has no such file)."""
        given, setting = self._config.credentials, f"{self._config.setting}.credentials"
        if given is None:
            return None
        try:
            text = given if given.lstrip().startswith("{") else Path(given).expanduser().read_text(encoding="utf-8")
            info: dict[str, Any] = json.loads(text)
        except OSError as exc:
            raise AccessDenied(f"{setting}: cannot read {given}: {exc.strerror}", hint=HOW_TO) from exc
        except ValueError as exc:
            raise AccessDenied(f"{setting}: this is not a service account's JSON", hint=HOW_TO) from exc
        if info.get("type") != "service_account":
            if given.lstrip().startswith("{"):
                raise AccessDenied(f"{setting}: this JSON is of type {info.get('type')!r}, not a service account", hint=HOW_TO)
            return None  # gcloud's own file: application default credentials read it
        return info

    def _library(self) -> Any:
        for name in ("google.auth.exceptions", "google.auth.transport.requests"):
            self._made(name)
        return self._made("google.auth")

    def _made(self, name: str) -> Any:
        """One of google-auth's modules, most of which have no types."""
        try:
            return importlib.import_module(name)
        except ImportError as exc:
            raise MissingExtra("google-auth", "google", "a google cluster") from exc


def _expiring(expiry: datetime | None) -> bool:
    """google-auth's times are UTC without saying so."""
    return expiry is None or expiry.replace(tzinfo=timezone.utc) - EARLY <= datetime.now(timezone.utc)
