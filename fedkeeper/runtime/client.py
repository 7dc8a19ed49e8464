"""fl_client: train the model on one client's own data.

    weights: store   model ref -> store -> train -> update blob -> receipt
    weights: relay   model bytes in the request -> train -> update bytes in the response; no store in sight

Both ways run the same training on the same bytes, so their updates are equal.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from fedkeeper import codec
from fedkeeper.codec import Array, Arrays
from fedkeeper.jobs import Hyper, TrainJob
from fedkeeper.model import Json, Receipt, Ref, seeded
from fedkeeper.refs import parse_ref
from fedkeeper.runtime import data, place, records, weights
from fedkeeper.runtime.context import Context
from fedkeeper.runtime.partition import part_of
from fedkeeper.runtime.task import Config, Trained, load_task


@dataclass(frozen=True)
class Timed:
    trained: Trained
    notes: dict[str, Json]


def handle(context: Context, params: Mapping[str, Json], body: bytes) -> tuple[Json, bytes]:
    job = TrainJob.from_params(params["job"])
    return _relayed(context, job, body) if body else (_stored(context, job), b"")


def _stored(context: Context, job: TrainJob) -> Json:
    store = context.store
    if (done := records.earlier(store, job.run, job.key)) is not None:
        return done
    with weights.stored(store, parse_ref(job.model)) as model:
        timed = train(context, job, model, rows_of(context, job))
    update = store.put_blob(*codec.encode(timed.trained.arrays))
    return records.commit(store, job.run, make_receipt(job, update, timed.trained.examples, timed.trained.metrics, timed.notes))


def _relayed(context: Context, job: TrainJob, body: bytes) -> tuple[Json, bytes]:
    """The request's parts: the model, and this client's row numbers unless it has its own file."""
    _, parts = codec.unpack(body)
    rows = codec.decode(parts[1])["rows"] if len(parts) > 1 else None
    timed = train(context, job, codec.decode(parts[0]), rows)
    header = {"examples": timed.trained.examples, "metrics": dict(timed.trained.metrics), "notes": timed.notes}
    return header, codec.encode_bytes(timed.trained.arrays)


def train(context: Context, job: TrainJob, model: Arrays, rows: Array | None) -> Timed:
    """The step itself: a pure function of model, data, hyper-parameters and H(seed, round, client)."""
    began = time.monotonic()
    task = load_task(context.root, context.manifest["task"])
    examples = data.training_examples(context, job.data, job.subject, rows, job.file)
    hyper = Hyper(**job.hyper)
    config = Config(
        seed=seeded(job.seed, "train", job.round, job.subject), client=job.subject, round=job.round,
        epochs=hyper.epochs, batch_size=hyper.batch_size, optimizer=hyper.optimizer,
        learning_rate=hyper.learning_rate, params=hyper.params,
    )  # fmt: skip
    loaded = time.monotonic()
    trained = task.train(model, examples, config)
    notes = {"load_s": round(loaded - began, 4), "train_s": round(time.monotonic() - loaded, 4), **place.here()}
    return Timed(trained, notes)


def make_receipt(job: TrainJob, update: Ref, examples: int, metrics: Mapping[str, float], notes: Mapping[str, Json]) -> Receipt:
    """The one form of a client's receipt, whoever writes it."""
    inputs = {"model": job.model, "round": job.round, "hyper": dict(job.hyper)}
    return Receipt(job.key, inputs, {"update": update}, examples, metrics, notes)


def rows_of(context: Context, job: TrainJob) -> Array | None:
    """This client's row numbers in the dataset; None when it trains on its own file."""
    if job.file is not None or job.partition is None:
        return None
    return part_of(_partition(context, parse_ref(job.partition)), job.client_index)


@lru_cache(maxsize=2)
def _partition(context: Context, ref: Ref) -> Mapping[str, Array]:
    return codec.decode(context.store.get_blob(ref))
