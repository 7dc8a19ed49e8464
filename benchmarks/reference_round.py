"""The reference experiment's round: 100 clients, all chosen, 5 epochs of the CNN on all of MNIST in shards. How much of it is training?

    python benchmarks/reference_round.py [--rounds 3] [--data mnist.npz]        about 95 s a round on 2 cores

A round's floor is the clients' own training time (`train_s` of their receipts) divided by the workers; what is above it is
everything else: invoking, loading, moving weights, ledger, aggregation, waiting for the last client.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

from fedkeeper import Fabric

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "reference" / "config.yaml"


def main() -> None:
    arguments = parse()
    overrides = [("training.rounds", str(arguments.rounds))]
    if arguments.data:
        overrides.append(("data.dataset", json.dumps({"path": str(Path(arguments.data).resolve())})))
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(EXAMPLE, folder)
        fabric = Fabric.load(Path(folder) / "config.yaml", overrides=overrides)
        fabric.deploy()
        run = fabric.start()
        _, events = fabric.events(run.run)
        fabric.remove()
    workers = os.cpu_count() or 1
    print(f"{'round':>5} {'total s':>8} {'training s':>10} {'rest s':>7} {'evaluate s':>10} {'accuracy':>8}")
    for row in run.table:
        ended = [
            e for e in events if e["type"] == "ended" and e["step"] == f"r{row['round']:04d}/train" and e["state"] == "succeeded"
        ]
        training = sum(event["notes"]["train_s"] for event in ended) / workers
        rest = row["total_s"] - training
        print(
            f"{row['round']:5} {row['total_s']:8.1f} {training:10.1f} {rest:7.2f} {row['evaluate_s']:10.2f} {row['accuracy']:8.4f}"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", help="a local copy of MNIST (.npz); default: download")
    return parser.parse_args()


if __name__ == "__main__":
    main()
