"""The reference experiment to 99% accuracy. Goal: at most the reference system's 55 rounds.

    python benchmarks/reference_long.py [--data mnist.npz] [--folder .bench/long] [--quick] [--check]        hours

100 clients, all in every round, 5 epochs, one named seed. Interrupted (Ctrl-C, a crash, a power cut), the same command goes on
where it was; finished, it shows the curve again. Seconds are those in which an orchestrator ran.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _report as report
from fedkeeper.api import Fabric
from fedkeeper.events import Event

EXAMPLE = report.ROOT / "examples" / "reference" / "config.yaml"
REFERENCE_ROUNDS = 55
TARGET = 0.99
QUICK = (("data.dataset", "mnist-sample"), ("clients.per_round", "10"), ("training.local_epochs", "1"), ("training.rounds", "2"))


class Printer:
    """The curve while it grows."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = 0.0

    def on_events(self, events: list[Event]) -> None:
        for event in events:
            if self._last and event["type"] != "resumed":
                self.seconds += event["time"] - self._last
            self._last = event["time"]
            if event["type"] == "evaluated":
                print(f"{event['round']:5} {event['accuracy']:9.4f} {self.seconds:9.0f}", flush=True)

    def on_tick(self, waiting_for: str) -> None:
        """Nothing to print between events."""

    def close(self) -> None:
        """Nothing to release."""


def main() -> None:
    arguments = parse()
    report.begin(__doc__)
    overrides = list(QUICK) if arguments.quick else []
    if arguments.data:
        overrides.append(("data.dataset", json.dumps({"path": str(arguments.data.resolve())})))
    fabric = project(arguments.folder, overrides)
    print(f"{'round':>5} {'accuracy':>9} {'seconds':>9}", flush=True)
    events = see_through(fabric)
    reached = [event["round"] for event in events if event["type"] == "evaluated" and event["accuracy"] >= TARGET]
    ratio = min(reached) / REFERENCE_ROUNDS if reached else float("inf")
    report.finish([report.Goal("rounds-to-99", ratio, at_most=1.0)], check=arguments.check)


def project(folder: Path, overrides: Sequence[tuple[str, str]]) -> Fabric:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLE, folder)
    return Fabric.load(folder / "config.yaml", overrides=overrides)


def see_through(fabric: Fabric) -> Sequence[Event]:
    """Start, or go on, or only look. The ledger."""
    states = [summary.state for summary in fabric.runs()]
    if states and states[-1] == "finished":
        events = fabric.events()[1]
        Printer().on_events(events)
        return events
    fabric.deploy()
    if states:
        fabric.resume(observers=[Printer()])
    else:
        fabric.start(observers=[Printer()])
    return fabric.events()[1]


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__)
    parser.add_argument("--data", type=Path, help="a local copy of MNIST (.npz); default: download")
    parser.add_argument("--folder", type=Path, default=report.BENCH / "long", help="of the run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
