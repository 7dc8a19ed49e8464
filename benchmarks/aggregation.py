"""Aggregation of 40 x 25M float32 (4 GB). Goals: >= 80% of the speed of reading, <= 3 models of memory, >= 20x Flower.

    python benchmarks/aggregation.py [--folder .bench/aggregation] [--quick] [--check]        about 2 minutes, 4.2 GB of disk

read     all cores read the same bytes through the same file store, into buffers that are kept and stay in the cache: the limit.
         The best of several block sizes counts
us       runtime.reduce.reduce_stream with FedAvg, as fl_server_aggregator calls it; its memory also with a quarter of the updates
Flower   loads the same files into its records, and aggregates them as its FedAvg does

Each in a process of its own, the two that are compared by turns, files in the page cache; medians. The files stay for the next
call.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks import _report as report
from benchmarks._project import cores
from benchmarks.peers.setup import HERE, python_of
from fedkeeper import codec
from fedkeeper.model import Ref
from fedkeeper.runtime.reduce import aligned, reduce_stream
from fedkeeper.stores.base import BlobReader, Buffer
from fedkeeper.stores.registry import open_store
from fedkeeper.strategies import registry as strategies
from fedkeeper.strategies.base import Update

ARRAYS = 10
BLOCKS = (256 * 1024, 512 * 1024, 1 << 20, 4 << 20)
REPEAT = 3
READ, OURS, FEW, FLOWER = "read only", "FedKeeper", "FedKeeper, a quarter of it", "Flower, with loading"
Answer = dict[str, float]
RESERVE = 6 << 30
"""Memory and disk to leave alone: Flower holds every update."""


def main() -> None:
    arguments = parse()
    if arguments.part:
        print(json.dumps(PARTS[arguments.part](arguments.folder, arguments.count)))
        return
    count, numbers, turns = (8, 2_500_000, 2) if arguments.quick else (40, 25_000_000, 3)
    report.begin(__doc__)
    make(arguments.folder, count, numbers)
    runs = measure(arguments.folder, count, turns)
    report.table(("", "s", "GB/s", "CPU s", "peak MB"), [
        (name, middle(made, "seconds"), speed(made, numbers), middle(made, "cpu_s"), middle(made, "peak_mb"))
        for name, made in runs.items()
    ])  # fmt: skip
    print(f"# storing the result: {middle(runs[OURS], 'put_s'):.2f} s")
    read_s, our_s, flower_s = (middle(runs[name], "seconds") for name in (READ, OURS, FLOWER))
    peak, few = (max(run["peak_mb"] for run in runs[name]) for name in (OURS, FEW))
    goals = [
        report.Goal("aggregation-of-read-speed", read_s / our_s, at_least=0.8),
        report.Goal("aggregation-peak-models", peak / (numbers * 4e-6), at_most=3.0),
        report.Goal("aggregation-peak-many-to-few", peak / few, at_most=1.1),
        report.Goal("aggregation-to-flower", flower_s / our_s, at_least=20.0),
    ]
    report.finish(goals, check=arguments.check)


def measure(folder: Path, count: int, turns: int) -> dict[str, list[Answer]]:
    part(folder, "read", count)  # warms the page cache
    runs: dict[str, list[Answer]] = {READ: [], OURS: [], FEW: [], FLOWER: []}
    for _ in range(turns):
        runs[READ].append(part(folder, "read", count))
        runs[OURS].append(part(folder, "us", count))
    runs[FEW].append(part(folder, "us", max(2, count // 4)))
    runs[FLOWER] += [flower(folder, count) for _ in range(2)]
    return runs


def middle(runs: list[Answer], what: str) -> float:
    return statistics.median(run[what] for run in runs)


def speed(runs: list[Answer], numbers: int) -> float:
    return runs[0]["count"] * numbers * 4e-9 / middle(runs, "seconds")


def part(folder: Path, name: str, count: int) -> Answer:
    command = [sys.executable, __file__, "--part", name, "--count", str(count), "--folder", str(folder)]
    return answer(command)


def flower(folder: Path, count: int) -> Answer:
    paths = [str(blob_path(folder, update.ref)) for update in read_index(folder)[1][:count]]
    return answer([str(python_of("flower")), str(HERE / "flower_aggregation.py"), *paths])


def answer(command: list[str]) -> Answer:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    said: Answer = json.loads(done.stdout.splitlines()[-1])
    return said


# --- the files --------------------------------------------------------------------------------------------------------
def make(folder: Path, count: int, numbers: int) -> None:
    """The base model and the updates, as blobs of a file store; nothing when they are there."""
    wanted = {"count": count, "numbers": numbers}
    index = folder / "index.json"
    if index.exists() and json.loads(index.read_text())["made"] == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    room(folder, count * numbers * 4)
    store = open_store(f"file:{folder.resolve()}")
    base = np.random.default_rng(0).standard_normal(numbers, dtype=np.float32)
    refs = []
    for update in range(count + 1):
        flat = base * np.float32(1 + update / 100)
        refs.append(store.put_blob(*codec.encode({f"a{n}": part for n, part in enumerate(np.array_split(flat, ARRAYS))})))
    index.write_text(json.dumps({"made": wanted, "base": refs[0], "updates": refs[1:]}))


def room(folder: Path, size: int) -> None:
    """There must be disk for the files, and memory for them in the page cache and once more in Flower."""
    free = shutil.disk_usage(folder).free
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    if free < size + RESERVE or available < 2 * size + RESERVE // 2:
        raise SystemExit(
            f"too little room for {size / 1e9:.1f} GB of updates: {free / 1e9:.0f} GB of disk, {available / 1e9:.0f} GB of memory"
        )


def read_index(folder: Path) -> tuple[Ref, list[Update]]:
    index = json.loads((folder / "index.json").read_text())
    updates = [Update(f"client-{n}", ref, 500 + 10 * (n % 7)) for n, ref in enumerate(index["updates"])]
    return index["base"], updates


def blob_path(folder: Path, ref: Ref) -> Path:
    digest = ref.removeprefix("sha256:")
    return folder / "blobs" / digest[:2] / digest[2:]


# --- the parts, each in a process of its own --------------------------------------------------------------------------
def us(folder: Path, count: int) -> dict[str, float]:
    base, updates = read_index(folder)
    store = open_store(f"file:{folder.resolve()}")
    times, puts, cpus = [], [], []
    for _ in range(REPEAT):
        reader = store.open_blob(base)
        begun, cpu = time.perf_counter(), time.process_time()
        parts = reduce_stream(strategies.reducer("fedavg", {}), reader, updates[:count], store.open_blob, threads=cores())
        times.append(time.perf_counter() - begun)
        cpus.append(time.process_time() - cpu)
        check(reader, updates[:count], parts[1])
        reader.close()
        begun = time.perf_counter()
        ref = store.put_blob(*parts)
        puts.append(time.perf_counter() - begun)
        del parts
    blob_path(folder, ref).unlink()
    measured = {"seconds": times, "cpu_s": cpus, "put_s": puts}
    return {"peak_mb": peak_mb(), "count": count, **{name: statistics.median(values) for name, values in measured.items()}}


def check(base: BlobReader, updates: list[Update], result: Buffer) -> None:
    """Update n is the base times 1 + (n + 1) / 100."""
    start = base.size - len(result)
    first = np.empty(1_000, np.float32)
    base.read_into(start, first.view(np.uint8).data)
    factor = sum(update.examples * (1 + (n + 1) / 100) for n, update in enumerate(updates)) / sum(u.examples for u in updates)
    if not np.allclose(np.frombuffer(result, np.float32, 1_000), first * factor, rtol=1e-4):
        raise SystemExit("the aggregate is wrong")


def read(folder: Path, count: int) -> dict[str, float]:
    """Each thread reads its share of every file."""
    store = open_store(f"file:{folder.resolve()}")
    readers = [store.open_blob(update.ref) for update in read_index(folder)[1][:count]]

    def share(thread: int, block: int) -> None:
        buffer = aligned(block, 0).data
        for reader in readers:
            first, last = (reader.size * n // cores() for n in (thread, thread + 1))
            for start in range(first, last, block):
                reader.read_into(start, buffer[: min(block, last - start)])

    seconds, cpu_s = min(in_threads(share, block) for block in BLOCKS)
    return {"seconds": seconds, "cpu_s": cpu_s, "peak_mb": peak_mb(), "count": count}


def in_threads(share: Callable[[int, int], None], block: int) -> tuple[float, float]:
    """Wall and CPU seconds, medians."""
    times, cpus = [], []
    for _ in range(REPEAT):
        threads = [threading.Thread(target=share, args=(number, block)) for number in range(cores())]
        begun, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        times.append(time.perf_counter() - begun)
        cpus.append(time.process_time() - cpu)
    return statistics.median(times), statistics.median(cpus)


def peak_mb() -> float:
    """Of this process since it began its program."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6


PARTS: dict[str, Callable[[Path, int], Answer]] = {"us": us, "read": read}


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__)
    parser.add_argument("--folder", type=Path, default=report.BENCH / "aggregation", help="for the files")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
