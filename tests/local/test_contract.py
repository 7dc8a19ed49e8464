from __future__ import annotations

import pytest

from fedkeeper.testing.provider_contract import MakeSpec, OpenProvider, ProviderContract
from tests.local.bench import Bench


class TestLocalProvider(ProviderContract):
    @pytest.fixture
    def open_provider(self, bench: Bench) -> OpenProvider:
        return bench.open

    @pytest.fixture
    def make_spec(self, bench: Bench) -> MakeSpec:
        return bench.make_spec
