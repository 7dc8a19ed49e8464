"""Turns trained weights into a `.keras` file, in a process of its own: the orchestrator never loads a machine-learning library.

python -m fedkeeper.runtime.export TASK.py WEIGHTS.safetensors TARGET.keras '{"params": ...}'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fedkeeper import codec
from fedkeeper.errors import FedKeeperError, TaskError
from fedkeeper.runtime.task import Config, load_task


def to_keras(task_file: Path, weights: Path, target: Path, params: dict[str, object]) -> None:
    """Build the task's model, put the weights in, and save it in Keras' own format."""
    from fedkeeper.runtime.keras_engine import KerasEngine

    task = load_task(task_file.parent, task_file.name)
    model = task.module.build(Config(seed=0, params=params))
    if not hasattr(model, "save"):
        raise TaskError(f"{task_file.name}: build() does not return a Keras model, so there is no .keras form of it")
    engine = KerasEngine(task.module, model)
    engine.set_weights(codec.decode(weights.read_bytes()))
    model.save(target)


def main(arguments: list[str]) -> int:
    task_file, weights, target, params = arguments
    try:
        to_keras(Path(task_file), Path(weights), Path(target), json.loads(params))
    except FedKeeperError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
