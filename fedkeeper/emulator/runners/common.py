"""What the runners share; travels as `fedkeeper_runner.py`.

A runner's `run(params, request)` returns what became of the activation and the vendor's answer:
({"error": None, "kind": None}, answer), or an error of one of the kinds in `fedkeeper.emulator.stored`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

FOLDER = os.path.dirname(os.path.abspath(__file__))
"""The unpacked zip."""

Told = dict[str, Any]
Answer = tuple[Told, bytes]


class InitError(Exception):
    """The function's code cannot be loaded. The cause is in the log."""


def done(answer: bytes) -> Answer:
    return {"error": None, "kind": None}, answer


def failed(kind: str, error: str, answer: bytes = b"") -> Answer:
    return {"error": one_line(error), "kind": kind}, answer


def one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def describe(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def load(path: str, name: str, attribute: str) -> Callable[..., Any]:
    """`attribute` of the file at `path` of the zip, imported as the module `name`. InitError."""
    file = os.path.join(FOLDER, path)
    module = sys.modules.get(name)
    if module is None or getattr(module, "__file__", None) != file:
        if not os.path.isfile(file):
            raise InitError(f"the zip has no {path}")
        module = _import(file, name)
    found = getattr(module, attribute, None)
    if not callable(found):
        raise InitError(f"{path} has no function {attribute}")
    target: Callable[..., Any] = found
    return target


def _import(file: str, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as exc:  # whatever the code does while it is imported
        del sys.modules[name]
        traceback.print_exc()
        raise InitError(describe(exc)) from exc
    return module
