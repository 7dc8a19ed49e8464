"""Who may ask: the emulator's token, and short-lived JWTs made from it.

Authorization: Bearer <google_token>                        the API, and every function
POST /google/token (OAuth 2.0, RFC 7523, as Google has it)  a service account's assertion -> access token, or ID token for an audience

A service-account file for the emulator has `token_uri` BASE/google/token, any RSA key, and the emulator's token as `private_key_id`:
google-auth then works unchanged (the API also takes JWTs that the account signed itself, as Google does).
Issued tokens are HS256 JWTs under the token; they end after an hour.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

HOUR_S = 3600


class Tokens:
    def __init__(self, secret: str) -> None:
        self._secret = secret

    def issue(self, audience: str, now: float, lifetime_s: float = HOUR_S) -> str:
        claims = {"iss": "https://accounts.google.com", "aud": audience, "iat": int(now), "exp": int(now + lifetime_s)}
        head = f"{_pack({'alg': 'HS256', 'typ': 'JWT'})}.{_pack(claims)}"
        return f"{head}.{self._signature(head)}"

    def accepts(self, authorization: str | None, audience: str, now: float, *, self_signed: bool = False) -> str | None:
        """None when all is well; else what is wrong: "missing", "invalid", "expired" or "audience"."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "missing"
        if hmac.compare_digest(token.encode(), self._secret.encode()):
            return None
        head, _, signature = token.rpartition(".")
        if self_signed and (claims := self._own(token)):
            return "expired" if claims.get("exp", 0) <= now else None
        if not hmac.compare_digest(signature.encode(), self._signature(head).encode()):
            return "invalid"
        claims = _unpack(head.rpartition(".")[2])
        if claims.get("exp", 0) <= now:
            return "expired"
        return None if claims.get("aud") == audience else "audience"

    def exchange(self, assertion: str, api: str, now: float) -> dict[str, Any] | None:
        """An assertion signed under the emulator's token as key id -> Google's answer; None when it is refused."""
        claims = self._own(assertion)
        if not claims or claims.get("exp", 0) <= now:
            return None
        if audience := claims.get("target_audience"):
            return {"id_token": self.issue(str(audience), now)}
        return {"access_token": self.issue(api, now), "expires_in": HOUR_S - 1, "token_type": "Bearer"}

    def _own(self, token: str) -> dict[str, Any]:
        """The claims of a JWT that a service account of this emulator signed: its key id is the emulator's token."""
        parts = token.split(".")
        if len(parts) != 3 or not hmac.compare_digest(str(_unpack(parts[0]).get("kid", "")).encode(), self._secret.encode()):
            return {}
        return _unpack(parts[1])

    def _signature(self, head: str) -> str:
        return _text(hmac.new(self._secret.encode(), head.encode(), hashlib.sha256).digest())


def _pack(value: dict[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpack(part: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}
