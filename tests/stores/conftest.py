"""A file store in a folder that does not exist yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from fedkeeper.stores.file import FileStore

# A loaded machine must not fail a property (no deadline), and a failure must come back (no random examples).
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


@pytest.fixture
def store(root: Path) -> FileStore:
    return FileStore(f"file:{root}")
