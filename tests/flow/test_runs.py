"""Whole runs through the API, on the real local platform: what must be equal is equal, what must be refused is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from fedkeeper import codec
from fedkeeper.api import Fabric
from fedkeeper.errors import NotDeployed, RunFailed, SpecError, StaleDeployment, UsageError
from fedkeeper.refs import ref_of
from fedkeeper.wiring import House
from tests.flow.projects import SOFTMAX, make_project, spec


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def whole_run(folder: Path, *, overrides: tuple[tuple[str, str], ...] = (), **changes: object) -> str:
    fabric = Fabric.load(make_project(folder, spec(**changes)), overrides=overrides)  # type: ignore[arg-type]
    fabric.deploy()
    try:
        return fabric.start().model
    finally:
        fabric.remove()


def test_a_run_learns_and_leaves_its_results(tmp_path: Path) -> None:
    fabric = Fabric.load(make_project(tmp_path))
    plan = fabric.deploy()
    assert {action.kind for action in plan.actions} == {"create"}
    run = fabric.start(run_id="first")
    assert (run.run, run.rounds, run.stop_reason) == ("first", 3, "rounds")
    assert run.accuracy is not None
    assert run.accuracy > 0.8
    assert run.activations == {"requested": 25, "succeeded": 25, "failed": 0, "retried": 0}
    assert {path.name for path in run.folder.iterdir()} >= {
        "run.log", "rounds.csv", "activations.csv", "clients.csv", "events.jsonl", "model.safetensors", "accuracy.png", "time.png",
    }  # fmt: skip
    weights = codec.decode((run.folder / "model.safetensors").read_bytes())
    assert ref_of((run.folder / "model.safetensors").read_bytes()) == run.model
    assert {name: array.shape for name, array in weights.items()} == {"weight": (784, 10), "bias": (10,)}
    rows = rows_of(run.folder / "rounds.csv")
    assert [row["round"] for row in rows] == ["1", "2", "3"]
    assert all(float(row["total_s"]) > 0 for row in rows)
    clients = rows_of(run.folder / "clients.csv")
    assert len(clients) == 18
    assert {row["examples"] for row in clients} == {"1000"}
    assert [summary.state for summary in fabric.runs()] == ["finished"]
    fabric.remove()


def test_a_second_deploy_keeps_everything(tmp_path: Path) -> None:
    fabric = Fabric.load(make_project(tmp_path))
    fabric.deploy()
    again = fabric.deploy()
    assert again.changes == 0
    assert {action.reason for action in again.actions} == {"up to date"}
    fabric.remove()


def test_remove_leaves_nothing_of_the_functions(tmp_path: Path) -> None:
    fabric = Fabric.load(make_project(tmp_path))
    fabric.deploy()
    assert (tmp_path / "params" / "tiny" / "fl_client" / "c-0.json").exists()
    fabric.start()
    fabric.remove()
    assert not (tmp_path / "params").exists()
    assert not list((tmp_path / ".fedkeeper").glob("local/*/*"))
    assert fabric.remove().changes == 0
    with pytest.raises(NotDeployed, match="tiny is not deployed"):
        fabric.start()


def test_start_refuses_what_is_not_what_the_spec_says(tmp_path: Path) -> None:
    config = make_project(tmp_path)
    with pytest.raises(NotDeployed) as refused:
        Fabric.load(config).start()
    assert "fedkeeper deploy" in refused.value.hint
    Fabric.load(config).deploy()
    task = tmp_path / "tasks" / "softmax.py"
    task.write_text(task.read_text() + "\n# changed\n")
    with pytest.raises(StaleDeployment, match="not what the spec says now") as stale:
        Fabric.load(config).start()
    assert "fedkeeper deploy" in stale.value.hint
    Fabric.load(config).deploy()
    assert Fabric.load(config, overrides=[("training.rounds", "1"), ("training.learning_rate", "0.05")]).start().rounds == 1
    Fabric.load(config).remove()


def test_equal_seeds_equal_models_however_they_are_run(tmp_path: Path) -> None:
    """Two runs, one worker or two, weights from the store or relayed, isolated or not: one model."""
    base = whole_run(tmp_path / "a")
    assert whole_run(tmp_path / "b") == base
    assert whole_run(tmp_path / "c", workers=1) == base
    assert whole_run(tmp_path / "d", weights="relay") == base
    assert whole_run(tmp_path / "e", weights="relay", workers=1) == base
    assert whole_run(tmp_path / "f", overrides=(("training.seed", "6"),)) != base


def test_two_projects_in_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    one = Fabric.load(make_project(tmp_path, spec("one", clients=2)))
    other_file = tmp_path / "other.yaml"
    other_file.write_text((tmp_path / "config.yaml").read_text().replace("name: one", "name: other"))
    other = Fabric.load(other_file)
    one.deploy()
    other.deploy()
    assert {action.kind for action in one.remove().actions} == {"delete"}
    assert other.start().rounds == 3
    assert other.plan().changes == 0
    assert [summary.run for summary in one.runs()] == []
    other.remove()


def test_own_client_files_and_a_checkpoint(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    (tmp_path / "clients").mkdir(parents=True)
    for name in ("c-0", "c-1", "test"):
        labels = rng.integers(0, 10, 50).astype(np.uint8)
        images = np.zeros((50, 28, 28), np.uint8)
        images[np.arange(50), 0, labels] = 255
        target = tmp_path / "test.npz" if name == "test" else tmp_path / "clients" / f"{name}.npz"
        np.savez(target, x=images, y=labels)
    text = spec(clients=2, local_epochs=20)
    learning = text["scenarios"]["federated_learning"]
    learning["clients"]["groups"][0]["file"] = "clients/{client}.npz"
    learning["data"] = {"test": "test.npz"}
    fabric = Fabric.load(make_project(tmp_path, text))
    fabric.deploy()
    first = fabric.start()
    assert first.accuracy == 1.0
    (first.folder / "model.safetensors").rename(tmp_path / "checkpoint.safetensors")
    again = Fabric.load(
        tmp_path / "config.yaml", overrides=[("training.start_from", "checkpoint.safetensors"), ("training.rounds", "1")]
    )
    assert again.start().accuracy == 1.0
    fabric.remove()


def test_a_task_that_fails_ends_the_run_with_its_own_words(tmp_path: Path) -> None:
    broken = SOFTMAX.read_text().replace(
        "    for _ in range(config.epochs):", "    raise ValueError('no such luck')\n    for _ in range(1):"
    )
    fabric = Fabric.load(make_project(tmp_path, spec(retries=1), task=broken))
    fabric.deploy()
    with pytest.raises(RunFailed, match=r"c-\d failed 2 times, last: .*no such luck") as failed:
        fabric.start()
    assert "fedkeeper resume" in failed.value.hint
    assert [summary.state for summary in fabric.runs()] == ["unfinished"]
    fabric.remove()


FLAKY = """
import os
marker = os.path.join({folder!r}, config.client + "-" + str(config.round))
if config.client in {clients!r} and not ({once} and os.path.exists(marker)):
    open(marker, "w").close()
    os._exit(3)
