"""What a task file says of itself, read without running it: whether it is Python, what it defines, how large its model is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REQUIRED = ("build", "load")
"""Functions every task has."""


@dataclass(frozen=True)
class TaskFile:
    """`error` says why it cannot be used, with the line in the task file."""

    parameters: int | None = None
    error: str | None = None


def inspect(path: Path) -> TaskFile:
    try:
        module = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as exc:
        return TaskFile(error=f"line {exc.lineno}: {exc.msg}" if exc.lineno else str(exc.msg))
    except (OSError, ValueError, RecursionError, MemoryError) as exc:
        return TaskFile(error=str(exc) or "it is nested too deeply")
    names = set(_names(module))
    missing = [name for name in REQUIRED if name not in names and "*" not in names]
    if missing:
        return TaskFile(error=f"it defines no {' and no '.join(f'`{name}`' for name in missing)}")
    return TaskFile(parameters=_parameters(module))


def _names(module: ast.Module) -> Iterator[str]:
    """Every name the module binds at its top level, also under `if` and `try`."""
    for node in _statements(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (target.id for target in _targets(node) if isinstance(target, ast.Name))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _statements(child)


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _parameters(module: ast.Module) -> int | None:
    """The module's constant `PARAMETERS = 7850`."""
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            named = any(isinstance(target, ast.Name) and target.id == "PARAMETERS" for target in _targets(node))
            if named and type(node.value.value) is int and node.value.value > 0:
                return node.value.value
    return None
