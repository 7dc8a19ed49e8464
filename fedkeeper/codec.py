"""Named arrays <-> safetensors bytes.

    {name: array}  --encode-->  [header, buffers...]  --put_blob-->  Ref
    bytes          --decode-->  {name: read-only view}      (no copy, no code runs, hostile bytes raise CorruptData)

The format is Hugging Face's safetensors (https://github.com/huggingface/safetensors#format): u64 little-endian header length,
JSON header {name: {dtype, shape, data_offsets}}, then the data. We write it ourselves because functions then need NumPy only,
buffers are written without a copy, and the aggregator reads arrays by offset; the tests hold it against the reference library.
Names keep their order, the header is padded so that data starts at a multiple of 64.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedkeeper.errors import CorruptData
from fedkeeper.model import Json

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
_MAX_HEADER = 100_000_000  # bytes; the reference library's own bound
_ALIGN = 64
_METADATA = "__metadata__"
_MAX_DIMENSIONS = 32  # what every NumPy can hold


@dataclass(frozen=True)
class Tensor:
    """Where one array lies in a safetensors blob. `start` is absolute, in bytes."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    nbytes: int


def encode(arrays: Arrays) -> list[bytes | memoryview]:
    """The parts of the blob: header first, then one buffer per array, in the mapping's order, without copying arrays
    that are already little-endian and contiguous."""
    header: dict[str, Json] = {}
    buffers: list[bytes | memoryview] = []
    offset = 0
    for name, array in arrays.items():
        plain = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        if name == _METADATA:
            raise TypeError(f"an array cannot be called {name!r}: safetensors keeps the name for itself")
        if plain.dtype not in _NAMES:
            raise TypeError(f"array {name!r} has dtype {array.dtype}, which safetensors cannot hold")
        header[name] = {"dtype": _NAMES[plain.dtype], "shape": list(array.shape), "data_offsets": [offset, offset + plain.nbytes]}
        buffers.append(plain.reshape(-1).data.cast("B") if plain.size else b"")
        offset += plain.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGN)
    return [len(text).to_bytes(8, "little") + text, *buffers]


def encode_bytes(arrays: Arrays) -> bytes:
    """`encode`, joined."""
    return b"".join(encode(arrays))


def header_size(prefix: bytes | memoryview) -> int:
    """Bytes before the data, from the first 8 bytes of a blob."""
    if len(prefix) < 8:
        raise CorruptData("not safetensors: shorter than 8 bytes")
    length = int.from_bytes(prefix[:8], "little")
    if length > _MAX_HEADER:
        raise CorruptData(f"not safetensors: header of {length} bytes")
    return 8 + length


def layout(head: bytes | memoryview, total: int) -> tuple[Tensor, ...]:
    """Parse and verify the header. `head` holds at least the first `header_size` bytes, `total` is the blob's size."""
    start = header_size(head)
    if start > total or start > len(head):
        raise CorruptData("not safetensors: truncated header")
    try:
        header = json.loads(bytes(head[8:start]).decode())
        items = [(name, entry) for name, entry in header.items() if name != _METADATA]
        tensors = [_tensor(str(name), entry, start) for name, entry in items]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise CorruptData(f"not safetensors: {exc}") from exc
    _check_cover(tensors, start, total)
    return tuple(tensors)


def decode(data: bytes | bytearray | memoryview) -> dict[str, Array]:
    """Arrays as read-only views of `data`."""
    view = memoryview(data)
    return {t.name: _view(view, t) for t in layout(view, len(view))}


def require_same_layout(arrays: Arrays, wanted: Arrays, what: str) -> None:
    """CorruptData unless both have the same names, shapes and dtypes, in the same order."""
    have = [(name, array.shape, array.dtype.str) for name, array in arrays.items()]
    want = [(name, array.shape, array.dtype.str) for name, array in wanted.items()]
    if have != want:
        raise CorruptData(f"{what} does not fit the model: it has {_brief(have)}, the model has {_brief(want)}")


def pack(header: Json, parts: Sequence[bytes | memoryview]) -> bytes:
    """One body from JSON and byte strings (what relay sends): u64 header length, JSON {header, sizes}, parts."""
    text = json.dumps({"header": header, "sizes": [len(p) for p in parts]}, separators=(",", ":")).encode()
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def unpack(body: bytes | memoryview) -> tuple[Json, list[memoryview]]:
    """Inverse of `pack`; the parts are views of `body`."""
    view = memoryview(body)
    start = header_size(view)
    try:
        outer = json.loads(bytes(view[8:start]).decode())
        header, sizes = outer["header"], [int(size) for size in outer["sizes"]]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
        raise CorruptData(f"not a packed body: {exc}") from exc
    if any(size < 0 for size in sizes) or start + sum(sizes) != len(view):
        raise CorruptData("packed body: sizes do not add up")
    parts, offset = [], start
    for size in sizes:
        parts.append(view[offset : offset + size])
        offset += size
    return header, parts


def _brief(entries: Sequence[tuple[str, tuple[int, ...], str]]) -> str:
    shown = ", ".join(f"{name} {list(shape)}" for name, shape, _ in entries[:4])
    return f"{len(entries)} arrays ({shown}{', ...' if len(entries) > 4 else ''})"


def _tensor(name: str, entry: Mapping[str, Json], start: int) -> Tensor:
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    shape = tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
        raise ValueError(f"{name!r}: shape and offsets must be whole numbers")
    if len(shape) > _MAX_DIMENSIONS or math.prod(max(n, 1) for n in shape) * dtype.itemsize >= 1 << 63:
        raise ValueError(f"{name!r}: no array can have this shape")
    nbytes = math.prod(shape) * dtype.itemsize
    if end - begin != nbytes:
        raise ValueError(f"{name!r}: {end - begin} bytes for shape {shape}")
    return Tensor(name, dtype, shape, start + begin, nbytes)


def _check_cover(tensors: Sequence[Tensor], start: int, total: int) -> None:
    """The arrays must tile the data exactly: no hole, no overlap, nothing after."""
    position = start
    for tensor in sorted(tensors, key=lambda t: (t.start, t.nbytes)):
        if tensor.start != position:
            raise CorruptData(f"not safetensors: {tensor.name!r} overlaps or leaves a hole")
        position += tensor.nbytes
    if position != total:
        raise CorruptData(f"not safetensors: {total - position} bytes too many or missing")


def _view(data: memoryview, tensor: Tensor) -> Array:
    flat = np.frombuffer(data, dtype=tensor.dtype, count=tensor.nbytes // tensor.dtype.itemsize, offset=tensor.start)
    array: Array = flat.reshape(tensor.shape)
    array.flags.writeable = False
    return array
