"""Small models with every kind of array, and FedAvg written down a second time, whole arrays at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fedkeeper import codec
from fedkeeper.model import Ref
from fedkeeper.runtime.reduce import reduce_stream
from fedkeeper.stores.base import Store
from fedkeeper.strategies.base import Update
from fedkeeper.strategies.mean import FedAvg

Model = dict[str, Any]


def model(seed: int, size: int = 1000) -> Model:
    """All kinds of arrays, some empty, some not aligned."""
    rng = np.random.default_rng(seed)
    return {
        "odd": rng.integers(0, 2, 3).astype("?"),
        "kernel": rng.standard_normal((size, 7)).astype("f4"),
        "none": np.zeros((0, 5), "f4"),
        "scalar": np.array(rng.standard_normal(), "f8"),
        "steps": rng.integers(0, 1000, 5),
        "half": rng.standard_normal(size + 1).astype("f2"),
        "bytes": rng.integers(0, 255, 77).astype("u1"),
        "wide": rng.standard_normal((3, size)),
    }


def put(store: Store, arrays: Model) -> Ref:
    return store.put_blob(*codec.encode(arrays))


def run(store: Store, base: Ref, updates: Sequence[Update], **options: Any) -> bytes:
    reader = store.open_blob(base)
    try:
        return b"".join(reduce_stream(FedAvg(), reader, updates, store.open_blob, **options))
    finally:
        reader.close()


def expected(base: Model, models: Sequence[Model], examples: Sequence[int]) -> Model:
    """The definition, whole arrays at a time."""
    reducer = FedAvg()
    found = {}
    for name, array in base.items():
        total = reducer.start(array)
        for one, weight in zip(models, reducer.weights([Update("", Ref(""), n) for n in examples]), strict=True):
            total = total + one[name].astype("f8") * weight
        found[name] = reducer.finish(total, array).reshape(array.shape)
    return found


def filled(store: Store, count: int = 9, size: int = 1000) -> tuple[Ref, list[Update], Model]:
    examples = [100 + 37 * index for index in range(count)]
    models = [model(index + 1, size) for index in range(count)]
    updates = [Update(f"c{index}", put(store, one), n) for index, (one, n) in enumerate(zip(models, examples, strict=True))]
    return put(store, model(0, size)), updates, expected(model(0, size), models, examples)
