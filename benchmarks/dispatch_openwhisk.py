"""How long the orchestrator is busy with handing activations to the OpenWhisk API: 10, 100, 1,000 and 10,000 of a trivial action.

    python benchmarks/dispatch_openwhisk.py [--counts 10 100 1000 10000] [--repeat 5] [--quick] [--check]

An emulator with its rates raised runs as a process of its own; the dispatcher and the adapter are those of a run. The time goes
from the first `submit` to the moment when the last activation id is known; the actions themselves go on meanwhile, on the same
processors. The median of the repetitions counts (one for 10,000). Goal: 100 in <= 0.5 s; the reference system took 10.8 s.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _report as report
from fedkeeper.deploy.closure import closure
from fedkeeper.deploy.package import make_zip
from fedkeeper.emulator.limits import OpenWhiskLimits
from fedkeeper.model import Cluster, FunctionSpec, Role, StepKey
from fedkeeper.providers.openwhisk import shim
from fedkeeper.providers.openwhisk.provider import OpenWhiskProvider
from fedkeeper.refs import ref_of
from fedkeeper.testing.emulated import emulated
from fedkeeper.train.dispatcher import Dispatcher, Order, Taken

GOAL_S = 0.5
REFERENCE_S = 10.8  # for 100, as the reference system's authors measured it
HANDLER = "def handle(params, body):\n    return None, b''\n"
LIMITS = OpenWhiskLimits(invocations_per_minute=None, max_concurrency=100_000)


class NoRepair:
    """Nothing is deleted behind our back here."""

    def repair(self, cluster: str, function: str) -> None:
        raise RuntimeError(f"{cluster}: {function} is gone")


def main() -> None:
    arguments = parse()
    report.begin(__doc__)
    with tempfile.TemporaryDirectory() as folder, emulator(Path(folder)) as environ:
        provider = open_provider(environ)
        provider.create(*deployable())
        provider.call("trivial", {}, timeout_s=30)
        print(f"{'activations':>11} {'median s':>9} {'best s':>8} {'per second':>10}")
        medians = {count: measure(provider, count, 1 if count >= 10_000 else arguments.repeat) for count in arguments.counts}
        provider.close()
    if 100 in medians:
        print(f"# {REFERENCE_S / medians[100]:.0f} times as fast as the reference system")
        report.finish([report.Goal("dispatch-100", medians[100], at_most=GOAL_S, unit="s")], check=arguments.check)


def measure(provider: OpenWhiskProvider, count: int, repeat: int) -> float:
    times = []
    for _ in range(repeat):
        ids, seconds = dispatch(provider, count)
        times.append(seconds)
        settle(provider, ids)
    median = statistics.median(times)
    print(f"{count:11,} {median:9.3f} {min(times):8.3f} {count / median:10,.0f}", flush=True)
    return median


def dispatch(provider: OpenWhiskProvider, count: int) -> tuple[list[str], float]:
    """The ids, and the seconds until all of them were known."""
    woken = threading.Event()
    dispatcher = Dispatcher({"edge": provider}, NoRepair(), woken.set)
    orders = [
        Order(StepKey("r0001/train", f"client-{n}"), 1, "edge", "trivial", {"job": {"client": n, "round": 1}, "attempt": 1})
        for n in range(count)
    ]
    ids: list[str] = []
    begun = time.perf_counter()
    for order in orders:
        dispatcher.submit(order)
    while len(ids) < count:
        woken.wait(1.0)
        woken.clear()
        for outcome in dispatcher.take():
            if not isinstance(outcome, Taken) or outcome.activation_id is None:
                raise SystemExit(f"not taken: {outcome}")
            ids.append(outcome.activation_id)
    seconds = time.perf_counter() - begun
    dispatcher.close()
    return ids, seconds


def settle(provider: OpenWhiskProvider, ids: list[str]) -> None:
    """Until the last one has ended: the next measurement begins with an idle platform."""
    waiting = ids
    while waiting:
        states = provider.status(waiting)
        ended = {name for name, status in states.items() if status.state.ended}
        waiting = [name for name in waiting if name not in ended]
        time.sleep(0.1)


def deployable() -> tuple[FunctionSpec, bytes]:
    source = Path(shim.__file__).read_text()
    package = make_zip({**closure([HANDLER, source]), "handler.py": HANDLER.encode(), shim.ENTRY: source.encode()})
    spec = FunctionSpec("trivial", "benchmark", "edge", Role.CLIENT, ref_of(package), memory_mb=256, timeout_s=60)
    return spec, package


def open_provider(environ: dict[str, str]) -> OpenWhiskProvider:
    settings = {
        "api_host": "${env:OW_API_HOST}",
        "auth": "${env:OW_AUTH}",
        "invocations_per_minute": None,
        "max_concurrency": 100_000,
    }
    return OpenWhiskProvider(Cluster("edge", "openwhisk", settings), home=Path("unused"), environ=environ)


@contextlib.contextmanager
def emulator(home: Path) -> Iterator[dict[str, str]]:
    """One in a process of its own; what it takes to find it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(home, theirs))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join(30)


def serve(home: Path, pipe: Connection) -> None:
    with emulated(home, limits={"openwhisk": LIMITS}) as running:
        pipe.send(running.environ)
        pipe.recv()


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.counts, arguments.repeat = [10, 100], 1
    return arguments


if __name__ == "__main__":
    main()
