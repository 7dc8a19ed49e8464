"""Turns trained weights into a `.keras` file, in the evaluator or in a process of its own: the orchestrator never loads Keras.

python -m fedkeeper.runtime.export TASK.py WEIGHTS.safetensors TARGET.keras '{"params": ...}'
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fedkeeper import codec
from fedkeeper.codec import Arrays
from fedkeeper.errors import FedKeeperError, TaskError
from fedkeeper.model import Json
from fedkeeper.runtime.task import Config, Task, load_task


def to_keras(task: Task, weights: Arrays, target: Path, params: Mapping[str, Json]) -> None:
    """Build the task's model, put the weights in, and save it in Keras' own format."""
    model = task.module.build(Config(seed=0, params=params))
    if not hasattr(model, "save"):
        raise TaskError(f"{task.name}: build() does not return a Keras model, so there is no .keras form of it")
    from fedkeeper.runtime.keras_engine import KerasEngine

    KerasEngine(task.module, model).set_weights(weights)
    model.save(target)


def main(arguments: list[str]) -> int:
    task_file, weights, target, params = arguments
    try:
        task = load_task(Path(task_file).parent, Path(task_file).name)
        to_keras(task, codec.decode(np.memmap(weights, np.uint8, "r").data), Path(target), json.loads(params))
    except FedKeeperError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
