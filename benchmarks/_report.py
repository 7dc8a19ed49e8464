"""What every benchmark prints: the machine first, a small table, and last one line per goal.

    NAME ratio=R goal=G met|missed        R is what was measured, in the unit of G; G says the direction: <=1.05, >=10, <=0.2s

`--check` makes a missed goal the process's exit code 1.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / ".bench"
"""Environments of the peers, large scratch files and results. Git does not see it; `make clean` removes it."""


@dataclass(frozen=True)
class Goal:
    """`at_most` or `at_least` bounds what was measured."""

    name: str
    measured: float
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""

    @property
    def met(self) -> bool:
        return (self.at_most is None or self.measured <= self.at_most) and (
            self.at_least is None or self.measured >= self.at_least
        )

    @property
    def bound(self) -> str:
        return f"<={self.at_most:g}" if self.at_most is not None else f">={self.at_least:g}"

    def __str__(self) -> str:
        verdict = "met" if self.met else "missed"
        return f"{self.name} ratio={self.measured:.3g}{self.unit} goal={self.bound}{self.unit} {verdict}"


def parser(doc: str | None) -> argparse.ArgumentParser:
    """With the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="a small version that shows that it works; its figures mean little")
    made.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    return made


def begin(title: str | None) -> None:
    """The first lines: what this is and where it runs."""
    print(f"# {(title or '').splitlines()[0]}")
    print(f"# {machine()}", flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest cell."""
    cells = [[_cell(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        print("  ".join(text.ljust(w) if n == 0 else text.rjust(w) for n, (text, w) in enumerate(zip(row, widths, strict=True))))


def finish(goals: Sequence[Goal], *, check: bool) -> None:
    """The last lines."""
    for goal in goals:
        print(goal, flush=True)
    if check and not all(goal.met for goal in goals):
        raise SystemExit(1)


def machine() -> str:
    """Where the figures come from, in one line."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    cpu = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    libraries = " ".join(f"{name} {_version(name)}" for name in ("tensorflow-cpu", "numpy"))
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {cpu}, Python {platform.python_version()}, {libraries}, load average {load}"
    )


def _cell(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
