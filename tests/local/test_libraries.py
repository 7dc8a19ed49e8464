"""Zygotes and isolation, seen through an interpreter whose installed libraries this test makes up.

Its site-packages hold FedKeeper in every way it can be installed: as a wheel, through a .pth line and through an editable
finder. None of them may reach a handler.
"""

from __future__ import annotations

import os
import signal
import time
import venv
from pathlib import Path

import pytest

from fedkeeper.errors import ActivationFailed
from fedkeeper.providers.local.provider import LocalProvider
from tests.local.bench import Bench, is_alive, make_zip, spec_of, wait_until

FINDER = """
import importlib.util, sys
MAPPING = {mapping}

class _EditableFinder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in MAPPING:
            return importlib.util.spec_from_file_location(name, MAPPING[name])

def install():
    sys.meta_path.insert(0, _EditableFinder)
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The site-packages of an interpreter of its own."""
    venv.create(tmp_path / "venv", with_pip=False)
    (folder,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    return folder


def interpreter(library: Path) -> str:
    return str(library.parent.parent.parent / "bin" / "python")


def install(library: Path, name: str, source: str) -> None:
    """A module with the metadata of an installed distribution."""
    (library / f"{name}.py").write_text(source)
    info = library / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


def package_tree(folder: Path, where: str) -> None:
    (folder / "fedkeeper").mkdir(parents=True)
    (folder / "fedkeeper" / "__init__.py").write_text(f"WHERE = {where!r}\n")
    (folder / "fedkeeper" / "other.py").write_text("")
    (folder / "beside.py").write_text("")


def editable(library: Path, name: str, **modules: Path) -> None:
    """What setuptools writes for an editable install."""
    mapping = {module: str(file) for module, file in modules.items()}
    (library / f"__editable___{name}_finder.py").write_text(FINDER.replace("{mapping}", repr(mapping)))
    (library / f"__editable__.{name}.pth").write_text(
        f"import __editable___{name}_finder; __editable___{name}_finder.install()\n"
    )


LOOK = """
import importlib

def find(name):
    try:
        return importlib.import_module(name).__file__
    except ModuleNotFoundError:
        return None

def handle(params, body):
    return {name: find(name) for name in params["names"]}, b""
"""
NAMES = {"names": ["fedkeeper", "fedkeeper.other", "beside", "mine"]}


@pytest.mark.parametrize("installed", ["wheel", "pth", "editable"])
@pytest.mark.parametrize("zipped", [True, False])
def test_fedkeeper_comes_from_the_zip_or_from_nowhere(
    bench: Bench, tmp_path: Path, library: Path, installed: str, zipped: bool
) -> None:
    source = library if installed == "wheel" else tmp_path / "source"
    package_tree(source, installed)
    (tmp_path / "mine.py").write_text("")
    editable(library, "mine", mine=tmp_path / "mine.py")  # somebody else's editable library stays
    if installed == "pth":
        (library / "source.pth").write_text(f"{source}\n")
    if installed == "editable":
        editable(library, "fedkeeper", fedkeeper=source / "fedkeeper" / "__init__.py", beside=source / "beside.py")
    provider = bench.open(python=interpreter(library))
    package = make_zip(LOOK, {"fedkeeper/__init__.py": ""} if zipped else {})
    provider.create(spec_of("f", package), package)
    seen = provider.call("f", NAMES, timeout_s=10).result
    assert seen["mine"] == str(tmp_path / "mine.py")
    assert seen["fedkeeper.other"] is None
    assert (seen["beside"] is None) == (installed != "wheel")
    assert (seen["fedkeeper"] or "none").startswith(str(bench.home / "packages") if zipped else "none")


def test_a_required_library_that_imports_fedkeeper_is_an_error(bench: Bench, library: Path) -> None:
    package_tree(library, "wheel")
    install(library, "tangled", "import fedkeeper\n")
    provider = bench.open(python=interpreter(library))
    bench.function(provider, "f", LOOK, requirements=("tangled",))
    with pytest.raises(ActivationFailed, match="must not import fedkeeper"):
        provider.call("f", {"names": []}, timeout_s=10)


def test_one_zygote_per_set_of_libraries(bench: Bench, library: Path) -> None:
    install(library, "heavy", "import os\nPID = os.getpid()\n")
    provider = bench.open(python=interpreter(library))
    source = "import heavy, os\n\ndef handle(params, body):\n    return [heavy.PID, os.getppid(), os.getpid()], b''\n"
    bench.function(provider, "a", source, requirements=("heavy",))
    bench.function(provider, "b", source, requirements=("heavy==1.0",), environment={"X": "1"})
    bench.function(provider, "c", source, requirements=("heavy",), environment={"OMP_NUM_THREADS": "2"})
    a, b, c = (provider.call(name, {}, timeout_s=10).result for name in "abc")
    assert a[0] == a[1] == b[0] == b[1]  # imported once, by their common parent
    assert a[2] != b[2]
    assert c[0] not in (a[0], c[2])  # read at import: needs a zygote of its own


def test_what_a_library_reads_at_import_is_set_before_it(bench: Bench, library: Path) -> None:
    install(library, "heavy", "import os\nTHREADS = os.environ['OMP_NUM_THREADS'], os.environ['TF_NUM_INTEROP_THREADS']\n")
    provider = bench.open(python=interpreter(library))
    source = "import heavy\n\ndef handle(params, body):\n    return heavy.THREADS, b''\n"
    bench.function(provider, "f", source, requirements=("heavy",))
    bench.function(provider, "g", source, requirements=("heavy",), environment={"OMP_NUM_THREADS": "4"})
    assert provider.call("f", {}, timeout_s=10).result == ["1", "1"]
    assert provider.call("g", {}, timeout_s=10).result == ["4", "1"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('no driver')\n", "RuntimeError: no driver"),
        ("import os\nos._exit(9)\n", "which holds broken, ended with 9"),
    ],
)
def test_a_library_that_fails_at_import_fails_the_activation(bench: Bench, library: Path, source: str, said: str) -> None:
    install(library, "broken", source)
    provider = bench.open(python=interpreter(library))
    bench.function(provider, "f", "import broken\n\ndef handle(params, body):\n    return 1, b''\n", requirements=("broken",))
    bench.function(provider, "g", "def handle(params, body):\n    return 1, b''\n")
    with pytest.raises(ActivationFailed, match=said):
        provider.call("f", {}, timeout_s=10)
    assert provider.call("g", {}, timeout_s=10).result == 1


