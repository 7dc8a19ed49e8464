"""One run from its first record to its results: checks, lease, ledger, engine, export, pictures.

start:   deployment is what the spec says? -> run record -> lease -> run_started -> engine -> results
resume:  run record -> lease -> replay -> resumed -> engine -> results
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fedkeeper.deploy.apply import Repairer
from fedkeeper.deploy.record import DeploymentRecord
from fedkeeper.errors import CorruptData, NotDeployed, SpecError, StaleDeployment, UsageError
from fedkeeper.events import INIT_STEP, SERVER, Event, Observer
from fedkeeper.export import Evaluator, export_quietly
from fedkeeper.jobs import ExportJob
from fedkeeper.model import Fabric, Json, Ref, Role, StepKey
from fedkeeper.naming import function_name
from fedkeeper.observe.folder import RunFolder
from fedkeeper.observe.painter import Painter
from fedkeeper.observe.report import page as report
from fedkeeper.observe.report.story import Story
from fedkeeper.observe.rows import RunView
from fedkeeper.refs import parse_ref
from fedkeeper.strategies import registry as strategies
from fedkeeper.train import runs
from fedkeeper.train.assign import Assigner
from fedkeeper.train.collect import Collector
from fedkeeper.train.engine import Engine
from fedkeeper.train.ledger import Ledger
from fedkeeper.train.program import run_plan
from fedkeeper.train.runs import RunRecord
from fedkeeper.train.state import RunState
from fedkeeper.wiring import House, model_path

_REPORT_AT_ONCE = 2000  # activations


@dataclass(frozen=True)
class Run:
    """A finished run. `table` has one dict per round, `activations` the counts of attempts."""

    run: str
    rounds: int
    stop_reason: str
    accuracy: float | None
    loss: float | None
    model: str
    seconds: float
    activations: Mapping[str, int]
    table: Sequence[Mapping[str, Json]]
    folder: Path

    def to_json(self) -> dict[str, Json]:
        """What `fedkeeper start --json` prints."""
        names = ("run", "rounds", "stop_reason", "accuracy", "loss", "model", "seconds")
        return {
            **{name: getattr(self, name) for name in names},
            "activations": dict(self.activations),
            "folder": str(self.folder),
        }


def start_run(
    house: House, spec_file: Path, overrides: Sequence[tuple[str, str]], run: str, observers: Sequence[Observer], painter: Painter
) -> Run:
    """Refuses unless what is deployed is what the spec says."""
    deployment = _deployed(house)
    if deployment.digest != house.deploy_digest:
        raise StaleDeployment(f"what is deployed of {house.fabric.name} is not what the spec says now")
    painter.begin()  # as early as can be: a short run would wait for it in the end
    start_from = _checkpoint(house)
    file = spec_file.resolve()
    record = RunRecord(
        run=runs.checked_id(run), fabric=house.fabric.name, created=time.time(), spec_file=str(file), spec_text=file.read_text("utf-8"),
        overrides=tuple(overrides), deploy_digest=house.deploy_digest, run_digest=house.fabric.run_digest(),
        keep=house.fabric.keep,
    )  # fmt: skip
    with house.store.lease(run):
        runs.create(house.store, record)
        return _conduct(house, record, deployment, observers, painter, start_from, resumed=False)


def resume_run(house: House, record: RunRecord, observers: Sequence[Observer], painter: Painter) -> Run:
    """Goes on from the ledger, here or on another machine. A finished run gives its result again."""
    deployment = _deployed(house)
    if deployment.digest != record.deploy_digest:
        hint = "deploy the spec it began with, or start a new run"
        raise StaleDeployment(f"what is deployed of {house.fabric.name} is not what run {record.run} began with", hint=hint)
    began = house.store.get_receipt(record.run, StepKey(INIT_STEP, SERVER)) is not None
    start_from = None if began else _checkpoint(house)
    with house.store.lease(record.run):
        return _conduct(house, record, deployment, observers, painter, start_from, resumed=True)


def _conduct(
    house: House,
    record: RunRecord,
    deployment: DeploymentRecord,
    observers: Sequence[Observer],
    painter: Painter,
    start_from: Ref | None,
    *,
    resumed: bool,
) -> Run:
    folder = model_path(house.fabric, record.run)
    kept = _Kept()
    collector = Collector(house.store, record.run, record.keep)
    ledger = Ledger(house.store, record.run, [kept, RunFolder(folder, kept.story.fold), collector, *observers])
    state = RunState()
    try:
        _begin(house, record, ledger, state, resumed)
        if state.finished is None:
            painter.begin()
            _engine_run(house, deployment, ledger, state, start_from, resumed)
        view = kept.story.view()
        painter.draw(folder, view)
        _settle(house, record, state, folder)
    finally:
        _report(kept.story, house.fabric, folder)
        ledger.close()
    return _result(record.run, state, view, folder)


def _begin(house: House, record: RunRecord, ledger: Ledger, state: RunState, resumed: bool) -> None:
    past = list(house.store.read_events(record.run)) if resumed else []
    if past:
        for event in ledger.replay():
            state.apply(event)
        if state.finished is None:
            state.apply(ledger.record("resumed", {}))
    else:  # a start, or a resume of a run that died before its first event
        state.apply(ledger.record("run_started", _started(house.fabric, record)))
    ledger.flush()


def _engine_run(
    house: House, deployment: DeploymentRecord, ledger: Ledger, state: RunState, start_from: Ref | None, resumed: bool
) -> None:
    fabric = house.fabric
    providers = house.providers()
    house.store.delete_record("control", ledger.run)
    capacity = {name: provider.capabilities.max_concurrency for name, provider in providers.items()}
    selector = strategies.selector(fabric.strategy.selector, fabric.strategy.params)
    for name, provider in providers.items():
        provider.prepare(deployment.names_on(name))
    engine = Engine(
        fabric, run_plan(fabric, selector, capacity), store=house.store, ledger=ledger, state=state,
        assigner=Assigner(fabric, ledger.run, start_from), providers=providers, repairer=Repairer(house.store, deployment, providers),
    )  # fmt: skip
    with _signals(engine):
        engine.run(resumed=resumed)


def _settle(house: House, record: RunRecord, state: RunState, folder: Path) -> None:
    """Results of a finished run: the model's files, and the record's end. Repeatable."""
    if state.model is None or state.finished is None:
        return
    problem = export_quietly(house.store, house.fabric, state.model, folder, _evaluator(house, record.run))
    if problem is not None:
        (folder / "model.keras.error").write_text(problem + "\n")
    end = {name: state.finished[name] for name in ("rounds", "accuracy", "loss", "model", "stop_reason", "seconds")}
    replace(record, end=end).save(house.store)


def _report(story: Story, fabric: Fabric, folder: Path) -> None:
    """The page of a run, also of one that was cut off. That of a very large run takes a while: it is made when asked for."""
    view = story.view()
    if len(view.activations) <= _REPORT_AT_ONCE:
        with suppress(UsageError):
            report.write(folder / "report.html", report.page(view, story, fabric))


def _evaluator(house: House, run: str) -> Evaluator | None:
    """The warm evaluator of an embedded platform. Clouds limit answers, and charge for them: there it is done here."""
    fabric = house.fabric
    provider = house.provider(fabric.clusters[fabric.server_cluster])
    if not provider.capabilities.shares_host:
        return None

    def ask(ref: Ref) -> bytes:
        blob = house.store.open_blob(ref)
        blob.close()
        if blob.size > provider.capabilities.max_response:
            return b""
        job = ExportJob(run, "export", SERVER, model=ref, params=fabric.training.params)
        return provider.call(function_name(fabric.name, Role.EVALUATOR), {"job": job.to_params()}).body

    return ask


def _result(run: str, state: RunState, view: RunView, folder: Path) -> Run:
    end = state.finished or {}
    table = [asdict(row) for row in view.rounds if row.total_s is not None]  # not the round that the target made needless
    return Run(
        run=run, rounds=end["rounds"], stop_reason=end["stop_reason"], accuracy=end["accuracy"], loss=end["loss"], model=end["model"],
        seconds=end["seconds"], activations=asdict(view.counts), table=table, folder=folder,
    )  # fmt: skip


def _deployed(house: House) -> DeploymentRecord:
    """What is deployed, when a deploy has finished."""
    record = house.record()
    if record is None:
        raise NotDeployed(f"{house.fabric.name} is not deployed")
    if record.digest is None:
        raise StaleDeployment(f"the last deploy of {house.fabric.name} did not finish")
    return record


def _checkpoint(house: House) -> Ref | None:
    """Put the checkpoint the spec starts from into the store (a Ref may also name a blob that is there)."""
    source = house.fabric.training.start_from
    if source is None:
        return None
    if source.startswith("sha256:"):
        return parse_ref(source)
    from fedkeeper import codec  # only here: it loads NumPy

    try:
        data = Path(source).read_bytes()
        codec.layout(data, len(data))
    except OSError as exc:
        raise SpecError(f"training.start_from: cannot read {source}: {exc.strerror}") from exc
    except CorruptData as exc:
        raise SpecError(f"training.start_from: {source} is no safetensors file: {exc}") from exc
    return house.store.put_blob(data)


def _started(fabric: Fabric, record: RunRecord) -> dict[str, Json]:
    training = fabric.training
    per_round = training.clients_per_round or len(fabric.clients)
    return {
        "run": record.run, "fabric": fabric.name, "seed": training.seed, "clients": len(fabric.clients),
        "clients_per_round": per_round, "quorum": training.quorum or per_round, "rounds": training.rounds,
        "target_accuracy": training.target_accuracy, "time_budget_s": training.time_budget_s, "task": training.task,
        "strategy": fabric.strategy.name, "deploy_digest": record.deploy_digest, "run_digest": record.run_digest,
    }  # fmt: skip


class _Kept:
    """Folds the events into the view and the story that results are made of."""

    def __init__(self) -> None:
        self.story = Story()

    def on_events(self, events: list[Event]) -> None:
        self.story.feed(events)

    def on_tick(self, waiting_for: str) -> None:
        """Nothing to do between events."""

    def close(self) -> None:
        """Nothing to release."""


@contextmanager
def _signals(engine: Engine) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the engine between two steps; a second Ctrl-C at once. Only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def gently(number: int, _frame: object) -> None:
        engine.interrupt()
        signal.signal(number, before[signal.Signals(number)])

    try:
        for number in before:
            signal.signal(number, gently)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
