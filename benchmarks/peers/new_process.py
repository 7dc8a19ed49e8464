"""A client in a new process: import TensorFlow, build the network, train one batch of 10. Prints Unix times as JSON."""

from __future__ import annotations

import importlib
import json
import os
import time
from typing import Any

STARTED = time.time()
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402
import numpy as np  # noqa: E402


class Config:
    """What the built-in task asks for."""

    params: dict[str, int] = {}  # noqa: RUF012


def main() -> None:
    task: Any = importlib.import_module("fedkeeper.tasks.mnist_cnn")
    imported = time.time()
    keras.utils.set_random_seed(1)
    model = task.build(Config())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    x, y = np.random.default_rng(1).random((10, 28, 28, 1), np.float32), np.arange(10)
    model.fit(x, y, batch_size=10, verbose=0)
    print(json.dumps({"started": STARTED, "imported": imported, "stepped": time.time()}))


if __name__ == "__main__":
    main()
