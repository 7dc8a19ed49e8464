"""The params folder: the static invocation parameters of every function and client, for people to read and for `fedkeeper invoke`.

    params/<fabric>/fl_server_init.json, fl_server_aggregator.json, fl_evaluator.json, fl_client/<client>.json

They hold names, numbers and paths, no secrets: the engine adds run, round and refs to them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from fedkeeper.model import Fabric, Json
from fedkeeper.naming import client_function, invoker_function


def write(fabric: Fabric) -> Path:
    """Write the folder anew and return it."""
    folder = remove(fabric.root, fabric.name)
    for name, params in _files(fabric):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(params, indent=2) + "\n")
    return folder


def remove(root: Path, fabric: str) -> Path:
    """Delete the fabric's params, and the params folder itself when it is left empty."""
    folder = root / "params" / fabric
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
    return folder


def _files(fabric: Fabric) -> Iterator[tuple[str, Json]]:
    training, data = fabric.training, asdict(fabric.data)
    yield "fl_server_init.json", {"data": data, "params": dict(training.params), "clients": len(fabric.clients)}
    yield "fl_server_aggregator.json", {"strategy": fabric.strategy.name, "params": dict(fabric.strategy.params)}
    yield "fl_evaluator.json", {"data": data, "params": dict(training.params)}
    for client in fabric.clients:
        invoker = invoker_function(fabric.name, client.cluster) if client.weights == "relay" else None
        yield (
            f"fl_client/{client.id}.json",
            {
                "client": client.id, "cluster": client.cluster, "function": client_function(fabric.name, client), "invoker": invoker,
                "weights": client.weights, "data": data, "file": client.file, "index": client.index,
            },
        )  # fmt: skip
