"""Plans are pure: wanted and deployed in, actions out. And which functions a fabric wants."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from fedkeeper.deploy.digest import deploy_digest
from fedkeeper.deploy.plan import Action, plan
from fedkeeper.deploy.resources import CallerModule, Modules, Resources, Wanted
from fedkeeper.model import FunctionSpec, Role
from fedkeeper.providers.base import DeployedFunction
from tests.fabrics import CAPABILITIES, make_fabric

MODULES = Modules(
    "fedkeeper.stores.file",
    ["fedkeeper.strategies.registry"],
    {"local": CallerModule("fedkeeper.providers.local.caller:LocalCaller")},
)


def spec(name: str, memory_mb: int = 1) -> FunctionSpec:
    return FunctionSpec(name, "f", "here", Role.CLIENT, "sha256:0", memory_mb, 1)


def wanted(tmp_path: Path, **changes: Any) -> list[Wanted]:
    return Resources(make_fabric(tmp_path, **changes), {"here": CAPABILITIES}, MODULES).wanted()


def test_create_update_keep_delete_with_reasons() -> None:
    there = {
        "same": DeployedFunction("same", spec("same").digest),
        "changed": DeployedFunction("changed", spec("changed", 2).digest),
        "half": DeployedFunction("half", None),
        "old": DeployedFunction("old", "sha256:x"),
    }
    made = plan([spec("new"), spec("same"), spec("changed"), spec("half")], {"here": there, "gone": {}})
    assert made.actions == (
        Action("create", "new", "here", "not there yet"),
        Action("keep", "same", "here", "up to date"),
        Action("update", "changed", "here", "code or settings changed"),
        Action("update", "half", "here", "made by an unfinished deploy"),
        Action("delete", "old", "here", "no longer in the spec"),
    )
    assert made.changes == 4


def test_one_function_per_role_and_cluster_by_default(tmp_path: Path) -> None:
    assert [w.spec.name for w in wanted(tmp_path, clients=50)] == [
        "tiny-fl_server_init", "tiny-fl_server_aggregator", "tiny-fl_evaluator", "tiny-fl_client",
    ]  # fmt: skip


def test_relay_adds_an_invoker_and_takes_the_store_from_the_client(tmp_path: Path) -> None:
    made = {w.spec.name: w.spec for w in wanted(tmp_path, weights="relay")}
    assert set(made) >= {"tiny-fl_invoker-here", "tiny-fl_client_relay"}
    assert "FEDKEEPER_STORE" in made["tiny-fl_invoker-here"].environment
    assert "FEDKEEPER_STORE" not in made["tiny-fl_client_relay"].environment


def test_isolation_gives_each_client_its_own_function_from_one_zip(tmp_path: Path) -> None:
    clients = [w for w in wanted(tmp_path, isolation="client", clients=3) if w.spec.role is Role.CLIENT]
    assert [w.spec.name for w in clients] == ["tiny-fl_client-c-0", "tiny-fl_client-c-1", "tiny-fl_client-c-2"]
    assert len({w.spec.package for w in clients}) == 1


def test_the_deploy_digest_follows_what_is_deployed_and_nothing_else(tmp_path: Path) -> None:
    base = make_fabric(tmp_path)
    training = dataclasses.replace(base.training, rounds=9, learning_rate=0.5)
    digest = deploy_digest(base)
    assert digest == deploy_digest(dataclasses.replace(base, training=training))
    assert digest != deploy_digest(make_fabric(tmp_path, isolation="client"))
    functions = {**base.functions, Role.CLIENT: dataclasses.replace(base.functions[Role.CLIENT], memory_mb=512)}
    assert digest != deploy_digest(dataclasses.replace(base, functions=functions))
    mine = tmp_path / "mine.py"
    mine.write_text("REQUIREMENTS = ()\n")
    own = dataclasses.replace(base, training=dataclasses.replace(base.training, task=str(mine)))
    before = deploy_digest(own)
    mine.write_text("REQUIREMENTS = ('numpy',)\n")
    assert deploy_digest(own) != before


def test_a_function_spec_survives_json(tmp_path: Path) -> None:
    for made in wanted(tmp_path, weights="relay"):
        again = FunctionSpec.from_json(json.loads(json.dumps(made.spec.to_json())))
        assert again == made.spec
        assert again.digest == made.spec.digest


def test_a_store_named_by_a_variable_is_bound_as_a_secret(tmp_path: Path) -> None:
    made = wanted(tmp_path, store="${env:MY_STORE}")[0].spec
    assert made.secrets == {"FEDKEEPER_STORE": "MY_STORE"}
    assert "FEDKEEPER_STORE" not in made.environment
