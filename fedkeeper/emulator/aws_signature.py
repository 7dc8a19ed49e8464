"""Signature Version 4, as the services check it: the request's own signature is computed again and compared.

    method, raw path, query, signed headers, body -> canonical request -> string to sign -> HMAC with the derived key

Written from https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and not with botocore, which
signs the requests of most clients: both reading the same page is the check. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from starlette.datastructures import Headers

from fedkeeper.emulator.aws_wire import Refused

ALGORITHM, SERVICE, ENDING = "AWS4-HMAC-SHA256", "lambda", "aws4_request"
BASIC = "%Y%m%dT%H%M%SZ"
SKEW = timedelta(minutes=5)
_PARTS = {
    "Credential": re.compile(r"Credential=([^,\s]+)"),
    "Signature": re.compile(r"Signature=([^,\s]+)"),
    "SignedHeaders": re.compile(r"SignedHeaders=([^,\s]+)"),
}


@dataclass(frozen=True)
class Signed:
    """What is signed of a request. `path` and `query` as they came, still encoded."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Claim:
    """The Authorization header."""

    key_id: str
    date: str  # 20260131
    region: str
    service: str
    headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{ENDING}"


def check(request: Signed, key_id: str, secret: str, region: str, now: float) -> None:
    """Refused unless the request is signed, now, with this key, for Lambda in this region."""
    claim, stamp = claimed(request.headers), _stamp(request.headers)
    if claim.key_id != key_id or "x-amz-security-token" in request.headers:  # the emulator has made no temporary keys
        raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    _scoped(claim, stamp, region)
    _timely(stamp, now)
    if not hmac.compare_digest(signature(request, claim, stamp, secret).encode(), claim.signature.encode()):
        raise _mismatch()


def claimed(headers: Headers) -> Claim:
    text = headers.get("authorization")
    if not text:
        raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
    if not text.startswith(ALGORITHM):
        raise _incomplete(f"Unsupported AWS 'algorithm': '{text.partition(' ')[0]}'.")
    found = {name: match[1] for name, pattern in _PARTS.items() if (match := pattern.search(text))}
    if lacking := [name for name in _PARTS if name not in found]:
        raise _incomplete(" ".join(f"Authorization header requires '{name}' parameter." for name in lacking))
    scope = found["Credential"].split("/")
    if len(scope) != 5:
        text = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term"
        raise _incomplete(f"{text}, got '{found['Credential']}'")
    if scope[4] != ENDING:
        raise _wrong(f"Credential should be scoped with a valid terminator: '{ENDING}'.")
    names = tuple(found["SignedHeaders"].lower().split(";"))
    key_id, date, region, service, _ = scope
    return Claim(key_id, date, region, service, names, found["Signature"])


def signature(request: Signed, claim: Claim, stamp: str, secret: str) -> str:
    text = "\n".join([ALGORITHM, stamp, claim.scope, hashlib.sha256(canonical(request, claim.headers).encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (claim.date, claim.region, claim.service, ENDING):
        key = _hmac(key, part)
    return _hmac(key, text).hex()


def canonical(request: Signed, names: tuple[str, ...]) -> str:
    """The path is encoded once more, as for every service but S3."""
    given = hashlib.sha256(request.body).hexdigest()
    if request.headers.get("x-amz-content-sha256", given) != given:
        raise _mismatch()
    for needed in ("host", "x-amz-date" if "x-amz-date" in request.headers else "date"):
        if needed not in names:
            raise _wrong(f"'{needed.title()}' must be a 'SignedHeader' in the AWS Authorization.")
    headers = "".join(f"{name}:{_value(request.headers, name)}\n" for name in names)
    query = "&".join(sorted(_pair(part) for part in request.query.split("&") if part))
    path = quote(request.path or "/", safe="/-_.~")
    return "\n".join([request.method, path, query, headers, ";".join(names), given])


def _pair(part: str) -> str:
    name, _, value = part.partition("=")
    return f"{name}={value}"


def _value(headers: Headers, name: str) -> str:
    return ",".join(" ".join(value.split()) for value in headers.getlist(name))


def _stamp(headers: Headers) -> str:
    """The time of the signature in the basic form."""
    given = headers.get("x-amz-date") or headers.get("date")
    if not given:
        raise _incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    try:
        if re.fullmatch(r"\d{8}T\d{6}Z", given):
            return datetime.strptime(given, BASIC).strftime(BASIC)
        return parsedate_to_datetime(given).astimezone(timezone.utc).strftime(BASIC)
    except ValueError as exc:
        raise _incomplete(f"Date must be in ISO-8601 'basic format'. Got '{given}'.") from exc


def _scoped(claim: Claim, stamp: str, region: str) -> None:
    if claim.region != region:
        raise _wrong(f"Credential should be scoped to a valid region, not '{claim.region}'. ")
    if claim.service != SERVICE:
        raise _wrong(f"Credential should be scoped to correct service: '{SERVICE}'. ")
    if claim.date != stamp[:8]:
        raise _wrong(f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{claim.date}'")


def _timely(stamp: str, now: float) -> None:
    signed = datetime.strptime(stamp, BASIC).replace(tzinfo=timezone.utc)
    moment = datetime.fromtimestamp(now, timezone.utc)
    oldest, newest = moment - SKEW, moment + SKEW
    if signed < oldest:
        raise _wrong(f"Signature expired: {stamp} is now earlier than {oldest:{BASIC}} ({moment:{BASIC}} - 5 min.)")
    if signed > newest:
        raise _wrong(f"Signature not yet current: {stamp} is still later than {newest:{BASIC}} ({moment:{BASIC}} + 5 min.)")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _mismatch() -> Refused:
    return _wrong(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
        "signing method. Consult the service documentation for details."
    )


def _wrong(text: str) -> Refused:
    return Refused("InvalidSignatureException", text)


def _incomplete(text: str) -> Refused:
    return Refused("IncompleteSignatureException", text)
