"""A fabric that remembers what was asked of it, handed to the verbs through click's context object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fedkeeper import model
from fedkeeper.cli.main import cli
from fedkeeper.cli.session import Toolbox
from fedkeeper.deploy.plan import Action, Plan
from fedkeeper.errors import RunNotFound
from fedkeeper.events import Event, Observer
from fedkeeper.nodes import NodeInfo
from fedkeeper.observe.view import view_of
from fedkeeper.providers.base import Reply
from fedkeeper.session import Run
from fedkeeper.train.runs import RunSummary


def spec(root: Path) -> model.Fabric:
    clusters = {name: model.Cluster(name, kind) for name, kind in (("laptop", "local"), ("edge", "openwhisk"))}
    clients = tuple(model.Client(f"c{i}", i, "laptop" if i < 2 else "edge", "all") for i in range(4))
    training = model.Training(task="mnist_mlp", rounds=2)
    return model.Fabric("demo", root, "memory:", clusters, "laptop", clients, {}, model.Data("mnist-sample"), training)


@dataclass
class FakeFabric:
    """The facade of `fedkeeper.api.Fabric`, over a script of events."""

    spec: model.Fabric
    script: list[dict[str, Any]] = field(default_factory=list)
    planned: Plan = Plan(())
    nodes: list[NodeInfo] = field(default_factory=list)
    state: str = "finished"
    reply: Reply = Reply({"weights": "done"})
    raises: BaseException | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    overrides: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def logs(self) -> Path:
        return self.spec.root / "logs"

    def plan(self) -> Plan:
        return self.planned

    def deploy(self, *, progress: Callable[[Action, int, int], None] | None = None) -> Plan:
        changes = [action for action in self.planned.actions if action.kind != "keep"]
        for done, action in enumerate(changes, 1):
            if progress is not None:
                progress(action, done, len(changes))
        return self.planned

    remove = deploy

    def new_run_id(self) -> str:
        return "demo-1"

    def start(self, *, run_id: str | None = None, observers: Sequence[Observer] = ()) -> Run:
        self.calls.append(("start", run_id))
        for observer in observers:
            for event in self.script:
                observer.on_events([event])
            observer.on_tick("nothing")
        if self.raises is not None:
            raise self.raises
        view = view_of(self.script)
        table = [row.to_json() for row in view.rounds]
        counts = view.counts.to_json()
        return Run(
            view.run, len(view.rounds), view.stop_reason, view.accuracy, view.loss, view.model, view.seconds, counts, table,
            Path("logs/demo-1"),
        )  # fmt: skip

    def resume(self, run_id: str | None = None, *, observers: Sequence[Observer] = ()) -> Run:
        return self.start(run_id=run_id, observers=observers)

    def stop(self, run_id: str | None = None) -> str:
        return run_id or "demo-1"

    def runs(self) -> list[RunSummary]:
        if not self.script:
            return []
        view = view_of(self.script)
        return [RunSummary(view.run, self.state, view.started, len(view.rounds), view.accuracy, view.stop_reason or None)]

    def events(self, run_id: str | None = None) -> tuple[str, list[Event]]:
        if run_id not in (None, "demo-1"):
            raise RunNotFound(f"there is no run {run_id}")
        return "demo-1", list(self.script)

    def follow(self, run_id: str | None = None) -> Iterator[list[Event]]:
        for event in self.script:
            yield [event]
        if self.raises is not None:
            raise self.raises

    def activation_log(self, cluster: str, activation_id: str) -> str:
        return f"hello from {activation_id} on {cluster}\n"

    def invoke(self, function: str, params: Mapping[str, Any], *, cluster: str | None = None) -> Reply:
        self.calls.append(("invoke", function, dict(params), cluster))
        return self.reply

    def export(self, run_id: str | None, target: Path, fmt: str) -> Path:
        self.calls.append(("export", run_id, fmt))
        return target

    def check_nodes(self, *, progress: Callable[[str], None] | None = None, **filters: Any) -> list[NodeInfo]:
        self.calls.append(("check_nodes", filters))
        return self.nodes


class Cli:
    """Runs verbs against a fake fabric, in a folder with a spec."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.config.write_text("")
        self.fabric = FakeFabric(spec(folder))
        self.fails: Exception | None = None

    def load(self, _path: Path, *, overrides: Sequence[tuple[str, str]] = (), online: bool = False) -> FakeFabric:
        if self.fails is not None:
            raise self.fails
        self.fabric.overrides = tuple(overrides)
        return self.fabric

    def __call__(self, *words: str, text: str | None = None) -> Result:
        given = [words[0], "-c", str(self.config), *words[1:]]
        return self.bare(*given, text=text)

    def bare(self, *words: str, text: str | None = None, tools: Toolbox | None = None) -> Result:
        tools = tools or Toolbox(load=self.load)  # type: ignore[arg-type]
        return CliRunner().invoke(cli, list(words), obj=tools, input=text)


@pytest.fixture
def fedkeeper(tmp_path: Path) -> Cli:
    return Cli(tmp_path)
