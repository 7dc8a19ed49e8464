"""The reduce loop is plain about bad updates: which client, which array, what is wrong."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from fedkeeper import codec
from fedkeeper.errors import BlobMissing, CorruptData, UsageError
from fedkeeper.model import Ref
from fedkeeper.stores.file import FileStore
from fedkeeper.strategies.base import Update
from tests.strategies.models import Model, filled, model, put, run


def changed(name: str, array: Any) -> Model:
    return {**model(1), name: array}


BAD = {
    "another shape": (changed("kernel", np.zeros((7, 1000), "f4")), r"'kernel' float32 \[7, 1000\] .* \[1000, 7\]"),
    "another type": (changed("kernel", np.zeros((1000, 7), "i4")), "'kernel' int32"),
    "one array missing": ({k: v for k, v in model(1).items() if k != "wide"}, "nothing stands where the model has 'wide'"),
    "one array too many": ({**model(1), "more": np.zeros(1)}, "'more' .* where the model has nothing"),
    "another order": (dict(reversed(model(1).items())), "'wide'"),
    "another name": ({k.upper(): v for k, v in model(1).items()}, "'ODD'"),
    "NaN": (changed("scalar", np.array(np.nan)), "NaN or infinity in 'scalar'"),
    "infinity": (changed("half", np.array([0] * 1000 + [-np.inf], "f2")), "NaN or infinity in 'half'"),
    "NaN at the very end": (
        changed("wide", np.array([[0.0] * 1000] * 2 + [[0.0] * 999 + [np.nan]])),
        "NaN or infinity in 'wide'",
    ),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("threads", [1, 2])
def test_an_update_that_does_not_fit_names_its_client(store: FileStore, what: str, threads: int) -> None:
    bad, message = BAD[what]
    base, updates, _ = filled(store, count=4)
    updates.insert(2, Update("culprit", put(store, bad), 10))
    with pytest.raises(CorruptData, match=f"'culprit'.*{message}") as caught:
        run(store, base, updates, threads=threads, block_bytes=4096)
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"1234567", b"\xff" * 100, b"PK\x03\x04 not safetensors at all"])
def test_an_update_of_other_bytes_names_its_client(store: FileStore, data: bytes) -> None:
    base, updates, _ = filled(store, count=2)
    with pytest.raises(CorruptData, match="'culprit'"):
        run(store, base, [*updates, Update("culprit", store.put_blob(data), 10)])


def test_a_truth_value_that_is_neither(store: FileStore) -> None:
    head, *data = codec.encode(model(1))
    bad = store.put_blob(head, b"\x00\x01\x02", *data[1:])
    with pytest.raises(CorruptData, match="'culprit' holds neither true nor false in 'odd'"):
        run(store, put(store, model(0)), [Update("culprit", bad, 1)])


def test_an_update_without_weight_is_looked_at_too(store: FileStore) -> None:
    bad = put(store, changed("scalar", np.array(np.inf)))
    with pytest.raises(CorruptData, match="'culprit' holds NaN or infinity in 'scalar'"):
        run(store, put(store, model(0)), [Update("c", put(store, model(1)), 5), Update("culprit", bad, 0)])


def test_opposite_infinities_are_found_and_the_first_is_named(store: FileStore) -> None:
    refs = [put(store, changed("half", np.full(1001, value, "f2"))) for value in (0, -np.inf, np.inf)]
    with pytest.raises(CorruptData, match="'c1' holds NaN or infinity in 'half'"):
        run(store, put(store, model(0)), [Update(f"c{index}", ref, 1) for index, ref in enumerate(refs)])


def test_finite_numbers_that_overflow_are_nobodys_nan(store: FileStore) -> None:
    """Rounded weights can add up to a little more than one."""
    top = np.finfo("f8").max
    with np.errstate(over="ignore"):
        counts = next(n for n in product(range(1, 30), repeat=3) if np.isinf(np.cumsum([top * (k / sum(n)) for k in n])[-1]))
    largest = put(store, changed("scalar", np.array(top)))
    with pytest.raises(CorruptData, match="numbers in 'scalar' are too large"):
        run(store, put(store, model(0)), [Update(f"c{index}", largest, n) for index, n in enumerate(counts)])


def test_no_updates(store: FileStore) -> None:
    with pytest.raises(UsageError, match="no updates"):
        run(store, put(store, model(0)), [])


def test_an_update_that_is_gone(store: FileStore) -> None:
    with pytest.raises(BlobMissing):
        run(store, put(store, model(0)), [Update("c", Ref("sha256:" + "0" * 64), 1)])
