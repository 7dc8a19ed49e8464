"""The first training step (a batch of 10, the built-in CNN) in a new process, in a forked worker, in a warm one.

    python benchmarks/worker_start.py [--quick] [--check]                    about 1 minute

new process    Python starts, imports TensorFlow, builds the network, trains one step
forked worker  an activation of fl_client on the local platform that needs a new worker: from the call to its answer
warm worker    the same for another client, in the worker that is there

The zygote is up. An activation reads the model from the store, trains one step and writes its update; a new process only
trains. Goals: a forked worker in <= 0.4x of a new process, a warm one in <= 0.1 s. By turns; medians.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks import _report as report
from benchmarks._process import measured
from benchmarks._project import learning_spec, write_spec
from benchmarks.peers.setup import HERE
from fedkeeper.api import Fabric
from fedkeeper.events import INIT_STEP, SERVER, train_step
from fedkeeper.jobs import InitJob, TrainJob
from fedkeeper.model import Json, Role
from fedkeeper.naming import function_name
from fedkeeper.providers.base import Provider
from fedkeeper.wiring import House

CLIENTS = 8
BATCH = 10
WAIT_S = 120.0
INIT = (INIT_STEP, SERVER)


def main() -> None:
    arguments = report.parser(__doc__).parse_args()
    report.begin(__doc__)
    new, forked, warm = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        spec = project(Path(folder))
        Fabric.load(spec).deploy()
        for turn in range(1 if arguments.quick else 5):
            new.append(new_process())
            first, later = workers(Fabric.load(spec), turn)
            forked.append(first)
            warm += later
    medians = [statistics.median(times) for times in (new, forked, warm)]
    names = ("new process", "forked worker", "warm worker")
    report.table(("", "median s", "best s", "worst s", "n"), [
        (name, median, min(times), max(times), len(times))
        for name, median, times in zip(names, medians, (new, forked, warm), strict=True)
    ])  # fmt: skip
    goals = [
        report.Goal("forked-to-new-process", medians[1] / medians[0], at_most=0.4),
        report.Goal("warm-worker", medians[2], at_most=0.1, unit="s"),
    ]
    report.finish(goals, check=arguments.check)


def project(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (CLIENTS * BATCH, 28, 28), np.uint8), np.arange(CLIENTS * BATCH, dtype=np.uint8) % 10
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x[:BATCH], y_test=y[:BATCH])
    spec = learning_spec(clients=CLIENTS, task="mnist-cnn", rounds=1, batch_size=BATCH)
    spec["scenarios"]["federated_learning"]["data"] = {"dataset": {"path": "data.npz"}, "partition": "iid"}
    return write_spec(folder, spec)


def new_process() -> float:
    usage = measured([sys.executable, HERE / "new_process.py"])
    return float(json.loads(usage.output.splitlines()[-1])["stepped"]) - usage.began


def workers(fabric: Fabric, turn: int) -> tuple[float, list[float]]:
    """A new platform; fl_server_init, which waits for the zygote; then one client after the other."""
    run, data = f"turn-{turn}", {"name": "custom", "path": str(fabric.path.parent / "data.npz"), "partition": "iid"}
    with House(fabric.spec) as house:
        provider = house.provider(fabric.spec.clusters["here"])
        call(provider, Role.INIT, InitJob(run, *INIT, seed=1, clients=CLIENTS, data=data).to_params())
        made = house.store.receipts(run, INIT[0])[INIT[1]].outputs
        times = []
        for client in range(CLIENTS):
            job = TrainJob(
                run, train_step(1), f"c-{client}", seed=1, round=1, model=made["model"], partition=made["partition"],
                client_index=client, data=data, hyper={"batch_size": BATCH},
            )  # fmt: skip
            begun = time.perf_counter()
            call(provider, Role.CLIENT, job.to_params())
            times.append(time.perf_counter() - begun)
    return times[0], times[1:]


def call(provider: Provider, role: Role, job: Json) -> None:
    provider.call(function_name("bench", role), {"job": job, "attempt": 1}, timeout_s=WAIT_S)


if __name__ == "__main__":
    main()
