"""What travels: the wheel holds everything FedKeeper needs, and the editable install finds functions/ too."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from importlib import metadata, resources
from pathlib import Path

import pytest

from fedkeeper.version import __version__
from tests.house.tree import ROOT, copy_tree


def listed_packages() -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return set(setup["options"]["packages"].split())


def test_every_package_is_listed() -> None:
    folders = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "fedkeeper").rglob("__init__.py")}
    assert listed_packages() == folders | {"fedkeeper.functions"}


def test_the_editable_install_finds_the_functions() -> None:
    installed = resources.files("fedkeeper.functions")
    assert Path(str(installed)).resolve() == ROOT / "functions"
    assert (installed / "fl_client" / "handler.py").is_file()


def test_the_editable_install_works_from_any_folder(tmp_path: Path) -> None:
    """The tests run in the tree, where Python finds much by itself; a user's shell does not stand there."""
    program = "from importlib import resources; print(resources.files('fedkeeper.functions') / 'fl_client' / 'handler.py')"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()).resolve() == ROOT / "functions" / "fl_client" / "handler.py"


def test_the_command_is_installed() -> None:
    (command,) = metadata.entry_points(group="console_scripts", name="fedkeeper")
    assert command.value == "fedkeeper.cli.main:main"
    assert callable(command.load())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def wheel(tree: Path) -> zipfile.ZipFile:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    built = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return zipfile.ZipFile(tree / "dist" / f"fedkeeper-{__version__}-py3-none-any.whl")


def expected_in_wheel(tree: Path) -> set[str]:
    """Every file of the package and of the functions."""
    found = (file for folder in ("fedkeeper", "functions") for file in (tree / folder).rglob("*") if file.is_file())
    files = {file.relative_to(tree) for file in found}
    return {str(file) if file.parts[0] == "fedkeeper" else f"fedkeeper/{file}" for file in files}


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile, tree: Path) -> None:
    names = {name for name in wheel.namelist() if not name.startswith(f"fedkeeper-{__version__}.dist-info/")}
    assert names == expected_in_wheel(tree)
    assert {"fedkeeper/py.typed", "fedkeeper/samples/mnist-sample.npz", "fedkeeper/samples/mnist-sample.md"} <= names
    assert {f"fedkeeper/functions/{name}/handler.py" for name in ("fl_server_init", "fl_client", "fl_server_aggregator")} <= names


def test_the_wheel_carries_its_licences(wheel: zipfile.ZipFile) -> None:
    names = {Path(name).name for name in wheel.namelist() if "/licenses/" in name}
    assert names == {"LICENSE", "NOTICE"}


def test_a_function_loads_from_the_wheel_alone(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Unpacked, in an interpreter that sees neither the tree nor the editable install."""
    wheel.extractall(tmp_path)
    program = "\n".join(
        [
            "import sys; sys.path.insert(0, sys.argv[1])",
            "from importlib import resources",
            "handler = resources.files('fedkeeper.functions') / 'nodeinfo' / 'handler.py'",
            "space = {}; exec(compile(handler.read_text(), str(handler), 'exec'), space)",
            "print(handler, space['handle']({}, b'')[0]['cpus'])",
        ]
    )
    command = [sys.executable, "-S", "-I", "-c", program, str(tmp_path)]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert Path(answer[0]) == tmp_path / "fedkeeper" / "functions" / "nodeinfo" / "handler.py"
    assert int(answer[1]) >= 1
