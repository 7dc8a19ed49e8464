"""The sample that ships: what its note says it is."""

from __future__ import annotations

import hashlib
import re
import runpy
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.house.tree import ROOT

Arrays = dict[str, npt.NDArray[np.uint8]]
SAMPLES = resources.files("fedkeeper.samples")


@pytest.fixture
def sample() -> Iterator[Arrays]:
    with (SAMPLES / "mnist-sample.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        yield dict(arrays)


@pytest.fixture
def cut_sample() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "cut_sample.py"))


@pytest.mark.parametrize(("split", "per_class"), [("train", 600), ("test", 100)])
def test_shapes_and_balance(sample: Arrays, split: str, per_class: int) -> None:
    images, labels = sample[f"x_{split}"], sample[f"y_{split}"]
    assert {images.dtype, labels.dtype} == {np.dtype(np.uint8)}
    assert images.shape == (10 * per_class, 28, 28)
    assert labels.shape == (10 * per_class,)
    assert np.bincount(labels).tolist() == [per_class] * 10


def test_the_order_is_shuffled(sample: Arrays) -> None:
    """A client's slice of the file is not one digit: any hundred neighbours hold every one."""
    for start in range(0, len(sample["y_train"]), 100):
        assert len(set(sample["y_train"][start : start + 100].tolist())) == 10


def test_no_image_is_both_trained_on_and_tested_with(sample: Arrays) -> None:
    assert not {image.tobytes() for image in sample["x_train"]} & {image.tobytes() for image in sample["x_test"]}


def test_the_note_has_its_checksum_and_its_licence() -> None:
    note = (SAMPLES / "mnist-sample.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((SAMPLES / "mnist-sample.npz").read_bytes()).hexdigest()
    assert re.findall(r"sha256: `(\w+)`", note) == [digest]
    assert "CC BY-SA 3.0" in note


def _full_set(path: Path) -> Arrays:
    """Twice what is kept, each image marked with its index."""
    full: Arrays = {}
    for split, count in (("train", 12000), ("test", 2000)):
        index = np.arange(count, dtype=np.uint16)
        full[f"x_{split}"] = np.repeat(index.view(np.uint8).reshape(count, 2), 392, axis=1).reshape(count, 28, 28)
        full[f"y_{split}"] = (index % 10).astype(np.uint8)
    np.savez(path, **full)  # type: ignore[arg-type]  # NumPy's stub takes **kwds for allow_pickle
    return full


def test_a_cut_is_reproducible_and_keeps_images_with_their_labels(tmp_path: Path, cut_sample: dict[str, Any]) -> None:
    cut: Callable[[Path, Path], str] = cut_sample["cut"]
    full = _full_set(tmp_path / "full.npz")
    assert cut(tmp_path / "full.npz", tmp_path / "a.npz") == cut(tmp_path / "full.npz", tmp_path / "b.npz")
    label_of = {image.tobytes(): label for image, label in zip(full["x_train"], full["y_train"], strict=True)}
    with np.load(tmp_path / "a.npz") as kept:
        assert [label_of[image.tobytes()] for image in kept["x_train"]] == kept["y_train"].tolist()
        assert np.bincount(kept["y_train"]).tolist() == [600] * 10
