"""A function's examples: the dataset behind the spec's `data`, or a client's own file. Loaded once per worker.

sample in the zip | file on this machine | URL + sha256 -> cache folder --np.load--> {"x_train", "y_train", "x_test", "y_test"}
client's own file --np.load--> {"x", "y"}
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedkeeper.errors import TaskError
from fedkeeper.model import Json
from fedkeeper.runtime.context import Context

Array = npt.NDArray[Any]
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Examples:
    """Raw examples, as the file holds them. `client` is None for test data."""

    x: Array
    y: Array
    client: str | None = None
    split: str = "train"


def training_examples(context: Context, data: Mapping[str, Json], client: str, rows: Array | None, file: str | None) -> Examples:
    """A client's own file when it has one, else its rows of the dataset."""
    if file is not None:
        arrays = _load(str(file))
        return Examples(_array(arrays, "x", file), _array(arrays, "y", file), client)
    if rows is None:
        raise TaskError(f"client {client} has neither a file nor a part of the dataset")
    arrays = dataset(context, data)
    return Examples(arrays["x_train"][rows], arrays["y_train"][rows], client)


def training_labels(context: Context, data: Mapping[str, Json]) -> Array:
    return _array(dataset(context, data), "y_train", str(data.get("name")))


def test_examples(context: Context, data: Mapping[str, Json]) -> Examples:
    if test := data.get("test"):
        arrays = _load(str(test))
        return Examples(_array(arrays, "x", test), _array(arrays, "y", test), split="test")
    arrays = dataset(context, data)
    return Examples(
        _array(arrays, "x_test", str(data.get("name"))), _array(arrays, "y_test", str(data.get("name"))), split="test"
    )


def dataset(context: Context, data: Mapping[str, Json]) -> Mapping[str, Array]:
    return _load(str(locate(context, data)))


def locate(context: Context, data: Mapping[str, Json]) -> Path:
    """The dataset's file on this machine, downloaded and verified first when it is a URL."""
    if sample := data.get("sample"):
        return context.root / "data" / Path(str(sample)).name
    if path := data.get("path"):
        return Path(path)
    if url := data.get("url"):
        return _download(str(url), str(data["sha256"]), context.cache)
    raise TaskError("the spec names no dataset", hint="set data.dataset, or data files on every client and data.test")


@lru_cache(maxsize=4)
def _load(path: str) -> Mapping[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as exc:
        raise TaskError(f"data file {path} does not exist where the function runs") from exc
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise TaskError(f"data file {path} is not a readable .npz: {exc}") from exc


def _array(arrays: Mapping[str, Array], name: str, source: str) -> Array:
    if name not in arrays:
        raise TaskError(f"{source} holds no array {name!r}, only {', '.join(sorted(arrays)) or 'nothing'}")
    return arrays[name]


def _download(url: str, sha256: str, cache: Path) -> Path:
    """Into the cache under its digest. Two functions may race: both write, both rename the same bytes."""
    target = cache / f"{sha256}.npz"
    if target.exists():
        return target
    handle, temporary = tempfile.mkstemp(dir=cache, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as sink, urllib.request.urlopen(url, timeout=_TIMEOUT_S) as source:
            digest = hashlib.sha256()
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                sink.write(chunk)
        if digest.hexdigest() != sha256:
            raise TaskError(f"{url} has sha256 {digest.hexdigest()}, the spec expects {sha256}")
        Path(temporary).rename(target)
    except OSError as exc:
        raise TaskError(
            f"cannot download {url}: {exc}", hint="check the network, or set data.dataset.path to a local copy"
        ) from exc
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target
