"""Store URL -> store, imported on first use. Used by wiring and by the runtime's context only.

file:/abs/path   fedkeeper.stores.file      embedded, this machine only
memory:          fedkeeper.stores.memory    tests
"""

from __future__ import annotations

import importlib
from types import MappingProxyType

from fedkeeper.errors import StoreError
from fedkeeper.stores.base import Store

MODULES = MappingProxyType({"file": "fedkeeper.stores.file:FileStore", "memory": "fedkeeper.stores.memory:MemoryStore"})


def scheme_of(url: str) -> str:
    return url.split(":", 1)[0]


def module_of(url: str) -> str:
    """The module a function needs in its zip to open this URL."""
    scheme = scheme_of(url)
    if scheme not in MODULES:
        raise StoreError(f"no store for {scheme}: URLs", hint=f"use one of {', '.join(f'{name}:' for name in MODULES)}")
    return MODULES[scheme].split(":")[0]


def open_store(url: str) -> Store:
    """Open by URL. The class is called with the URL alone."""
    module = module_of(url)
    name = MODULES[scheme_of(url)].split(":")[1]
    store: Store = getattr(importlib.import_module(module), name)(url)
    return store
