"""Small files, small functions: CONTRIBUTING's budget. Over it, two things live in one; give each a place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT

FILE_LINES = 350
FUNCTION_LINES = 60


def sources() -> Iterator[Path]:
    for folder in ("fedkeeper", "functions"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def functions_of(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_fit_the_budget() -> None:
    sizes = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in sources()}
    assert len(sizes) > 10
    assert {name: size for name, size in sizes.items() if size > FILE_LINES} == {}


def test_functions_fit_the_budget() -> None:
    sizes = dict(found for file in sources() for found in functions_of(file))
    assert len(sizes) > 100
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES} == {}
