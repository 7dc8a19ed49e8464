"""`fedkeeper emulate`: a daemon that starts, answers, survives, and ends with everything it started."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fedkeeper.emulator import control, state
from fedkeeper.emulator.core import Settings
from fedkeeper.emulator.credentials import SECRET, credentials_of
from fedkeeper.emulator.daemon import Wanted
from fedkeeper.emulator.limits import DEFAULTS
from fedkeeper.emulator.serve import listen
from fedkeeper.errors import UsageError
from fedkeeper.testing.emulated import Emulated, emulated
from tests.emulator.zips import Bench, ended

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SPEC = """
version: 1
name: demo
providers:
  local: {here: {}}
  openwhisk:
    edge: {api_host: "${env:OW_API_HOST}", auth: "${env:OW_AUTH}", max_request: 20MB, max_memory: 2GB, invocations_per_minute: 6000}
scenarios:
  federated_learning:
    server: {cluster: here}
    clients: {groups: [{name: all, cluster: here, count: 2}]}
    data: {dataset: mnist-sample}
    training: {task: mnist-mlp, rounds: 1}
"""


@pytest.fixture
def emulate(tmp_path: Path) -> Iterator[Command]:
    """The command, in a home of the test's own, which is down at the end."""
    environ = {**os.environ, "HOME": str(tmp_path)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fedkeeper", "emulate", *words]
        return subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    yield run
    for home in (home_of(tmp_path), home_of(tmp_path / "project"), tmp_path / "other"):
        control.down(home)


def home_of(tmp_path: Path) -> Path:
    return tmp_path / ".fedkeeper" / "emulator"


def document(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def exported(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What a shell makes of it."""
    script = done.stdout + f'exec "{sys.executable}" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    return dict(json.loads(subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True).stdout))


def test_up_status_env_down(emulate: Command, tmp_path: Path) -> None:
    up = document(emulate("up", "--json"))
    again = emulate("up", "--json")
    assert (document(again)["pid"], "already up" in again.stderr) == (up["pid"], True)
    status = document(emulate("status", "--json"))
    assert (status["url"], status["runtime"], status["functions"]) == (
        up["url"],
        "local",
        {"openwhisk": 0, "google": 0, "aws": 0},
    )
    assert status["home"] == str(home_of(tmp_path))
    assert status["limits"]["openwhisk"]["max_request"] == 1 << 20
    environment = document(emulate("env", "--json"))
    assert status["environment"] == {name: "***" if name in SECRET else value for name, value in environment.items()}
    assert exported(emulate("env")).items() >= environment.items()
    with urllib.request.urlopen(environment["OW_API_HOST"] + "/health", timeout=5) as answer:
        health = answer.read().decode()
    assert not any(environment[name] in health for name in SECRET)
    assert document(emulate("down", "--json"))["stopped"] is True
    assert ended(up["pid"])
    assert document(emulate("down", "--json"))["stopped"] is False
    down = emulate("status")
    assert (down.returncode, "emulate up" in down.stderr) == (4, True)


def test_address_and_credentials_survive_a_restart(emulate: Command) -> None:
    emulate("up")
    first = emulate("env").stdout
    emulate("down")
    emulate("up")
    assert emulate("env").stdout == first


def test_a_killed_emulator_is_no_emulator(emulate: Command) -> None:
    pid = document(emulate("up", "--json"))["pid"]
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)
    assert emulate("status").returncode == 4
    assert document(emulate("up", "--json"))["pid"] != pid


def test_a_spec_raises_limits_and_has_an_emulator_of_its_own(emulate: Command, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "fabric.yaml").write_text(SPEC)
    limits = document(emulate("up", "--json", "-c", "project/fabric.yaml"))["limits"]["openwhisk"]
    assert (limits["max_request"], limits["max_memory_mb"], limits["invocations_per_minute"]) == (20 << 20, 2048, 6000)
    assert (folder / ".fedkeeper" / "emulator" / "emulator.json").exists()
    assert emulate("status").returncode == 4
    other = emulate("up", "--json", "-c", "project/fabric.yaml", "--runtime", "real")
    assert "other runtime local" in other.stderr
    assert document(emulate("down", "--json", "-c", "project/fabric.yaml"))["stopped"] is True


def test_a_taken_port_is_said(emulate: Command, tmp_path: Path) -> None:
    with listen() as sock:
        port = str(sock.getsockname()[1])
        done = emulate("up", "--port", port, "--home", "other")
    assert done.returncode == 5
    assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr


def test_the_old_port_is_given_up_when_it_is_taken(emulate: Command) -> None:
    port = int(document(emulate("up", "--json"))["url"].rpartition(":")[2])
    emulate("down")
    with listen(port):
        assert int(document(emulate("up", "--json"))["url"].rpartition(":")[2]) != port


def test_the_foreground_ends_with_ctrl_c(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "fedkeeper", "emulate", "up", "--foreground", "--home", str(home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 20
        while (found := state.running(home)) is None and time.monotonic() < end:
            time.sleep(0.02)
        assert found is not None
        assert control.needed(home).pid == process.pid
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode in (0, 130)
    assert "Traceback" not in told
    assert state.running(home) is None


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_functions_end_with_the_emulator(tmp_path: Path, sign: int) -> None:
    """Deployed by another process before, invoked over HTTP or not: no process outlives the daemon."""
    home, note = tmp_path / "home", tmp_path / "pid"
    source = f"import os, time\ndef main(args):\n    open({str(note)!r}, 'w').write(str(os.getpid()))\n    time.sleep(60)"
    program = (
        "import sys, time; from pathlib import Path; from fedkeeper.testing.emulated import emulated; from tests.emulator.zips import Bench\n"
        "with emulated(Path(sys.argv[1])) as running:\n"
        "    whisk = Bench(running.platforms['openwhisk']); whisk.put(sys.argv[2]); whisk.start(); time.sleep(60)"
    )
    tree = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program, str(home), source], cwd=tree) as process:
        end = time.monotonic() + 20
        while not (note.exists() and note.read_text()) and time.monotonic() < end:
            time.sleep(0.02)
        pid = int(note.read_text())
        process.send_signal(sign)
    assert ended(pid)


# --- inside ------------------------------------------------------------------------------------------------------------
def test_two_daemons_cannot_share_a_home(tmp_path: Path) -> None:
    with state.claim(tmp_path):
        assert state.held(tmp_path)
        with pytest.raises(UsageError, match="already runs"), state.claim(tmp_path):
            pass
    assert not state.held(tmp_path)


def test_a_wish_travels_as_json() -> None:
    limits = {**DEFAULTS, "aws": DEFAULTS["aws"].from_settings([{"max_concurrency": 5000}])}
    wanted = Wanted(8080, Settings("real", 3), limits)
    assert Wanted.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted


def test_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert state.home_of(None, None) == tmp_path / ".fedkeeper" / "emulator"
    assert state.home_of(None, "a/fabric.yaml") == tmp_path / "a" / ".fedkeeper" / "emulator"
    assert state.home_of("x", "a/fabric.yaml") == tmp_path / "x"


def test_credentials_are_made_once_for_this_user_alone(tmp_path: Path) -> None:
    made = credentials_of(tmp_path / "a")
    assert credentials_of(tmp_path / "a") == made
    assert credentials_of(tmp_path / "b").openwhisk_key != made.openwhisk_key
    assert (tmp_path / "a" / "credentials.json").stat().st_mode & 0o077 == 0


def test_it_listens_on_loopback_alone(emulator: Emulated) -> None:
    assert emulator.base_url.startswith("http://127.0.0.1:")
    port = int(emulator.base_url.rpartition(":")[2])
    with open("/proc/net/tcp", encoding="ascii") as table:
        lines = [line.split() for line in table][1:]
    mine = [local for _, local, _, status, *_ in lines if status == "0A" and int(local.split(":")[1], 16) == port]
    assert [local.split(":")[0] for local in mine] == ["0100007F"]


def test_an_answer_is_not_held_back_for_forty_milliseconds(emulator: Emulated) -> None:
    """Which is what Nagle's algorithm and delayed acknowledgements make of an answer in two packets on a kept connection."""
    connection = http.client.HTTPConnection(emulator.base_url.removeprefix("http://"))
    begun = time.perf_counter()
    for _ in range(50):
        connection.request("GET", "/health")
        connection.getresponse().read()
    connection.close()
    assert time.perf_counter() - begun < 50 * 0.03


def test_all_three_apis_are_mounted(emulator: Emulated) -> None:
    """None of them lets a stranger in, and each says so in its own way."""
    url = emulator.base_url
    paths = ("/api/v1/namespaces", "/v2/projects/p/locations/us-central1/functions", "/2015-03-31/functions")
    for path in paths:
        with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(url + path, timeout=5):
            pass
        refused.value.close()
        assert refused.value.code in (401, 403), path


def test_a_home_can_be_used_again(tmp_path: Path) -> None:
    with emulated(tmp_path) as first:
        Bench(first.platforms["openwhisk"]).put("def main(args): return args")
    with emulated(tmp_path) as second:
        assert second.environ["OW_AUTH"] == first.environ["OW_AUTH"]
        assert json.loads(Bench(second.platforms["openwhisk"]).ask({"a": 1}).answer) == {"a": 1}
