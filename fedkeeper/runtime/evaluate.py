"""fl_evaluator: loss and accuracy of a model on the test data, in a receipt of its own; and a finished model as a file.

evaluate   model ref -> arrays -> task.evaluate(test examples) -> metrics
export     model ref -> arrays -> .keras file -> the answer's body: here Keras is loaded already
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from fedkeeper.jobs import EvaluateJob, ExportJob
from fedkeeper.model import Json, Receipt, seeded
from fedkeeper.refs import parse_ref
from fedkeeper.runtime import data, place, records, weights
from fedkeeper.runtime.context import Context
from fedkeeper.runtime.export import to_keras
from fedkeeper.runtime.task import Config, load_task

_MOST = 32 << 20
"""Bytes of a model that goes into an answer: what platforms carry when nobody has told them otherwise."""


def handle(context: Context, params: Mapping[str, Json], _body: bytes) -> tuple[Json, bytes]:
    if params["job"].get("kind") == ExportJob.kind:
        return {}, _exported(context, ExportJob.from_params(params["job"]))
    job = EvaluateJob.from_params(params["job"])
    store = context.store
    if (done := records.earlier(store, job.run, job.key)) is not None:
        return done, b""
    began = time.monotonic()
    task = load_task(context.root, context.manifest["task"])
    config = Config(seed=seeded(job.seed, "evaluate"), batch_size=job.batch_size, params=job.params)
    with weights.stored(store, parse_ref(job.model)) as model:
        result = task.evaluate(model, data.test_examples(context, job.data), config)
    notes = {"evaluate_s": round(time.monotonic() - began, 4), **place.here()}
    receipt = Receipt(job.key, {"model": job.model}, {}, result.examples, result.metrics, notes)
    return records.commit(store, job.run, receipt), b""


def _exported(context: Context, job: ExportJob) -> bytes:
    """Nothing when the model is too large for an answer, or to be here twice."""
    task = load_task(context.root, context.manifest["task"])
    with TemporaryDirectory() as folder, weights.stored(context.store, parse_ref(job.model)) as model:
        if model.nbytes > _MOST:
            return b""
        target = Path(folder) / "model.keras"
        to_keras(task, model, target, job.params)
        return target.read_bytes()
