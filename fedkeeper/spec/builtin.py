"""What a spec may name without bringing it along: tasks, datasets, optimizers, strategies, and each role's default limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fedkeeper.model import Data, FunctionConfig, Json, Role

STRATEGIES = ("fedavg",)
SELECTORS = ("random",)
OPTIMIZERS = ("adam", "nadam", "sgd", "rmsprop", "adagrad", "adadelta", "adamw", "adamax", "lion", "ftrl", "adafactor", "muon")
"""Keras' names, which the built-in tasks take; a task file of one's own may know others."""

DATASETS: Mapping[str, Data] = MappingProxyType(
    {
        "mnist-sample": Data(name="mnist-sample", sample="mnist-sample.npz"),
        "mnist": Data(
            name="mnist",
            url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
            sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        ),
    }
)

EXAMPLES: Mapping[str, int] = MappingProxyType({"mnist-sample": 6_000, "mnist": 60_000})
"""What there is to deal out."""

INVOKER_MARGIN_S = 60
"""What an invoker's time limit has beyond its client's: the weights' way there and back, and a cold start."""

FUNCTIONS: Mapping[Role, FunctionConfig] = MappingProxyType(
    {
        Role.INIT: FunctionConfig(memory_mb=2048, timeout_s=300),
        Role.CLIENT: FunctionConfig(memory_mb=2048, timeout_s=300),
        Role.INVOKER: FunctionConfig(memory_mb=1024, timeout_s=300 + INVOKER_MARGIN_S),  # follows the client's
        Role.AGGREGATOR: FunctionConfig(memory_mb=2048, timeout_s=300),
        Role.EVALUATOR: FunctionConfig(memory_mb=2048, timeout_s=300),
        Role.NODEINFO: FunctionConfig(memory_mb=256, timeout_s=60),
    }
)

BYTES_PER_PARAMETER = 4
"""float32, the built-in tasks' weights."""


def _cnn(hidden: int, classes: int) -> int:
    return 832 + 51_264 + (1024 + 1) * hidden + (hidden + 1) * classes


def _mlp(hidden: int, classes: int) -> int:
    return (784 + 1) * hidden + (hidden + 1) * classes


_PARAMETERS: Mapping[str, tuple[int, Callable[[int, int], int]]] = MappingProxyType(
    {"mnist-cnn": (512, _cnn), "mnist-mlp": (500, _mlp)}
)
TASKS = tuple(_PARAMETERS)


def task_bytes(task: str, params: Mapping[str, Json]) -> int | None:
    """Bytes of a built-in task's model; None when `params` makes that unknowable."""
    default, count = _PARAMETERS[task]
    sizes = params.get("hidden_size", default), params.get("output_size", 10)
    if not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
        return None
    return count(*sizes) * BYTES_PER_PARAMETER
