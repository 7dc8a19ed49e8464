"""1,000, 3,000, 10,000 and 30,000 trivial clients a round: does the orchestrator stay linear? Goal: t(10,000) <= 12 x t(1,000).

    python benchmarks/ten_thousand.py [--quick] [--check]                    about 3 minutes

`fedkeeper start` with two rounds of all clients, local platform, file store. The second round counts, from its opening to its
commit. The orchestrator is the process itself: its processor time and its peak memory are the kernel's. What the platform and
the functions take is in the wall time alone. Its processor time per further client from 10,000 to 30,000 may be at most 1.3x
that from 1,000 to 10,000: what grows faster than linearly shows there.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _report as report
from benchmarks._process import cpu_of
from benchmarks._project import ledger, rounds_of, trivial_project
from fedkeeper.api import Fabric

COUNTS = (1_000, 3_000, 10_000, 30_000)
ROUNDS = 2
LINEAR = 12.0
STEEPER = 1.3
EVERY_S = 0.1


@dataclass(frozen=True)
class Load:
    clients: int
    round_s: float
    cpu_s: float
    peak_mb: float


def main() -> None:
    arguments = report.parser(__doc__).parse_args()
    report.begin(__doc__)
    loads = [measure(count) for count in ((10, 100) if arguments.quick else COUNTS)]
    report.table(("clients a round", "round s", "ms per client", "orchestrator CPU s", "us per client", "peak MB"), [
        (f"{n:,}", one.round_s, 1e3 * one.round_s / n, one.cpu_s, 1e6 * one.cpu_s / n / ROUNDS, one.peak_mb)
        for n, one in ((load.clients, load) for load in loads)
    ])  # fmt: skip
    few, most = loads[0], loads[-1]
    many = next(one for one in loads if one.clients == 10 * few.clients)
    growth = (most.peak_mb - few.peak_mb) / (most.clients - few.clients) * 1_000
    print(f"# the orchestrator's memory grows by {growth:.2f} MB per 1,000 clients a round ({ROUNDS} rounds)")
    goals = [
        report.Goal("ten-thousand-wall", many.round_s / few.round_s, at_most=LINEAR),
        report.Goal("ten-thousand-memory", many.peak_mb / few.peak_mb, at_most=LINEAR),
    ]
    if most is not many:
        goals.append(report.Goal("thirty-thousand-slope", slope(many, most) / slope(few, many), at_most=STEEPER))
    report.finish(goals, check=arguments.check)


def slope(fewer: Load, more: Load) -> float:
    """Seconds of the orchestrator's processor per further client: free of what every run costs."""
    return (more.cpu_s - fewer.cpu_s) / (more.clients - fewer.clients)


def measure(clients: int) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        spec = trivial_project(Path(folder), clients=clients, rounds=ROUNDS)
        Fabric.load(spec).deploy()
        cpu_s, peak_mb = orchestrate(spec)
        last = rounds_of(ledger(spec))[-1]
    return Load(clients, last.committed - last.opened, cpu_s, peak_mb)


def orchestrate(spec: Path) -> tuple[float, float]:
    """CPU seconds and peak MB of the process `fedkeeper start`, without its children, read until its last moment."""
    command = [sys.executable, "-m", "fedkeeper", "start", "-c", str(spec)]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        cpu_s, peak_mb = 0.0, 0.0
        while process.poll() is None:
            with suppress(OSError, StopIteration):
                cpu_s, peak_mb = cpu_of(process.pid), own_peak(process.pid)
            time.sleep(EVERY_S)
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read()[-3000:])
    return cpu_s, peak_mb


def own_peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


if __name__ == "__main__":
    main()
