"""Keras models in a warm worker: what trained before leaves no trace, whichever way an epoch goes, and results stay as they were."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fedkeeper.errors import CorruptData
from fedkeeper.runtime.task import Config

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs the extra `tensorflow`")
SMALL, LARGE = 8, 3200  # a loop inside the graph; a call per batch, with weights that go in by pieces


def engine_of(width: int) -> Any:
    import keras
    from keras import layers

    from fedkeeper.runtime.keras_engine import KerasEngine, seed_globals

    seed_globals(1)
    dense = [layers.Dense(width, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.3), layers.Dense(2)]
    return KerasEngine(ModuleType("task"), keras.Sequential([layers.Input((width,)), *dense]))


def examples_of(width: int, seed: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    return generator.random((25, width), np.float32), generator.integers(0, 2, 25).astype(np.int32)


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])  # moments that begin at zero, and at another number
@pytest.mark.parametrize("width", [SMALL, LARGE])
def test_a_warm_engine_computes_what_a_fresh_one_does(width: int, optimizer: str) -> None:
    def step(seed: int) -> Config:
        return Config(seed=seed, optimizer=optimizer)

    warm, fresh = engine_of(width), engine_of(width)
    start = {name: np.array(array) for name, array in warm.arrays().items()}
    before, _ = warm.train(start, *examples_of(width, 1), step(7))
    kept = {name: np.array(array) for name, array in before.items()}
    after, metrics = warm.train(start, *examples_of(width, 2), step(8))
    again, same = fresh.train(start, *examples_of(width, 2), step(8))
    assert metrics == same
    assert all(np.array_equal(after[name], again[name]) for name in start)
    assert all(np.array_equal(before[name], kept[name]) for name in start)  # a later step leaves an earlier one's result alone
    assert not all(np.array_equal(after[name], before[name]) for name in start)
    assert warm.evaluate(after, *examples_of(width, 3), step(9)) == fresh.evaluate(again, *examples_of(width, 3), step(9))


def test_weights_of_another_model_are_refused() -> None:
    engine = engine_of(SMALL)
    arrays = dict(engine.arrays())
    name = next(iter(arrays))
    with pytest.raises(CorruptData, match=rf"{name} has shape \(8, 9\), the model wants \(8, 8\)"):
        engine.set_weights({**arrays, name: np.zeros((8, 9), np.float32)})
    with pytest.raises(CorruptData, match="these weights have other"):
        engine.set_weights({"other": np.zeros(3, np.float32)})
