"""100 MB into MongoDB and out again: our store against GridFS with its defaults, on one mongod. Goals: 1.5x writing, 3x reading.

    python benchmarks/mongo.py [--quick] [--check]                           about 1 minute

The mongod is a child process of its own folder, durable as it comes. By turns, every time with other bytes; medians. Each
reads what it has just written, and the bytes are compared. Ours is read as a function does it, into the arrays' own memory; GridFS has
`read()` alone, and ours by `read()`, into fresh bytes, stands beside it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from gridfs import GridFS
from pymongo import MongoClient

from benchmarks import _report as report
from fedkeeper.codec import Array
from fedkeeper.model import Ref
from fedkeeper.stores.base import Buffer, Store
from fedkeeper.stores.registry import open_store
from fedkeeper.testing.mongod import Mongod

T = TypeVar("T")


@dataclass(frozen=True)
class Times:
    """Seconds of every write and of every read; `whole` is reading ours into fresh bytes."""

    write: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


def main() -> None:
    arguments = report.parser(__doc__).parse_args()
    size, repeat = (10_000_000, 2) if arguments.quick else (100_000_000, 7)
    report.begin(__doc__)
    with tempfile.TemporaryDirectory(dir=scratch()) as folder, Mongod(Path(folder)) as server:
        store = open_store(server.url)
        client: MongoClient[dict[str, object]] = MongoClient(server.url)
        ours, theirs = compare(store, GridFS(client["gridfs"]), size, repeat)
        store.close()
        client.close()
    report.table(
        ("", "write s", "write MB/s", "read s", "read MB/s"),
        [
            ("FedKeeper", *speed(ours.write, size), *speed(ours.read, size)),
            ("FedKeeper, read()", *speed(ours.write, size), *speed(ours.whole, size)),
            ("GridFS", *speed(theirs.write, size), *speed(theirs.read, size)),
        ],
    )
    goals = [
        report.Goal("mongo-write", statistics.median(theirs.write) / statistics.median(ours.write), at_least=1.5),
        report.Goal("mongo-read", statistics.median(theirs.read) / statistics.median(ours.read), at_least=3.0),
    ]
    report.finish(goals, check=arguments.check)


def scratch() -> Path:
    """On the disk of the source tree: a temporary folder may lie in memory."""
    report.BENCH.mkdir(exist_ok=True)
    return report.BENCH


def compare(store: Store, files: GridFS, size: int, repeat: int) -> tuple[Times, Times]:
    """Reading follows writing, so that both find their bytes in the server's cache to the same extent."""
    rng = np.random.default_rng(0)
    ours, theirs = Times(), Times()
    for turn in range(repeat):
        data = rng.bytes(size)
        for mine in (True, False) if turn % 2 else (False, True):
            if mine:
                ref = timed(ours.write, partial(store.put_blob, data))
                same = timed(ours.read, partial(array_of, store, ref)).tobytes() == data
                same &= timed(ours.whole, partial(bytes_of, store, ref)) == data
            else:
                file = timed(theirs.write, partial(files.put, data))
                same = timed(theirs.read, lambda file=file: files.get(file).read()) == data  # type: ignore[misc]
            if not same:
                raise SystemExit("what was read is not what was written")
    return ours, theirs


def array_of(store: Store, ref: Ref) -> Array:
    """As fedkeeper.runtime.weights reads a model."""
    reader = store.open_blob(ref)
    try:
        array = np.empty(reader.size, np.uint8)
        reader.read_into(0, array.data)
        return array
    finally:
        reader.close()


def bytes_of(store: Store, ref: Ref) -> Buffer:
    reader = store.open_blob(ref)
    try:
        return reader.read()
    finally:
        reader.close()


def timed(times: list[float], work: Callable[[], T]) -> T:
    begun = time.perf_counter()
    result = work()
    times.append(time.perf_counter() - begun)
    return result


def speed(seconds: list[float], size: int) -> tuple[float, float]:
    """The median, and MB/s."""
    median = statistics.median(seconds)
    return median, size / 1e6 / median


if __name__ == "__main__":
    main()
