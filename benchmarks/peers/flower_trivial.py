"""Flower's simulation with clients that compute next to nothing: what is left is Flower and ray. Prints one JSON object.

python flower_trivial.py --clients 100 --rounds 5 [--numbers 1199882]        in the environment `flower`
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict  # type: ignore[import-not-found]
from flwr.clientapp import ClientApp  # type: ignore[import-not-found]
from flwr.serverapp import ServerApp  # type: ignore[import-not-found]
from flwr.serverapp.strategy import FedAvg  # type: ignore[import-not-found]

SHAPES = ((3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (9216, 128), (128,), (128, 10), (10,))
MARKS: list[float] = []
"""Unix time after the start and after each round."""
FIRST: list[float] = []
"""When the clients of a round began, the earliest of each round."""


def train(message: Any, context: Any) -> Any:
    """Decode, make an update that no other client makes, encode: what a client with NumPy weights has to do."""
    began = time.time()
    arrays = message.content["arrays"].to_numpy_ndarrays()
    step = np.random.default_rng(int(context.node_config["partition-id"]) + time.time_ns()).standard_normal(dtype=np.float32)
    update = ArrayRecord([array + step for array in arrays])
    metrics = MetricRecord({"num-examples": 1, "began": began})
    return Message(RecordDict({"arrays": update, "metrics": metrics}), reply_to=message)


def serve(grid: Any, _context: Any) -> None:
    clients, rounds, small = (int(value) for value in os.environ["BENCH_FLOWER"].split())
    rng = np.random.default_rng(0)
    shapes = ((10,),) if small else SHAPES
    arrays = ArrayRecord([rng.standard_normal(shape, dtype=np.float32) for shape in shapes])
    strategy = Timed(fraction_train=1.0, min_train_nodes=clients, fraction_evaluate=0.0, min_available_nodes=clients)
    strategy.start(grid=grid, initial_arrays=arrays, num_rounds=rounds, evaluate_fn=mark)


class Timed(FedAvg):  # type: ignore[misc]
    """Notes when the first client of a round began."""

    def aggregate_train(self, server_round: int, replies: Any) -> Any:
        kept = list(replies)
        FIRST.append(min(float(reply.content["metrics"]["began"]) for reply in kept))
        return super().aggregate_train(server_round, kept)


def mark(_round: int, _arrays: Any) -> None:
    MARKS.append(time.time())


client = ClientApp()
client.train()(train)
server = ServerApp()
server.main()(serve)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a model of 10 numbers")
    arguments = parser.parse_args()
    os.environ |= {
        "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)),
        "BENCH_FLOWER": f"{arguments.clients} {arguments.rounds} {int(arguments.small)}",
    }  # fmt: skip
    import flower_trivial as app  # type: ignore[import-not-found]  # its actors import it by this name
    from flwr.simulation import run_simulation  # type: ignore[import-not-found]

    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    run_simulation(app.server, app.client, num_supernodes=arguments.clients, backend_name="ray", backend_config=resources)
    print(json.dumps({"marks": app.MARKS, "first": app.FIRST}))


if __name__ == "__main__":
    main()
