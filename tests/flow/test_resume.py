"""Kill it, interrupt it, break its source: what was recorded is enough to end with the same model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fedkeeper
from tests.flow.projects import (
    begin_command,
    ledger_of,
    make_project,
    result_of,
    run_command,
    slow_task,
    spec,
)

TREE = Path(fedkeeper.__file__).parents[1]


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def descendants(pid: int) -> set[int]:
    """Every process below `pid`, from /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found: set[int] = set()
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def trained(folder: Path, round_: int) -> int:
    return sum(e["type"] == "ended" and e["step"] == f"r{round_:04d}/train" for e in ledger_of(folder))


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model of the run nobody disturbed."""
    folder = tmp_path_factory.mktemp("calm")
    make_project(folder, task=slow_task(0))
    run_command(folder, "deploy")
    return str(result_of(run_command(folder, "start", "--json"))["model"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_was_cut_off_resumes_to_the_same_model(tmp_path: Path, calm: str, number: signal.Signals) -> None:
    make_project(tmp_path, task=slow_task(0.15))
    run_command(tmp_path, "deploy")
    process = begin_command(tmp_path, "start", "--json")
    wait_for(lambda: trained(tmp_path, 2) >= 2)
    below = descendants(process.pid)
    assert below
    process.send_signal(number)
    process.wait(timeout=30)
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    wait_for(lambda: not any(alive(pid) for pid in below), 10)
    done = result_of(run_command(tmp_path, "resume", "--json"))
    assert done["model"] == calm
    assert done["rounds"] == 3
    subjects = [
        e["subject"] for e in ledger_of(tmp_path) if e["type"] == "ended" and e["state"] == "succeeded" and "/train" in e["step"]
    ]
    assert len(subjects) == 18
    assert run_command(tmp_path, "resume", check=False).returncode == 6
    run_command(tmp_path, "remove")


def test_killed_again_and_again(tmp_path: Path, calm: str) -> None:
    make_project(tmp_path, task=slow_task(0.1))
    run_command(tmp_path, "deploy")
    verb = "start"
    for events in (4, 12, 25, 40):
        process = begin_command(tmp_path, verb, "--json")
        wait_for(lambda events=events: len(ledger_of(tmp_path)) >= events)  # type: ignore[misc]
        process.kill()
        process.wait()
        verb = "resume"
    assert result_of(run_command(tmp_path, "resume", "--json"))["model"] == calm


def test_stop_drains_the_round(tmp_path: Path) -> None:
    make_project(tmp_path, spec(rounds=500), task=slow_task(0.1))
    run_command(tmp_path, "deploy")
    process = begin_command(tmp_path, "start", "--json")
    wait_for(lambda: trained(tmp_path, 1) >= 1)
    run_command(tmp_path, "stop")
    assert process.wait(timeout=60) == 0
    done = json.loads((tmp_path / "out.txt").read_text())
    assert done["stop_reason"] == "stopped"
    assert done["rounds"] >= 1
    assert done["accuracy"] is not None


def test_two_orchestrators_on_one_run_are_refused(tmp_path: Path) -> None:
    make_project(tmp_path, spec(rounds=500), task=slow_task(0.1))
    run_command(tmp_path, "deploy")
    process = begin_command(tmp_path, "start", "--json")
    try:
        wait_for(lambda: trained(tmp_path, 1) >= 1)
        second = run_command(tmp_path, "resume", check=False)
        assert second.returncode == 9
        assert "Traceback" not in second.stderr
    finally:
        process.kill()
        process.wait()


def test_remove_after_a_crash_in_the_middle_of_deploy_leaves_nothing(tmp_path: Path) -> None:
    text = spec(clients=400)
    text["scenarios"]["federated_learning"]["clients"]["groups"][0]["isolation"] = "client"
    make_project(tmp_path, text)
    functions = tmp_path / ".fedkeeper" / "local" / "here" / "functions"
    process = begin_command(tmp_path, "deploy")
    wait_for(lambda: functions.is_dir() and len(list(functions.iterdir())) > 20)
    process.kill()
    process.wait()
    made = len(list(functions.iterdir()))
    refused = run_command(tmp_path, "start", check=False)
    assert refused.returncode == 4
    assert "did not finish" in refused.stderr
    run_command(tmp_path, "remove")
    assert made > 20
    assert not list((tmp_path / ".fedkeeper").glob("local/*/*"))


def test_a_crashed_deploy_is_finished_by_the_next(tmp_path: Path) -> None:
    text = spec(clients=400, rounds=1)
    text["scenarios"]["federated_learning"]["clients"]["groups"][0]["isolation"] = "client"
    text["scenarios"]["federated_learning"]["clients"]["per_round"] = 5
    make_project(tmp_path, text)
    functions = tmp_path / ".fedkeeper" / "local" / "here" / "functions"
    process = begin_command(tmp_path, "deploy")
    wait_for(lambda: functions.is_dir() and len(list(functions.iterdir())) > 20)
    process.kill()
    process.wait()
    kinds = {action["kind"] for action in result_of(run_command(tmp_path, "deploy", "--json"))["actions"]}
    assert "create" in kinds
    assert result_of(run_command(tmp_path, "start", "--json"))["rounds"] == 1


def test_functions_run_from_their_zips_when_the_source_tree_is_broken(tmp_path: Path, calm: str) -> None:
    """The orchestrator's own code must live; everything that functions are made of is destroyed after `deploy`."""
    site = tmp_path / "site"
    shutil.copytree(TREE / "fedkeeper", site / "fedkeeper", ignore=shutil.ignore_patterns("__pycache__"))
    if not (site / "fedkeeper" / "functions").exists():
        shutil.copytree(TREE / "functions", site / "fedkeeper" / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    project = tmp_path / "project"
    make_project(project, task=slow_task(0))
    run_command(project, "deploy", python_path=site)
    broken = [
        *(site / "fedkeeper" / "functions").glob("*/handler.py"),
        *(site / "fedkeeper" / "runtime").glob("*.py"),
        *(site / "fedkeeper" / "tasks").glob("mnist_*.py"),
        site / "fedkeeper" / "strategies" / "mean.py",
        site / "fedkeeper" / "providers" / "local" / "shim.py",
    ]
    assert len(broken) > 15
    for path in broken:
        path.write_text("raise SystemExit('the source tree is broken')\n")
    assert result_of(run_command(project, "start", "--json", python_path=site))["model"] == calm
    run_command(project, "remove", python_path=site)


def test_nothing_of_this_process_is_left_running(tmp_path: Path) -> None:
    make_project(tmp_path)
    run_command(tmp_path, "deploy")
    run_command(tmp_path, "start")
    marked = [
        entry
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and str(tmp_path) in _cwd_and_command(entry)
    ]
    assert marked == []


def _cwd_and_command(entry: Path) -> str:
    try:
        return os.readlink(entry / "cwd") + (entry / "cmdline").read_text()
    except OSError:
        return ""
