"""The blob part of the store contract: names are hashes, equal bytes are one blob, ranges have bounds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from fedkeeper.errors import BlobMissing, CorruptData
from fedkeeper.model import Ref
from fedkeeper.stores.base import Store
from fedkeeper.testing.store_fixtures import ABSENT, EMPTY, HELLO, Reopen, StoreFixtures


class BlobContract(StoreFixtures):
    @pytest.mark.parametrize(
        ("parts", "ref"),
        [
            ((b"hello",), HELLO),
            ((b"he", bytearray(b"l"), b"", memoryview(b"lo")), HELLO),
            ((), EMPTY),
            ((b"",), EMPTY),
        ],
    )
    def test_a_blob_is_named_by_its_bytes(
        self, store: Store, reopen: Reopen, url: str, parts: tuple[bytes, ...], ref: Ref
    ) -> None:
        assert store.put_blob(*parts) == ref
        assert self.raw_blobs(url) == [b"".join(parts)]
        other = reopen()
        assert other.has_blob(ref)
        assert other.get_blob(ref) == b"".join(parts)

    def test_a_part_may_be_any_contiguous_buffer(self, store: Store, url: str) -> None:
        store.put_blob(memoryview(b"abcdefgh").cast("I"))
        assert self.raw_blobs(url) == [b"abcdefgh"]

    def test_equal_bytes_are_one_blob(self, store: Store, reopen: Reopen, url: str) -> None:
        assert store.put_blob(b"hel", b"lo") == store.put_blob(b"hello") == reopen().put_blob(b"hello")
        assert self.raw_blobs(url) == [b"hello"]

    def test_many_threads_may_write_the_same_blob(self, store: Store, url: str) -> None:
        with ThreadPoolExecutor(8) as pool:
            refs = set(pool.map(lambda _: store.put_blob(b"he", b"llo"), range(64)))
        assert refs == {HELLO}
        assert self.raw_blobs(url) == [b"hello"]

    def test_20_mb_in_many_parts(self, store: Store, reopen: Reopen) -> None:
        pattern = bytes(range(251)) * 400  # 251 is prime: no two neighbouring kilobytes are alike
        parts = [pattern] * 200 + [b"tail"] + [b"x"] * 3000
        whole = b"".join(parts)
        ref = store.put_blob(*parts)
        other = reopen()
        assert other.get_blob(ref) == whole
        with closing(other.open_blob(ref)) as blob:
            target = bytearray(1_000_003)
            blob.read_into(17_999_999, memoryview(target))
            assert (blob.size, bytes(target)) == (len(whole), whole[17_999_999:][:1_000_003])

    @pytest.mark.parametrize("ref", [ABSENT, EMPTY])
    def test_a_blob_that_is_not_there(self, store: Store, ref: Ref) -> None:
        store.put_blob(b"something else")
        assert not store.has_blob(ref)
        with pytest.raises(BlobMissing, match=ref):
            store.open_blob(ref)
        with pytest.raises(BlobMissing, match=ref):
            store.get_blob(ref)

    @pytest.mark.parametrize(
        "text", ["", "hello", "sha256:", "sha256:../../../etc/passwd", HELLO.upper(), HELLO + "\n", "md5:" + "0" * 64]
    )
    def test_what_is_no_ref(self, store: Store, text: str) -> None:
        for look in (store.open_blob, store.has_blob, store.get_blob):
            with pytest.raises(CorruptData, match="not a ref"):
                look(Ref(text))

    @pytest.mark.parametrize(("offset", "length"), [(0, 5), (1, 3), (4, 1), (5, 0), (0, 0)])
    def test_ranges(self, store: Store, offset: int, length: int) -> None:
        with closing(store.open_blob(store.put_blob(b"hello"))) as blob:
            target = bytearray(b"#" * (length + 2))
            blob.read_into(offset, memoryview(target)[1 : length + 1])
        assert target == b"#" + b"hello"[offset : offset + length] + b"#"

    @pytest.mark.parametrize(("offset", "length"), [(0, 6), (5, 1), (6, 0), (10**12, 1), (-1, 1), (-5, 5)])
    def test_ranges_outside_the_blob(self, store: Store, offset: int, length: int) -> None:
        target = bytearray(length)
        with closing(store.open_blob(store.put_blob(b"hello"))) as blob, pytest.raises(CorruptData):
            blob.read_into(offset, memoryview(target))
        assert target == bytes(length)
