"""The deploy digest of a fabric: everything the spec says about what is deployed, and nothing about how it trains.

    clusters, functions, bindings of clients, store, task files, own handlers, FedKeeper's version -> sha256

`deploy` records it when it has finished; `start` compares it, without building a zip.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from fedkeeper.deploy.package import task_files
from fedkeeper.errors import PackageError
from fedkeeper.model import Fabric, Json, digest_of
from fedkeeper.naming import client_function
from fedkeeper.refs import ref_of
from fedkeeper.version import __version__


def deploy_digest(fabric: Fabric) -> str:
    """Reads the task's files and those of replaced handlers."""
    task = task_files(fabric.training.task, fabric.task_files, fabric.requirements)
    bindings = sorted({(client.cluster, client_function(fabric.name, client), client.weights) for client in fabric.clients})
    own = {role.value: _folder(config.path) for role, config in fabric.functions.items() if config.path}
    described: dict[str, Json] = {
        "version": __version__,
        "clusters": {name: {"provider": c.provider, "settings": dict(c.settings)} for name, c in fabric.clusters.items()},
        "server": fabric.server_cluster,
        "bindings": bindings,
        "functions": {role.value: asdict(config) for role, config in fabric.functions.items()},
        "store": fabric.functions_store or fabric.store,
        "task": {name: ref_of(content) for name, content in task.contents.items()},
        "requirements": task.requirements,
        "handlers": own,
        "sample": fabric.data.sample,
        "strategy": fabric.strategy.name,
    }
    return digest_of(described)


def _folder(path: str) -> dict[str, str]:
    try:
        return {file.name: ref_of(file.read_bytes()) for file in sorted(Path(path).iterdir()) if file.is_file()}
    except OSError as exc:
        raise PackageError(f"cannot read {path}: {exc.strerror}") from exc
