"""fl_invoker: carries the weights of clients that hold no store credential. One per client cluster, on the trusted server cluster.

store -> model, rows -> request -> client function (its cluster's credential alone) -> response -> checked -> update blob -> receipt
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

from fedkeeper import codec
from fedkeeper.errors import CorruptData
from fedkeeper.jobs import RelayJob, TrainJob
from fedkeeper.model import Json, Ref
from fedkeeper.providers.base import Reply
from fedkeeper.refs import parse_ref
from fedkeeper.runtime import records
from fedkeeper.runtime.client import make_receipt, rows_of
from fedkeeper.runtime.context import Context


def handle(context: Context, params: Mapping[str, Json], _body: bytes) -> tuple[Json, bytes]:
    job = RelayJob.from_params(params["job"])
    train = TrainJob.from_params(job.train)
    if (done := records.earlier(context.store, job.run, train.key)) is not None:
        return done, b""
    model = _model(context, parse_ref(train.model))
    reply = context.caller.call(job.function, {"job": job.train}, _request(context, train, model), job.timeout_s)
    examples, metrics, notes = _header(reply, train.subject)
    _check_update(reply.body, model, train.subject)
    update = context.store.put_blob(reply.body)
    notes = {**notes, "client_activation_id": reply.activation_id}
    done = records.commit(context.store, job.run, make_receipt(train, update, examples, metrics, notes))
    return {**done, "client_activation_id": reply.activation_id}, b""


def _request(context: Context, train: TrainJob, model: bytes) -> bytes:
    parts: list[bytes | memoryview] = [model]
    if (rows := rows_of(context, train)) is not None:
        parts.append(codec.encode_bytes({"rows": rows}))
    return codec.pack({}, parts)


def _header(reply: Reply, client: str) -> tuple[int, dict[str, float], dict[str, Json]]:
    """What the client says of its update. It comes from outside: nothing is taken on trust."""
    try:
        examples = reply.result["examples"]
        metrics = {str(name): float(value) for name, value in reply.result.get("metrics", {}).items()}
        notes = dict(reply.result.get("notes", {}))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise CorruptData(f"client {client} answered without examples and metrics") from exc
    if type(examples) is not int or examples < 1:
        raise CorruptData(f"client {client} claims {examples!r} examples")
    return examples, {name: value for name, value in metrics.items() if math.isfinite(value)}, notes


def _check_update(body: bytes, model: bytes, client: str) -> None:
    if _shape(body) != _shape(model):
        raise CorruptData(f"client {client} returned arrays that are not the model's")


def _shape(blob: bytes) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(t.name, t.dtype.str, t.shape) for t in codec.layout(blob, len(blob))]


@lru_cache(maxsize=1)
def _model(context: Context, ref: Ref) -> bytes:
    """Kept while warm: every client of a round gets the same bytes."""
    return context.store.get_blob(ref)
