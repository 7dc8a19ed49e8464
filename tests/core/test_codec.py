"""The codec against the reference library, both ways, and against hostile bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fedkeeper import codec
from fedkeeper.errors import CorruptData
from fedkeeper.refs import parse_ref, ref_of

DTYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda name: name != "__metadata__")
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
ARRAYS = st.sampled_from(DTYPES).flatmap(lambda dtype: npst.arrays(np.dtype(dtype), SHAPES))
MODELS = st.dictionaries(NAMES, ARRAYS, max_size=6)


def same(found: Mapping[str, Any], wanted: Mapping[str, Any], *, ordered: bool = True) -> None:
    """Names (in order), dtypes, shapes and bits."""
    assert (list(found) if ordered else sorted(found)) == (list(wanted) if ordered else sorted(wanted))
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def blob_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


# --- with the reference library ----------------------------------------------------------------------------------------
@given(MODELS)
def test_round_trip(model: dict[str, Any]) -> None:
    same(codec.decode(codec.encode_bytes(model)), model)


@given(MODELS)
def test_the_reference_library_reads_what_we_write(model: dict[str, Any]) -> None:
    same(safetensors.numpy.load(codec.encode_bytes(model)), model, ordered=False)


@given(MODELS)
def test_we_read_what_the_reference_library_writes(model: dict[str, Any]) -> None:
    same(codec.decode(safetensors.numpy.save(model, metadata={"made by": "somebody"})), model, ordered=False)


@given(MODELS)
def test_equal_models_are_equal_bytes_and_data_is_aligned(model: dict[str, Any]) -> None:
    parts = codec.encode(model)
    assert len(parts[0]) % 64 == 0
    assert codec.encode_bytes({name: array.copy() for name, array in model.items()}) == b"".join(parts)


def test_golden_bytes() -> None:
    """Written once, read for ever."""
    blob = codec.encode_bytes({"b": np.array([1, -2], "<i2"), "a": np.array(0.5, "<f4")})
    header = b'{"b":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}'
    assert blob == (120).to_bytes(8, "little") + header.ljust(120) + b"\x01\x00\xfe\xff" + b"\x00\x00\x00\x3f"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(12.0).reshape(3, 4).T,
        np.arange(10)[::-2],
        np.arange(8).reshape(2, 2, 2)[:, 0],
    ],
    ids=["big-endian", "transposed", "backwards", "sliced"],
)
def test_any_memory_order_can_be_written(array: Any) -> None:
    found = codec.decode(codec.encode_bytes({"x": array}))["x"]
    assert found.dtype == array.dtype.newbyteorder("<")
    assert (found == array).all()


def test_contiguous_arrays_are_not_copied() -> None:
    array = np.zeros(1000, "<f4")
    part = codec.encode({"x": array})[1]
    array[0] = 1
    assert bytes(part[:4]) == b"\x00\x00\x80\x3f"


def test_decoded_arrays_are_read_only_views() -> None:
    data = bytearray(codec.encode_bytes({"x": np.zeros(3, "<f4")}))
    found = codec.decode(data)["x"]
    data[-4:] = b"\x00\x00\x80\x3f"
    assert found[2] == 1
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


@pytest.mark.parametrize("dtype", ["c8", "O", "U3", "S3", "M8[s]", "i4,f4"])
def test_types_safetensors_cannot_hold(dtype: str) -> None:
    with pytest.raises(TypeError, match=r"'weights'.*cannot hold"):
        codec.encode({"weights": np.zeros(2, dtype)})


def test_the_reserved_name_is_refused() -> None:
    with pytest.raises(TypeError, match="__metadata__"):
        codec.encode({"__metadata__": np.zeros(2)})


# --- hostile bytes -----------------------------------------------------------------------------------------------------
def only_corrupt_data(data: bytes) -> None:
    try:
        arrays = codec.decode(data)
    except CorruptData:
        return
    assert sum(array.nbytes for array in arrays.values()) <= len(data)


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    only_corrupt_data(data)


@given(MODELS, st.data())
def test_damaged_blobs(model: dict[str, Any], data: st.DataObject) -> None:
    blob = bytearray(codec.encode_bytes(model))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(blob)))
        blob[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    only_corrupt_data(bytes(blob))


NUMBERS: st.SearchStrategy[Any] = st.one_of(
    st.integers(-2, 20), st.sampled_from([2**31, 2**40, 2**63, 2**70, 10**400, 1e999, 0.5, True, None, "1", []])
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.one_of(st.sampled_from(["F32", "U8", "BOOL", "f4", "BF16", "O", None, 1]), st.just([])),
        "shape": st.one_of(st.lists(NUMBERS, max_size=4), st.just([1] * 65), st.just([0] * 40), NUMBERS, st.just({"1": 1})),
        "data_offsets": st.one_of(st.tuples(NUMBERS, NUMBERS), st.lists(NUMBERS, max_size=3), NUMBERS),
        "extra": NUMBERS,
    },
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "__metadata__", "\ud800"]), st.one_of(ENTRIES, NUMBERS), max_size=3),
    st.binary(max_size=20),
)
def test_hostile_headers(header: dict[str, Any], data: bytes) -> None:
    only_corrupt_data(blob_of(header, data))


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "shorter than 8 bytes"),
        (b"1234567", "shorter than 8 bytes"),
        (b"\xff" * 8, "header of 18446744073709551615 bytes"),
        ((100_000_001).to_bytes(8, "little"), "header of 100000001 bytes"),
        ((3).to_bytes(8, "little") + b"{}", "truncated"),
        (blob_of([]), "not safetensors"),
        (blob_of(b"[" * 100_000), "not safetensors"),
        (blob_of('{"a":1}'.encode("utf-16")), "not safetensors"),
        (blob_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)), "4 bytes for shape"),
        (blob_of({"a": {"dtype": "U8", "shape": [4], "data_offsets": [1, 5]}}, bytes(5)), "hole"),
        (blob_of({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, bytes(5)), "1 bytes too many"),
        (blob_of({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}, bytes(3)), "too many or missing"),
        (blob_of({n: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for n in "ab"}, bytes(4)), "overlaps"),
        (blob_of({"a": {"dtype": "U8", "shape": [1] * 65, "data_offsets": [0, 1]}}, bytes(1)), "no array"),
        (blob_of({"a": {"dtype": "U8", "shape": [0, 2**40, 2**40], "data_offsets": [0, 0]}}), "no array"),
        (blob_of({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, -1]}}), "whole numbers"),
        (blob_of({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)), "'O'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(blob: bytes, message: str) -> None:
    with pytest.raises(CorruptData, match=message):
        codec.decode(blob)


def test_a_shape_with_a_million_sides_is_refused_at_once() -> None:
    sides = ",".join(["9" * 15] * 1_000_000)
    header = f'{{"a":{{"dtype":"U8","shape":[{sides}],"data_offsets":[0,1]}}}}'.encode()
    with pytest.raises(CorruptData, match="no array"):
        codec.decode(blob_of(header, b"x"))


def test_layout_needs_the_head_only() -> None:
    blob = codec.encode_bytes({"x": np.zeros(1000, "<f4"), "y": np.ones((2, 2), "?")})
    head = blob[: codec.header_size(blob[:8])]
    x, y = codec.layout(head, len(blob))
    assert x == codec.Tensor("x", np.dtype("<f4"), (1000,), len(head), 4000)
    assert y == codec.Tensor("y", np.dtype("?"), (2, 2), len(head) + 4000, 4)


# --- refs --------------------------------------------------------------------------------------------------------------
@given(st.lists(st.binary(max_size=20), max_size=5))
def test_a_ref_is_the_sha256_of_all_parts(parts: list[bytes]) -> None:
    assert ref_of(*parts) == "sha256:" + hashlib.sha256(b"".join(parts)).hexdigest()
    assert parse_ref(ref_of(*parts)) == ref_of(*parts)


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "A" * 64, "sha256:" + "0" * 64 + "\n",
             " sha256:" + "0" * 64, "sha256:" + "٣" * 64, None, 7, b"sha256:" + b"0" * 64]
)  # fmt: skip
def test_what_is_no_ref(text: object) -> None:
    with pytest.raises(CorruptData, match="not a ref"):
        parse_ref(text)


# --- packed bodies -----------------------------------------------------------------------------------------------------
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(JSON, st.lists(st.binary(max_size=50), max_size=4))
def test_pack_and_unpack(header: Any, parts: list[bytes]) -> None:
    found, views = codec.unpack(codec.pack(header, parts))
    assert (found, [bytes(view) for view in views]) == (header, parts)


@given(st.binary(max_size=60), st.binary(max_size=4), st.integers(0, 60))
def test_hostile_bodies(data: bytes, patch: bytes, at: int) -> None:
    good = codec.pack({"a": 1}, [b"one", b"two"])
    for body in (data, good[:at] + patch + good[at + len(patch) :], good[:at], good + patch):
        try:
            _header, views = codec.unpack(body)
        except CorruptData:
            continue
        assert sum(len(view) for view in views) <= len(body)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{}",
        b'{"header":1,"sizes":[1e999]}',
        b'{"header":1,"sizes":[-1,1]}',
        b'{"header":1,"sizes":5}',
        b'{"header":1,"sizes":[1]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_bodies_that_lie(text: bytes) -> None:
    with pytest.raises(CorruptData, match="packed body"):
        codec.unpack(blob_of(text))
