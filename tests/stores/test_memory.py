"""The memory store keeps the contract; without a name it is private."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest

from fedkeeper.stores import memory
from fedkeeper.stores.memory import MemoryStore
from fedkeeper.testing.store_contract import StoreContract
from fedkeeper.testing.store_fixtures import HELLO


class TestMemoryStore(StoreContract):
    crosses_processes = False

    @pytest.fixture
    def url(self) -> str:
        return f"memory:{uuid.uuid4()}"

    def raw_blobs(self, url: str) -> Sequence[bytes]:
        return list(memory._named[url.removeprefix("memory:")].blobs.values())


def test_without_a_name_it_is_private() -> None:
    MemoryStore("memory:").put_blob(b"hello")
    assert not MemoryStore("memory:").has_blob(HELLO)
