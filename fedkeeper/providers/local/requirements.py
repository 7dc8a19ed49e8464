"""What a function's requirements mean on this machine: are they installed, and what does a zygote import for them.

    "tensorflow-cpu>=2.16" -> missing()? -> PackageError with the `pip install` line
                           -> preload_of() -> ("tensorflow", "keras")

The check also runs inside another interpreter (setting `python`), so this module is standard library only, apart from
`packaging`, which is used where it is importable; without it names are checked and versions are not.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any

IMPORTS = {
    "tensorflow": ("tensorflow", "keras"),
    "tensorflow-cpu": ("tensorflow", "keras"),
    "tensorflow-macos": ("tensorflow", "keras"),
    "tensorflow-intel": ("tensorflow", "keras"),
    "scikit-learn": ("sklearn",),
    "scikit-image": ("skimage",),
    "opencv-python": ("cv2",),
    "opencv-python-headless": ("cv2",),
    "pillow": ("PIL",),
    "pyyaml": ("yaml",),
    "beautifulsoup4": ("bs4",),
    "python-dateutil": ("dateutil",),
    "fedkeeper": (),  # comes from the zip alone
}
"""Requirement -> what to import for it; any other is imported by its own name, if there is such a module."""

TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tensorflow-intel", "tf-nightly")
"""Distributions that bring the same library: any of them does."""

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


def preload_of(requirements: Iterable[str]) -> tuple[str, ...]:
    """The modules a zygote imports, sorted: one zygote per distinct answer."""
    names = {_name(line) for line in requirements}
    modules = {module for name in names for module in IMPORTS.get(name, (name.replace("-", "_"),))}
    return tuple(sorted(module for module in modules if module))


def missing(requirements: Iterable[str]) -> list[str]:
    """Those that are not satisfied by this interpreter's environment."""
    return [line for line in requirements if not _satisfied(line)]


def _satisfied(line: str) -> bool:
    parsed = _parse(line)
    if parsed is None:  # no `packaging` here: a marker cannot be judged, a version not compared
        return ";" in line or any(_version(name) is not None for name in _alternatives(_name(line)))
    if parsed.marker is not None and not parsed.marker.evaluate({"extra": ""}):
        return True
    found = [version for name in _alternatives(_name(line)) if (version := _version(name)) is not None]
    return any(parsed.specifier.contains(version, prereleases=True) for version in found)


def _parse(line: str) -> Any:
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return None
    return Requirement(line)


def _alternatives(name: str) -> tuple[str, ...]:
    return TENSORFLOWS if name in TENSORFLOWS else (name,)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _name(line: str) -> str:
    match = _NAME.match(line)
    return re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""


def main() -> None:
    """`python -I boot.py requirements`: a JSON list on standard input, those missing on standard output."""
    json.dump(missing(json.load(sys.stdin)), sys.stdout)
