"""fl_server_init: the initial model and the cut of the data, with their refs in the init receipt.

seed | checkpoint -> arrays -> blob "model" ;  labels -> rows per client -> blob "partition"
"""

from __future__ import annotations

from collections.abc import Mapping

from fedkeeper import codec
from fedkeeper.jobs import InitJob
from fedkeeper.model import Json, Receipt, Ref, seeded
from fedkeeper.refs import parse_ref
from fedkeeper.runtime import data, place, records, weights
from fedkeeper.runtime.context import Context
from fedkeeper.runtime.partition import partition, to_arrays
from fedkeeper.runtime.task import Config, Task, load_task


def handle(context: Context, params: Mapping[str, Json], _body: bytes) -> tuple[Json, bytes]:
    job = InitJob.from_params(params["job"])
    if (done := records.earlier(context.store, job.run, job.key)) is not None:
        return done, b""
    task = load_task(context.root, context.manifest["task"])
    outputs = {"model": _model(context, task, job)}
    if job.clients:
        labels = data.training_labels(context, job.data)
        parts = partition(labels, job.clients, job.data, seeded(job.seed, "partition"))
        outputs["partition"] = context.store.put_blob(*codec.encode(to_arrays(parts)))
    receipt = Receipt(job.key, {"seed": job.seed, "start_from": job.start_from}, outputs, notes=place.here())
    return records.commit(context.store, job.run, receipt), b""


def _model(context: Context, task: Task, job: InitJob) -> Ref:
    """Seeded, or a checkpoint whose arrays must fit the task's model."""
    fresh = task.initial(Config(seed=seeded(job.seed, "init"), params=job.params))
    if job.start_from is None:
        return context.store.put_blob(*codec.encode(fresh))
    with weights.stored(context.store, parse_ref(job.start_from)) as arrays:
        codec.require_same_layout(arrays, fresh, "the checkpoint in training.start_from")
        del fresh
        return context.store.put_blob(*codec.encode(arrays))
