"""fl_evaluator: loss and accuracy of a model on the test data, in a receipt of its own.

model ref -> arrays -> task.evaluate(test examples) -> metrics
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from fedkeeper import codec
from fedkeeper.jobs import EvaluateJob
from fedkeeper.model import Json, Receipt, seeded
from fedkeeper.runtime import data, records
from fedkeeper.runtime.context import Context
from fedkeeper.runtime.task import Config, load_task


def handle(context: Context, params: Mapping[str, Json], _body: bytes) -> tuple[Json, bytes]:
    job = EvaluateJob.from_params(params["job"])
    store = context.store
    if (done := records.earlier(store, job.run, job.key)) is not None:
        return done, b""
    began = time.monotonic()
    model = codec.decode(store.get_blob(codec.parse_ref(job.model)))
    task = load_task(context.root, context.manifest["task"])
    config = Config(seed=seeded(job.seed, "evaluate"), batch_size=job.batch_size, params=job.params)
    result = task.evaluate(model, data.test_examples(context, job.data), config)
    notes = {"evaluate_s": round(time.monotonic() - began, 4)}
    receipt = Receipt(job.key, {"model": job.model}, {}, result.examples, result.metrics, notes)
    return records.commit(store, job.run, receipt), b""
