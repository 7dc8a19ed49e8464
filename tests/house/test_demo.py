"""tools/demo.sh, the real script, with a stand-in for `fedkeeper` that notes its verbs and fails when told to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.house.tree import ROOT

FEDKEEPER = """#!/bin/sh
echo "$*" >>calls
[ ! -e "$1-hangs" ] || exec sleep 60
[ "$1" != start ] || { mkdir -p logs/run-1 && touch logs/run-1/model.safetensors; }
exit "$(cat "$1-code" 2>/dev/null || echo 0)"
"""
DEPLOY, START, REMOVE = (f"{verb} -c config-sample.yaml" for verb in ("deploy", "start", "remove"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "demo.sh", tmp_path / "tools")
    command = tmp_path / ".venv" / "bin" / "fedkeeper"
    command.parent.mkdir(parents=True)
    command.write_text(FEDKEEPER)
    command.chmod(0o755)
    return tmp_path


def demo(tree: Path) -> subprocess.Popen[bytes]:
    """In a session of its own, as a terminal's foreground group: Ctrl-C reaches the script and the program it runs, also when
    the tests themselves run in the background, where shells have SIGINT ignored."""
    command = ["env", "--default-signal=INT", "sh", "tools/demo.sh"]
    with (tree / "said").open("wb") as said:
        return subprocess.Popen(command, cwd=tree, start_new_session=True, stdout=said)


def calls(tree: Path) -> list[str]:
    log = tree / "calls"
    return log.read_text().splitlines() if log.exists() else []


def test_deploys_starts_and_removes(tree: Path) -> None:
    assert demo(tree).wait(timeout=30) == 0
    assert calls(tree) == [DEPLOY, START, REMOVE]
    assert "Model, logs and plots are in logs/run-1/:\nmodel.safetensors\n" in (tree / "said").read_text()


@pytest.mark.parametrize(("verb", "called"), [("deploy", [DEPLOY, REMOVE]), ("start", [DEPLOY, START, REMOVE])])
def test_removes_after_a_failure_and_keeps_its_exit_code(tree: Path, verb: str, called: list[str]) -> None:
    (tree / f"{verb}-code").write_text("7")
    (tree / "remove-code").write_text("5")
    assert demo(tree).wait(timeout=30) == 7
    assert calls(tree) == called


def test_a_failed_remove_is_a_failure(tree: Path) -> None:
    (tree / "remove-code").write_text("5")
    assert demo(tree).wait(timeout=30) == 5


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_removes_when_interrupted(tree: Path, sent: signal.Signals, code: int) -> None:
    (tree / "start-hangs").touch()
    running = demo(tree)
    try:
        while START not in calls(tree):
            time.sleep(0.01)
        os.killpg(running.pid, sent)
        assert running.wait(timeout=30) == code
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    assert calls(tree) == [DEPLOY, START, REMOVE]
