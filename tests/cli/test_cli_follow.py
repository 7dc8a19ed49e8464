"""Following a run from another process: what comes is shown as it comes, and the end is noticed, however it comes."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path

from fedkeeper.api import Fabric
from fedkeeper.stores.file import FileStore
from fedkeeper.train.runs import RunRecord
from tests.cli.conftest import spec
from tests.flow.projects import begin_command, make_project, run_command, slow_task
from tests.flow.projects import spec as project_spec
from tests.observe.ledgers import plain_run


def fabric_with_run(folder: Path) -> tuple[Fabric, FileStore]:
    url = f"file:{folder / 'store'}"
    store = FileStore(url)
    store.put_record("run", "demo-1", asdict(RunRecord("demo-1", "demo", 1.0, "config.yaml", "", (), "sha256:d", "sha256:r")))
    return Fabric(replace(spec(folder), store=url), folder / "config.yaml", (), {}), store


def test_events_come_in_their_order_and_end_with_the_run(tmp_path: Path) -> None:
    fabric, store = fabric_with_run(tmp_path)
    events = plain_run(2, 2)
    store.append("demo-1", 0, events[:10])
    with store.lease("demo-1"):
        following = fabric.follow(every_s=0)
        assert list(next(following)) == events[:10]
        assert next(following) == []  # somebody is still at work
        store.append("demo-1", 10, events[10:])
        assert [event for batch in following for event in batch] == events[10:]
    store.close()


def test_a_run_whose_orchestrator_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    fabric, store = fabric_with_run(tmp_path)
    store.append("demo-1", 0, plain_run(2, 2)[:10])
    began = time.monotonic()
    assert sum(map(len, fabric.follow("demo-1", every_s=0.01))) == 10
    assert time.monotonic() - began < 2
    store.close()


def test_another_process_follows_a_real_run(tmp_path: Path) -> None:
    make_project(tmp_path, project_spec(clients=2, rounds=2), task=slow_task(0.4))
    run_command(tmp_path, "deploy", "-q")
    with begin_command(tmp_path, "start", "--run-id", "r1") as running:
        while not (tmp_path / "logs" / "r1" / "run.log").exists():
            assert running.poll() is None, (tmp_path / "err.txt").read_text()
            time.sleep(0.02)
        followed = run_command(tmp_path, "logs", "--follow", "r1").stdout
        assert running.wait(30) == 0
    assert followed.splitlines() == (tmp_path / "logs" / "r1" / "run.log").read_text().splitlines()
    watched = run_command(tmp_path, "status", "--watch", "r1")
    assert "2 of 2 rounds done before" in watched.stderr
    assert "finished: all rounds done" in watched.stdout
