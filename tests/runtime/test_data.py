"""Where a function's examples come from: a file, a download that is verified and kept, a client's own file."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fedkeeper.errors import TaskError
from fedkeeper.runtime import data
from fedkeeper.runtime.context import Context

X, Y = np.arange(12, dtype=np.uint8).reshape(4, 3), np.array([0, 1, 2, 3], np.uint8)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context({"FEDKEEPER_CACHE": str(tmp_path / "cache")}, tmp_path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str, Path]]:
    """(URL, sha256, file) of a dataset behind a real HTTP server."""
    folder = tmp_path / "www"
    folder.mkdir()
    file = folder / "set.npz"
    np.savez(file, x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/set.npz", hashlib.sha256(file.read_bytes()).hexdigest(), file
    server.shutdown()
    thread.join()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def test_a_download_is_verified_kept_and_not_repeated(context: Context, served: tuple[str, str, Path]) -> None:
    url, sha256, file = served
    description = {"name": "custom", "url": url, "sha256": sha256}
    found = data.training_examples(context, description, "c", np.array([1, 3]), None)
    assert (found.x == X[[1, 3]]).all()
    assert (found.y == [1, 3]).all()
    file.unlink()
    assert data.locate(context, description) == context.cache / f"{sha256}.npz"
    assert len(data.test_examples(context, description).x) == 2
    assert [path.name for path in context.cache.iterdir()] == [f"{sha256}.npz"]


def test_other_bytes_than_promised_are_refused_and_not_kept(context: Context, served: tuple[str, str, Path]) -> None:
    with pytest.raises(TaskError, match="the spec expects 0000"):
        data.locate(context, {"url": served[0], "sha256": "0" * 64})
    assert list(context.cache.iterdir()) == []


def test_a_download_that_fails_says_what_to_do(context: Context) -> None:
    with pytest.raises(TaskError, match="cannot download") as failed:
        data.locate(context, {"url": "http://127.0.0.1:9/x.npz", "sha256": "0" * 64})
    assert "data.dataset.path" in failed.value.hint


def test_a_clients_own_file(context: Context, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x=X, y=Y)
    found = data.training_examples(context, {}, "c", None, str(tmp_path / "mine.npz"))
    assert (found.client, len(found.x)) == ("c", 4)
    np.savez(tmp_path / "odd.npz", images=X)
    with pytest.raises(TaskError, match="no array 'x', only images"):
        data.training_examples(context, {}, "c", None, str(tmp_path / "odd.npz"))


def test_pickles_and_broken_files_are_refused(context: Context, tmp_path: Path) -> None:
    np.savez(tmp_path / "pickled.npz", x=np.array([{}], dtype=object), y=Y)
    (tmp_path / "broken.npz").write_bytes(b"PK no zip")
    for name in ("pickled", "broken"):
        with pytest.raises(TaskError, match=r"not a readable \.npz"):
            data.training_examples(context, {}, "c", None, str(tmp_path / f"{name}.npz"))
    with pytest.raises(TaskError, match="does not exist where the function runs"):
        data.training_examples(context, {}, "c", None, str(tmp_path / "gone.npz"))
