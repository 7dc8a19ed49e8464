"""The write quota: kept to, and waited for when Google says 429."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fedkeeper.emulator.core import Api as EmulatorApi
from fedkeeper.emulator.google_api import routes
from fedkeeper.emulator.google_quota import Window
from fedkeeper.emulator.limits import GoogleLimits
from fedkeeper.errors import ProviderError, Throttled
from fedkeeper.model import Cluster
from fedkeeper.providers.google.provider import GoogleProvider
from fedkeeper.providers.google.quota import Gate
from fedkeeper.testing.emulated import emulated
from tests.google.bench import ECHO, Bench, make_spec
from tests.google.server import served


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Api:
    """Takes `most` writes a minute."""

    def __init__(self, clock: Clock, most: int) -> None:
        self.window, self.clock = Window(most), clock
        self.refused = 0

    def __call__(self) -> float:
        if not self.window.take(self.clock()):
            self.refused += 1
            raise Throttled("quota")
        return self.clock()


def test_a_known_quota_is_never_exceeded() -> None:
    clock = Clock()
    api, gate = Api(clock, 60), Gate(per_minute=60, clock=clock, sleep=clock.sleep)
    done = [gate.through(api) for _ in range(150)]
    assert api.refused == 0
    assert 120 <= done[-1] < 130


def test_an_unknown_quota_is_waited_for() -> None:
    random.seed(1)
    clock = Clock()
    api, gate = Api(clock, 10), Gate(clock=clock, sleep=clock.sleep)
    done = [gate.through(api) for _ in range(25)]
    assert 0 < api.refused < 20
    assert 110 < done[-1] < 200


def test_the_platforms_own_word_is_taken() -> None:
    clock, answers = Clock(), [Throttled("later", retry_after=7.0), None]

    def attempt() -> None:
        if (said := answers.pop(0)) is not None:
            raise said

    Gate(clock=clock, sleep=clock.sleep).through(attempt)
    assert 7.0 <= clock.now < 9.0


def test_patience_ends() -> None:
    clock = Clock()
    api, gate = Api(clock, 0), Gate(patience_s=100, clock=clock, sleep=clock.sleep)
    with pytest.raises(Throttled):
        gate.through(api)
    assert 100 <= clock.now < 150


def test_other_errors_are_not_tried_again() -> None:
    tried = []

    def attempt() -> None:
        tried.append(1)
        raise ProviderError("no")

    with pytest.raises(ProviderError, match="no"):
        Gate().through(attempt)
    assert tried == [1]


def test_deploying_goes_on_after_429s(tmp_path: Path) -> None:
    """Three writes a minute, on a clock that moves when the adapter waits."""
    clock = Clock()
    clock.now = time.time()
    with emulated(tmp_path / "emulator", workers=1) as emulator:
        platform = emulator.platforms["google"]
        limits = replace(GoogleLimits(), writes_per_minute=3)
        with served(lambda url: routes(EmulatorApi(platform, limits, emulator.credentials, url, clock))) as url:
            settings = {"project": emulator.credentials.google_project, "endpoint": url}
            gate = Gate(clock=clock, sleep=clock.sleep)
            provider = GoogleProvider(Cluster("cloud", "google", settings), home=tmp_path, environ=emulator.environ, gate=gate)
            begun = clock.now
            for n in range(5):
                provider.create(*make_spec(f"f{n}", ECHO))
            assert set(provider.functions("f")) == {f"f{n}" for n in range(5)}
            assert clock.now - begun >= 59
            provider.close()


def test_a_function_without_a_free_instance_answers_429(bench: Bench) -> None:
    emulator = bench.emulator
    platform = emulator.platforms["google"]
    source = "import time\n\ndef handle(params, body):\n    time.sleep(params['s'])\n    return None, b''\n"
    with served(lambda url: routes(EmulatorApi(platform, platform.limits, emulator.credentials, url), queue_s=0.2)) as url:
        provider = bench.open(endpoint=url)
        provider.create(*make_spec("one", source, options={"max_instances": 1}))
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(provider.call, "one", {"s": 1.5}, b"", 10)
            time.sleep(0.5)
            with pytest.raises(Throttled, match="Rate exceeded") as caught:
                provider.call("one", {"s": 0}, timeout_s=10)
            first.result()
        assert "max_instances" in caught.value.hint
        provider.call("one", {"s": 0}, timeout_s=10)


def test_a_hundred_functions_in_parallel(bench: Bench) -> None:
    provider = bench.open()
    specs = [make_spec(f"client-{n}", ECHO) for n in range(100)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda made: provider.create(*made), specs))
    found = provider.functions("f")
    assert {name: function.digest for name, function in found.items()} == {spec.name: spec.digest for spec, _ in specs}
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(provider.delete, found))
    assert provider.functions("f") == {}


def test_two_deploys_of_one_function_at_once(bench: Bench) -> None:
    """Google takes one operation on a function at a time: the other one waits and becomes an update."""
    provider = bench.open(gate=Gate(first_s=0.1))
    specs = [make_spec("same", ECHO, memory_mb=memory) for memory in (256, 512, 1024)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda made: provider.create(*made), specs))
    assert provider.functions("f")["same"].digest in {spec.digest for spec, _ in specs}
