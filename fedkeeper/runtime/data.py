"""A function's examples: the dataset behind the spec's `data`, or a client's own file. Each array is loaded once per worker.

sample in the zip | file on this machine | URL + sha256 -> cache folder --np.load--> "x_train", "y_train", "x_test", "y_test"
client's own file --np.load--> "x", "y"
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
        return Examples(_array(file, "x"), _array(file, "y"), client)
    if rows is None:
        raise TaskError(f"client {client} has neither a file nor a part of the dataset")
    path = locate(context, data)
    return Examples(_array(path, "x_train")[rows], _array(path, "y_train")[rows], client)


def training_labels(context: Context, data: Mapping[str, Json]) -> Array:
    return _array(locate(context, data), "y_train")


def test_examples(context: Context, data: Mapping[str, Json]) -> Examples:
    if test := data.get("test"):
        return Examples(_array(test, "x"), _array(test, "y"), split="test")
    path = locate(context, data)
    return Examples(_array(path, "x_test"), _array(path, "y_test"), split="test")


def locate(context: Context, data: Mapping[str, Json]) -> Path:
    """The dataset's file on this machine, downloaded and verified first when it is a URL."""
    if sample := data.get("sample"):
        return context.root / "data" / Path(str(sample)).name
    if path := data.get("path"):
        return Path(path)
    if url := data.get("url"):
        return _download(str(url), str(data["sha256"]), context.cache)
    raise TaskError("the spec names no dataset", hint="set data.dataset, or data files on every client and data.test")


@lru_cache(maxsize=8)
def _array(path: str | Path, name: str) -> Array:
    """One array of an .npz file. Each role looks at its own: unpacking them all is most of a small function's first step."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if name not in archive.files:
                found = ", ".join(sorted(archive.files)) or "nothing"
                raise TaskError(f"data file {path} holds no array {name!r}, only {found}")
            array: Array = archive[name]
            return array
    except FileNotFoundError as exc:
        raise TaskError(f"data file {path} does not exist where the function runs") from exc
    except (OSError, ValueError, zipfile.BadZipFile) as exc:
        raise TaskError(f"data file {path} is not a readable .npz: {exc}") from exc


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
