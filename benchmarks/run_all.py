"""Every benchmark but the long one, one after the other: `make bench`, about 30 minutes. Each line at the end is a goal.

    python benchmarks/run_all.py [--data mnist.npz] [--quick] [--check] [--only w2 startup]

Goes on when one is missed or fails. All output is also in .bench/results.txt. With --check the exit code is 1 when a goal is
missed; a benchmark that fails always makes it 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _report as report

FOLDER = Path(__file__).resolve().parent
WITH_DATA = ("w1", "reference_round")
NAMES = ("startup", "w2", "aggregation", "worker_start", "ten_thousand", "mongo", "dispatch_openwhisk", "w1", "reference_round")
_LINE = re.compile(r"^\S+ ratio=\S+ goal=\S+ (met|missed)$")


def main() -> None:
    arguments = parse()
    report.BENCH.mkdir(exist_ok=True)
    lines: list[str] = []
    with (report.BENCH / "results.txt").open("w", encoding="utf-8") as results:
        for name in arguments.only:
            lines += run(command_of(name, arguments.data, arguments.quick), results)
        say("\n# all goals", results)
        for line in lines:
            say(line, results)
    failed = any(" failed" in line for line in lines)
    missed = any(line.endswith(" missed") for line in lines)
    raise SystemExit(int(failed or (missed and arguments.check)))


def command_of(name: str, data: Path | None, quick: bool) -> list[str]:
    command = [sys.executable, str(FOLDER / f"{name}.py")]
    if data is not None and name in WITH_DATA:
        command += ["--data", str(data)]
    return [*command, "--quick"] if quick else command


def run(command: Sequence[str], results: TextIO) -> list[str]:
    """Its last lines, or one that says that it failed."""
    name = Path(command[1]).stem
    begun = time.monotonic()
    say(f"\n$ {name}", results)
    found = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            say(line.rstrip("\n"), results)
            if _LINE.match(line):
                found.append(line.rstrip("\n"))
    say(f"# {name}: {time.monotonic() - begun:.0f} s", results)
    if process.returncode or not found:
        found.append(f"{name} failed (exit code {process.returncode})")
    return found


def say(line: str, results: TextIO) -> None:
    print(line, flush=True)
    print(line, file=results, flush=True)


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__)
    parser.add_argument("--data", type=Path, help="MNIST as .npz, for those that can use all of it")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help="some of: " + ", ".join(NAMES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
