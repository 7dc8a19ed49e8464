"""Jobs travel as JSON and come back as they were; what people mistype is named."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from fedkeeper.errors import UsageError
from fedkeeper.jobs import MAX_PARAMS, AggregateJob, EvaluateJob, ExportJob, InitJob, Job, RelayJob, TrainJob
from fedkeeper.model import Ref, StepKey

REF = Ref("sha256:" + "ab" * 32)
HEAD = ("run-1", "r0001/train", "c1")
DATA = {"name": "custom", "path": "/data/" + "x" * 200 + ".npz", "partition": "shards", "shards_per_client": 2}
HYPER = {"epochs": 5, "batch_size": 10, "optimizer": "adam", "learning_rate": 0.001, "params": {"dropout": [0.25, 0.5]}}
TRAIN = TrainJob(*HEAD, 7, 3, REF, REF, 12, None, DATA, HYPER)
JOBS = [
    InitJob(*HEAD, seed=7, clients=100, data=DATA, params={"a": None}, start_from=REF),
    TRAIN,
    AggregateJob(*HEAD, 7, 3, REF, REF, REF, "fedavg", {"x": 1}),
    EvaluateJob(*HEAD, 7, REF, DATA, {"y": True}, 500),
    ExportJob(*HEAD, model=REF, params={"hidden_size": 7}),
    RelayJob(*HEAD, function="f-client", timeout_s=12.5, train=TRAIN.to_params()),
]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_through_json_and_back(job: Job) -> None:
    text = json.dumps({"job": job.to_params(), "attempt": 3}, allow_nan=False)
    assert len(text) < MAX_PARAMS
    assert type(job).from_params(json.loads(text)["job"]) == job


def test_every_kind_is_tried_and_has_a_name_of_its_own() -> None:
    assert {type(job) for job in JOBS} == set(Job.__subclasses__())
    assert len({job.kind for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.kind)
def test_a_job_knows_no_attempt(job: Job) -> None:
    assert "attempt" not in {field.name for field in fields(job)}
    assert job.key == StepKey("r0001/train", "c1")
    with pytest.raises(FrozenInstanceError):
        job.run = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kind": "evaluate"}, "a train job was expected, not 'evaluate'"),
        ({"rounds": 3, "modle": REF}, "train job: unknown field modle, rounds"),
        ({}, "train job: .*missing 3 required.*'run', 'step', and 'subject'"),
        ({"run": "r", "step": "s"}, "train job: .*'subject'"),
    ],
)
def test_mistakes_are_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainJob.from_params(params)


def test_kind_may_be_left_out() -> None:
    assert TrainJob.from_params({"run": "r", "step": "s", "subject": "c"}) == TrainJob("r", "s", "c")
