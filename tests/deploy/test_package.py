"""Zips: reproducible, complete, and no larger than their imports ask for."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fedkeeper.deploy import package
from fedkeeper.deploy.closure import closure, imports_of
from fedkeeper.errors import PackageError
from fedkeeper.model import Role
from tests.fabrics import SOFTMAX

STORE = ("fedkeeper.stores.file",)
STRATEGY = ("fedkeeper.strategies.registry", "fedkeeper.strategies.mean")


def names(made: package.Package) -> set[str]:
    return set(zipfile.ZipFile(io.BytesIO(made.data)).namelist())


def test_imports_are_read_from_the_source_without_running_it() -> None:
    source = """
from __future__ import annotations
import os, fedkeeper.codec
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from fedkeeper.cli import main
def later():
    from fedkeeper.stores import base
raise SystemExit("never run")
"""
    assert set(imports_of(source)) == {"fedkeeper.codec", "fedkeeper.stores", "fedkeeper.stores.base"}


def test_the_closure_follows_imports_and_brings_the_parents() -> None:
    files = closure(["from fedkeeper.codec import encode"])
    assert {"fedkeeper/__init__.py", "fedkeeper/codec.py", "fedkeeper/errors.py", "fedkeeper/model.py"} <= set(files)
    assert not any("cli" in name or "train" in name for name in files)


def test_a_source_that_is_no_python_is_a_package_error() -> None:
    with pytest.raises(PackageError, match="cannot be parsed"):
        closure(["def broken(:"])


def test_the_same_contents_give_the_same_bytes() -> None:
    contents = {"b.py": b"2", "a.py": b"1"}
    made = package.make_zip(contents)
    assert made == package.make_zip(dict(reversed(contents.items())))
    assert zipfile.ZipFile(io.BytesIO(made)).namelist() == ["a.py", "b.py"]


@pytest.mark.parametrize(
    ("role", "modules", "with_task"),
    [
        (Role.INIT, STORE, True), (Role.CLIENT, STORE, True), (Role.CLIENT, (), True), (Role.EVALUATOR, STORE, True),
        (Role.AGGREGATOR, (*STORE, *STRATEGY), False), (Role.INVOKER, (*STORE, "fedkeeper.providers.local.caller"), False),
        (Role.NODEINFO, (), False),
    ],
)  # fmt: skip
def test_every_role_imports_in_an_empty_interpreter(
    tmp_path: Path, role: Role, modules: tuple[str, ...], with_task: bool
) -> None:
    """-I: no current folder, no user site; the tree's editable install is taken off the path by hand."""
    task = package.task_files(str(SOFTMAX)) if with_task else None
    made = package.build(role, "local", modules=modules, task=task)
    zipfile.ZipFile(io.BytesIO(made.data)).extractall(tmp_path)
    script = f"""
import sys
sys.meta_path = [f for f in sys.meta_path if "editable" not in repr(f)]
sys.path = [{str(tmp_path)!r}] + [p for p in sys.path if p.endswith(("site-packages", "lib-dynload", ".zip")) or "/lib/python" in p]
import handler, importlib
for name in {modules!r}:
    importlib.import_module(name)
for name, module in list(sys.modules.items()):
    if name.split(".")[0] == "fedkeeper":
        assert module.__file__.startswith({str(tmp_path)!r}), (name, module.__file__)
"""
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr


def test_a_relay_client_carries_no_store_and_no_one_carries_the_engine() -> None:
    relay = names(package.build(Role.CLIENT, "local", task=package.task_files(str(SOFTMAX))))
    assert "fedkeeper/stores/file.py" not in relay
    assert "task/softmax.py" in relay
    assert not any(name.startswith(("fedkeeper/train", "fedkeeper/deploy", "fedkeeper/cli", "fedkeeper/spec")) for name in relay)


def test_task_files_bring_helpers_and_requirements(tmp_path: Path) -> None:
    (tmp_path / "helpers" / "__pycache__").mkdir(parents=True)
    (tmp_path / "helpers" / "net.py").write_text("x = 1")
    (tmp_path / "helpers" / "__pycache__" / "net.pyc").write_bytes(b"no")
    (tmp_path / "words.txt").write_text("a b")
    (tmp_path / "mine.py").write_text('REQUIREMENTS = ("numpy", "scipy>=1")\n')
    made = package.task_files(str(tmp_path / "mine.py"), [str(tmp_path / "helpers"), str(tmp_path / "words.txt")], ["pandas"])
    assert set(made.contents) == {"task/mine.py", "task/helpers/net.py", "task/words.txt"}
    assert made.requirements == ("pandas", "numpy", "scipy>=1")


def test_constants_are_read_without_running_the_file(tmp_path: Path) -> None:
    file = tmp_path / "t.py"
    file.write_text("PARAMETERS = 12_000\nOTHER = PARAMETERS * 2\nraise SystemExit\n")
    assert package.constant(file, "PARAMETERS") == 12_000
    assert package.constant(file, "MISSING") is None
    with pytest.raises(PackageError, match="must be a plain literal"):
        package.constant(file, "OTHER")


def test_a_missing_task_file_says_which() -> None:
    with pytest.raises(PackageError, match=r"cannot read /nowhere/task\.py: No such file"):
        package.task_files("/nowhere/task.py")
