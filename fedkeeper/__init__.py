"""FedKeeper: federated learning over a fabric of FaaS platforms.

    import fedkeeper
    fabric = fedkeeper.Fabric.load("config.yaml")
    fabric.deploy()
    run = fabric.start(rounds=5)      # run.table, run.accuracy, run.model

The names below are imported on first use: this file also travels in every function's zip, where most of the package does not.
"""

from __future__ import annotations

import importlib
from typing import Any

from fedkeeper.version import __version__

_LAZY = {"Fabric": "fedkeeper.api", "Run": "fedkeeper.api"}
__all__ = ["Fabric", "Run", "__version__"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'fedkeeper' has no attribute {name!r}")
