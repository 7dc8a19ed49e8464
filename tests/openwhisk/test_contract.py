from __future__ import annotations

import pytest

from fedkeeper.testing.emulated import Emulated
from fedkeeper.testing.provider_contract import MakeSpec, OpenProvider, ProviderContract
from tests.openwhisk import bench


class TestOpenWhiskProvider(ProviderContract):
    @pytest.fixture
    def open_provider(self, emulator: Emulated) -> OpenProvider:
        return lambda: bench.provider_of(emulator)

    @pytest.fixture
    def make_spec(self) -> MakeSpec:
        return bench.make_spec
