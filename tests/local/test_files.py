"""The control plane: files, changed atomically, gone without a trace."""

from __future__ import annotations

import io
import multiprocessing
import stat
import venv
import zipfile
from pathlib import Path

import pytest

from fedkeeper.errors import FunctionNotFound, PackageError, ProviderError
from fedkeeper.providers.local import packages
from fedkeeper.providers.local.files import FunctionFiles
from fedkeeper.providers.local.requirements import missing, preload_of
from tests.local.bench import Bench, make_zip, spec_of

PID = "import os\n\ndef handle(params, body):\n    return os.getpid(), b''\n"


def test_control_needs_no_process(bench: Bench) -> None:
    provider = bench.open()
    bench.function(provider, "f", PID)
    provider.functions("f")
    provider.delete("f")
    assert provider.platform_pid is None


def test_equal_packages_are_unpacked_once_and_collected_with_their_last_function(bench: Bench) -> None:
    provider = bench.open()
    for name in ("a", "b"):
        bench.function(provider, name, PID)
    bench.function(provider, "c", PID + "\n#\n")
    assert len(list((bench.home / "packages").iterdir())) == 2
    provider.delete("a")
    assert len(list((bench.home / "packages").iterdir())) == 2
    provider.delete("b")
    assert len(list((bench.home / "packages").iterdir())) == 1


def test_removing_the_last_function_leaves_nothing(bench: Bench) -> None:
    provider = bench.open()
    for name in ("a", "b"):
        bench.function(provider, name, "def handle(params, body):\n    print('hello')\n    return 1, b''\n")
        provider.call(name, {}, timeout_s=10)
    provider.delete("a")
    assert bench.home.exists()
    provider.delete("b")
    assert not bench.home.exists()
    provider.delete("b")
    assert not bench.home.exists()
    assert provider.platform_pid is None


def test_a_function_created_again_under_a_running_platform_works(bench: Bench) -> None:
    here, elsewhere = bench.open(), bench.open()
    bench.function(here, "f", PID)
    here.call("f", {}, timeout_s=10)
    elsewhere.delete("f")
    with pytest.raises(FunctionNotFound):
        here.invoke("f", {})
    bench.function(elsewhere, "f", PID)
    assert here.call("f", {}, timeout_s=10).result


def test_a_spec_comes_back_as_it_was(bench: Bench) -> None:
    provider = bench.open()
    spec = bench.function(
        provider, "f-ü/x.1", PID, environment={"A": "1"}, secrets={"B": "C"}, options={"x": [1]}, requirements=("numpy",)
    )
    stored = FunctionFiles(bench.home).load("f-ü/x.1")
    assert stored.spec == spec
    assert stored.digest == spec.digest == stored.spec.digest
    assert set(provider.functions("f")) == {"f-ü/x.1"}


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 300])
def test_names_that_are_no_names_are_refused(bench: Bench, name: str) -> None:
    with pytest.raises(ProviderError):
        bench.function(bench.open(), name, PID)


def _entry(name: str, mode: int = 0o644) -> bytes:
    buffer = io.BytesIO(make_zip(PID))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, "/etc")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "package",
    [
        _entry("../evil.py"),
        _entry("/evil.py"),
        _entry("a/../../evil.py"),
        _entry("a\\evil.py"),
        _entry("link", stat.S_IFLNK | 0o777),
        b"not a zip",
        make_zip(PID)[:100],
    ],
    ids=["parent", "absolute", "hidden-parent", "backslash", "link", "no-zip", "cut"],
)
def test_a_hostile_or_broken_zip_leaves_nothing(tmp_path: Path, package: bytes) -> None:
    target = tmp_path / "packages"
    with pytest.raises(PackageError):
        packages.unpack(target, spec_of("f", package).package, package)
    assert [path for path in tmp_path.rglob("*") if path != target] == []


def test_a_zip_must_be_the_one_its_digest_names_and_complete(bench: Bench) -> None:
    provider = bench.open()
    spec, _ = bench.make_spec("f", PID)
    with pytest.raises(PackageError, match="digest"):
        provider.create(spec, make_zip("x = 1\n"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", PID)
    with pytest.raises(PackageError, match=r"no shim\.py"):
        provider.create(spec_of("f", buffer.getvalue()), buffer.getvalue())
    assert provider.functions("f") == {}


def test_what_is_not_installed_is_named_with_its_pip_line(bench: Bench) -> None:
    with pytest.raises(PackageError, match="no-such-library-xyz") as caught:
        bench.function(bench.open(), "f", PID, requirements=("numpy", "no-such-library-xyz>=1", "numpy>=900"))
    assert caught.value.hint.endswith("-m pip install 'no-such-library-xyz>=1' 'numpy>=900'")


def test_another_interpreters_libraries_are_the_ones_checked(bench: Bench, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    provider = bench.open(python=str(tmp_path / "venv" / "bin" / "python"))
    with pytest.raises(PackageError, match="numpy"):
        bench.function(provider, "f", PID, requirements=("numpy",))
    bench.function(provider, "f", PID)
    assert provider.call("f", {}, timeout_s=10).result


def test_requirements_are_understood() -> None:
    lines = ["numpy", "NumPy>=1; python_version < '3'", "numpy<1", "PyYAML", "typing.extensions", "a_b"]
    assert missing(lines) == ["numpy<1", "a_b"]
    assert preload_of(["scikit-learn>=1", "tensorflow-cpu>=2; platform_system=='Linux'", "numpy", "My.Lib"]) == (
        "keras", "my_lib", "numpy", "sklearn", "tensorflow",
    )  # fmt: skip


def _churn(home: str, mine: str, rounds: int) -> None:
    files = FunctionFiles(Path(home))
    for n in range(rounds):
        package = make_zip(PID + f"# {n % 2}\n")
        files.put(spec_of(f"{mine}-{n % 3}", package), package, existing=False)
        if files.delete(f"{mine}-{(n + 1) % 3}"):
            files.clear()
    package = make_zip(PID)
    files.put(spec_of(mine, package), package, existing=False)


def test_several_processes_may_deploy_and_remove_at_once(bench: Bench) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_churn, args=(str(bench.home), name, 40)) for name in ("a", "b", "c")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    provider = bench.open()
    assert {"a", "b", "c"} <= set(provider.functions("f"))
    for name in provider.functions("f"):
        assert provider.call(name, {}, timeout_s=10).result
        provider.delete(name)
    assert not bench.home.exists()


def test_only_the_newest_records_are_kept(bench: Bench) -> None:
    provider = bench.open(keep_activations=5)
    bench.function(provider, "f", "def handle(params, body):\n    print(params)\n    return params, b''\n")
    ids = [provider.call("f", {"n": n}, timeout_s=10).activation_id or "" for n in range(12)]
    again = bench.open(keep_activations=5)
    states = [str(again.status([i])[i].state) for i in ids]
    assert states == ["lost"] * 7 + ["succeeded"] * 5
    assert [again.logs(i) != "" for i in ids] == [False] * 7 + [True] * 5
    assert len(list((bench.home / "activations").iterdir())) == 10


def test_a_name_that_is_no_activation_id_reads_no_file(bench: Bench) -> None:
    provider = bench.open()
    bench.function(provider, "f", PID)
    strange = "../functions/f/function"
    assert str(provider.status([strange])[strange].state) == "lost"
    assert provider.logs("../platform") == ""
