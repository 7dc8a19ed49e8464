"""A stored model's arrays, one at a time: the same numbers as in the blob, and nobody else's memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fedkeeper import codec
from fedkeeper.errors import CorruptData
from fedkeeper.runtime.weights import StoredArrays, own, rows_of, shape_of, stored
from fedkeeper.stores.memory import MemoryStore

MODEL = {
    "kernel": np.arange(35, dtype=np.float32).reshape(5, 7), "count": np.array(3, np.int64),
    "empty": np.empty((0, 4), np.float32), "mask": np.array([True, False, True]),
}  # fmt: skip


@pytest.fixture
def arrays() -> Iterator[StoredArrays]:
    store = MemoryStore()
    with stored(store, store.put_blob(*codec.encode(MODEL))) as found:
        yield found


def test_arrays_are_the_blobs(arrays: StoredArrays) -> None:
    assert list(arrays) == list(MODEL)
    codec.require_same_layout(arrays, MODEL, "what was stored")
    for name, array in MODEL.items():
        assert shape_of(arrays, name) == array.shape
        assert (arrays[name] == array).all()


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (2, 9), (4, 5), (7, 9)])
def test_rows_are_those_of_the_whole(arrays: StoredArrays, start: int, stop: int) -> None:
    for source in (arrays, MODEL):
        assert np.array_equal(rows_of(source, "kernel", start, stop), MODEL["kernel"][start:stop])
    assert rows_of(arrays, "empty", start, stop).shape == (0, 4)


def test_what_is_ones_own_may_be_written_to(arrays: StoredArrays) -> None:
    for source in (arrays, codec.decode(codec.encode_bytes(MODEL)), MODEL):
        mine = own(source)
        mine["kernel"] += 1
        assert (source["kernel"] == MODEL["kernel"]).all()
        assert MODEL["kernel"][0, 1] == 1


@pytest.mark.parametrize("blob", [b"", b"short", b"\xff" * 20, (1000).to_bytes(8, "little") + b"{}"])
def test_other_blobs_are_refused(blob: bytes) -> None:
    store = MemoryStore()
    ref = store.put_blob(blob)
    with pytest.raises(CorruptData), stored(store, ref):
        raise AssertionError("was read")
