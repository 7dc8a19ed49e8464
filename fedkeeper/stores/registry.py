"""Store URL -> store, imported on first use. Used by wiring and by the runtime's context only.

file:/abs/path                 fedkeeper.stores.file      embedded, this machine only
mongodb://  mongodb+srv://     fedkeeper.stores.mongo     a server that functions anywhere can reach
memory:                        fedkeeper.stores.memory    tests
"""

from __future__ import annotations

import importlib
from types import MappingProxyType

from fedkeeper.errors import MissingExtra, StoreError
from fedkeeper.stores.base import Store

MODULES = MappingProxyType(
    {
        "file": "fedkeeper.stores.file:FileStore",
        "mongodb": "fedkeeper.stores.mongo:MongoStore",
        "mongodb+srv": "fedkeeper.stores.mongo:MongoStore",
        "memory": "fedkeeper.stores.memory:MemoryStore",
    }
)
REQUIREMENTS = MappingProxyType({"mongodb": ("pymongo>=4.6,<5",), "mongodb+srv": ("pymongo[srv]>=4.6,<5",)})


def scheme_of(url: str) -> str:
    return url.split(":", 1)[0]


def module_of(url: str) -> str:
    """The module a function needs in its zip to open this URL."""
    scheme = scheme_of(url)
    if scheme not in MODULES:
        raise StoreError(f"no store for {scheme}: URLs", hint=f"use one of {', '.join(f'{name}:' for name in MODULES)}")
    return MODULES[scheme].split(":")[0]


def requirements_of(url: str) -> tuple[str, ...]:
    """What a function has to install to open this URL."""
    return REQUIREMENTS.get(scheme_of(url), ())


def open_store(url: str) -> Store:
    """Open by URL. The class is called with the URL alone."""
    module = module_of(url)
    name = MODULES[scheme_of(url)].split(":")[1]
    try:
        made: type[Store] = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as exc:
        if exc.name not in ("pymongo", "bson"):
            raise
        raise MissingExtra("pymongo", "mongo", f"a {scheme_of(url)}: store") from exc
    return made(url)  # type: ignore[call-arg]


def grant(store: str, functions_store: str) -> str:
    """Give the user that `functions_store` names what functions need, by the credential of `store`. Returns the user's name."""
    if not all(scheme_of(url).startswith("mongodb") for url in (store, functions_store)):
        raise StoreError("only a MongoDB store has users", hint="functions_store is for mongodb:// URLs")
    module_of(store)
    rights = importlib.import_module("fedkeeper.stores.mongo_rights")
    user: str = rights.grant(store, functions_store)
    return user
