"""Who may import whom: the contracts of setup.cfg hold, and can be broken."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fedkeeper
from tests.house.tree import ROOT, copy_tree


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    here_first = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.run(command, cwd=tree, env=here_first, capture_output=True, text=True, check=False)


def test_the_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


BREACHES = {
    "runtime imports the engine": ("runtime/records.py", "import fedkeeper.train.state", "Imports go down"),
    "one provider imports another": ("providers/google/settings.py", "import fedkeeper.providers.local.wire", "never another"),
    "the engine touches arrays": ("train/retry.py", "import fedkeeper.codec", "The engine sees no array"),
    "a new room has no floor": ("attic.py", "", "Imports go down"),
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found(tmp_path: Path, breach: str) -> None:
    file, line, contract = BREACHES[breach]
    tree = copy_tree(tmp_path, only=("fedkeeper", "setup.cfg"))
    with (tree / "fedkeeper" / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    done = lint_imports(tree)
    assert done.returncode != 0
    assert contract in done.stdout + done.stderr


def imported_by(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


@pytest.mark.parametrize("handler", sorted(ROOT.glob("functions/*/handler.py")), ids=lambda file: file.parent.name)
def test_a_function_imports_the_runtime_and_the_standard_library_only(handler: Path) -> None:
    foreign = [
        name
        for name in imported_by(handler)
        if not name.startswith("fedkeeper.runtime") and name.split(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


def test_every_public_name_resolves() -> None:
    assert sorted(fedkeeper.__all__) == list(fedkeeper.__all__)
    for name in fedkeeper.__all__:
        assert getattr(fedkeeper, name) is not None


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Fabrick'"):
        getattr(fedkeeper, "Fabric" + "k")
