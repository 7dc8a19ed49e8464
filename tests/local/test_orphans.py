"""No process of the platform outlives its orchestrator, however that ends, nor its platform or zygote."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fedkeeper
from tests.local.bench import is_alive, wait_until

ORCHESTRATOR = """
import sys, time
from pathlib import Path
from tests.local.bench import Bench

HANDLER = '''
import os, subprocess, time

def handle(params, body):
    child = subprocess.Popen(["sleep", "600"])
    if os.fork() == 0:
        time.sleep(600)
    with open(params["file"], "w") as file:
        file.write(f"{os.getppid()} {os.getpid()} {child.pid}")
    if params["stay"]:
        time.sleep(600)
    return 1, b""
'''
folder = Path(sys.argv[1])
bench = Bench(folder / "home")
provider = bench.open(workers=4)
bench.function(provider, "f", HANDLER)
for n in range(4):
    provider.invoke("f", {"file": str(folder / f"pids-{n}"), "stay": n % 2 == 0})
while sum(len(path.read_text().split()) == 3 for path in folder.glob("pids-*")) < 4:
    time.sleep(0.01)
print(provider.platform_pid, flush=True)
if sys.argv[2] == "exit":
    sys.exit(0)
time.sleep(600)
"""


def start(folder: Path, mode: str) -> tuple[subprocess.Popen[str], int, dict[str, set[int]]]:
    """A running orchestrator, its platform's pid, and the pids of zygotes, workers and their children."""
    top = str(Path(fedkeeper.__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", ORCHESTRATOR, str(folder), mode],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": top},
    )
    assert process.stdout is not None
    platform = int(process.stdout.readline())
    rows = [tuple(map(int, path.read_text().split())) for path in folder.glob("pids-*")]
    kinds = dict(zip(("zygotes", "workers", "children"), (set(column) for column in zip(*rows, strict=True)), strict=True))
    return process, platform, kinds


@pytest.mark.parametrize("victim", ["orchestrator", "platform", "zygote", "exit"])
def test_nothing_outlives(tmp_path: Path, victim: str) -> None:
    process, platform, kinds = start(tmp_path, "exit" if victim == "exit" else "stay")
    everybody = {platform, *kinds["zygotes"], *kinds["workers"], *kinds["children"]}
    assert len(everybody) >= 1 + 1 + 4 + 4
    try:
        if victim == "zygote":
            for zygote in kinds["zygotes"]:
                os.kill(zygote, signal.SIGKILL)
            doomed = everybody - {platform}
        else:
            if victim != "exit":
                os.kill(platform if victim == "platform" else process.pid, signal.SIGKILL)
            doomed = everybody
        assert wait_until(lambda: not any(is_alive(pid) for pid in doomed)), [pid for pid in doomed if is_alive(pid)]
        if victim == "zygote":
            assert is_alive(platform)
    finally:
        process.kill()
        process.communicate()
        wait_until(lambda: not any(is_alive(pid) for pid in everybody))
    strays = [path for path in Path("/proc").glob("[0-9]*") if str(tmp_path) in _cwd(path)]
    assert strays == []


def test_workers_die_even_when_platform_and_zygote_are_killed_together(tmp_path: Path) -> None:
    process, platform, kinds = start(tmp_path, "stay")
    try:
        os.kill(platform, signal.SIGSTOP)  # it must not see its zygotes die
        for pid in (*kinds["zygotes"], platform):
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not any(is_alive(pid) for pid in kinds["workers"]))
    finally:
        process.kill()
        process.communicate()
        for child in kinds["children"]:  # nobody is left who could have known of them
            os.kill(child, signal.SIGKILL)
        for worker in kinds["workers"]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker, signal.SIGKILL)


def _cwd(process: Path) -> str:
    """Workers and what they start work below the home: this also finds processes nobody told us of."""
    try:
        return os.readlink(process / "cwd")
    except OSError:
        return ""
