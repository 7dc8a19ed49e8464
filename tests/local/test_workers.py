"""Warm reuse, separation, and what a worker can see and import."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import fedkeeper
from fedkeeper.errors import AccessDenied
from fedkeeper.states import ActivationState
from tests.local.bench import Bench, make_zip, spec_of, wait_until

PID = "import os\n\ndef handle(params, body):\n    return os.getpid(), b''\n"
ENVIRON = "import os\n\ndef handle(params, body):\n    return dict(os.environ), b''\n"
SECRET = "s3cr3t-bdc1f0"


def test_functions_with_equal_packages_share_warm_workers(bench: Bench) -> None:
    provider = bench.open(workers=1)
    for name in ("a", "b", "c"):
        bench.function(provider, name, PID)
    assert len({provider.call(name, {}, timeout_s=10).result for name in ("a", "b", "c", "a")}) == 1


def test_only_the_first_activation_of_a_worker_is_cold(bench: Bench) -> None:
    provider = bench.open(workers=1)
    bench.function(provider, "f", PID)
    ids = [provider.call("f", {}, timeout_s=10).activation_id or "" for _ in range(3)]
    assert [provider.status([i])[i].cold_start for i in ids] == [True, False, False]


def test_another_environment_or_package_is_another_worker(bench: Bench) -> None:
    provider = bench.open(environ={**os.environ, "KEY": "1"})
    bench.function(provider, "plain", PID)
    bench.function(provider, "env", PID, environment={"A": "2"})
    bench.function(provider, "secret", PID, secrets={"A": "KEY"})
    bench.function(provider, "code", PID + "\n# another\n")
    assert len({provider.call(name, {}, timeout_s=10).result for name in ("plain", "env", "secret", "code")}) == 4


def test_idle_workers_are_few_and_the_least_recently_used_goes(bench: Bench) -> None:
    provider = bench.open(workers=1)  # keeps 2 * 1 + 2 idle
    for n in range(6):
        bench.function(provider, f"f{n}", PID, environment={"N": str(n)})
    pids = [provider.call(f"f{n}", {}, timeout_s=10).result for n in range(6)]
    assert wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids[:2]))
    assert [provider.call(f"f{n}", {}, timeout_s=10).result == pids[n] for n in (5, 4, 3, 2)] == [True] * 4
    assert provider.call("f0", {}, timeout_s=10).result != pids[0]


def test_at_most_workers_activations_compute_at_once(bench: Bench, tmp_path: Path) -> None:
    provider = bench.open(workers=2)
    source = """
        import os, pathlib, time

        def handle(params, body):
            mark = pathlib.Path(params["folder"]) / str(os.getpid())
            mark.touch()
            time.sleep(0.02)
            there = len(os.listdir(params["folder"]))
            mark.unlink()
            return there, b""
    """
    bench.function(provider, "f", source)
    (tmp_path / "marks").mkdir()
    ids = [provider.invoke("f", {"folder": str(tmp_path / "marks")}).activation_id or "" for _ in range(16)]
    assert wait_until(lambda: all(status.state.ended for status in provider.status(ids).values()))
    assert {status.result for status in provider.status(ids).values()} == {1, 2}


def test_every_fedkeeper_module_comes_from_the_zip(bench: Bench) -> None:
    provider = bench.open()
    handler = """
        import importlib, sys
        import fedkeeper.inside

        def handle(params, body):
            try:
                model = importlib.import_module("fedkeeper.model").__file__
            except ModuleNotFoundError:
                model = None
            return {"model": model, "path": sys.path, "files": [fedkeeper.__file__, fedkeeper.inside.__file__, __file__]}, b""
    """
    package = make_zip(dedent(handler), {"fedkeeper/__init__.py": "", "fedkeeper/inside.py": ""})
    spec = spec_of("f", package)
    provider.create(spec, package)
    seen = provider.call("f", {}, timeout_s=10).result
    unpacked = str(bench.home / "packages" / spec.package.removeprefix("sha256:"))
    assert seen["path"][0] == unpacked
    assert all(file.startswith(unpacked) for file in seen["files"])
    assert seen["model"] is None  # this zip does not hold it, although this very test can import it
    assert str(Path(fedkeeper.__file__).parent.parent) not in seen["path"]


def test_a_zip_without_fedkeeper_finds_none(bench: Bench) -> None:
    provider = bench.open()
    bench.function(provider, "f", "def handle(params, body):\n    import fedkeeper\n    return 1, b''\n")
    activation_id = provider.invoke("f", {}).activation_id or ""
    assert wait_until(lambda: provider.status([activation_id])[activation_id].state is ActivationState.FAILED)
    assert "No module named 'fedkeeper' in this function's zip" in (provider.status([activation_id])[activation_id].error or "")


def test_a_worker_sees_its_own_environment_and_nothing_of_the_operators(bench: Bench) -> None:
    environ = {**os.environ, "OPERATOR_TOKEN": SECRET, "DB_PASSWORD": "pw", "LANG": "C.UTF-8"}
    provider = bench.open(environ=environ, threads_per_worker=3)
    bench.function(
        provider, "f", ENVIRON, environment={"PLAIN": "p", "MKL_NUM_THREADS": "5"}, secrets={"FEDKEEPER_STORE": "DB_PASSWORD"}
    )
    reply = provider.call("f", {}, timeout_s=10)
    seen = reply.result
    assert seen["PLAIN"] == "p"
    assert seen["FEDKEEPER_STORE"] == "pw"
    assert seen["FEDKEEPER_ACTIVATION_ID"] == reply.activation_id
    assert (seen["OMP_NUM_THREADS"], seen["MKL_NUM_THREADS"]) == ("3", "5")
    assert "OPERATOR_TOKEN" not in seen
    assert "DB_PASSWORD" not in seen


def test_secrets_are_nowhere_but_in_the_worker(bench: Bench) -> None:
    provider = bench.open(environ={**os.environ, "TOKEN": SECRET})
    source = """
        import os, pathlib

        def handle(params, body):
            texts, pids = [], [os.getpid()]
            for _ in ("worker", "zygote", "platform"):
                process = pathlib.Path(f"/proc/{pids[-1]}")
                texts += [(process / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]
                pids.append(int((process / "stat").read_text().rpartition(")")[2].split()[1]))
            return {"secret": os.environ["MY_TOKEN"], "texts": texts, "pids": pids}, b""
    """
    bench.function(provider, "f", source, secrets={"MY_TOKEN": "TOKEN"})
    result = provider.call("f", {}, timeout_s=10).result
    assert result["secret"] == SECRET
    assert result["pids"][2:] == [provider.platform_pid, os.getpid()]
    assert all(SECRET not in text for text in result["texts"])
    written = [path for path in bench.home.rglob("*") if path.is_file() and path.parent.name != "activations"]
    assert written
    assert all(SECRET.encode() not in path.read_bytes() for path in written)


def test_a_changed_secret_reaches_the_next_activation(bench: Bench) -> None:
    environ = {**os.environ, "TOKEN": "old"}
    provider = bench.open(environ=environ)
    bench.function(provider, "f", ENVIRON, secrets={"T": "TOKEN"})
    assert provider.call("f", {}, timeout_s=10).result["T"] == "old"
    environ["TOKEN"] = "new"
    assert provider.call("f", {}, timeout_s=10).result["T"] == "new"
    del environ["TOKEN"]
    with pytest.raises(AccessDenied, match="TOKEN"):
        provider.invoke("f", {})


def test_every_activation_starts_in_the_workers_own_scratch_folder(bench: Bench) -> None:
    provider = bench.open(workers=1)
    source = """
        import os, tempfile

        def handle(params, body):
            here = os.getcwd()
            open("left", "w").close()
            os.chdir("/")
            return [here, tempfile.gettempdir()], b""
    """
    bench.function(provider, "f", source)
    first, second = (provider.call("f", {}, timeout_s=10).result for _ in range(2))
    assert first == second == [first[0], first[0]]
    assert Path(first[0]).is_relative_to(bench.home / "work")
    provider.close()
    assert not Path(first[0]).exists()


def test_prepare_starts_the_zygote_and_libraries_are_there_after_the_fork(bench: Bench) -> None:
    provider = bench.open()
    source = "import sys\nBEFORE = 'numpy' in sys.modules\n\ndef handle(params, body):\n    return BEFORE, b''\n"
    bench.function(provider, "with", source, requirements=("numpy>=1.20",))
    bench.function(provider, "without", source)
    provider.prepare(["with", "without"])
    assert provider.call("with", {}, timeout_s=20).result is True
    assert provider.call("without", {}, timeout_s=10).result is False


def test_another_interpreter_can_run_the_functions(bench: Bench) -> None:
    provider = bench.open(python=str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"))
    bench.function(provider, "f", "import sys\n\ndef handle(params, body):\n    return sys.prefix, b''\n")
    assert provider.call("f", {}, timeout_s=10).result == sys.base_prefix


def test_an_interpreter_that_does_not_exist_fails_the_activation(bench: Bench) -> None:
    bench.function(bench.open(), "f", PID)
    provider = bench.open(python="/nonexistent/python")
    activation_id = provider.invoke("f", {}).activation_id or ""
    assert wait_until(lambda: provider.status([activation_id])[activation_id].state is ActivationState.FAILED)
    assert "/nonexistent/python" in (provider.status([activation_id])[activation_id].error or "")
