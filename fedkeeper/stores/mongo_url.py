"""What a MongoDB URL means to us. Everything the driver understands is left to it: sign-in, TLS, replica sets, SRV.

mongodb://user:password@host:port/DATABASE?fedkeeperPrefix=NAME&driver=options
                        `-- where      |                   `-- NAME_blobs, NAME_receipts, ...; taken out before the driver looks
                                       `-- `fedkeeper` when there is none
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from fedkeeper.errors import StoreError

DATABASE = "fedkeeper"
PREFIX = "fedkeeperPrefix"
_FORBIDDEN = set('/\\. "$\0@:')  # the last two: a / in a password that is not encoded, so nothing of the URL is shown


@dataclass(frozen=True)
class MongoUrl:
    """`driver` is for pymongo alone: it holds the credential. `where` is for people."""

    driver: str
    where: str
    database: str
    prefix: str
    options: frozenset[str]  # names the driver is given, in lower case


def parse(url: str) -> MongoUrl:
    scheme, separator, rest = url.partition("://")
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    hosts = authority.rpartition("@")[2]
    database = unquote(path) or DATABASE
    pairs = [pair for pair in query.split("&") if pair]
    prefix = "".join(unquote(pair.partition("=")[2]) for pair in pairs if pair.partition("=")[0] == PREFIX)
    kept = [pair for pair in pairs if pair.partition("=")[0] != PREFIX]
    if scheme not in ("mongodb", "mongodb+srv") or not separator or not hosts:
        raise StoreError("not a MongoDB URL", hint="write mongodb://user:password@host:port/database")
    if _FORBIDDEN & set(database) or len(database.encode()) > 63:
        raise StoreError(
            "the MongoDB URL names no possible database",
            hint="after the host comes /database?options; percent-encode / and @ in user and password",
        )
    if not prefix.replace("_", "").replace("-", "").isalnum() and prefix:
        raise StoreError(f"{PREFIX} is no possible prefix", hint="use letters, digits, - and _")
    driver = f"{scheme}://{authority}/{path}" + ("?" + "&".join(kept) if kept else "")
    return MongoUrl(driver, hosts, database, f"{prefix}_" if prefix else "", frozenset(_option(pair) for pair in kept))


def sign_in(url: str) -> tuple[str, str, str]:
    """User, password, and the database the user lives in, of a URL."""
    authority, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    user, _, password = authority.rpartition("@")[0].partition(":")
    given = dict(parse_qsl(url.partition("?")[2]))
    source = given.get("authSource") or unquote(path) or "admin"
    return unquote(user), unquote(password), source


def _option(pair: str) -> str:
    return pair.partition("=")[0].lower()
