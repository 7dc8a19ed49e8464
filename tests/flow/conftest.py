"""Whole runs on both stores: every test of `ON_BOTH` runs on the file store, and marked slow on a mongod that asks for a password."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fedkeeper.testing.mongod import Mongod
from tests.flow import projects

ON_BOTH = ("tests.flow.test_runs", "tests.flow.test_resume")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__ in ON_BOTH:
        stores = ["file", pytest.param("mongodb", marks=pytest.mark.slow)]
        metafunc.parametrize("_store_of_the_project", stores, indirect=True)


@pytest.fixture(scope="session")
def flow_mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with Mongod(tmp_path_factory.mktemp("mongod"), auth=True) as server:
        yield server


@pytest.fixture(autouse=True)
def _store_of_the_project(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if getattr(request, "param", "file") == "mongodb":
        server: Mongod = request.getfixturevalue("flow_mongod")
        database = f"flow{abs(hash(request.node.nodeid)) % 10**12}"
        monkeypatch.setenv("MONGO_URL", server.url_of(database))
        monkeypatch.setattr(projects, "STORE", "${env:MONGO_URL}")
