"""The credential a function gets: it puts and reads blobs and receipts, and can neither change nor delete, nor touch the ledger.

    grant(store's URL, functions' URL)   -> role fedkeeperFunctions in the store's database, and the URL's user with it alone

The user is made where its URL signs it in (authSource). The password travels to the server in the driver's own command and nowhere else.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from pymongo.errors import OperationFailure

from fedkeeper.errors import StoreError
from fedkeeper.stores.mongo_client import Connection
from fedkeeper.stores.mongo_url import parse, sign_in

COLLECTIONS = ("blobs", "chunks", "puts", "receipts")
ROLE = "fedkeeperFunctions"
_THERE_ALREADY = (51002, 51003)
_GRANT = "make the functions' user (the credential of `store` must be allowed to make users and roles)"


def least_rights(database: str, prefix: str = "") -> list[dict[str, Any]]:
    """The privileges, as createRole takes them. `prefix` is what the names of the collections begin with."""
    actions = ["find", "insert"]
    return [{"resource": {"db": database, "collection": prefix + name}, "actions": actions} for name in COLLECTIONS]


def grant(store: str, functions_store: str) -> str:
    """Makes role and user, or brings them up to date. Returns the user's name."""
    ours, theirs = parse(store), parse(functions_store)
    user, password, source = sign_in(functions_store)
    if not user or not password:
        raise StoreError("the functions' URL names no user or no password", hint="mongodb://USER:PASSWORD@host/database")
    if (ours.database, ours.prefix) != (theirs.database, theirs.prefix):
        raise StoreError("the functions' URL names another database or prefix than the store's", hint="use the same in both")
    if user == sign_in(store)[0]:
        raise StoreError("the functions' user is the store's own", hint="give functions a user of their own, with less rights")
    role = "_".join([ROLE, ours.prefix.rstrip("_")]) if ours.prefix else ROLE
    with closing(Connection(store, 0)) as connection:
        _make(connection, ours.database, "Role", role, privileges=least_rights(ours.database, ours.prefix), roles=[])
        _make(connection, source, "User", user, pwd=password, roles=[{"role": role, "db": ours.database}])
    return user


def _make(connection: Connection, database: str, what: str, name: str, **body: Any) -> None:
    def make() -> None:
        try:
            connection.client()[database].command(f"create{what}", name, **body)
        except OperationFailure as exc:
            if exc.code not in _THERE_ALREADY:
                raise
            connection.client()[database].command(f"update{what}", name, **body)

    connection.call(_GRANT, make)
