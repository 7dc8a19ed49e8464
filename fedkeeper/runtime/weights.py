"""A stored model's arrays, read one at a time: a function then needs the memory of its own model, not of a second one.

blob --header--> names, shapes ;  arrays[name], arrays.rows(name, ...) --read_into--> a new array, its asker's own
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from fedkeeper import codec
from fedkeeper.codec import Array, Arrays
from fedkeeper.errors import CorruptData
from fedkeeper.model import Ref
from fedkeeper.stores.base import BlobReader, Store


class StoredArrays(Mapping[str, Array]):
    """The arrays of an open blob. Each look reads the array anew."""

    def __init__(self, blob: BlobReader) -> None:
        self._blob = blob
        self.nbytes = blob.size
        self._tensors = {tensor.name: tensor for tensor in codec.layout(head_of(blob), blob.size)}

    def __getitem__(self, name: str) -> Array:
        tensor = self._tensors[name]
        return self._read(tensor.start, np.empty(tensor.shape, tensor.dtype))

    def shape(self, name: str) -> tuple[int, ...]:
        return self._tensors[name].shape

    def rows(self, name: str, start: int, stop: int) -> Array:
        """Like `arrays[name][start:stop]`, without reading the others."""
        tensor = self._tensors[name]
        begin, end, _ = slice(start, stop).indices(tensor.shape[0])
        row = tensor.nbytes // (tensor.shape[0] or 1)
        return self._read(tensor.start + begin * row, np.empty((max(end - begin, 0), *tensor.shape[1:]), tensor.dtype))

    def _read(self, start: int, array: Array) -> Array:
        if array.size:
            self._blob.read_into(start, array.reshape(-1).data.cast("B"))
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


@contextmanager
def stored(store: Store, ref: Ref) -> Iterator[StoredArrays]:
    blob = store.open_blob(ref)
    try:
        yield StoredArrays(blob)
    finally:
        blob.close()


def shape_of(arrays: Arrays, name: str) -> tuple[int, ...]:
    return arrays.shape(name) if isinstance(arrays, StoredArrays) else arrays[name].shape


def rows_of(arrays: Arrays, name: str, start: int, stop: int) -> Array:
    return arrays.rows(name, start, stop) if isinstance(arrays, StoredArrays) else arrays[name][start:stop]


def own(arrays: Arrays) -> dict[str, Array]:
    """Arrays that may be written to."""
    if isinstance(arrays, StoredArrays):
        return dict(arrays.items())
    return {name: np.array(array) for name, array in arrays.items()}


def head_of(blob: BlobReader) -> bytes:
    """The bytes before the data."""
    prefix = bytearray(min(8, blob.size))
    blob.read_into(0, memoryview(prefix))
    size = codec.header_size(memoryview(prefix))
    if size > blob.size:
        raise CorruptData("not safetensors: truncated header")
    head = bytearray(size)
    blob.read_into(0, memoryview(head))
    return bytes(head)
