"""A model of 300 MB trains for a round: every process needs at most one model more than Keras by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fedkeeper.api import Fabric
from fedkeeper.testing.mongod import Mongod
from tests.flow.projects import make_project, spec

INPUTS, CLASSES, BATCH = 3000, 25_000, 10
MODEL_MB = INPUTS * CLASSES * 4 / 2**20

TASK = f"""
import keras
from keras import layers
REQUIREMENTS = ("tensorflow-cpu",)
PARAMETERS = {INPUTS * CLASSES}

def build(config):
    return keras.Sequential([layers.Input(({INPUTS},)), layers.Dense({CLASSES}, use_bias=False)])

def load(examples, config):
    return examples.x, examples.y
"""

BARE = f"""
import os, resource
import keras
import numpy as np
import tensorflow
from task import build
if os.fork() == 0:  # as a worker is forked, after the import
    model = build(None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    x, y = np.zeros((20, {INPUTS}), "float32"), np.zeros(20, "int32")
    model.fit(x, y, batch_size={BATCH}, epochs=1, verbose=0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.fixture(scope="module")
def bare_mb(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Peak memory of Keras by itself: build, Adam, one epoch."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "task.py").write_text(TASK)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    environ = {**os.environ, **threads, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", BARE], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


@contextmanager
def store_of(kind: str, folder: Path) -> Iterator[str | None]:
    if kind == "file":
        yield None
        return
    with Mongod(folder / "mongod") as server:
        yield server.url_of("large")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["file", "mongodb"])
def test_every_process_needs_one_model_more_than_keras_at_most(kind: str, tmp_path: Path, bare_mb: float) -> None:
    generator = np.random.default_rng(1)
    x, y = generator.random((40, INPUTS), np.float32), np.arange(40, dtype=np.int32)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    with store_of(kind, tmp_path) as url:
        text = spec("large", clients=2, workers=1, rounds=1, batch_size=BATCH, learning_rate=0.001)
        text["scenarios"]["federated_learning"]["data"] = {"dataset": {"path": "data.npz"}, "partition": "iid"}
        fabric = Fabric.load(make_project(tmp_path, {**text, **({"store": url} if url else {})}, task=TASK))
        fabric.deploy()
        try:
            run = fabric.start()
            peaks = peaks_of(tmp_path)
        finally:
            fabric.remove()
    assert (run.folder / "model.safetensors").stat().st_size > INPUTS * CLASSES * 4
    assert sorted(peaks) == ["fl_client", "fl_evaluator", "fl_server_aggregator", "fl_server_init"], peaks
    for role, peak in peaks.items():
        assert peak < bare_mb + MODEL_MB, (role, peak, bare_mb)


def peaks_of(folder: Path) -> dict[str, float]:
    """What the platform measured of each role's activations."""
    peaks: dict[str, float] = {}
    for path in folder.glob(".fedkeeper/**/activations/**/*.json"):
        record = json.loads(path.read_text())
        role = str(record["function"]).removeprefix("large-")
        assert record["state"] == "succeeded", f"{role}: {record['error']}"
        peaks[role] = max(peaks.get(role, 0.0), record["max_rss_mb"])
    return peaks
