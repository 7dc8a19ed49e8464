"""The user's task: one Python file that says how to build the model, load a client's data, and optionally train and evaluate.

    def build(config): ...                     -> a Keras model, or {name: array}                             required
    def load(examples, config): ...            -> x, y ready for training; examples.x, .y are raw arrays      required
    def compile_model(model, optimizer): ...   -> None; Keras only: loss and metrics other than the default   optional
    def train(model, x, y, config): ...        -> model, metrics                                              optional for Keras
    def evaluate(model, x, y, config): ...     -> metrics with "loss" and "accuracy"                          optional for Keras
    REQUIREMENTS = ("numpy",)   PARAMETERS = 7850                                                             optional

`config` is a `Config`. The built-in tasks in fedkeeper/tasks are written in this form.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from fedkeeper.codec import Array, Arrays
from fedkeeper.errors import FedKeeperError, TaskError
from fedkeeper.model import Json
from fedkeeper.runtime.data import Examples
from fedkeeper.runtime.weights import own


@dataclass(frozen=True)
class Config:
    """What the task may ask about the work at hand. `rng` is fresh and seeded for this step: use it for every random choice."""

    seed: int
    epochs: int = 1
    batch_size: int = 10
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    params: Mapping[str, Json] = field(default_factory=dict)
    client: str | None = None
    round: int = 0

    @cached_property
    def rng(self) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(self.seed))


@dataclass(frozen=True)
class Trained:
    """What a client's step made of the model."""

    arrays: Arrays
    examples: int
    metrics: Mapping[str, float]


class Engine(Protocol):
    """How models of one library are handled; one per kind of model."""

    def arrays(self) -> Arrays: ...
    def train(self, arrays: Arrays, x: Array, y: Array, config: Config) -> tuple[Arrays, Mapping[str, float]]: ...
    def evaluate(self, arrays: Arrays, x: Array, y: Array, config: Config) -> Mapping[str, float]: ...


class Task:
    """A loaded task file and the model it built. Kept while the worker is warm; results do not depend on what ran before."""

    def __init__(self, module: ModuleType, name: str) -> None:
        self.module = module
        self.name = name
        self._engines: dict[str, Engine] = {}

    def initial(self, config: Config) -> Arrays:
        """The seeded initial model. Always built afresh: a kept model's random state is spent."""
        return self._make_engine(config).arrays()

    def load(self, examples: Examples, config: Config) -> tuple[Array, Array]:
        x, y = self._call("load", examples, config)
        return x, y

    def train(self, arrays: Arrays, examples: Examples, config: Config) -> Trained:
        x, y = self.load(examples, config)
        trained, metrics = self._engine(config).train(arrays, x, y, config)
        _check_finite(trained, self.name)
        return Trained(trained, len(x), finite(metrics))

    def evaluate(self, arrays: Arrays, examples: Examples, config: Config) -> Trained:
        x, y = self.load(examples, config)
        metrics = self._engine(config).evaluate(arrays, x, y, config)
        return Trained({}, len(x), finite(metrics))

    def _engine(self, config: Config) -> Engine:
        key = repr(sorted(config.params.items()))
        if key not in self._engines:
            self._engines.clear()  # one model at a time: workers stay small
            self._engines[key] = self._make_engine(config)
        return self._engines[key]

    def _make_engine(self, config: Config) -> Engine:
        model = self._build(config)
        if isinstance(model, Mapping):
            return ArraysEngine(self, model)
        if hasattr(model, "trainable_weights"):
            from fedkeeper.runtime.keras_engine import KerasEngine

            return KerasEngine(self.module, model)
        raise TaskError(f"{self.name}: build() returned {type(model).__name__}, not a Keras model or a dict of arrays")

    def _build(self, config: Config) -> Any:
        """Build under the step's seed. Keras may be imported only by build() itself: then seed it and build once more.
        build() gets a generator of its own: what it draws must not shift what a warm worker, which does not build, draws next."""
        config = replace(config)
        seeded_keras = _seed_keras(config.seed)
        model = self._call("build", config)
        if not seeded_keras and _seed_keras(config.seed):
            del model  # before there is another
            model = self._call("build", config)
        return model

    def _call(self, function: str, *args: object) -> Any:
        """One of the task's own functions; its errors are named as the task's."""
        try:
            return getattr(self.module, function)(*args)
        except FedKeeperError:
            raise
        except AttributeError as exc:
            if hasattr(self.module, function):
                raise TaskError(f"{self.name}: {function}() failed: {exc}") from exc
            raise TaskError(f"{self.name} defines no {function}()", hint="docs/tasks.md shows the form of a task file") from exc
        except Exception as exc:
            raise TaskError(f"{self.name}: {function}() failed: {type(exc).__name__}: {exc}") from exc


class ArraysEngine:
    """Models that are a dict of arrays: train and evaluate are the task's own."""

    def __init__(self, task: Task, model: Arrays) -> None:
        self._task = task
        self._model = {name: np.asarray(array) for name, array in model.items()}

    def arrays(self) -> Arrays:
        return self._model

    def train(self, arrays: Arrays, x: Array, y: Array, config: Config) -> tuple[Arrays, Mapping[str, float]]:
        model = own(arrays)
        dtypes = {name: array.dtype for name, array in model.items()}
        model, metrics = self._task._call("train", model, x, y, config)
        trained = {name: np.asarray(model[name], dtype=dtype) for name, dtype in dtypes.items()}
        return trained, metrics

    def evaluate(self, arrays: Arrays, x: Array, y: Array, config: Config) -> Mapping[str, float]:
        metrics: Mapping[str, float] = self._task._call("evaluate", own(arrays), x, y, config)
        return metrics


@lru_cache(maxsize=1)
def load_task(root: Path, file: str) -> Task:
    """Load the task file of a package. Its folder goes on the path, so that helper files can be imported by name."""
    path = root / file
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise TaskError(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        raise TaskError(f"{path.name} cannot be imported: {type(exc).__name__}: {exc}") from exc
    return Task(module, path.name)


def _seed_keras(seed: int) -> bool:
    """Seed Keras' global generators if Keras is loaded; False when it is not."""
    if "keras" not in sys.modules:
        return False
    from fedkeeper.runtime import keras_engine

    keras_engine.seed_globals(seed)
    return True


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Plain floats; what is not finite is left out (JSON has no NaN)."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(float(value))}


def _check_finite(arrays: Arrays, task: str) -> None:
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise TaskError(
                f"{task}: training diverged, {name} holds NaN or infinity", hint="try a smaller training.learning_rate"
            )
