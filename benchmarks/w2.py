"""W2: 100 trivial clients a round, each returning a 4.8 MB model of its own. Goal: >= 10x Flower's clients per second.

    python benchmarks/w2.py [--quick] [--check]                              about 1 minute

Us: `fedkeeper start` with NumPy clients on the local platform, file store. Flower: its simulation, in an environment without
TensorFlow, with a client that decodes and encodes NumPy arrays. Both do the same arithmetic (one addition per number). A round
lasts from one committed model to the next; the first, which holds the start of the workers, is shown apart. That the updates
are all different, and therefore all written, is read from the ledger.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _report as report
from benchmarks._process import measured
from benchmarks._project import CNN_SHAPES, fedkeeper, ledger, rounds_of, trivial_project
from benchmarks.peers.setup import HERE, python_of
from fedkeeper.api import Fabric

GOAL = 10.0
MODEL_BYTES = 1_199_882 * 4


def main() -> None:
    arguments = report.parser(__doc__).parse_args()
    clients, rounds = (20, 3) if arguments.quick else (100, 5)
    report.begin(__doc__)
    flower = python_of("flower")
    rows = [us(clients, rounds), theirs(flower, clients, rounds)]
    header = ("", "first round s", "steady round s", "clients/s", "whole run s", "CPU s", "peak MB")
    report.table(header, [(name, first, steady, clients / steady, *rest) for name, first, steady, *rest in rows])
    goal = report.Goal("w2-clients-per-second", rows[1][2] / rows[0][2], at_least=GOAL)
    report.finish([goal], check=arguments.check)


Row = tuple[str, float, float, float, float, float]


def us(clients: int, rounds: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        spec = trivial_project(Path(folder), clients=clients, rounds=rounds, shapes=CNN_SHAPES)
        Fabric.load(spec).deploy()
        usage = fedkeeper(spec, "start")
        events = ledger(spec)
        size = max(file.stat().st_size for file in Path(folder).glob(".fedkeeper/store/blobs/*/*"))
    updates = [event["outputs"]["update"] for made in rounds_of(events) for event in made.trains]
    if len(set(updates)) != clients * rounds or size < MODEL_BYTES:
        raise SystemExit(f"{len(set(updates))} different updates of {size} bytes: not what this benchmark is about")
    print(f"# the store wrote {len(set(updates))} different updates of {size:,} bytes, {clients * size / 1e6:,.0f} MB a round")
    marks = [event["time"] for event in events if event["type"] in ("initialised", "committed")]
    return row("FedKeeper", marks, usage.wall_s, usage.cpu_s, usage.peak_pss_mb)


def theirs(python: Path, clients: int, rounds: int) -> Row:
    usage = measured([python, HERE / "flower_trivial.py", "--clients", str(clients), "--rounds", str(rounds)])
    marks = json.loads(usage.output.splitlines()[-1])["marks"]
    return row("Flower simulation", marks, usage.wall_s, usage.cpu_s, usage.peak_pss_mb)


def row(name: str, marks: list[float], wall: float, cpu: float, memory: float) -> Row:
    first, *steady = [after - before for before, after in pairwise(marks)]
    return name, first, statistics.median(steady), wall, cpu, memory


if __name__ == "__main__":
    main()
