"""Keras models inside a function: weights in and out by position, a fresh optimiser per step, deterministic shuffling.

    arrays -> model.weights -> per epoch: permuted batches -> train_step ... -> model.weights -> arrays

The model, its optimiser and the compiled training loop are kept while the worker is warm; every step starts by resetting all of
their state, so that a warm worker computes what a fresh one would. Under the TensorFlow backend an epoch is one graph call
(a loop over batches inside tf.function): handing every batch from Python costs about as much as the arithmetic of a small model.
A large model, where the arithmetic is all, gets a graph call per batch and its weights by pieces, which takes far less memory.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import keras
import numpy as np

from fedkeeper.codec import Array, Arrays
from fedkeeper.errors import CorruptData, TaskError
from fedkeeper.model import seeded
from fedkeeper.runtime.task import Config
from fedkeeper.runtime.weights import rows_of, shape_of

_LARGE = 10_000_000
"""Parameters from which a call per batch costs nothing beside the batch's arithmetic."""
_PIECE = 1 << 24
"""Bytes of a weight that are on their way at once."""
Epoch = Callable[[Array, Array, Array, int], Mapping[str, float]]
"""(x, y, order of rows, batch size) -> the epoch's metrics."""


def seed_globals(seed: int) -> None:
    """Python's, NumPy's and the backend's global generators (Keras draws initial weights from them)."""
    keras.utils.set_random_seed(seed % 2**32)


class KerasEngine:
    """One built model. Array names are "<position>.<variable>": layer names count up within a process, positions do not."""

    def __init__(self, module: ModuleType, model: Any) -> None:
        self.module = module
        self.model = model
        self.names = [f"{position:03d}.{weight.name}" for position, weight in enumerate(model.weights)]
        self._compiled_for: tuple[object, ...] | None = None
        self._fresh_optimizer: list[Array] | None = None
        self._epoch: Epoch = _fit_epoch(model)

    def arrays(self) -> Arrays:
        return self._arrays_of(self.model)

    def _arrays_of(self, model: Any) -> Arrays:
        return {name: _view(weight) for name, weight in zip(self.names, model.weights, strict=True)}

    def train(self, arrays: Arrays, x: Array, y: Array, config: Config) -> tuple[Arrays, Mapping[str, float]]:
        self.set_weights(arrays)
        self._compile(config)
        self._reset_optimizer()
        self._reset_random(config.seed)
        if hasattr(self.module, "train"):
            model, metrics = self.module.train(self.model, x, y, config)
            return self._arrays_of(model), metrics
        metrics = {}
        for _ in range(config.epochs):
            self.model.reset_metrics()
            metrics = self._epoch(x, y, config.rng.permutation(len(x)), config.batch_size)
        return self.arrays(), metrics

    def evaluate(self, arrays: Arrays, x: Array, y: Array, config: Config) -> Mapping[str, float]:
        self.set_weights(arrays)
        self._compile(config)
        if hasattr(self.module, "evaluate"):
            own: Mapping[str, float] = self.module.evaluate(self.model, x, y, config)
            return own
        result: Mapping[str, float] = self.model.evaluate(x, y, batch_size=config.batch_size, verbose=0, return_dict=True)
        return result

    def set_weights(self, arrays: Arrays) -> None:
        if list(arrays) != self.names:
            raise CorruptData(f"the model has arrays {', '.join(self.names)}; these weights have {', '.join(arrays)}")
        for name, weight in zip(self.names, self.model.weights, strict=True):
            shape = shape_of(arrays, name)
            if tuple(weight.shape) != shape:
                raise CorruptData(f"array {name} has shape {shape}, the model wants {tuple(weight.shape)}")
            _fill(weight, arrays, name)

    def _compile(self, config: Config) -> None:
        """Once per optimiser and rate: compiling again would throw the traced loop away."""
        wanted = (config.optimizer, config.learning_rate)
        if self._compiled_for == wanted:
            return
        optimizer = _optimizer(config)
        if hasattr(self.module, "compile_model"):
            self.module.compile_model(self.model, optimizer)
        else:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            self.model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        self._fresh_optimizer = None
        self._epoch = _epoch_of(self.model)
        self._compiled_for = wanted

    def _reset_optimizer(self) -> None:
        """Moments as a new process would have them. An evaluator never comes here: its optimiser stays unbuilt, two models smaller."""
        optimizer = self.model.optimizer
        if self._fresh_optimizer is None:
            optimizer.build(self.model.trainable_variables)
            self._fresh_optimizer = [_thrifty(_view(variable)) for variable in optimizer.variables]
            return
        for variable, value in zip(optimizer.variables, self._fresh_optimizer, strict=True):
            variable.assign(keras.ops.broadcast_to(value, variable.shape))

    def _reset_random(self, seed: int) -> None:
        """The random state of layers such as Dropout, and the global generators, as a new process with this seed would have them.

        TensorFlow prepares its graphs again after its global seed was set, which takes as long as many batches; nothing in our
        own loop draws from it."""
        weights = {id(weight) for weight in self.model.weights}
        for position, variable in enumerate(v for v in self.model.variables if id(v) not in weights):
            if "seed" in variable.name:
                state = seeded(seed, "keras-seed-generator", position)
                variable.assign(np.array([state & 0xFFFFFFFF, state >> 32], dtype=variable.dtype).reshape(variable.shape))
        if _on_tensorflow() and not hasattr(self.module, "train"):
            random.seed(seed % 2**32)
            np.random.seed(seed % 2**32)
        else:
            seed_globals(seed)


