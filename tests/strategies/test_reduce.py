"""The reduce loop: right, the same bits however it is run, bounded in memory and open files."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedkeeper import codec
from fedkeeper.errors import CorruptData
from fedkeeper.model import Ref
from fedkeeper.runtime.reduce import aligned, cut, reduce_stream, share
from fedkeeper.stores.base import BlobReader, Store
from fedkeeper.stores.file import FileStore
from fedkeeper.stores.memory import MemoryStore
from fedkeeper.strategies.base import Block, Update
from fedkeeper.strategies.mean import FedAvg
from tests.strategies.models import filled, model, put, run


# --- right, and always the same bits -------------------------------------------------------------------------------------
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("block_bytes", [1, 64, 1000, 4096, 1 << 20])
def test_the_mean_bit_for_bit(store: FileStore, threads: int, block_bytes: int) -> None:
    base, updates, wanted = filled(store, size=300)
    found = run(store, base, updates, threads=threads, block_bytes=block_bytes)
    assert found == codec.encode_bytes(wanted)


@pytest.mark.parametrize("keep_open", [0, 1, 4, 100])
def test_however_many_files_may_be_open(store: FileStore, keep_open: int) -> None:
    base, updates, wanted = filled(store)
    assert run(store, base, updates, threads=2, block_bytes=4096, keep_open=keep_open) == codec.encode_bytes(wanted)


def test_on_any_store() -> None:
    store = MemoryStore("memory:")
    base, updates, wanted = filled(store)
    assert run(store, base, updates) == codec.encode_bytes(wanted)


def test_the_order_of_updates_is_the_order_of_folding(store: FileStore) -> None:
    """1e300 swallows 1 when it comes first: the decision's order is kept, which is what makes resumed runs equal."""
    refs = [put(store, {"x": np.array([value])}) for value in (1e300, -1e300, 1.0)]
    base = put(store, {"x": np.zeros(1)})
    results = set()
    for order in ((0, 1, 2), (0, 2, 1)):
        parts = run(store, base, [Update(f"c{index}", refs[index], 1) for index in order])
        results.add(float(codec.decode(parts)["x"][0]))
    assert results == {1 / 3, 0.0}


def test_a_model_of_nothing(store: FileStore) -> None:
    for arrays in ({}, {"x": np.zeros((0, 3), "f4")}):
        base = put(store, arrays)
        assert run(store, base, [Update("c", base, 1)]) == codec.encode_bytes(arrays)


def test_the_head_of_the_base_model_is_kept_and_others_may_differ_in_form(store: FileStore) -> None:
    """Another writer's header (spaces, metadata) describes the same arrays."""
    parts = codec.encode(model(1))
    text = bytes(parts[0][8:]).rstrip()[:-1] + b',"__metadata__":{"by":"somebody"}}' + b" " * 13
    odd = store.put_blob(len(text).to_bytes(8, "little") + text, *parts[1:])
    assert run(store, put(store, model(0)), [Update("c", odd, 1)]) == codec.encode_bytes(model(1))
    assert run(store, odd, [Update("c", put(store, model(1)), 1)]) == store.get_blob(odd)


# --- bounded -------------------------------------------------------------------------------------------------------------
class Counting:
    """Opens blobs, and knows how many were open at once."""

    def __init__(self, store: Store) -> None:
        self.store, self.now, self.peak, self.lock = store, 0, 0, threading.Lock()

    def __call__(self, ref: Ref) -> BlobReader:
        with self.lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
        return CountedBlob(self, self.store.open_blob(ref))


class CountedBlob:
    def __init__(self, counting: Counting, blob: BlobReader) -> None:
        self.counting, self.blob, self.size = counting, blob, blob.size
        self.read, self.read_into = blob.read, blob.read_into

    def close(self) -> None:
        with self.counting.lock:
            self.counting.now -= 1
        self.blob.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_open_files_are_bounded_and_all_closed(store: FileStore, threads: int) -> None:
    base, updates, _ = filled(store, count=30, size=50)
    opener = Counting(store)
    reader = store.open_blob(base)
    reduce_stream(FedAvg(), reader, updates, opener, threads=threads, block_bytes=512, keep_open=9)
    reader.close()
    assert opener.now == 0
    assert 3 < opener.peak <= 9 + threads


def test_files_are_closed_after_an_error(store: FileStore) -> None:
    base, updates, _ = filled(store)
    updates.append(Update("bad", put(store, {**model(3), "wide": np.full((3, 1000), np.nan)}), 5))
    opener = Counting(store)
    reader = store.open_blob(base)
    with pytest.raises(CorruptData, match="'bad'"):
        reduce_stream(FedAvg(), reader, updates, opener, threads=2, block_bytes=4096)
    reader.close()
    assert opener.now == 0


