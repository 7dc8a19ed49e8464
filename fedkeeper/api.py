"""FedKeeper for notebooks and for the CLI: one object per spec file, one method per verb.

fabric = Fabric.load("config.yaml")
fabric.deploy()
run = fabric.start()        # blocks; run.table, run.accuracy, run.model, run.folder
fabric.remove()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from fedkeeper import model
from fedkeeper.deploy import params
from fedkeeper.deploy.apply import Applier, Progress
from fedkeeper.deploy.plan import Plan, plan
from fedkeeper.deploy.record import DeploymentRecord, split_key
from fedkeeper.errors import FedKeeperError, NotDeployed, RunNotFound, UsageError
from fedkeeper.events import Event, Observer
from fedkeeper.export import export_model
from fedkeeper.model import Json, Role
from fedkeeper.naming import function_name
from fedkeeper.nodes import NodeInfo, check_nodes
from fedkeeper.observe.painter import Painter
from fedkeeper.providers.base import Reply
from fedkeeper.session import Run, resume_run, start_run
from fedkeeper.stores import registry as store_registry
from fedkeeper.train import runs
from fedkeeper.train.collect import collect_all
from fedkeeper.train.runs import RunSummary, new_run_id
from fedkeeper.wiring import House, load_fabric, open_store, resolve, stored_fabric

__all__ = ["Fabric", "NodeInfo", "Run", "RunSummary"]

_ASK_EVERY = (
    10  # looks without news after which `follow` asks whether the orchestrator is still there: it borrows the lease for that
)


@dataclass(frozen=True)
class Fabric:
    """A loaded spec and everything that can be done with it. Methods raise FedKeeperError and its children only."""

    spec: model.Fabric
    path: Path
    overrides: tuple[tuple[str, str], ...]
    environ: Mapping[str, str]

    @classmethod
    def load(
        cls,
        path: str | Path = "config.yaml",
        *,
        overrides: Sequence[tuple[str, str]] = (),
        environ: Mapping[str, str] | None = None,
        online: bool = False,
    ) -> Fabric:
        """Read and check a spec. SpecError lists every problem with its line; `online` also tries the addresses it names."""
        file = Path(path)
        return cls(
            load_fabric(file, overrides, online=online), file, tuple(overrides), os.environ if environ is None else environ
        )

    @classmethod
    def of_run(cls, store: str, run_id: str | None = None, *, environ: Mapping[str, str] | None = None) -> Fabric:
        """The fabric of a run in a store (its latest by default), from the spec that the run keeps: no file is needed.

        `store` is written as in a spec, "${env:MONGO_URL}" included. Logs and local functions go to the current folder.
        """
        environ = os.environ if environ is None else environ
        with closing(open_store(store, environ)) as opened:
            record = runs.load(opened, run_id) if run_id else runs.latest(opened)
        return cls(stored_fabric(record, store), Path(record.spec_file), record.overrides, environ)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def logs(self) -> Path:
        return self.spec.root / "logs"

    # --- functions -----------------------------------------------------------------------------------------------------
    def plan(self) -> Plan:
        """What `deploy` would do; changes nothing."""
        with self._house() as house:
            return _plan(house, house.record() or DeploymentRecord(self.name))

    def deploy(self, *, progress: Progress | None = None) -> Plan:
        """Make the clusters hold what the spec says. Repeatable; goes on where a crashed deploy stopped."""
        with self._house() as house:
            record = house.record() or DeploymentRecord(self.name)
            todo = _plan(house, record)
            record.clusters |= dict(self.spec.clusters)
            applier = Applier(house.store, record, house.providers(record.clusters.values()))
            applier.apply(todo, house.wanted, progress)
            record.clusters = dict(self.spec.clusters)
            applier.finish(house.deploy_digest)
            params.write(self.spec)
            return todo

    def remove(self, *, progress: Progress | None = None) -> Plan:
        """Delete every function of this fabric, also those of an unfinished deploy or of an older spec. Runs and models stay."""
        with self._house() as house:
            record = house.record() or DeploymentRecord(self.name)
            clusters = {**self.spec.clusters, **record.clusters}
            providers = house.providers(clusters.values())
            there = {name: provider.functions(self.name) for name, provider in providers.items()}
            todo = plan([], there, why_delete=f"removing {self.name}")
            record.clusters = clusters
            Applier(house.store, record, providers).apply(todo, [], progress)
            record.delete(house.store)
            params.remove(self.spec.root, self.name)
            return todo

    def invoke(self, function: str, params: Mapping[str, Json], *, cluster: str | None = None) -> Reply:
        """Call one deployed function by its role ("fl_client") or full name and wait for its answer."""
        with self._house() as house:
            record = house.record()
            if record is None:
                raise NotDeployed(f"{self.name} is not deployed")
            name = function_name(self.name, Role(function)) if function in list(Role) else function
            places = [split_key(key) for key in record.functions]
            found = [place for place, deployed in places if deployed == name and cluster in (None, place)]
            if not found:
                known = ", ".join(sorted({deployed for _, deployed in places}))
                raise UsageError(
                    f"no function {name} is deployed{f' on {cluster}' if cluster else ''}", hint=f"deployed are {known}"
                )
            return house.provider(record.clusters[found[0]]).call(name, params)

    def check_nodes(
        self,
        *,
        clusters: Sequence[str] = (),
        providers: Sequence[str] = (),
        function: str = "nodeinfo",
        progress: Callable[[str], None] | None = None,
    ) -> list[NodeInfo]:
        """Deploy a test function to every chosen cluster, call it, remove it, and say what was found."""
        with self._house() as house:
            return check_nodes(house, clusters=clusters, providers=providers, function=function, progress=progress)

    # --- runs ----------------------------------------------------------------------------------------------------------
    def new_run_id(self) -> str:
        return new_run_id()

    def start(self, *, run_id: str | None = None, observers: Sequence[Observer] = ()) -> Run:
        """Begin a run and see it through. NotDeployed, StaleDeployment, RunFailed, Interrupted."""
        with Painter() as painter, self._house() as house:
            return start_run(house, self.path, self.overrides, run_id or new_run_id(), observers, painter)

    def resume(self, run_id: str | None = None, *, observers: Sequence[Observer] = ()) -> Run:
        """Go on with a run (the latest unfinished one by default), with the spec it was started with."""
        with self._house() as house:
            record = runs.load(house.store, run_id) if run_id else runs.latest(house.store, self.name, unfinished=True)
        fabric = replace(stored_fabric(record, self.spec.store), root=self.spec.root)
        with Painter() as painter, House(fabric, self.environ) as house:
            return resume_run(house, record, observers, painter)

    def stop(self, run_id: str | None = None) -> str:
        """Ask a running run to end after the round it is in."""
        with self._house() as house:
            record = runs.load(house.store, run_id) if run_id else runs.latest(house.store, self.name, unfinished=True)
            if not runs.is_running(house.store, record.run):
                raise UsageError(f"run {record.run} is not running", hint="`fedkeeper runs` lists the runs and their states")
            house.store.put_record("control", record.run, {"stop": True})
            return record.run

    def runs(self) -> list[RunSummary]:
        """All runs of this fabric, oldest first."""
        with self._house() as house:
            return runs.summarise(house.store, runs.of_fabric(house.store, self.name))

    def events(self, run_id: str | None = None) -> tuple[str, list[Event]]:
        """A run's ledger (the latest run's by default)."""
        with self._house() as house:
            record = runs.load(house.store, run_id) if run_id else runs.latest(house.store, self.name)
            return record.run, list(house.store.read_events(record.run))

    def follow(self, run_id: str | None = None, *, every_s: float = 0.5) -> Iterator[list[Event]]:
        """A run's events as they come, from its first; an empty batch when nothing has come. Ends when nobody is at work on it."""
        with self._house() as house:
            record = runs.load(house.store, run_id) if run_id else runs.latest(house.store, self.name)
            seq = quiet = 0
            while True:
                batch = list(house.store.read_events(record.run, seq))
                seq, quiet = seq + len(batch), 0 if batch else quiet + 1
                yield batch
                if batch and batch[-1]["type"] == "finished":
                    return
                if quiet % _ASK_EVERY == 1 and not runs.is_running(house.store, record.run):
                    yield list(house.store.read_events(record.run, seq))  # written since the last look
                    return
                time.sleep(every_s)

    def activation_log(self, cluster: str, activation_id: str) -> str:
        """What one activation printed, as far as its platform still has it."""
        if cluster not in self.spec.clusters:
            raise UsageError(f"the spec has no cluster {cluster}")
        with self._house() as house:
            return house.provider(self.spec.clusters[cluster]).logs(activation_id)

    def export(self, run_id: str | None, target: Path, fmt: str) -> Path:
        """Write a run's last model to a file."""
        run, events = self.events(run_id)
        models = [event["model"] for event in events if event["type"] in ("initialised", "committed")]
        if not models:
            raise RunNotFound(f"run {run} has no model yet")
        with self._house() as house:
            return export_model(house.store, self.spec, models[-1], target, fmt)

    # --- the store -----------------------------------------------------------------------------------------------------
    def grant(self) -> str:
        """Give the user of `functions_store` the rights functions need, and no others. Returns the user's name."""
        if self.spec.functions_store is None:
            hint = "set functions_store: ${env:NAME}, the store's URL with the name and the password the user shall have"
            raise UsageError("the spec has no functions_store", hint=hint)
        theirs = resolve(self.spec.functions_store, "functions_store", self.environ)
        return store_registry.grant(resolve(self.spec.store, "store", self.environ), theirs)

    def collect(self) -> int:
        """Delete the weights of old rounds of every run in the store, by its own `keep`. Returns how many blobs went."""
        with self._house() as house:
            return collect_all(house.store)

    def _house(self) -> House:
        return House(self.spec, self.environ)


def _plan(house: House, record: DeploymentRecord) -> Plan:
    """Look at every cluster of the spec and of the record; clusters that have left the spec must be emptied."""
    clusters = {**record.clusters, **house.fabric.clusters}
    warnings: list[str] = []
    deployed = {}
    for name, cluster in clusters.items():
        try:
            deployed[name] = house.provider(cluster).functions(house.fabric.name)
        except FedKeeperError as exc:
            if name in house.fabric.clusters:
                raise
            warnings.append(f"cluster {name}, which is no longer in the spec, cannot be looked at: {exc}")
    for wanted in house.wanted:
        house.provider(house.fabric.clusters[wanted.spec.cluster]).check(wanted.spec, wanted.package.data)
    return plan([w.spec for w in house.wanted], deployed, warnings)
