"""The reference experiment's round: how much of it is neither training nor evaluation? Goal: <= 1 s.

    python benchmarks/reference_round.py [--rounds 3] [--data mnist.npz] [--quick] [--check]        about 95 s a round on 2 cores

100 clients, all chosen, 5 epochs of the CNN on all of MNIST in shards. A round lasts from one commit to the next. Divided by
the number of workers are taken out of it:

training     the clients' own training time (`train_s` of their receipts)
evaluation   the evaluator's time for the round before, which shares the workers with the clients
last client  workers with nothing left to do once the last client has begun, until it ends: it shows how evenly the work divides,
             not what we add

What is left is ours: selection, requests, starting activations, loading, reading and writing weights, ledger, aggregation. Work
that merely slows the workers down hides in training: the orchestrator's processor time, which it takes from them, stands beside
it. The goal is held against the median of the rounds after the first, which holds the start of the workers.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _report as report
from benchmarks._project import Round, cores, rounds_of
from fedkeeper.api import Fabric
from fedkeeper.events import Event

EXAMPLE = report.ROOT / "examples" / "reference" / "config.yaml"
QUICK = (("data.dataset", "mnist-sample"), ("clients.per_round", "10"), ("training.local_epochs", "1"))


@dataclass(frozen=True)
class Shares:
    """Seconds of one round."""

    total: float
    training: float
    evaluation: float
    last_client: float

    @property
    def rest(self) -> float:
        return self.total - self.training - self.evaluation - self.last_client


def main() -> None:
    arguments = parse()
    report.begin(__doc__)
    overrides = [("training.rounds", str(arguments.rounds)), *(QUICK if arguments.quick else ())]
    if arguments.data:
        overrides.append(("data.dataset", json.dumps({"path": str(arguments.data.resolve())})))
    events, cpu_s = run(overrides)
    rounds = rounds_of(events)
    shares = shares_of(rounds, cores())
    report.table(("round", "total s", "training s", "evaluation s", "last client s", "rest s", "accuracy"), [
        (made.number, one.total, one.training, one.evaluation, one.last_client, one.rest, made.accuracy)
        for made, one in zip(rounds, shares, strict=True)
    ])  # fmt: skip
    print(f"# the orchestrator takes {cpu_s / len(rounds):.2f} s of processor time a round")
    rest = statistics.median(one.rest for one in shares[1:])
    report.finish([report.Goal("reference-round-rest", rest, at_most=1.0, unit="s")], check=arguments.check)


def run(overrides: Sequence[tuple[str, str]]) -> tuple[list[Event], float]:
    """The ledger, and the CPU seconds of this process, which is the orchestrator."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(EXAMPLE, folder)
        fabric = Fabric.load(Path(folder) / "config.yaml", overrides=overrides)
        fabric.deploy()
        before = own_cpu()
        fabric.start()
        return fabric.events()[1], own_cpu() - before


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def shares_of(rounds: Sequence[Round], workers: int) -> list[Shares]:
    shares = []
    before = rounds[0].opened
    evaluation = 0.0
    for made in rounds:
        training = sum(event["notes"]["train_s"] for event in made.trains)
        shares.append(Shares(made.committed - before, training / workers, evaluation / workers, waiting(made.trains, workers)))
        before, evaluation = made.committed, made.evaluate_s
    return shares


def waiting(trains: Sequence[Event], workers: int) -> float:
    """Idle seconds per worker once nothing waits for one."""
    begin = max(event["started"] for event in trains)
    end = max(event["finished"] for event in trains)
    busy = sum(max(0.0, event["finished"] - max(event["started"], begin)) for event in trains)
    return float(max(0.0, workers * (end - begin) - busy) / workers)


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, help="a local copy of MNIST (.npz); default: download")
    return parser.parse_args()


if __name__ == "__main__":
    main()
