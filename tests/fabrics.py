"""Small fabrics made in code, for tests that need no YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedkeeper.model import Client, Cluster, Data, Fabric, FunctionConfig, Role, Training
from fedkeeper.providers.base import Capabilities, InvocationMode

SOFTMAX = Path(__file__).parent.parent / "examples" / "numpy" / "tasks" / "softmax.py"

CAPABILITIES = Capabilities(
    modes=(InvocationMode.ASYNC_STATUS, InvocationMode.HELD), max_request=1 << 25, max_response=1 << 25, max_timeout_s=3600,
    max_memory_mb=8192, max_concurrency=1000, shares_host=True,
)  # fmt: skip


def make_fabric(root: Path, *, clients: int | tuple[Client, ...] = 4, name: str = "tiny", **changes: Any) -> Fabric:
    """One local cluster, `clients` clients that share the shipped digits, the NumPy task."""
    relay = changes.pop("weights", "store")
    isolation = changes.pop("isolation", "shared")
    values: dict[str, Any] = {
        "name": name, "root": root, "store": f"file:{root}/.fedkeeper/store", "clusters": {"here": Cluster("here", "local")},
        "server_cluster": "here",
        "clients": clients if isinstance(clients, tuple) else numbered(clients, relay, isolation),
        "functions": {role: FunctionConfig(memory_mb=1024, timeout_s=60) for role in Role},
        "data": Data(name="mnist-sample", sample="mnist-sample.npz", partition="iid"),
        "training": Training(task=str(SOFTMAX), rounds=2, learning_rate=0.1, seed=1),
    }  # fmt: skip
    return Fabric(**{**values, **changes})


def numbered(count: int, weights: str, isolation: str) -> tuple[Client, ...]:
    return tuple(Client(f"c-{n}", n, "here", "c", weights=weights, isolation=isolation) for n in range(count))
