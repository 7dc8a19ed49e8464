"""Spec -> Fabric: defaults, numbering, absolute paths, plain numbers; and what a command line may change of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import yaml

from fedkeeper import spec
from fedkeeper.errors import SpecError
from fedkeeper.fields import Section
from fedkeeper.model import Fabric, Role, canonical_json
from fedkeeper.providers.registry import settings_models
from fedkeeper.spec import builtin
from fedkeeper.spec.render import render_problems
from fedkeeper.strategies import registry as strategies
from fedkeeper.tasks import __path__ as task_folder

ROOT = Path(__file__).parent.parent.parent
TASK = (
    "PARAMETERS = 7850\n\ndef build(config):\n    return {}\n\ndef load(examples, config):\n    return examples.x, examples.y\n"
)


def tree(**learning: Any) -> dict[str, Any]:
    """A spec as data; `learning` replaces sections of the scenario."""
    base = {
        "server": {"cluster": "laptop"},
        "clients": {"groups": [{"cluster": "laptop", "count": 4}]},
        "data": {"dataset": "mnist-sample"},
        "training": {"task": "mnist-mlp"},
    }
    return {
        "version": 1,
        "name": "demo",
        "providers": {"local": {"laptop": {}}},
        "scenarios": {"federated_learning": {**base, **learning}},
    }


def load(data: dict[str, Any], folder: Path, overrides: Sequence[tuple[str, str]] = ()) -> Fabric:
    return spec.load(folder / "c.yaml", providers=settings_models(), overrides=overrides, text=yaml.safe_dump(data))


def problems(data: dict[str, Any], folder: Path, overrides: Sequence[tuple[str, str]] = ()) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(data, folder, overrides)
    return [problem.message for problem in caught.value.problems]


def test_the_sample_and_the_starter_are_the_same_and_load() -> None:
    sample = ROOT / "config-sample.yaml"
    assert sample.read_bytes() == (ROOT / "fedkeeper" / "samples" / "config.yaml").read_bytes()
    fabric = spec.load(sample, providers=settings_models())
    assert fabric.clients
    assert fabric.data.sample is not None
    assert (ROOT / "fedkeeper" / "samples" / fabric.data.sample).is_file()


def test_the_sample_shows_every_key() -> None:
    """Uncommented in full, it mentions each property of the schema."""
    text = (ROOT / "config-sample.yaml").read_text(encoding="utf-8")
    from fedkeeper.spec.schema import json_schema

    schema = json_schema(settings_models())
    keys = {key for definition in schema["$defs"].values() for key in definition.get("properties", {})} | set(
        schema["properties"]
    )
    assert [key for key in sorted(keys - {"local"}) if f"{key}:" not in text] == []


def test_defaults(tmp_path: Path) -> None:
    fabric = load(tree(), tmp_path)
    assert fabric.store == f"file:{tmp_path}/.fedkeeper/store"
    assert (fabric.root, fabric.spec_file) == (tmp_path, tmp_path / "c.yaml")
    assert [client.id for client in fabric.clients] == ["laptop-0", "laptop-1", "laptop-2", "laptop-3"]
    assert [client.index for client in fabric.clients] == [0, 1, 2, 3]
    assert fabric.training.clients_per_round == 0
    assert fabric.training.quorum == 0
    assert fabric.training.model_bytes == 397_510 * 4
    assert fabric.functions[Role.INVOKER].timeout_s == 360
    assert fabric.functions[Role.NODEINFO].memory_mb == 256
    assert set(fabric.functions) == set(Role)
    json.loads(canonical_json(fabric.clusters["laptop"].settings))


def test_everything_said(tmp_path: Path) -> None:
    (tmp_path / "tasks" / "helpers").mkdir(parents=True)
    (tmp_path / "tasks" / "t.py").write_text(TASK)
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "handler.py").write_text("")
    (tmp_path / "start.safetensors").write_bytes(b"")
    np.savez(tmp_path / "d.npz", x=np.zeros(1))
    data = tree(
        clients={"per_round": 3, "groups": [{"cluster": "laptop", "name": "g", "count": 2}, {"cluster": "laptop", "ids": ["b", "a"]}]},
        data={"dataset": {"path": "d.npz"}, "partition": "iid", "examples_per_client": 5, "test": "./d.npz"},
        training={
            "task": "tasks/t.py", "requirements": ["numpy>=1"], "files": ["tasks/helpers"], "quorum": "50%", "time_budget": "1h30m",
            "round_deadline": 5, "backoff": "100ms", "start_from": "start.safetensors", "params": {"a": [1, {"b": None}]},
            "strategy_params": {"x": 1}, "local_epochs": 3,
        },
        functions={"fl_client": {"memory": "1GB", "timeout": "90s", "path": "handlers"}},
    )  # fmt: skip
    fabric = load(data, tmp_path)
    assert [client.id for client in fabric.clients] == ["g-0", "g-1", "b", "a"]
    assert [client.group for client in fabric.clients] == ["g", "g", "laptop", "laptop"]
    assert fabric.data.path == fabric.data.test == str(tmp_path / "d.npz")
    training = fabric.training
    assert training.task == str(tmp_path / "tasks" / "t.py")
    assert (training.quorum, training.time_budget_s, training.round_deadline_s) == (2, 5400, 5)
    assert training.backoff_s == pytest.approx(0.1)
    assert training.start_from == str(tmp_path / "start.safetensors")
    assert training.model_bytes == 7850 * 4
    assert training.epochs == 3
    assert fabric.strategy.params == {"x": 1}
    assert fabric.task_files == (str(tmp_path / "tasks" / "helpers"),)
    assert fabric.functions[Role.CLIENT].path == str(tmp_path / "handlers")
    assert (fabric.functions[Role.CLIENT].memory_mb, fabric.functions[Role.CLIENT].timeout_s) == (1024, 90)
    assert fabric.functions[Role.INVOKER].timeout_s == 150
    assert fabric.run_digest().startswith("sha256:")


def test_client_files_are_filled_in(tmp_path: Path) -> None:
    for name in ("laptop-0", "laptop-1"):
        np.savez(tmp_path / f"{name}.npz", x=np.zeros(1))
    np.savez(tmp_path / "test.npz", x=np.zeros(1))
    group = {"cluster": "laptop", "count": 2, "file": "{client}.npz"}
    fabric = load(tree(clients={"groups": [group]}, data={"test": "test.npz"}), tmp_path)
    assert [client.file for client in fabric.clients] == [str(tmp_path / "laptop-0.npz"), str(tmp_path / "laptop-1.npz")]
    assert problems(tree(clients={"groups": [group]}, data={}), tmp_path) == ["there is nothing to evaluate on"]


@pytest.mark.parametrize(
    ("written", "store"),
    [
        ("file:data", "file:{root}/data"), ("file:/abs/x", "file:/abs/x"), ("file:///abs/x", "file:/abs/x"), ("memory:", "memory:"),
        ("mongodb://h:27017/db", "mongodb://h:27017/db"), ("${env:MONGO_URL}", "${env:MONGO_URL}"), ("mongodb://a,b/db", "mongodb://a,b/db"),
    ],
)  # fmt: skip
def test_stores(written: str, store: str, tmp_path: Path) -> None:
    assert load({**tree(), "store": written}, tmp_path).store == store.replace("{root}", str(tmp_path))


@pytest.mark.parametrize(
    "written", ["file:", "file://host/x", "memory:x", "mongodb://u:p@h/db", "mongodb://", "s3:x", "x", "mongodb://[", "a@b"]
)
def test_stores_that_are_none(written: str, tmp_path: Path) -> None:
    assert len(problems({**tree(), "store": written}, tmp_path)) == 1


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("file:data", "only a MongoDB store"), ("mongodb://u:p@h/db", "must not stand here in clear text"), ("${env:A}/db", "a placeholder"),
    ],
)  # fmt: skip
def test_functions_stores_that_are_none(written: str, problem: str, tmp_path: Path) -> None:
    (said,) = problems({**tree(), "store": "mongodb://h/db", "functions_store": written}, tmp_path)
    assert problem in said


def test_functions_get_their_own_url(tmp_path: Path) -> None:
    fabric = load({**tree(), "store": "${env:ALL}", "functions_store": "${env:SOME}"}, tmp_path)
    assert (fabric.store, fabric.functions_store) == ("${env:ALL}", "${env:SOME}")


@pytest.mark.parametrize(("written", "keep"), [("last 1", 1), ("last 20", 20), ("all", 0), (None, 2)])
def test_keep(written: str | None, keep: int, tmp_path: Path) -> None:
    assert load({**tree(), "keep": written}, tmp_path).keep == keep


@pytest.mark.parametrize("written", ["last 0", "last", "last two", 2, "none", "last -1", "last 1.5", "last ²"])
def test_keeps_that_are_none(written: object, tmp_path: Path) -> None:
    (said,) = problems({**tree(), "keep": written}, tmp_path)
    assert "must be all, or the last rounds by number" in said


def test_an_empty_value_is_the_default(tmp_path: Path) -> None:
    data = tree(functions=None, training={"task": "mnist-mlp", "params": None, "rounds": None, "requirements": None})
    data["providers"]["local"]["laptop"] = None
    assert load({**data, "store": None}, tmp_path).training.rounds == 10


def test_quorum_shares_round_up(tmp_path: Path) -> None:
    for share, quorum in (("80%", 8), ("75%", 8), ("1%", 1), ("100%", 10), ("70%", 7)):
        data = tree(clients={"groups": [{"cluster": "laptop", "count": 10}]}, training={"task": "mnist-mlp", "quorum": share})
        assert load(data, tmp_path).training.quorum == quorum


def test_sizes_of_the_builtin_tasks_are_theirs() -> None:
    for name in builtin.TASKS:
        text = (Path(task_folder[0]) / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
        line = next(line for line in text.splitlines() if line.startswith("PARAMETERS"))
        assert int(line.split("=")[1].replace("_", "")) * 4 == builtin.task_bytes(name, {})
    assert builtin.task_bytes("mnist-mlp", {"hidden_size": 1}) == (785 + 20) * 4
    assert builtin.task_bytes("mnist-mlp", {"hidden_size": "many"}) is None


def test_names_are_those_of_the_strategies() -> None:
    assert set(builtin.STRATEGIES) == set(strategies.REDUCERS)
    assert set(builtin.SELECTORS) == set(strategies.SELECTORS)


# --- overrides -------------------------------------------------------------------------------------------------------


def test_overrides(tmp_path: Path) -> None:
    changes = [
        ("training.rounds", "3"),
        ("scenarios.federated_learning.training.seed", "9"),
        ("training.learning_rate", "1e-2"),
        ("training.time_budget", "2m"),
        ("training.params.width", "7"),
        ("clients.per_round", "2"),
        ("data.partition", "iid"),
        ("data.dataset", "mnist"),
        ("training.target_accuracy", ""),
    ]
    data = tree(training={"task": "mnist-mlp", "target_accuracy": 0.5})
    before = json.dumps(data)
    fabric = load(data, tmp_path, changes)
    training = fabric.training
    assert (training.rounds, training.seed, training.learning_rate, training.time_budget_s) == (3, 9, 0.01, 120)
    assert training.params == {"width": 7}
    assert training.target_accuracy is None
    assert (training.clients_per_round, fabric.data.partition, fabric.data.name) == (2, "iid", "mnist")
    assert json.dumps(data) == before


def test_a_later_override_wins(tmp_path: Path) -> None:
    assert load(tree(), tmp_path, [("training.rounds", "3"), ("training.rounds", "4")]).training.rounds == 4


def test_an_override_may_go_below_a_scalar(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros(1))
    assert load(tree(), tmp_path, [("data.dataset.path", "d.npz")]).data.path == str(tmp_path / "d.npz")


@pytest.mark.parametrize(
    "key",
    [
        "name", "store", "version", "providers.local.laptop.workers", "server.cluster", "clients.groups", "functions.fl_client.memory",
        "training.task", "training.requirements", "training.files", "training", "data", "clients", "scenarios", "rounds", "", "a.b",
        "scenarios.federated_learning", "scenarios.other.training.rounds",
    ],
)  # fmt: skip
def test_what_is_deployed_cannot_be_overridden(key: str, tmp_path: Path) -> None:
    found = problems(tree(), tmp_path, [(key, "1")])
    assert len(found) == 1
    assert found[0].startswith(f"--set {key}=1: ")


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("training.rounds", "abc"), ("training.rounds", "0"), ("training.rounds", "[1"), ("training.rouns", "1"), ("clients.per_round", "50"),
        ("training.quorum", "99"), ("training.optimizer", "ndam"), ("data.dataset", "nothing"), ("training.params", "3"),
        ("training.rounds.x", "1"), ("training.start_from", "no.safetensors"),
    ],
)  # fmt: skip
def test_a_wrong_override_names_its_flag(key: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tree(), tmp_path, [(key, text)])
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"--set {key}={text}: ")
    assert problem.line is None
    assert render_problems(caught.value).startswith(f"--set {key}={text}: ")


# --- the file itself -------------------------------------------------------------------------------------------------


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not there") as caught:
        spec.load(tmp_path / "none.yaml", providers=settings_models())
    assert "fedkeeper init" in caught.value.hint
    assert "fedkeeper init" in render_problems(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"name: \x80"])
def test_a_file_that_is_not_text(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(SpecError, match="UTF-8"):
        spec.load(tmp_path / "c.yaml", providers=settings_models())
    with pytest.raises(SpecError, match="cannot be read"):
        spec.load(tmp_path, providers=settings_models())


def test_text_stands_for_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("not: this")
    assert load(tree(), tmp_path).name == "demo"


def test_a_relative_file_name_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tree()))
    monkeypatch.chdir(tmp_path)
    assert spec.load(Path("c.yaml"), providers=settings_models()).root == tmp_path


def test_settings_are_injected(tmp_path: Path) -> None:
    """Any settings model will do: this room knows no provider."""

    class Mine(Section):
        """A provider of one's own."""

        shares_host: ClassVar[bool] = True
        color: str = "blue"

    data = {
        **tree(server={"cluster": "m"}, clients={"groups": [{"cluster": "m", "count": 1}]}),
        "providers": {"mine": {"m": {"color": "red"}}},
    }
    fabric = spec.load(tmp_path / "c.yaml", providers={"mine": Mine}, text=yaml.safe_dump(data))
    assert fabric.clusters["m"].settings == {"color": "red"}
    assert "unknown key `mine`" in problems(data, tmp_path)[0]