SLOW = (
    "import os, time\nfile = open(os.environ['TF_TEST_MARK'], 'w')\nfile.write(str(os.getpid()))\nfile.close()\ntime.sleep(600)\n"
)


def importing(bench: Bench, library: Path, mark: Path) -> tuple[LocalProvider, int]:
    """A provider whose zygote is in the middle of an endless import, and that zygote's pid."""
    install(library, "slow", SLOW)
    provider = bench.open(python=interpreter(library))
    source = "def handle(params, body):\n    return 1, b''\n"
    bench.function(provider, "f", source, requirements=("slow",), environment={"TF_TEST_MARK": str(mark)})
    provider.prepare(["f"])
    assert wait_until(lambda: mark.exists() and mark.read_text())
    return provider, int(mark.read_text())


def test_a_zygote_that_imports_dies_with_its_platform(bench: Bench, library: Path, tmp_path: Path) -> None:
    provider, zygote = importing(bench, library, tmp_path / "mark")
    os.kill(provider.platform_pid or 0, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(zygote))


def test_closing_does_not_wait_for_an_import(bench: Bench, library: Path, tmp_path: Path) -> None:
    provider, zygote = importing(bench, library, tmp_path / "mark")
    begun = time.monotonic()
    provider.close()
    assert time.monotonic() - begun < 5
    assert wait_until(lambda: not is_alive(zygote))


def test_a_call_does_not_wait_for_an_import_longer_than_it_wants(bench: Bench, library: Path, tmp_path: Path) -> None:
    provider, _ = importing(bench, library, tmp_path / "mark")
    with pytest.raises(ActivationFailed, match="no answer within"):
        provider.call("f", {}, timeout_s=0.2)
