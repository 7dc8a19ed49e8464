"""Starts one module of this folder in a bare interpreter: `python -I boot.py platform 5`.

The folder becomes the private package `fedkeeper_local`, so that the platform's processes share code without importing
`fedkeeper` (a worker must get that name from the unpacked zip alone) and without this folder on `sys.path` (it would hide
the standard library's `platform`). Everything reachable from here is standard library only.
"""

import importlib
import sys
import types
from pathlib import Path

PACKAGE = "fedkeeper_local"


def start(module: str, *arguments: str) -> None:
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(Path(__file__).resolve().parent)]
    sys.modules[PACKAGE] = package
    importlib.import_module(f"{PACKAGE}.{module}").main(*arguments)


if __name__ == "__main__":
    start(*sys.argv[1:])
