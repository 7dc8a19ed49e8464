from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedkeeper.emulator.limits import GoogleLimits
from fedkeeper.testing.emulated import Emulated, emulated
from tests.google.bench import Bench

ROOMY = replace(GoogleLimits(), writes_per_minute=1000)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path / "emulator", limits={"google": ROOMY}, workers=2) as running:
        yield running


@pytest.fixture
def bench(emulator: Emulated, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(emulator, tmp_path / "home")
    yield bench
    bench.close()
