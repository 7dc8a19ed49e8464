"""W1 on Flower's simulation: ray, one actor per core, each with the model built once. Prints one JSON object.

python w1_flower.py        in the environment `flower-tensorflow`
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import w1_client as w1  # type: ignore[import-not-found]
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict  # type: ignore[import-not-found]
from flwr.clientapp import ClientApp  # type: ignore[import-not-found]
from flwr.serverapp import ServerApp  # type: ignore[import-not-found]
from flwr.serverapp.strategy import FedAvg  # type: ignore[import-not-found]

MARKS: list[float] = []
ACCURACY: list[float] = []


def train(message: Any, context: Any) -> Any:
    if not w1.model.cache_info().currsize:
        w1.one_thread()
    arrays = message.content["arrays"].to_numpy_ndarrays()
    update, examples = w1.train(arrays, int(context.node_config["partition-id"]), 1)
    return Message(
        RecordDict({"arrays": ArrayRecord(update), "metrics": MetricRecord({"num-examples": examples})}), reply_to=message
    )


def evaluate(_round: int, arrays: Any) -> Any:
    accuracy = w1.evaluate(arrays.to_numpy_ndarrays())
    ACCURACY.append(accuracy)
    MARKS.append(time.time())
    return MetricRecord({"accuracy": accuracy})


def serve(grid: Any, _context: Any) -> None:
    share = w1.PER_ROUND / w1.CLIENTS
    strategy = FedAvg(fraction_train=share, min_train_nodes=w1.PER_ROUND, fraction_evaluate=0.0, min_available_nodes=w1.CLIENTS)
    initial = ArrayRecord(w1.model(1).get_weights())
    strategy.start(grid=grid, initial_arrays=initial, num_rounds=w1.ROUNDS, evaluate_fn=evaluate)


client = ClientApp()
client.train()(train)
server = ServerApp()
server.main()(serve)


def main() -> None:
    os.environ |= {
        "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0", "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.path.dirname(os.path.abspath(__file__)),
    }  # fmt: skip
    import w1_flower as app  # type: ignore[import-not-found]  # its actors import it by this name
    from flwr.simulation import run_simulation  # type: ignore[import-not-found]

    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    run_simulation(app.server, app.client, num_supernodes=w1.CLIENTS, backend_name="ray", backend_config=resources)
    print(json.dumps({"marks": app.MARKS, "accuracy": app.ACCURACY[1:]}))


if __name__ == "__main__":
    main()
