"""What a worker can import: the unpacked zip first, installed libraries after it, and no source tree of FedKeeper.

A zip that lacks a module must fail here as it would in the cloud, however FedKeeper itself is installed on this machine:
from a wheel, in place (editable finders, .pth files) or not at all. Standard library only.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType

GUARDED = "fedkeeper"


class IsolationError(Exception):
    """The process this worker was forked from has already imported FedKeeper's modules from elsewhere."""


class OnlyFromPackage(importlib.abc.MetaPathFinder):
    """The guarded name comes from the package or from nowhere; its submodules follow its `__path__`."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != GUARDED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, [self._package], target)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"No module named {name!r} in this function's zip", name=name)
        return spec


def isolate(package: str) -> None:
    """Make `package` the home of the handler. IsolationError when it is too late for that."""
    loaded = sorted(name for name in sys.modules if name == GUARDED or name.startswith(f"{GUARDED}."))
    if loaded:
        raise IsolationError(f"{', '.join(loaded)} imported before the package was: a required library must not import fedkeeper")
    sys.path[:] = [package, *(entry for entry in sys.path if not _is_source_tree(entry))]
    sys.meta_path[:] = [OnlyFromPackage(package), *(finder for finder in sys.meta_path if not _is_editable(finder))]
    sys.path_importer_cache.clear()


def _is_source_tree(entry: str) -> bool:
    if os.path.basename(entry.rstrip(os.sep)) in ("site-packages", "dist-packages"):
        return False  # an installed wheel among the libraries: the guard hides it
    return entry.startswith("__editable__") or os.path.isdir(os.path.join(entry, GUARDED))


def _is_editable(finder: object) -> bool:
    """setuptools names the class `_EditableFinder` in a module `__editable___<name>_finder` with a MAPPING of what it finds."""
    kind = finder if isinstance(finder, type) else type(finder)
    if not kind.__module__.startswith("__editable__"):
        return False
    mapping = getattr(sys.modules.get(kind.__module__), "MAPPING", None)
    return mapping is None or GUARDED in mapping
