from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedkeeper.emulator.limits import OpenWhiskLimits
from fedkeeper.providers.openwhisk.provider import OpenWhiskProvider
from fedkeeper.testing.emulated import Emulated, emulated
from tests.openwhisk.bench import provider_of

LIMITS = OpenWhiskLimits(blocking_wait_s=0.5, invocations_per_minute=10_000)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulated]:
    """With a wait for blocking invocations that a test can sit out."""
    with emulated(tmp_path / "emulator", limits={"openwhisk": LIMITS}) as running:
        yield running


@pytest.fixture
def provider(emulator: Emulated) -> Iterator[OpenWhiskProvider]:
    made = provider_of(emulator)
    yield made
    made.close()
