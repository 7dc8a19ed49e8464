"""Keras tasks on the local platform: the reference's layers, one model whatever the way, and a `.keras` file that loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedkeeper import codec
from fedkeeper.api import Fabric
from tests.flow.projects import make_project, spec


def project(folder: Path, **changes: Any) -> Fabric:
    task = {"task": changes.pop("task", "mnist-mlp"), "rounds": 2, "learning_rate": 0.001, "batch_size": 32}
    text = spec("keras", **{"clients": 3, **task, **changes})
    return Fabric.load(make_project(folder, text))


def start(fabric: Fabric) -> Any:
    fabric.deploy()
    try:
        return fabric.start()
    finally:
        fabric.remove()


@pytest.mark.timeout(240)
def test_the_mlp_is_the_same_with_one_relayed_worker_and_exports(tmp_path: Path) -> None:
    one = start(project(tmp_path / "a"))
    assert one.accuracy > 0.8
    other = start(project(tmp_path / "b", workers=1, weights="relay"))
    assert other.model == one.model
    arrays = codec.decode((one.folder / "model.safetensors").read_bytes())
    assert sum(array.size for array in arrays.values()) == 397_510
    assert [list(array.shape) for array in arrays.values()] == [[784, 500], [500], [500, 10], [10]]
    script = (
        f"import keras, json; print(json.dumps([keras.saving.load_model({str(one.folder / 'model.keras')!r}).count_params()]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [397_510]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_cnn_has_the_references_layers_and_any_keras_optimiser_trains_it(tmp_path: Path) -> None:
    run = start(project(tmp_path, task="mnist-cnn", optimizer="rmsprop", rounds=1))
    arrays = codec.decode((run.folder / "model.safetensors").read_bytes())
    assert sum(array.size for array in arrays.values()) == 582_026
    assert [list(a.shape) for a in arrays.values() if a.ndim > 1] == [[5, 5, 1, 32], [5, 5, 32, 64], [1024, 512], [512, 10]]
    assert run.accuracy > 0.8


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_dropout_and_normalisation_do_not_depend_on_who_trained_before(tmp_path: Path) -> None:
    """Layers with random state and with running statistics: warm workers must compute what fresh ones would."""
    body = """
import keras
from keras import layers
REQUIREMENTS = ("tensorflow-cpu",)

def build(config):
    return keras.Sequential([layers.Input((784,)), layers.Dense(16, activation="relu"), layers.BatchNormalization(),
                             layers.Dropout(0.5), layers.Dense(10)])

def load(examples, config):
    return examples.x.reshape(len(examples.x), -1).astype("float32") / 255, examples.y.astype("int32")
"""
    models = []
    for workers in (1, 2):
        text = spec("drop", clients=5, workers=workers, rounds=2, learning_rate=0.01, batch_size=64)
        models.append(start(Fabric.load(make_project(tmp_path / str(workers), text, task=body))).model)
    assert models[0] == models[1]


def test_an_optimiser_nobody_knows_is_told(tmp_path: Path) -> None:
    from fedkeeper.errors import SpecError

    with pytest.raises(SpecError) as refused:
        project(tmp_path, optimizer="adamm")
    assert "adam" in refused.value.problems[0].hint
