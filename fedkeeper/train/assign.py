"""A step of the program -> who does it and with which parameters. Pure: state and fabric in, an Assignment out.

StepKey("r0003/train", "edge-1") -> Assignment(cluster, function, {"job": {...}})     (relay: the invoker's function)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fedkeeper.jobs import AggregateJob, EvaluateJob, Hyper, InitJob, Job, RelayJob, TrainJob
from fedkeeper.model import Fabric, Json, Ref, Role, StepKey
from fedkeeper.naming import client_function, function_name, invoker_function
from fedkeeper.train.state import RunState


@dataclass(frozen=True)
class Assignment:
    """One activation to be requested."""

    role: Role
    cluster: str
    function: str
    job: Job
    callee: tuple[str, str] | None = None  # relay: (cluster, function) that the invoker calls

    def params(self, attempt: int) -> dict[str, Json]:
        return {"job": self.job.to_params(), "attempt": attempt}


class Assigner:
    """Knows the fabric; the parts of jobs that never change are made once."""

    def __init__(self, fabric: Fabric, run: str, start_from: Ref | None = None) -> None:
        self._fabric = fabric
        self._run = run
        self._start_from = start_from
        training = fabric.training
        self._data = _brief(asdict(fabric.data))
        self._hyper = asdict(
            Hyper(training.epochs, training.batch_size, training.optimizer, training.learning_rate, dict(training.params))
        )

    def assign(self, key: StepKey, round_: int, state: RunState) -> Assignment:
        makers = {"init": self._init, "train": self._train, "aggregate": self._aggregate, "evaluate": self._evaluate}
        return makers[key.kind](key, round_, state)

    def _init(self, key: StepKey, _round: int, _state: RunState) -> Assignment:
        dealt = sum(client.file is None for client in self._fabric.clients)
        job = InitJob(
            self._run, key.step, key.subject, seed=self._fabric.training.seed, clients=len(self._fabric.clients) if dealt else 0,
            data=self._data, params=dict(self._fabric.training.params), start_from=self._start_from,
        )  # fmt: skip
        return self._on_server(Role.INIT, job)

    def _train(self, key: StepKey, round_: int, state: RunState) -> Assignment:
        client = self._fabric.client(key.subject)
        job = TrainJob(
            self._run, key.step, key.subject, seed=self._fabric.training.seed, round=round_, model=_known(state.model),
            partition=state.partition, client_index=client.index, file=client.file, data=self._data, hyper=self._hyper,
        )  # fmt: skip
        function = client_function(self._fabric.name, client)
        if client.weights == "store":
            return Assignment(Role.CLIENT, client.cluster, function, job)
        timeout = self._fabric.functions[Role.CLIENT].timeout_s
        relay = RelayJob(self._run, key.step, key.subject, function=function, timeout_s=timeout + 30.0, train=job.to_params())
        invoker = invoker_function(self._fabric.name, client.cluster)
        return Assignment(Role.INVOKER, self._fabric.server_cluster, invoker, relay, callee=(client.cluster, function))

    def _aggregate(self, key: StepKey, round_: int, state: RunState) -> Assignment:
        strategy = self._fabric.strategy
        job = AggregateJob(
            self._run, key.step, key.subject, seed=self._fabric.training.seed, round=round_, model=_known(state.model),
            decision=_known(state.decision), state=state.server_state, strategy=strategy.name, params=dict(strategy.params),
        )  # fmt: skip
        return self._on_server(Role.AGGREGATOR, job)

    def _evaluate(self, key: StepKey, _round: int, state: RunState) -> Assignment:
        training = self._fabric.training
        job = EvaluateJob(
            self._run,
            key.step,
            key.subject,
            seed=training.seed,
            model=_known(state.model),
            data=self._data,
            params=dict(training.params),
        )
        return self._on_server(Role.EVALUATOR, job)

    def _on_server(self, role: Role, job: Job) -> Assignment:
        return Assignment(role, self._fabric.server_cluster, function_name(self._fabric.name, role), job)


def _brief(data: Mapping[str, Any]) -> dict[str, Json]:
    """Without what is unset: params stay small."""
    return {name: value for name, value in data.items() if value is not None}


def _known(ref: Ref | None) -> Ref:
    if ref is None:
        raise ValueError("a step was requested before its inputs exist")
    return ref
