"""The file store keeps the contract, with and without fsync."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from fedkeeper.testing.store_contract import StoreContract


class TestFileStore(StoreContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"file:{tmp_path}/store"

    def raw_blobs(self, url: str) -> Sequence[bytes]:
        folder = Path(url.removeprefix("file:").partition("?")[0])
        return [path.read_bytes() for path in (folder / "blobs").glob("*/*")]

    def tear_ledger(self, url: str, run: str) -> None:
        path = Path(url.removeprefix("file:").partition("?")[0]) / "runs" / run / "events.jsonl"
        with open(path, "ab") as file:
            file.write(b'{"seq":2,"n":"torn"} \n{"seq":3,"n":"to')


class TestFileStoreWithFsync(TestFileStore):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"file:{tmp_path}/store?durability=fsync"
