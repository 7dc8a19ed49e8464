"""fl_server_aggregator: the updates a close decision names -> the next model, in one receipt. Needs no machine-learning library.

decision blob [[client, update, examples], ...] -> reduce_stream(strategy, base model, updates) -> blob "model"
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

from fedkeeper.errors import CorruptData
from fedkeeper.jobs import AggregateJob
from fedkeeper.model import Json, Receipt
from fedkeeper.refs import parse_ref
from fedkeeper.runtime import place, records
from fedkeeper.runtime.context import Context
from fedkeeper.runtime.reduce import reduce_stream
from fedkeeper.strategies.base import Update


def handle(context: Context, params: Mapping[str, Json], _body: bytes) -> tuple[Json, bytes]:
    job = AggregateJob.from_params(params["job"])
    store = context.store
    if (done := records.earlier(store, job.run, job.key)) is not None:
        return done, b""
    began = time.monotonic()
    updates = parse_decision(store.get_blob(parse_ref(job.decision)))
    reducer = context.reducer(job.strategy, job.params)
    base = store.open_blob(parse_ref(job.model))
    try:
        parts = reduce_stream(reducer, base, updates, store.open_blob, threads=os.cpu_count() or 1)
    finally:
        base.close()
    outputs = {"model": store.put_blob(*parts)}
    inputs = {"model": job.model, "decision": job.decision, "strategy": job.strategy}
    notes = {"aggregate_s": round(time.monotonic() - began, 4), **place.here()}
    receipt = Receipt(job.key, inputs, outputs, sum(update.examples for update in updates), {}, notes)
    return records.commit(store, job.run, receipt), b""


def parse_decision(blob: bytes) -> list[Update]:
    try:
        return [Update(str(client), parse_ref(ref), int(examples)) for client, ref, examples in json.loads(blob)]
    except (ValueError, TypeError) as exc:
        raise CorruptData(f"not a close decision: {exc}") from exc
