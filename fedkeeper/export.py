"""A model out of the store: as safetensors (a copy of the blob), or as Keras' own format.

safetensors   a copy of the blob
keras         the run's evaluator, where Keras is loaded already; else a process of its own
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from fedkeeper.deploy.package import task_files, task_path
from fedkeeper.errors import FedKeeperError, TaskError, UsageError
from fedkeeper.model import Fabric, Ref
from fedkeeper.stores.base import Store

FORMATS = ("safetensors", "keras")
Evaluator = Callable[[Ref], bytes]
"""Asks the deployed evaluator for a model as a `.keras` file."""
_CHUNK = 1 << 22


def export_model(store: Store, fabric: Fabric, ref: Ref, target: Path, fmt: str) -> Path:
    """Write the model to `target` and return it. The file appears whole or not at all."""
    if fmt not in FORMATS:
        raise UsageError(f"there is no format {fmt!r}", hint=f"one of {', '.join(FORMATS)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        weights = Path(folder) / "model.safetensors"
        _copy(store, ref, weights)
        made = weights if fmt == "safetensors" else _keras(fabric, weights, Path(folder) / "model.keras")
        made.replace(target)
    return target


def is_keras(fabric: Fabric) -> bool:
    """Whether the task's requirements name Keras or TensorFlow."""
    requirements = task_files(fabric.training.task, fabric.task_files, fabric.requirements).requirements
    return any(name in requirement.lower() for requirement in requirements for name in ("keras", "tensorflow"))


def _copy(store: Store, ref: Ref, target: Path) -> None:
    """In chunks: a model may be larger than what a laptop has to spare."""
    reader = store.open_blob(ref)
    buffer = bytearray(min(_CHUNK, reader.size) or 1)
    try:
        with target.open("wb") as sink:
            for offset in range(0, reader.size, _CHUNK):
                view = memoryview(buffer)[: min(_CHUNK, reader.size - offset)]
                reader.read_into(offset, view)
                sink.write(view)
    finally:
        reader.close()


def _keras(fabric: Fabric, weights: Path, target: Path) -> Path:
    task = task_path(fabric.training.task)
    arguments = [str(task), str(weights), str(target), json.dumps(dict(fabric.training.params))]
    command = [sys.executable, "-m", "fedkeeper.runtime.export", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise TaskError(f"cannot write a .keras file: {lines[-1] if lines else 'no message'}")
    return target


def export_quietly(store: Store, fabric: Fabric, ref: Ref, folder: Path, evaluator: Evaluator | None) -> str | None:
    """Every form of a finished run's model, into its folder. Returns what went wrong with the optional one."""
    export_model(store, fabric, ref, folder / "model.safetensors", "safetensors")
    target = folder / "model.keras"
    try:  # the task's file may be on the machine where the run began
        if is_keras(fabric) and not (evaluator is not None and _by_function(evaluator, ref, target)):
            export_model(store, fabric, ref, target, "keras")
    except FedKeeperError as exc:
        return str(exc)
    return None


def _by_function(evaluator: Evaluator, ref: Ref, target: Path) -> bool:
    """False when the function cannot: it is gone, it is the user's own, or the file is larger than an answer may be."""
    try:
        content = evaluator(ref)
    except FedKeeperError:
        return False
    if content:
        target.write_bytes(content)
    return bool(content)
