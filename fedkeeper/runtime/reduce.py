"""The reduce loop: K updates -> one model, in one pass, with the memory of one model however large K is.

    base model   |--window 0--|--window 1--| ... |     windows of about 1 MB cut the data of all blobs alike
    update 1..K  |--window 0--|--window 1--| ... |
                       |            `-- thread 2       each thread has its own readers and buffer
                       `-- thread 1: start(base), fold(update 1) ... fold(update K), finish --> window 0 of the new model

A window is worked on by one thread, from the first update to the last, so the result does not depend on `threads`, on the size of
the windows or on how many files may be open: bit for bit. The accumulator stays in the processor's cache; updates are read once.
"""

from __future__ import annotations

import math
import resource
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fedkeeper import codec
from fedkeeper.errors import CorruptData, UsageError
from fedkeeper.model import Ref
from fedkeeper.runtime.weights import head_of
from fedkeeper.stores.base import BlobReader
from fedkeeper.strategies.base import Block, StreamReducer, Update

BLOCK_BYTES = 1 << 20
"""Measured: with much smaller windows threads wait for each other (GIL), much larger ones leave the cache."""
OpenBlob = Callable[[Ref], BlobReader]
Bytes = npt.NDArray[np.uint8]
_PAGE = 4096
_HINT = "the client's task must return the arrays it was given: same names, shapes, types and order"


@dataclass(frozen=True)
class Piece:
    """A part of one array inside a window. `start` counts from the window's first byte."""

    array: str
    dtype: np.dtype[Any]
    start: int
    nbytes: int

    def of(self, window: Bytes) -> Block:
        return window[self.start : self.start + self.nbytes].view(self.dtype)


@dataclass(frozen=True)
class Window:
    """A run of bytes that is read in one go. `start` counts from the first byte of data."""

    start: int
    nbytes: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Input:
    """An update whose header is right: its data begins at `data_start` of its blob."""

    update: Update
    weight: float
    data_start: int


