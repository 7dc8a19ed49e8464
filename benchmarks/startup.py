"""Start-up and teardown of a run without TensorFlow. Goals: <= 1 s and <= 0.2 s.

    python benchmarks/startup.py [--quick] [--check]                         about 1 minute

Start-up: from the start of the process `fedkeeper start` (deployed before; NumPy task, local platform) until the first client
of the first round is asked for; the platform's start and fl_server_init lie within. Teardown: from the `finished` event to the
exit of the process; the results, with their plots, are there by then. Beside it, Flower's simulation: until its first client
computes, and from its last round to its exit. Medians.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _report as report
from benchmarks._process import measured
from benchmarks._project import cores, fedkeeper, ledger, trivial_project
from benchmarks.peers.setup import HERE, python_of
from fedkeeper.api import Fabric
from fedkeeper.events import Event

CLIENTS, ROUNDS = 10, 3
Times = tuple[float, float, float, float]
"""Until the first client is asked for, until it runs, everything but the functions' own time, teardown."""


def main() -> None:
    arguments = report.parser(__doc__).parse_args()
    report.begin(__doc__)
    ours = us(1 if arguments.quick else 9)
    rows: list[tuple[object, ...]] = [("FedKeeper", *ours)]
    if not arguments.quick:
        rows.append(("Flower simulation", *theirs(python_of("flower"))))
    report.table(("", "first client asked s", "first client runs s", "all but functions s", "teardown s"), rows)
    goals = [
        report.Goal("startup", ours[0], at_most=1.0, unit="s"),
        report.Goal("teardown", ours[3], at_most=0.2, unit="s"),
    ]
    report.finish(goals, check=arguments.check)


def us(repeat: int) -> Times:
    with tempfile.TemporaryDirectory() as folder:
        spec = trivial_project(Path(folder), clients=CLIENTS, rounds=ROUNDS)
        Fabric.load(spec).deploy()
        return median([one_run(spec) for _ in range(repeat)])


def one_run(spec: Path) -> Times:
    usage = fedkeeper(spec, "start")
    events = ledger(spec)
    first = [event for event in events if event.get("step") == "r0001/train"]
    asked = next(event["time"] for event in first if event["type"] == "requested")
    began = min(event["started"] for event in first if event["type"] == "ended")
    finished = next(event["time"] for event in events if event["type"] == "finished")
    return asked - usage.began, began - usage.began, usage.wall_s - functions_s(events), usage.ended - finished


def functions_s(events: list[Event]) -> float:
    """What the activations took: clients beside each other on all cores, the others one after the other."""
    took = [(event["subject"], event["finished"] - event["started"]) for event in events if event["type"] == "ended"]
    return float(sum(seconds if subject == "server" else seconds / cores() for subject, seconds in took))


def theirs(python: Path) -> Times:
    return median([flower(python) for _ in range(3)])


def flower(python: Path) -> Times:
    usage = measured([python, HERE / "flower_trivial.py", "--clients", str(CLIENTS), "--rounds", str(ROUNDS), "--small"])
    said = json.loads(usage.output.splitlines()[-1])
    return float("nan"), said["first"][0] - usage.began, usage.wall_s, usage.ended - said["marks"][-1]


def median(runs: list[Times]) -> Times:
    asked, began, rest, teardown = (statistics.median(column) for column in zip(*runs, strict=True))
    return asked, began, rest, teardown


if __name__ == "__main__":
    main()
