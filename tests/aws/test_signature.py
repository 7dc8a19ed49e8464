"""The emulator's own Signature Version 4 against botocore's."""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from fedkeeper.emulator.aws_signature import Signed, check
from fedkeeper.emulator.aws_wire import Refused

pytest.importorskip("botocore")
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY, SECRET, REGION = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"


def signed(method: str, url: str, body: bytes = b"", secret: str = SECRET, region: str = REGION) -> tuple[Signed, float]:
    """As botocore signs it, and when."""
    request = AWSRequest(method, url, data=body, headers={"X-Amz-Invocation-Type": "Event", "Host": "127.0.0.1:1"})
    SigV4Auth(Credentials(KEY, secret), "lambda", region).add_auth(request)
    headers = Headers({name.lower(): str(value) for name, value in request.headers.items()})
    parts = urlsplit(url)
    stamp = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    return Signed(method, parts.path, parts.query, headers, body), stamp.timestamp()


@given(
    st.text(max_size=30),
    st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=3),
    st.binary(max_size=50),
)
def test_what_botocore_signs_is_accepted_and_nothing_else(name: str, query: dict[str, str], body: bytes) -> None:
    text = "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in query.items())
    request, now = signed("POST", f"http://127.0.0.1:1/2017-03-31/tags/a{quote(name, safe='')}?{text}", body)
    check(request, KEY, SECRET, REGION, now)
    changed = [
        Signed("PUT", request.path, request.query, request.headers, body),
        Signed("POST", request.path + "x", request.query, request.headers, body),
        Signed("POST", request.path, request.query + "&x=1", request.headers, body),
        Signed("POST", request.path, request.query, request.headers, body + b"x"),
    ]
    for other in changed:
        with pytest.raises(Refused) as caught:
            check(other, KEY, SECRET, REGION, now)
        assert caught.value.code == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("later", "secret", "region", "key", "code", "said"),
    [
        (301, SECRET, REGION, KEY, "InvalidSignatureException", "Signature expired"),
        (-301, SECRET, REGION, KEY, "InvalidSignatureException", "Signature not yet current"),
        (0, "other", REGION, KEY, "InvalidSignatureException", "does not match the signature you provided"),
        (0, SECRET, "eu-central-1", KEY, "InvalidSignatureException", "scoped to a valid region"),
        (0, SECRET, REGION, "AKIAOTHER", "UnrecognizedClientException", "security token included in the request is invalid"),
    ],
)
def test_what_is_refused(later: int, secret: str, region: str, key: str, code: str, said: str) -> None:
    request, now = signed("GET", "http://127.0.0.1:1/2015-03-31/functions")
    with pytest.raises(Refused, match=said) as caught:
        check(request, key, secret, region, now + later)
    assert caught.value.code == code
    check(request, KEY, SECRET, REGION, now + 299)


def test_no_signature_at_all() -> None:
    with pytest.raises(Refused) as caught:
        check(Signed("GET", "/", "", Headers({}), b""), KEY, SECRET, REGION, 0.0)
    assert caught.value.code == "MissingAuthenticationTokenException"
