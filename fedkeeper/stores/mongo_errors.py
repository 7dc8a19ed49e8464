"""The border to pymongo: what went wrong, as one of our errors, in one line without credentials.

nobody answers, no primary, a broken connection  -> StoreUnreachable   (`away`: worth another try)
signed in wrongly, or a right is missing         -> StoreError that names user's side and the right
anything else                                    -> StoreError
"""

from __future__ import annotations

import re

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from fedkeeper.errors import StoreError, StoreUnreachable

DUPLICATE_KEY = 11000
_UNAUTHORIZED = 13
_SIGN_IN = (18, 8000)  # 8000: Atlas
_AWAY = (64, 91, 189, 10107, 11600, 11602, 13435, 13436)  # no majority in time, shutting or stepping down, not primary any more
_RIGHT = re.compile(r'not authorized on (\S+) to execute command \{ (\w+): "([^"]*)"')
_NOISE = re.compile(r" \(configured timeouts: [^)]*\)|, Timeout: .*$|, Topology Description: .*$|, full error: .*$", re.DOTALL)


def away(error: PyMongoError) -> bool:
    """The server may be back in a moment."""
    if isinstance(error, BulkWriteError):
        return any(each.get("code") in _AWAY for each in (*_write_errors(error), *_concern_errors(error)))
    if isinstance(error, OperationFailure) and error.code in _AWAY:
        return True
    return isinstance(error, ConnectionFailure | WTimeoutError | ExecutionTimeout)


def only_duplicates(error: BulkWriteError) -> bool:
    """Every document was there already, and nothing else is wrong."""
    return not _concern_errors(error) and all(each.get("code") == DUPLICATE_KEY for each in _write_errors(error))


def translate(error: PyMongoError, doing: str, where: str) -> StoreError:
    if away(error):
        return StoreUnreachable(f"MongoDB at {where} does not answer: {_brief(error)}", hint=_reach_hint(str(error)))
    if isinstance(error, InvalidURI):
        return unreadable(where)
    if isinstance(error, ConfigurationError):
        return StoreError(f"the MongoDB URL for {where} cannot be used: {_brief(error)}")
    if isinstance(error, OperationFailure) and error.code in _SIGN_IN:
        return StoreError(
            f"MongoDB at {where} does not accept the user or the password",
            hint="check the credential in the store's URL, and authSource when the user lives in another database",
        )
    if isinstance(error, OperationFailure) and error.code == _UNAUTHORIZED:
        return _no_right(error, doing, where)
    return StoreError(f"MongoDB at {where} cannot {doing}: {_brief(error)}")


def unreadable(where: str) -> StoreError:
    """Without what the driver says: it may quote the URL."""
    return StoreError(
        f"the MongoDB URL for {where} cannot be read", hint="percent-encode : / ? # [ ] @ and % in user and password"
    )


def _no_right(error: OperationFailure, doing: str, where: str) -> StoreError:
    found = _RIGHT.search(str(error))
    right = f"the right to {found[2]} in {found[1]}.{found[3]}" if found else "a right (or must sign in first)"
    return StoreError(
        f"MongoDB at {where} will not {doing}: the credential lacks {right}",
        hint="give its user the role readWrite on the database; a function's needs less, and must not be used elsewhere",
    )


def _brief(error: PyMongoError) -> str:
    lines = _NOISE.sub("", str(error)).splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]


def _reach_hint(text: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its TLS certificate is not trusted: name the authority's file in the URL, tlsCAFile=..."
    if "SSL" in text or "connection closed" in text:
        return "does the server speak TLS, and does the URL say so? (tls=true or tls=false)"
    return "is the server running, and may this machine reach it? `fedkeeper resume` goes on with a run"


def _write_errors(error: BulkWriteError) -> list[dict[str, int]]:
    return list((error.details or {}).get("writeErrors", []))


def _concern_errors(error: BulkWriteError) -> list[dict[str, int]]:
    return list((error.details or {}).get("writeConcernErrors", []))