def _on_tensorflow() -> bool:
    return bool(keras.backend.backend() == "tensorflow")


def _thrifty(value: Array) -> Array:
    """A copy; one that holds the same number everywhere, as moments do, takes the memory of that number."""
    constant = value.size > 0 and (value == value.flat[0]).all()
    return np.array(value.flat[0] if constant else value)


def _view(variable: Any) -> Array:
    """Its value, under TensorFlow without a copy: what is assigned later goes elsewhere while the view is held."""
    if _on_tensorflow():
        return np.asarray(memoryview(variable.value.read_value()))
    array: Array = keras.ops.convert_to_numpy(variable)
    return array


def _fill(weight: Any, arrays: Arrays, name: str) -> None:
    """TensorFlow takes copies of what it is given: a large array goes in by pieces."""
    rows = weight.shape[0] if weight.shape else 1
    step = max(1, _PIECE * rows // max(1, math.prod(weight.shape) * 4))
    if step >= rows or not _on_tensorflow():
        weight.assign(arrays[name])
        return
    for start in range(0, rows, step):
        weight.value[start : start + step].assign(rows_of(arrays, name, start, start + step))


def _optimizer(config: Config) -> Any:
    """By Keras' own name (https://keras.io/api/optimizers/)."""
    try:
        return keras.optimizers.get({"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}})
    except (ValueError, TypeError) as exc:
        raise TaskError(f"Keras has no optimizer {config.optimizer!r}", hint="for example adam, nadam, sgd, rmsprop") from exc


def _epoch_of(model: Any) -> Epoch:
    if not _on_tensorflow():
        return _fit_epoch(model)
    return _graph_epoch(model) if model.count_params() < _LARGE else _batch_epoch(model)


def _graph_epoch(model: Any) -> Epoch:
    """An epoch as one graph call over full batches, plus one for a last partial batch.

    Graphs are traced for the batch size (None: any, for what is left over) and any number of rows, so clients of all sizes share
    them, and what a graph looks like does not depend on which clients came before.
    """
    import tensorflow as tf

    graphs: dict[object, Any] = {}

    def graph(x: Array, y: Array, batch: int | None) -> Any:
        key = (x.shape[1:], x.dtype.str, y.shape[1:], y.dtype.str, batch)
        if key not in graphs:
            signature = [
                tf.TensorSpec((None, *x.shape[1:]), x.dtype), tf.TensorSpec((None, *y.shape[1:]), y.dtype),
                tf.TensorSpec((None, batch), tf.int64),
            ]  # fmt: skip
            graphs[key] = tf.function(run, input_signature=signature)
        return graphs[key]

    def run(x: Any, y: Any, batches: Any) -> None:
        for step in tf.range(tf.shape(batches)[0]):
            rows = batches[step]
            model.train_step((tf.gather(x, rows), tf.gather(y, rows)))

    def epoch(x: Array, y: Array, order: Array, batch_size: int) -> Mapping[str, float]:
        full = len(order) // batch_size * batch_size
        features, labels = tf.constant(x), tf.constant(y)
        if full:
            graph(x, y, batch_size)(features, labels, tf.constant(order[:full].reshape(-1, batch_size)))
        if full < len(order):
            graph(x, y, None)(features, labels, tf.constant(order[full:].reshape(1, -1)))
        return {name: float(value) for name, value in model.get_metrics_result().items()}

    return epoch


def _batch_epoch(model: Any) -> Epoch:
    """A graph call per batch, for large models: a loop inside the graph holds up to one and a half models more."""
    import tensorflow as tf

    graphs: dict[object, Any] = {}

    def graph(x: Array, y: Array, batch: int | None) -> Any:
        key = (x.shape[1:], x.dtype.str, y.shape[1:], y.dtype.str, batch)
        if key not in graphs:
            signature = [tf.TensorSpec((batch, *x.shape[1:]), x.dtype), tf.TensorSpec((batch, *y.shape[1:]), y.dtype)]
            graphs[key] = tf.function(run, input_signature=signature, autograph=False)
        return graphs[key]

    def run(x: Any, y: Any) -> None:
        model.train_step((x, y))

    def epoch(x: Array, y: Array, order: Array, batch_size: int) -> Mapping[str, float]:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            step = graph(x, y, batch_size if len(rows) == batch_size else None)
            step(tf.constant(x[rows]), tf.constant(y[rows]))
        return {name: float(value) for name, value in model.get_metrics_result().items()}

    return epoch


def _fit_epoch(model: Any) -> Epoch:
    """The same through Keras' own loop, for other backends."""

    def epoch(x: Array, y: Array, order: Array, batch_size: int) -> Mapping[str, float]:
        history = model.fit(x[order], y[order], batch_size=batch_size, epochs=1, shuffle=False, verbose=0)
        return {name: float(values[-1]) for name, values in history.history.items()}

    return epoch
