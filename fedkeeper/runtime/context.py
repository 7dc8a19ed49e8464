"""What a function finds around it: its package, its store, its cache folder. Everything comes from the environment that
`deploy` bound to the function; heavy parts are made on first use and kept while the worker is warm.

    FEDKEEPER_STORE   store URL (functions without it hold no store credential)
    FEDKEEPER_CACHE   folder for downloaded datasets; a temporary folder when unset
    FEDKEEPER_CALLEE  invokers only: JSON {"caller": "module:Class", "settings": {...}}
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path

import fedkeeper
from fedkeeper.errors import UsageError
from fedkeeper.model import Json
from fedkeeper.providers.base import Caller
from fedkeeper.stores import registry as stores
from fedkeeper.stores.base import Store
from fedkeeper.strategies import registry as strategies
from fedkeeper.strategies.base import StreamReducer

MANIFEST = "fedkeeper_function.json"


class Context:
    """One per worker process. `root` is the folder the zip was unpacked to."""

    def __init__(self, environ: Mapping[str, str], root: Path) -> None:
        self.environ = environ
        self.root = root

    @staticmethod
    @lru_cache(maxsize=1)
    def current() -> Context:
        """The context of this process, kept for all its activations."""
        return Context(os.environ, Path(fedkeeper.__file__).resolve().parent.parent)

    @cached_property
    def store(self) -> Store:
        url = self.environ.get("FEDKEEPER_STORE")
        if not url:
            raise UsageError(
                "this function holds no store credential", hint="its weights travel by relay: call it through the invoker"
            )
        return stores.open_store(url)

    @cached_property
    def cache(self) -> Path:
        folder = Path(self.environ.get("FEDKEEPER_CACHE") or Path(tempfile.gettempdir()) / "fedkeeper-cache")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @cached_property
    def manifest(self) -> Mapping[str, Json]:
        loaded: Mapping[str, Json] = json.loads((self.root / MANIFEST).read_text())
        return loaded

    @cached_property
    def caller(self) -> Caller:
        callee = json.loads(self.environ["FEDKEEPER_CALLEE"])
        module, name = callee["caller"].split(":")
        made: Caller = getattr(importlib.import_module(module), name)(callee["settings"], self.environ)
        return made

    def reducer(self, name: str, params: Mapping[str, Json]) -> StreamReducer:
        return strategies.reducer(name, params)
