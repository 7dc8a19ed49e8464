from __future__ import annotations

import pytest

from fedkeeper.testing.provider_contract import MakeSpec, OpenProvider, ProviderContract
from tests.google.bench import Bench, make_spec


class TestGoogleProvider(ProviderContract):
    keeps_logs = False

    @pytest.fixture
    def open_provider(self, bench: Bench) -> OpenProvider:
        return lambda: bench.open(max_request=1 << 20, max_response=1 << 20)

    @pytest.fixture
    def make_spec(self) -> MakeSpec:
        return make_spec
