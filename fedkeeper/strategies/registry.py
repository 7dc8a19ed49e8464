"""Strategy name -> class, imported on first use.

    reducers   fedavg   fedkeeper.strategies.mean:FedAvg              needs NumPy; runs in the aggregator
    selectors  random   fedkeeper.strategies.select:RandomSelector    standard library; runs in the orchestrator

Used by wiring, by runtime's context and, for names of modules only, by the packager.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Mapping
from types import MappingProxyType

from fedkeeper.errors import UsageError
from fedkeeper.model import Json
from fedkeeper.strategies.base import Selector, StreamReducer

REDUCERS = MappingProxyType({"fedavg": "fedkeeper.strategies.mean:FedAvg"})
SELECTORS = MappingProxyType({"random": "fedkeeper.strategies.select:RandomSelector"})


def reducer(name: str, params: Mapping[str, Json]) -> StreamReducer:
    """`params` are the keyword arguments of the class."""
    made: StreamReducer = _make("strategy", REDUCERS, name, params)
    return made


def selector(name: str, params: Mapping[str, Json]) -> Selector:
    made: Selector = _make("selector", SELECTORS, name, params)
    return made


def module_of(name: str) -> str:
    """The module the aggregator needs in its zip for this strategy."""
    return _target("strategy", REDUCERS, name).split(":")[0]


def _target(what: str, known: Mapping[str, str], name: str) -> str:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        names = f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(sorted(known))}"
        raise UsageError(f"no {what} called {name!r}", hint=names)
    return known[name]


def _make(what: str, known: Mapping[str, str], name: str, params: Mapping[str, Json]) -> Json:
    module, class_name = _target(what, known, name).split(":")
    kind = getattr(importlib.import_module(module), class_name)
    signature = inspect.signature(kind)
    try:
        signature.bind(**params)
    except TypeError as exc:
        raise UsageError(f"{what} {name}: {exc}", hint=f"its parameters: {', '.join(signature.parameters) or 'none'}") from exc
    return kind(**params)
