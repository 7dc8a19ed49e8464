"""TensorFlow is imported once, by a zygote; its forks build and train models."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.local.bench import Bench

HANDLER = """
import os, sys
IMPORTED = "tensorflow" in sys.modules and "keras" in sys.modules

def handle(params, body):
    import keras
    import numpy as np
    keras.utils.set_random_seed(params["seed"])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)])
    model.compile(optimizer="sgd", loss="mse")
    x = np.arange(80, dtype="float32").reshape(20, 4) / 80
    history = model.fit(x, x[:, :2], batch_size=5, epochs=2, verbose=0)
    weights = b"".join(w.tobytes() for w in model.get_weights())
    return {"imported": IMPORTED, "pid": os.getpid(), "loss": history.history["loss"]}, weights
"""


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs the extra `tensorflow`")
def test_two_workers_forked_after_the_import_train_alike(bench: Bench) -> None:
    provider = bench.open(workers=2)
    bench.function(provider, "f", HANDLER, memory_mb=2048, timeout_s=60, requirements=("tensorflow",))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda seed: provider.call("f", {"seed": seed}, timeout_s=60), (1, 1))
    assert first.result["imported"]
    assert second.result["imported"]
    assert first.result["pid"] != second.result["pid"]
    assert first.result["loss"][1] < first.result["loss"][0]
    assert first.body == second.body  # the same bits from every fork