def reduce_stream(
    reducer: StreamReducer,
    base: BlobReader,
    updates: Sequence[Update],
    open_blob: OpenBlob,
    *,
    threads: int = 1,
    block_bytes: int = BLOCK_BYTES,
    keep_open: int | None = None,
) -> list[bytes | memoryview]:
    """The parts of the new model's blob: `base`'s own header, then the data. CorruptData names the client of a bad update.
    At most `keep_open` blobs (half of what the process may open, when None) and one per thread are open at once."""
    if not updates:
        raise UsageError("there are no updates to aggregate")
    head, layout = _header(base)
    weights = reducer.weights(updates)
    inputs = [_checked(update, weight, head, layout, open_blob) for update, weight in zip(updates, weights, strict=True)]
    threads, block_bytes = share(base.size - len(head), block_bytes, threads)
    keep = (open_files() // 2 if keep_open is None else keep_open) // threads
    loop = _Loop(reducer, base, len(head), inputs, open_blob, keep, deque(cut(layout, block_bytes)))
    loop.run_in(threads)
    return [head, loop.output.data]


def share(size: int, block_bytes: int, threads: int) -> tuple[int, int]:
    """Threads worth starting and the size of a window, so that each thread gets as many windows as the others."""
    threads = max(1, min(threads, 2 * size // block_bytes))
    windows = max(1, math.ceil(size / block_bytes / threads)) * threads
    return threads, -(-size // windows // 64) * 64


def cut(layout: Sequence[codec.Tensor], block_bytes: int) -> list[Window]:
    """Windows of at most `block_bytes` that cover the data in order, split between elements; small arrays share one."""
    windows: list[Window] = []
    pieces: list[Piece] = []
    start = position = 0
    room = max(block_bytes, 64)
    for tensor in sorted(layout, key=lambda t: (t.start, t.nbytes)):
        end = position + tensor.nbytes
        while position < end:
            fits = (start + room - position) // tensor.dtype.itemsize * tensor.dtype.itemsize
            if not fits:
                windows.append(Window(start, position - start, tuple(pieces)))
                pieces, start = [], position
                continue
            size = min(fits, end - position)
            pieces.append(Piece(tensor.name, tensor.dtype, position - start, size))
            position += size
    if pieces:
        windows.append(Window(start, position - start, tuple(pieces)))
    return windows


def open_files() -> int:
    """How many descriptors this process may have."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if soft == resource.RLIM_INFINITY else soft


def aligned(nbytes: int, phase: int) -> Bytes:
    """Fresh memory whose address is `phase` modulo the page size.

    Copies run up to three times slower when source and target differ by 16 modulo 4096, which is what a plain NumPy array gets
    against a file read from its start. Half a page apart is always fast.
    """
    raw = np.empty(nbytes + _PAGE, np.uint8)
    skip = (phase - raw.ctypes.data) % _PAGE
    return raw[skip : skip + nbytes]


@dataclass
class _Loop:
    """What the threads of one reduction share. `windows` is the work left: after an error in one thread there is none."""

    reducer: StreamReducer
    base: BlobReader
    data_start: int
    inputs: Sequence[Input]
    open_blob: OpenBlob
    keep_open: int
    windows: deque[Window]
    lock: threading.Lock = field(default_factory=threading.Lock)
    output: Bytes = field(init=False)

    def __post_init__(self) -> None:
        self.output = aligned(self.base.size - self.data_start, self.data_start + _PAGE // 2)
        self.largest = max((window.nbytes for window in self.windows), default=0)

    def run_in(self, threads: int) -> None:
        if threads == 1:
            return self.run()
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(self.run) for _ in range(threads)]
            try:
                for future in futures:
                    future.result()
            finally:
                self.windows.clear()

    def run(self) -> None:
        buffer = aligned(self.largest + _PAGE, 0)
        readers = _Readers(self.open_blob, self.keep_open)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # `_blame` says it better
                while (window := self._next()) is not None:
                    self._reduce(window, readers, buffer)
        finally:
            self.windows.clear()
            readers.close()

    def _next(self) -> Window | None:
        with self.lock:
            return self.windows.popleft() if self.windows else None

    def _reduce(self, window: Window, readers: _Readers, buffer: Bytes) -> None:
        """The window of the output holds the base model's bytes until the new ones replace them."""
        place = self.output[window.start : window.start + window.nbytes]
        with self.lock:
            self.base.read_into(self.data_start + window.start, place.data)
        blocks = [piece.of(place) for piece in window.pieces]
        accumulators = [self.reducer.start(block) for block in blocks]
        for entry in self.inputs:
            data = readers.read(entry, window, buffer)
            for piece, accumulator in zip(window.pieces, accumulators, strict=True):
                block = piece.of(data)
                _check_truth(block, piece, entry.update)
                self.reducer.fold(accumulator, block, entry.weight)
        for piece, block, accumulator in zip(window.pieces, blocks, accumulators, strict=True):
            if not np.isfinite(accumulator).all():
                self._blame(window, piece, readers, buffer)
            block[...] = self.reducer.finish(accumulator, block)

    def _blame(self, window: Window, piece: Piece, readers: _Readers, buffer: Bytes) -> NoReturn:
        """Whose numbers are none? Asked only when the sum shows it: looking at every update would take a tenth of the time."""
        for entry in self.inputs:
            block = piece.of(readers.read(entry, window, buffer))
            if block.dtype.kind == "f" and not np.isfinite(block).all():
                text = f"the update of client {entry.update.client!r} holds NaN or infinity in {piece.array!r}"
                raise CorruptData(text, hint="its training diverged: a smaller learning rate may help")
        raise CorruptData(f"the updates' numbers in {piece.array!r} are too large to be added up")


class _Readers:
    """One thread's open updates: as many as may stay open do, the others are opened for each window anew."""

    def __init__(self, open_blob: OpenBlob, keep: int) -> None:
        self._open = open_blob
        self._keep = keep
        self._kept: dict[Ref, BlobReader] = {}

    def read(self, entry: Input, window: Window, buffer: Bytes) -> Bytes:
        """The update's bytes of the window, in `buffer` (which has a page more than the window)."""
        offset = entry.data_start + window.start
        skip = (offset + _PAGE // 2) % _PAGE
        data = buffer[skip : skip + window.nbytes]
        ref = entry.update.ref
        if ref in self._kept:
            self._kept[ref].read_into(offset, data.data)
        elif len(self._kept) < self._keep:
            self._kept[ref] = self._open(ref)
            self._kept[ref].read_into(offset, data.data)
        else:
            with closing(self._open(ref)) as reader:
                reader.read_into(offset, data.data)
        return data

    def close(self) -> None:
        for reader in self._kept.values():
            reader.close()


def _header(blob: BlobReader) -> tuple[bytes, tuple[codec.Tensor, ...]]:
    head = head_of(blob)
    return head, codec.layout(head, blob.size)


def _checked(update: Update, weight: float, head: bytes, layout: Sequence[codec.Tensor], open_blob: OpenBlob) -> Input:
    with closing(open_blob(update.ref)) as blob:
        try:
            theirs = head_of(blob)
            found = codec.layout(theirs, blob.size)
        except CorruptData as exc:
            raise CorruptData(f"the update of client {update.client!r} is no use: {exc.message}", hint=_HINT) from exc
    if theirs != head:
        _check_layout(update, _placed(found, len(theirs)), _placed(layout, len(head)))
    return Input(update, weight, len(theirs))


def _placed(layout: Sequence[codec.Tensor], data_start: int) -> list[codec.Tensor]:
    """With `start` counted from the first byte of data."""
    return [replace(tensor, start=tensor.start - data_start) for tensor in layout]


def _check_layout(update: Update, found: Sequence[codec.Tensor], wanted: Sequence[codec.Tensor]) -> None:
    for theirs, ours in zip_longest(found, wanted):
        if theirs != ours:
            text = f"{_describe(theirs)} stands where the model has {_describe(ours)}"
            raise CorruptData(f"the update of client {update.client!r} does not fit the model: {text}", hint=_HINT)


def _describe(tensor: codec.Tensor | None) -> str:
    return "nothing" if tensor is None else f"{tensor.name!r} {tensor.dtype} {list(tensor.shape)} at byte {tensor.start}"


def _check_truth(block: Block, piece: Piece, update: Update) -> None:
    if block.dtype.kind == "b" and (block.view(np.uint8) > 1).any():
        raise CorruptData(f"the update of client {update.client!r} holds neither true nor false in {piece.array!r}", hint=_HINT)
