"""A small project in a folder for one benchmark: spec, task and data; and what its ledger says about a run.

spec, task, data --write--> folder --`fedkeeper deploy`, `fedkeeper start` as users call them--> ledger --> Round, Round, ...
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._process import Usage, measured
from fedkeeper.api import Fabric
from fedkeeper.events import Event

TRIVIAL = '''"""Clients that compute next to nothing: what is measured is everything else."""

import numpy as np

SHAPES = {shapes}


def build(config):
    return {{f"a{{n}}": config.rng.standard_normal(shape, dtype=np.float32) for n, shape in enumerate(SHAPES)}}


def load(examples, config):
    return examples.x, examples.y


def train(model, x, y, config):
    """An update that no other client makes."""
    step = config.rng.standard_normal(dtype=np.float32)
    for array in model.values():
        array += step
    return model, {{}}


def evaluate(model, x, y, config):
    return {{"loss": 0.0, "accuracy": 0.0}}
'''
CNN_SHAPES = ((3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (9216, 128), (128,), (128, 10), (10,))
"""The arrays of the classic Keras example: 1,199,882 numbers, 4.8 MB."""
SMALL_SHAPES = ((10,),)


@dataclass(frozen=True)
class Round:
    """From the ledger; times are Unix times. `trains` are the `ended` events of the clients that count."""

    number: int
    opened: float
    committed: float
    trains: Sequence[Event]
    evaluate_s: float
    accuracy: float


def trivial_project(folder: Path, *, clients: int, rounds: int, shapes: Sequence[Sequence[int]] = SMALL_SHAPES) -> Path:
    """NumPy clients with nothing to compute. Returns the spec."""
    spec = learning_spec(clients=clients, task="task.py", rounds=rounds)
    spec["scenarios"]["federated_learning"]["data"] = {"dataset": {"path": "data.npz"}, "partition": "iid"}
    rows = np.zeros((clients, 1), np.uint8)
    np.savez(folder / "data.npz", x_train=rows, y_train=rows[:, 0], x_test=rows[:1], y_test=rows[:1, 0])
    (folder / "task.py").write_text(TRIVIAL.format(shapes=tuple(map(tuple, shapes))), encoding="utf-8")
    return write_spec(folder, spec)


def learning_spec(*, clients: int, task: str, rounds: int, per_round: int | None = None, **training: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "bench",
        "providers": {"local": {"here": {}}},
        "scenarios": {
            "federated_learning": {
                "server": {"cluster": "here"},
                "clients": {"per_round": per_round or "all", "groups": [{"name": "c", "cluster": "here", "count": clients}]},
                "training": {"task": task, "rounds": rounds, "seed": 1, **training},
            }
        },
    }


def write_spec(folder: Path, spec: Mapping[str, Any]) -> Path:
    """JSON is YAML."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(spec, indent=1), encoding="utf-8")
    return path


def fedkeeper(spec: Path, *arguments: str) -> Usage:
    """The command as a user calls it, measured."""
    return measured([sys.executable, "-m", "fedkeeper", *arguments, "-c", str(spec)], cwd=spec.parent)


def ledger(spec: Path) -> list[Event]:
    """The latest run's."""
    return Fabric.load(spec).events()[1]


def rounds_of(events: Sequence[Event]) -> list[Round]:
    """Every committed round, in order."""
    opened = {event["round"]: event["time"] for event in events if event["type"] == "round_opened"}
    evaluated = {event["round"]: event["accuracy"] for event in events if event["type"] == "evaluated"}
    ended: dict[str, list[Event]] = {}
    for event in events:
        if event["type"] == "ended" and event["state"] == "succeeded":
            ended.setdefault(event["step"], []).append(event)
    return [
        Round(
            number=event["round"], opened=opened[event["round"]], committed=event["time"],
            trains=ended[f"r{event['round']:04d}/train"],
            evaluate_s=sum(e["finished"] - e["started"] for e in ended.get(f"r{event['round']:04d}/evaluate", ())),
            accuracy=evaluated.get(event["round"], float("nan")),
        )
        for event in events if event["type"] == "committed"
    ]  # fmt: skip


def cores() -> int:
    return os.cpu_count() or 1
