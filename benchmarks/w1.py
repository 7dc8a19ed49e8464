"""W1: a CNN on MNIST. Goals: wall <= 1.05x a bare loop and <= 0.75x Flower, less memory than Flower, the same accuracy.

    python benchmarks/w1.py [--data mnist.npz] [--repeat 2] [--quick] [--check]               about 7 minutes

1.2 million parameters, 100 clients with 600 images, 10 a round, 1 epoch, batches of 10, Adam, 5 rounds, an evaluation after
each.

us      `fedkeeper start` (deployed before) with the network as a task file, from the process's start to its exit; the exported
        model and the plots are there by then
bare    a loop without any framework: one process per core, weights in shared memory, the model built once, an epoch in one call
Flower  its simulation on ray with the model built once per actor

The same files of data and the same network for all: each client has 600 images drawn with its own seed. By turns; medians.
The accuracy may lie 0.01 below the worse of the two: that is noise between seeds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks import _report as report
from benchmarks._process import Usage, measured
from benchmarks._project import fedkeeper, learning_spec, ledger, rounds_of, write_spec
from benchmarks.peers.setup import HERE, python_of
from fedkeeper.api import Fabric

SAMPLE = report.ROOT / "fedkeeper" / "samples" / "mnist-sample.npz"
CLIENTS, PER_ROUND, SAMPLES, BATCH, ROUNDS = 100, 10, 600, 10, 5
NOISE = 0.01


@dataclass(frozen=True)
class Result:
    usage: Usage
    marks: list[float]
    """The start of the first round and the end of each, as Unix times."""
    accuracy: float

    @property
    def before_s(self) -> float:
        return self.marks[0] - self.usage.began

    @property
    def steady_s(self) -> float:
        return statistics.median(after - before for before, after in pairwise(self.marks[1:]))

    @property
    def after_s(self) -> float:
        return self.usage.ended - self.marks[-1]


def main() -> None:
    arguments = parse()
    report.begin(__doc__)
    flower = python_of("flower-tensorflow")
    results: dict[str, list[Result]] = {"FedKeeper": [], "bare loop": [], "Flower simulation": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        deal(arguments.data, folder)
        spec = project(folder)
        for _ in range(1 if arguments.quick else arguments.repeat):
            results["FedKeeper"].append(us(spec))
            results["bare loop"].append(peer(Path(sys.executable), "w1_bare.py", folder))
            results["Flower simulation"].append(peer(flower, "w1_flower.py", folder))
    show(results)
    ours, bare, flowers = ({what: median(runs, what) for what in ("wall", "memory", "accuracy")} for runs in results.values())
    goals = [
        report.Goal("w1-wall-to-bare", ours["wall"] / bare["wall"], at_most=1.05),
        report.Goal("w1-wall-to-flower", ours["wall"] / flowers["wall"], at_most=0.75),
        report.Goal("w1-memory-to-flower", ours["memory"] / flowers["memory"], at_most=1.0),
        report.Goal("w1-accuracy-difference", ours["accuracy"] - min(bare["accuracy"], flowers["accuracy"]), at_least=-NOISE),
    ]
    report.finish(goals, check=arguments.check)


def deal(source: Path, folder: Path) -> None:
    """clients/c-0.npz ... and test.npz."""
    (folder / "clients").mkdir()
    with np.load(source) as arrays:
        x, y = arrays["x_train"], arrays["y_train"]
        np.savez(folder / "test.npz", x=arrays["x_test"], y=arrays["y_test"])
    for client in range(CLIENTS):
        rows = np.random.default_rng(1000 + client).choice(len(x), SAMPLES, replace=False)
        np.savez(folder / "clients" / f"c-{client}.npz", x=x[rows], y=y[rows])


def project(folder: Path) -> Path:
    shutil.copy(HERE / "mnist_classic.py", folder)
    spec = learning_spec(
        clients=CLIENTS, task="mnist_classic.py", rounds=ROUNDS, per_round=PER_ROUND, batch_size=BATCH, local_epochs=1,
        optimizer="adam", learning_rate=0.001,
    )  # fmt: skip
    learning = spec["scenarios"]["federated_learning"]
    learning["clients"]["groups"][0]["file"] = "clients/{client}.npz"
    learning["data"] = {"test": "test.npz"}
    path = write_spec(folder, spec)
    Fabric.load(path).deploy()
    return path


def us(spec: Path) -> Result:
    usage = fedkeeper(spec, "start")
    events = ledger(spec)
    rounds = rounds_of(events)
    marks = [rounds[0].opened, *(made.committed for made in rounds)]
    return Result(usage, marks, rounds[-1].accuracy)


def peer(python: Path, script: str, folder: Path) -> Result:
    usage = measured([python, HERE / script], environ={"BENCH_W1": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"})
    said = json.loads(usage.output.splitlines()[-1])
    return Result(usage, said["marks"], said["accuracy"][-1])


def show(results: dict[str, list[Result]]) -> None:
    header = ("", "wall s", "before round 1 s", "steady round s", "after the last s", "CPU s", "peak MB", "accuracy")
    names = ("wall", "before", "steady", "after", "cpu", "memory", "accuracy")
    report.table(header, [(system, *(median(runs, what) for what in names)) for system, runs in results.items()])


def median(runs: list[Result], what: str) -> float:
    values = {
        "wall": [run.usage.wall_s for run in runs],
        "before": [run.before_s for run in runs],
        "steady": [run.steady_s for run in runs],
        "after": [run.after_s for run in runs],
        "cpu": [run.usage.cpu_s for run in runs],
        "memory": [run.usage.peak_pss_mb for run in runs],
        "accuracy": [run.accuracy for run in runs],
    }
    return statistics.median(values[what])


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__)
    parser.add_argument("--data", type=Path, default=SAMPLE, help="MNIST as .npz; default: the digits that ship with FedKeeper")
    parser.add_argument("--repeat", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
