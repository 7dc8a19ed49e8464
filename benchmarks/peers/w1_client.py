"""W1's client and its evaluation with plain Keras, for the bare loop and for Flower: the model is built once per process.

BENCH_W1 in the environment is the folder of the data: clients/c-0.npz, clients/c-1.npz, ... and test.npz, with x and y.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

CLIENTS, PER_ROUND, SAMPLES, BATCH, ROUNDS = 100, 10, 600, 10, 5
Weights = list[Any]


class Examples:
    """What a task's `load` gets."""

    def __init__(self, file: Path) -> None:
        with np.load(file) as arrays:
            self.x, self.y = arrays["x"], arrays["y"]


def folder() -> Path:
    return Path(os.environ["BENCH_W1"])


def one_thread() -> None:
    """For the processes that train side by side, one per core."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@lru_cache(maxsize=1)
def model(steps_per_execution: int) -> Any:
    import keras
    import mnist_classic  # type: ignore[import-not-found]

    keras.utils.set_random_seed(1)
    made = mnist_classic.build(None)
    made.compile(
        optimizer=keras.optimizers.Adam(1e-3), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"], steps_per_execution=steps_per_execution,
    )  # fmt: skip
    return made


def train(weights: Weights, client: int, steps_per_execution: int) -> tuple[Weights, int]:
    """One epoch with a fresh Adam. With steps_per_execution = steps, Keras does an epoch in one call of its graph."""
    import mnist_classic

    made = model(steps_per_execution)
    for variable in made.optimizer.variables:
        if variable.name != "learning_rate":
            variable.assign(np.zeros(variable.shape, variable.dtype))
    made.set_weights(weights)
    x, y = mnist_classic.load(Examples(folder() / "clients" / f"c-{client}.npz"), None)
    made.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
    return made.get_weights(), len(x)


def evaluate(weights: Weights) -> float:
    import mnist_classic

    made = model(1)
    made.set_weights(weights)
    x, y = mnist_classic.load(Examples(folder() / "test.npz"), None)
    return float(made.evaluate(x, y, batch_size=500, verbose=0)[1])
