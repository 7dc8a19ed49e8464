"""Which modules of FedKeeper a function needs: the import closure, read from the source, nothing imported.

    handler.py, shim.py, named modules --ast--> fedkeeper.* modules --ast--> ... -> {path in the zip: source}

Imports inside functions count; those under `if TYPE_CHECKING` do not. Modules that are named only in strings (stores,
strategies, callers) are given by the caller.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import fedkeeper
from fedkeeper.errors import PackageError

_TOP = Path(fedkeeper.__file__).resolve().parent.parent


def closure(sources: Iterable[str], modules: Iterable[str] = ()) -> Mapping[str, bytes]:
    """The files, by path in the zip, that `sources` and `modules` import directly or indirectly."""
    files: dict[str, bytes] = {}
    pending = [*modules, *(name for source in sources for name in imports_of(source))]
    while pending:
        name = pending.pop()
        path = _file_of(name)
        if path is None or (key := path.relative_to(_TOP).as_posix()) in files:
            continue
        text = path.read_text(encoding="utf-8")
        files[key] = text.encode()
        pending += _parents(name)
        pending += imports_of(text)
    return files


@lru_cache(maxsize=256)
def imports_of(source: str) -> tuple[str, ...]:
    """Dotted names under `fedkeeper` that a source may import; `from a import b` gives both a and a.b."""
    try:
        tree = ast.parse(source)
    except SyntaxError as exc:
        raise PackageError(f"cannot be parsed: {exc.msg} (line {exc.lineno})") from exc
    return tuple(dict.fromkeys(name for name in _names(tree) if name.split(".")[0] == "fedkeeper"))


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _names(child)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _file_of(name: str) -> Path | None:
    """A module's file; None when the name is not a module (an attribute of one)."""
    base = _TOP.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
