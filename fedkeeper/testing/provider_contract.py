"""What every provider adapter must do, as a test class to inherit.

    class TestMine(ProviderContract):
        open_provider   fixture: () -> Provider, each time a new adapter on the same cluster (the suite closes them)
        make_spec       fixture: (name, handler_source, **limits) -> (FunctionSpec, zip bytes)

`limits` are fields of FunctionSpec: fabric, memory_mb, timeout_s, environment, secrets. The zip holds the adapter's shim and
the given source as `handler.py`, with `handle(params, body) -> (result, body)`. What a platform cannot do, by its
Capabilities, is skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Protocol

import pytest

from fedkeeper.errors import ActivationFailed, FunctionNotFound, PayloadTooLarge
from fedkeeper.model import FunctionSpec, Json
from fedkeeper.providers.base import ActivationStatus, InvocationMode, Provider
from fedkeeper.states import ActivationState

ECHO = "def handle(params, body):\n    return {'echo': params}, body[::-1]\n"
FAIL = "def handle(params, body):\n    raise ValueError('this client has no data')\n"
SLEEP = "import time\n\ndef handle(params, body):\n    time.sleep(params['s'])\n    return {'slept': params['s']}, b''\n"
PRINT = "def handle(params, body):\n    print('marker', params['n'])\n    return None, b''\n"
LARGE = "def handle(params, body):\n    return None, bytes(params['n'])\n"
LARGEST_TRIED = 64 << 20

Deployable = tuple[FunctionSpec, bytes]
OpenProvider = Callable[[], Provider]


class MakeSpec(Protocol):
    def __call__(self, name: str, handler_source: str, **limits: Json) -> Deployable: ...


class ProviderContract:
    """Inherit, give the two fixtures, and set the class attributes where the platform is slower or keeps less."""

    patience_s: ClassVar[float] = 10.0
    keeps_logs: ClassVar[bool] = True
    fabric: ClassVar[str] = "contract"

    @pytest.fixture
    def open_provider(self) -> OpenProvider:
        raise NotImplementedError("the subclass says how its provider is made")

    @pytest.fixture
    def make_spec(self) -> MakeSpec:
        raise NotImplementedError("the subclass says how a zip for its platform is made")

    @pytest.fixture
    def provider(self, open_provider: OpenProvider) -> Iterator[Provider]:
        provider = open_provider()
        yield provider
        provider.close()

    # --- control plane -------------------------------------------------------------------------------------------
    def test_nothing_is_there_at_first(self, provider: Provider) -> None:
        assert provider.functions(self.fabric) == {}

    def test_what_is_created_is_listed_with_its_digest(self, provider: Provider, make_spec: MakeSpec) -> None:
        spec, package = make_spec("echo", ECHO, fabric=self.fabric)
        provider.create(spec, package)
        listed = provider.functions(self.fabric)
        assert set(listed) == {"echo"}
        assert listed["echo"].digest == spec.digest

    def test_creating_twice_replaces(self, provider: Provider, make_spec: MakeSpec) -> None:
        provider.create(*make_spec("f", FAIL, fabric=self.fabric))
        spec, package = make_spec("f", ECHO, fabric=self.fabric)
        provider.create(spec, package)
        provider.create(spec, package)
        assert provider.functions(self.fabric)["f"].digest == spec.digest
        self._expect(provider, "f", {"a": 1}, ActivationState.SUCCEEDED)

    def test_an_update_changes_code_and_digest(self, provider: Provider, make_spec: MakeSpec) -> None:
        provider.create(*make_spec("f", ECHO, fabric=self.fabric))
        self._expect(provider, "f", {}, ActivationState.SUCCEEDED)
        spec, package = make_spec("f", FAIL, fabric=self.fabric)
        provider.update(spec, package)
        assert provider.functions(self.fabric)["f"].digest == spec.digest
        self._expect(provider, "f", {}, ActivationState.FAILED)

    def test_updating_what_is_not_there_is_an_error(self, provider: Provider, make_spec: MakeSpec) -> None:
        with pytest.raises(FunctionNotFound):
            provider.update(*make_spec("absent", ECHO, fabric=self.fabric))

    def test_delete_is_repeatable(self, provider: Provider, make_spec: MakeSpec) -> None:
        provider.create(*make_spec("f", ECHO, fabric=self.fabric))
        provider.delete("f")
        provider.delete("f")
        assert provider.functions(self.fabric) == {}
        with pytest.raises(FunctionNotFound):
            self._start(provider, "f", {})

    def test_two_fabrics_do_not_see_each_other(self, provider: Provider, make_spec: MakeSpec) -> None:
        provider.create(*make_spec("one-f", ECHO, fabric="one"))
        provider.create(*make_spec("two-f", ECHO, fabric="two"))
        assert set(provider.functions("one")) == {"one-f"}
        provider.delete("one-f")
        assert provider.functions("one") == {}
        assert set(provider.functions("two")) == {"two-f"}
        self._expect(provider, "two-f", {}, ActivationState.SUCCEEDED)

    # --- activations ---------------------------------------------------------------------------------------------
    def test_an_unknown_function_is_an_error(self, provider: Provider) -> None:
        with pytest.raises(FunctionNotFound):
            self._start(provider, "absent", {})

    def test_an_activation_ends_with_its_result(self, provider: Provider, make_spec: MakeSpec) -> None:
        self._need(provider, InvocationMode.ASYNC_STATUS)
        provider.create(*make_spec("echo", ECHO, fabric=self.fabric))
        status = self._wait(provider, provider.invoke("echo", {"text": "äöü", "n": [1, 2.5, None]}).activation_id)
        assert status.state is ActivationState.SUCCEEDED
        assert status.error is None
        assert status.result in (None, {"echo": {"text": "äöü", "n": [1, 2.5, None]}})

    def test_an_unknown_activation_is_lost(self, provider: Provider) -> None:
        self._need(provider, InvocationMode.ASYNC_STATUS)
        assert provider.status(["0" * 32])["0" * 32].state is ActivationState.LOST

    def test_a_failure_says_what_the_function_said(self, provider: Provider, make_spec: MakeSpec) -> None:
        self._need(provider, InvocationMode.ASYNC_STATUS)
        provider.create(*make_spec("f", FAIL, fabric=self.fabric))
        status = self._wait(provider, provider.invoke("f", {}).activation_id)
        assert status.state is ActivationState.FAILED
        assert "this client has no data" in (status.error or "")
        assert "\n" not in (status.error or "")

    def test_an_activation_that_runs_too_long_times_out(self, provider: Provider, make_spec: MakeSpec) -> None:
        self._need(provider, InvocationMode.ASYNC_STATUS)
        provider.create(*make_spec("slow", SLEEP, fabric=self.fabric, timeout_s=1))
        begun = time.monotonic()
        status = self._wait(provider, provider.invoke("slow", {"s": 60}).activation_id)
        assert status.state is ActivationState.TIMED_OUT
        assert time.monotonic() - begun >= 0.9
        self._expect(provider, "slow", {"s": 0}, ActivationState.SUCCEEDED)

    def test_the_end_is_told_where_the_platform_can(self, provider: Provider, make_spec: MakeSpec) -> None:
        told: list[str] = []
        if not provider.subscribe(told.append):
            pytest.skip("this platform does not tell")
        provider.create(*make_spec("echo", ECHO, fabric=self.fabric))
        activation_id = provider.invoke("echo", {}).activation_id
        self._wait(provider, activation_id)
        until = time.monotonic() + self.patience_s
        while activation_id not in told and time.monotonic() < until:
            time.sleep(0.01)
        assert told == [activation_id]

    def test_what_it_printed_is_kept(self, provider: Provider, make_spec: MakeSpec) -> None:
        self._need(provider, InvocationMode.ASYNC_STATUS)
        if not self.keeps_logs:
            pytest.skip("this platform keeps no logs")
        provider.create(*make_spec("loud", PRINT, fabric=self.fabric))
        ids = [provider.invoke("loud", {"n": n}).activation_id for n in (1, 2)]
        for activation_id in ids:
            self._wait(provider, activation_id)
        assert ["marker" in provider.logs(activation_id or "") for activation_id in ids] == [True, True]
        assert "marker 2" in provider.logs(ids[1] or "")
        assert "marker 1" not in provider.logs(ids[1] or "")

    def test_a_request_over_the_limit_is_refused(self, provider: Provider, make_spec: MakeSpec) -> None:
        if provider.capabilities.max_request > LARGEST_TRIED:
            pytest.skip("the limit is too large to try")
        provider.create(*make_spec("echo", ECHO, fabric=self.fabric))
        with pytest.raises(PayloadTooLarge):
            self._start(provider, "echo", {"text": "x" * provider.capabilities.max_request})

    def test_finished_activations_survive_the_adapter(self, open_provider: OpenProvider, make_spec: MakeSpec) -> None:
        first = open_provider()
        try:
            self._need(first, InvocationMode.ASYNC_STATUS)
            first.create(*make_spec("echo", ECHO, fabric=self.fabric))
            activation_id = first.invoke("echo", {"a": 1}).activation_id or ""
            self._wait(first, activation_id)
        finally:
            first.close()
        second = open_provider()
        try:
            assert set(second.functions(self.fabric)) == {"echo"}
            assert second.status([activation_id])[activation_id].state is ActivationState.SUCCEEDED
            self._expect(second, "echo", {}, ActivationState.SUCCEEDED)
        finally:
            second.close()

    # --- held calls ----------------------------------------------------------------------------------------------
    @pytest.mark.parametrize("size", [0, 256, 100_000])
    def test_bytes_travel_both_ways(self, provider: Provider, make_spec: MakeSpec, size: int) -> None:
        self._need(provider, InvocationMode.HELD)
        provider.create(*make_spec("echo", ECHO, fabric=self.fabric))
        body = bytes(n % 256 for n in range(size))
        reply = provider.call("echo", {"k": "v"}, body, self.patience_s)
        assert reply.result == {"echo": {"k": "v"}}
        assert reply.body == body[::-1]

    def test_a_call_that_fails_says_why(self, provider: Provider, make_spec: MakeSpec) -> None:
        self._need(provider, InvocationMode.HELD)
        provider.create(*make_spec("f", FAIL, fabric=self.fabric))
        with pytest.raises(ActivationFailed, match="this client has no data"):
            provider.call("f", {}, timeout_s=self.patience_s)

    def test_a_call_waits_only_so_long(self, provider: Provider, make_spec: MakeSpec) -> None:
        self._need(provider, InvocationMode.HELD)
        provider.create(*make_spec("slow", SLEEP, fabric=self.fabric, timeout_s=60))
        begun = time.monotonic()
        with pytest.raises(ActivationFailed):
            provider.call("slow", {"s": 50}, timeout_s=0.5)
        assert time.monotonic() - begun < self.patience_s

    def test_a_response_over_the_limit_is_refused(self, provider: Provider, make_spec: MakeSpec) -> None:
        self._need(provider, InvocationMode.HELD)
        if provider.capabilities.max_response > LARGEST_TRIED:
            pytest.skip("the limit is too large to try")
        provider.create(*make_spec("large", LARGE, fabric=self.fabric))
        with pytest.raises((PayloadTooLarge, ActivationFailed)):
            provider.call("large", {"n": provider.capabilities.max_response + 1}, timeout_s=self.patience_s)
        assert provider.call("large", {"n": 10}, timeout_s=self.patience_s).body == bytes(10)

    def test_calls_at_once_get_their_own_answers(self, provider: Provider, make_spec: MakeSpec) -> None:
        self._need(provider, InvocationMode.HELD)
        provider.create(*make_spec("echo", ECHO, fabric=self.fabric))

        def call(n: int) -> tuple[Json, bytes]:
            reply = provider.call("echo", {"n": n}, str(n).encode(), self.patience_s)
            return reply.result["echo"]["n"], reply.body[::-1]

        with ThreadPoolExecutor(min(8, provider.capabilities.max_concurrency)) as pool:
            assert list(pool.map(call, range(24))) == [(n, str(n).encode()) for n in range(24)]

    # --- for subclasses and the tests above ----------------------------------------------------------------------
    def _need(self, provider: Provider, mode: InvocationMode) -> None:
        if mode not in provider.capabilities.modes:
            pytest.skip(f"this platform has no {mode.value}")

    def _start(self, provider: Provider, function: str, params: dict[str, Json]) -> str | None:
        """Begin one activation in whichever way the platform has."""
        if InvocationMode.ASYNC_STATUS in provider.capabilities.modes or InvocationMode.ASYNC in provider.capabilities.modes:
            return provider.invoke(function, params).activation_id
        return provider.call(function, params, timeout_s=self.patience_s).activation_id

    def _expect(self, provider: Provider, function: str, params: dict[str, Json], state: ActivationState) -> None:
        """Run one activation to its end, where the platform lets us see it."""
        if InvocationMode.ASYNC_STATUS in provider.capabilities.modes:
            assert self._wait(provider, provider.invoke(function, params).activation_id).state is state
        elif InvocationMode.HELD in provider.capabilities.modes:
            try:
                provider.call(function, params, timeout_s=self.patience_s)
                ended = ActivationState.SUCCEEDED
            except ActivationFailed:
                ended = ActivationState.FAILED
            assert ended is state

    def _wait(self, provider: Provider, activation_id: str | None) -> ActivationStatus:
        assert activation_id is not None
        until = time.monotonic() + self.patience_s
        while time.monotonic() < until:
            status = provider.status([activation_id])[activation_id]
            if status.state.ended:
                return status
            assert status.state is ActivationState.ACCEPTED
            time.sleep(0.005)
        raise AssertionError(f"activation {activation_id} did not end within {self.patience_s} s")