"""


def flaky(folder: Path, clients: tuple[str, ...], *, once: bool) -> str:
    """A task whose chosen clients kill their worker: the first time only, or always."""
    folder.mkdir(parents=True, exist_ok=True)
    body = FLAKY.format(folder=str(folder), clients=clients, once=once)
    inside = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return SOFTMAX.read_text().replace("    for _ in range(config.epochs):", f"{inside}    for _ in range(config.epochs):")


def test_clients_that_crash_once_are_retried_and_change_nothing(tmp_path: Path) -> None:
    base = whole_run(tmp_path / "calm")
    fabric = Fabric.load(make_project(tmp_path / "p", task=flaky(tmp_path / "marks", ("c-1", "c-4"), once=True)))
    fabric.deploy()
    run = fabric.start()
    assert run.activations == {"requested": 31, "succeeded": 25, "failed": 6, "retried": 6}
    assert run.model == base
    assert "worker" in (run.folder / "activations.csv").read_text()
    fabric.remove()


def test_a_client_that_always_crashes_does_not_stop_a_run_with_quorum(tmp_path: Path) -> None:
    text = spec(quorum=5, retries=1, rounds=2)
    fabric = Fabric.load(make_project(tmp_path / "p", text, task=flaky(tmp_path / "marks", ("c-1",), once=False)))
    fabric.deploy()
    run = fabric.start()
    assert (run.rounds, run.activations["failed"]) == (2, 4)
    assert [row["succeeded"] for row in run.table] == [5, 5]
    fabric.remove()


@pytest.mark.parametrize(("weights", "function"), [("store", "tiny-fl_client"), ("relay", "tiny-fl_client_relay")])
def test_a_function_that_is_gone_is_created_again(tmp_path: Path, weights: str, function: str) -> None:
    """With relay, it is the invoker that finds it missing."""
    fabric = Fabric.load(make_project(tmp_path, spec(weights=weights)))
    fabric.deploy()
    with House(fabric.spec) as house:
        house.provider(fabric.spec.clusters["here"]).delete(function)
    run = fabric.start()
    assert run.rounds == 3
    assert function in [e["function"] for e in fabric.events(run.run)[1] if e["type"] == "recreated"]
    fabric.remove()


def test_invoke_and_check_nodes(tmp_path: Path) -> None:
    fabric = Fabric.load(make_project(tmp_path))
    rows = fabric.check_nodes()
    assert [(row.cluster, row.ok) for row in rows] == [("here", True)]
    assert rows[0].cpus
    assert not list((tmp_path / ".fedkeeper").glob("local/*/functions/*"))
    with pytest.raises(UsageError, match="no cluster nowhere"):
        fabric.check_nodes(clusters=["nowhere"])
    fabric.deploy()
    with pytest.raises(UsageError, match="no function tiny-nodeinfo is deployed"):
        fabric.invoke("nodeinfo", {})
    fabric.remove()


def test_a_run_id_is_a_plain_name_and_is_not_taken(tmp_path: Path) -> None:
    fabric = Fabric.load(make_project(tmp_path, spec(rounds=1)))
    fabric.deploy()
    for run_id in ("../escape", "a b", ".hidden", "x" * 65, "nul\0"):
        with pytest.raises(UsageError, match="cannot name a run"):
            fabric.start(run_id=run_id)
    assert not (tmp_path / "logs").exists()
    fabric.start(run_id="mine")
    with pytest.raises(UsageError, match="already a run mine"):
        fabric.start(run_id="mine")
    fabric.remove()


def test_export_writes_the_model_of_any_run(tmp_path: Path) -> None:
    fabric = Fabric.load(make_project(tmp_path, spec(rounds=1)))
    fabric.deploy()
    run = fabric.start()
    target = fabric.export(None, tmp_path / "out" / "m.safetensors", "safetensors")
    assert ref_of(target.read_bytes()) == run.model
    with pytest.raises(UsageError, match="no format"):
        fabric.export(run.run, tmp_path / "m.h5", "h5")
    fabric.remove()


def test_a_missing_variable_of_the_store_is_said(tmp_path: Path) -> None:
    text = spec()
    text["store"] = "${env:NO_SUCH_STORE}"
    with pytest.raises(SpecError, match="NO_SUCH_STORE"):
        Fabric.load(make_project(tmp_path, text)).deploy()