def test_memory_is_one_model_however_many_updates(store: FileStore) -> None:
    """64 updates of 8 MB: a loop that held them would need 512 MB."""
    script = """
import resource, sys
import numpy as np
from fedkeeper import codec
from fedkeeper.runtime.reduce import reduce_stream
from fedkeeper.stores.file import FileStore
from fedkeeper.strategies.base import Update
from fedkeeper.strategies.mean import FedAvg
from tests.strategies.models import filled, model, put, run
store = FileStore(sys.argv[1])
array = np.zeros(2_000_000, "f4")
refs = []
for number in range(64):
    array[0] = number % 8
    refs.append(store.put_blob(*codec.encode({"w": array})))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
base = store.open_blob(refs[0])
reduce_stream(FedAvg(), base, [Update(str(n), ref, 1) for n, ref in enumerate(refs)], store.open_blob, threads=2)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", script, store.url], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 8 + 32


# --- any reducer -----------------------------------------------------------------------------------------------------------
class Latest:
    """Keeps the last update: sees one array at a time, in its own type."""

    sees: ClassVar[Literal["stream"]] = "stream"

    def weights(self, updates: Sequence[Update]) -> Sequence[float]:
        return [1.0] * len(updates)

    def start(self, base: Block) -> Block:
        copy: Block = base.copy()
        return copy

    def fold(self, accumulator: Block, update: Block, weight: float) -> None:
        assert accumulator.dtype == update.dtype
        assert update.ndim == 1
        accumulator[:] = update

    def finish(self, accumulator: Block, base: Block) -> Block:
        return accumulator


class Broken(Latest):
    def fold(self, accumulator: Block, update: Block, weight: float) -> None:
        raise IndexError("a defect of the reducer")


def test_another_reducer(store: FileStore) -> None:
    base, updates, _ = filled(store)
    reader = store.open_blob(base)
    found = b"".join(reduce_stream(Latest(), reader, updates, store.open_blob, threads=2, block_bytes=256))
    reader.close()
    assert found == store.get_blob(updates[-1].ref)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_reducers_own_error_comes_through(store: FileStore, threads: int) -> None:
    base, updates, _ = filled(store)
    reader = store.open_blob(base)
    with pytest.raises(IndexError, match="defect of the reducer"):
        reduce_stream(Broken(), reader, updates, store.open_blob, threads=threads, block_bytes=4096)
    reader.close()


# --- how the work is cut ---------------------------------------------------------------------------------------------------
@given(st.lists(st.tuples(st.sampled_from(["f8", "f4", "f2", "u1", "?"]), st.integers(0, 300)), max_size=8), st.integers(1, 1000))
def test_windows_cover_every_element_once(arrays: list[tuple[str, int]], block_bytes: int) -> None:
    blob = codec.encode_bytes({str(index): np.zeros(count, dtype) for index, (dtype, count) in enumerate(arrays)})
    layout = codec.layout(blob, len(blob))
    head = codec.header_size(blob[:8])
    position = 0
    for window in cut(layout, block_bytes):
        assert window.start == position
        assert 0 < window.nbytes <= max(block_bytes, 64)
        inner = 0
        for piece in window.pieces:
            tensor = layout[int(piece.array)]
            assert piece.start == inner
            assert piece.nbytes > 0
            assert piece.nbytes % tensor.dtype.itemsize == 0 == (head + position + inner - tensor.start) % tensor.dtype.itemsize
            assert tensor.start <= head + position + inner < tensor.start + tensor.nbytes
            inner += piece.nbytes
        assert inner == window.nbytes
        position += window.nbytes
    assert position == len(blob) - head


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_aligned_memory(nbytes: int, phase: int) -> None:
    memory = aligned(nbytes, phase)
    assert memory.nbytes == nbytes
    assert (memory.ctypes.data - phase) % 4096 == 0 or not nbytes


@given(st.integers(0, 10**6), st.integers(64, 10**5), st.integers(1, 9))
def test_every_thread_gets_as_many_windows(size: int, block_bytes: int, wanted: int) -> None:
    threads, block = share(size, block_bytes, wanted)
    assert 1 <= threads <= wanted
    assert block <= block_bytes + 63
    windows = -(-size // max(block, 1))
    assert windows <= threads * max(1, -(-size // (block_bytes * threads)))
    if threads > 1:
        assert size // threads >= block_bytes // 2
